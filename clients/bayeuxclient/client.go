package bayeuxclient

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
)

// State is what a Client's connection is in.
type State int

// States, as State returns them and OnState reports them.
const (
	// StateIdle: Start was not called.
	StateIdle State = iota
	// StateConnecting: the first handshake is under way; the reason, where
	// given, is why the last attempt failed.
	StateConnecting
	// StateConnected: a connect was answered, and the server is reached.
	StateConnected
	// StateBroken: the server is not reached, or does not know the session; the
	// reason says why. The client tries again by itself.
	StateBroken
	// StateRehandshaken: a new session took the place of one that was lost, and
	// the subscriptions were renewed; messages in between may be lost. The
	// reason joins the refusals of subscriptions, which stay registered.
	StateRehandshaken
	// StateDisconnected: the end. The reason is nil after Close or Disconnect.
	StateDisconnected
)

// String returns the state in one lower-case word.
func (s State) String() string {
	switch s {
	case StateIdle:
		return "idle"
	case StateConnecting:
		return "connecting"
	case StateConnected:
		return "connected"
	case StateBroken:
		return "broken"
	case StateRehandshaken:
		return "rehandshaken"
	case StateDisconnected:
		return "disconnected"
	}
	return "unknown"
}

// Client is a session with a Bayeux server, kept up in the background. It is
// safe for concurrent use. Make one with New or Dial, and Close it.
type Client struct {
	// Immutable after New.
	o         Options
	url       string
	http      *http.Client
	own       *http.Transport // nil when the caller brought one
	gate      *gate
	topics    topics
	calls     calls
	callbacks *callbacks
	life      context.Context //nolint:containedctx // the life of the client, which no single call has
	end       context.CancelCauseFunc
	down      chan struct{} // closed when the network side has ended
	done      chan struct{} // closed when the last callback has returned too

	state   atomic.Int64
	leaving atomic.Bool   // by us, not by the server
	arrived atomic.Int64  // messages that were no replies, dropped ones too
	arrival chan struct{} // holds one where arrived grew

	mu      sync.Mutex // guards the fields below
	started bool
	ended   bool // no goroutine may be added to work
	reason  error
	work    sync.WaitGroup
}

// New makes a client of the server at url, the address of its mapping such as
// https://example.com/cometd. It opens no connection and starts nothing. The
// error tells what in url or the options is wrong.
func New(url string, o Options) (*Client, error) {
	address, err := endpoint(url)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	client, own, err := o.httpClient()
	if err != nil {
		return nil, err
	}
	return &Client{
		o: o, url: address, http: client, own: own,
		gate:      newGate(ErrNotStarted),
		topics:    newTopics(),
		callbacks: newCallbacks(o.QueueLength, o.StallTimeout),
		arrival:   make(chan struct{}, 1),
		down:      make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// Dial is New and Start.
func Dial(ctx context.Context, url string, o Options) (*Client, error) {
	c, err := New(url, o)
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Start shakes hands and returns when the session is there; from then on the
// client keeps it by itself and ctx does not matter. It can be called once.
//
// The error is a *bayeux.Error when the server refused, ErrNoTransport, the
// context's cause, or what the network said; see Options.RetryStart. The
// client has then ended.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return ErrStarted
	}
	c.started = true
	c.life, c.end = context.WithCancelCause(context.WithoutCancel(ctx))
	c.mu.Unlock()

	c.gate.shut()
	c.report(StateConnecting, nil)
	up := make(chan struct{})
	go c.callbacks.run()       // ends with finish, which supervise calls
	go c.supervise(c.life, up) //nolint:contextcheck // ends with the loop, which ends with the life of the client
	select {
	case <-up:
		return nil
	case <-c.down:
	case <-ctx.Done():
		c.end(context.Cause(ctx))
		<-c.down
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == nil {
		return ErrClosed
	}
	return c.reason
}

// supervise runs the loop and tears everything down after it.
func (c *Client) supervise(ctx context.Context, up chan<- struct{}) {
	err := newLoop(c, up).run(ctx)
	if c.leaving.Load() {
		// The end of a held connect overtakes the reply to the farewell, which
		// Disconnect waits for; it ends ctx in any case.
		<-ctx.Done()
	}
	if c.leaving.Load() || errors.Is(err, ErrClosed) {
		err = nil
	}
	closed := err
	if closed == nil {
		closed = ErrClosed
	}
	c.gate.end(closed)
	c.calls.fail(nil, closed)
	c.end(closed)

	c.mu.Lock()
	c.ended, c.reason = true, err
	c.mu.Unlock()
	c.work.Wait()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	close(c.down)
	c.state.Store(int64(StateDisconnected))
	c.callbacks.finish(func() {
		if c.o.OnState != nil {
			c.o.OnState(StateDisconnected, err)
		}
	})
	<-c.callbacks.done
	close(c.done)
}

// spawn runs f on a goroutine that the end of the client waits for. It reports
// false, and does not run f, when that end has come.
func (c *Client) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.work.Go(f)
	return true
}

// report sets the state and has OnState called.
func (c *Client) report(s State, reason error) {
	c.state.Store(int64(s))
	if c.o.OnState != nil {
		c.enqueue(func() { c.o.OnState(s, reason) })
	}
}

// enqueue queues a callback; where that is not possible in time it ends the
// client.
func (c *Client) enqueue(f func()) {
	if err := c.callbacks.push(c.life, f); err != nil {
		c.end(err)
	}
}

// State returns the present state.
func (c *Client) State() State { return State(c.state.Load()) }

// ClientID returns the id of the session, empty before the first handshake.
func (c *Client) ClientID() string { return c.gate.peek().id }

// Transport returns the name of the transport in use, empty while there is
// none.
func (c *Client) Transport() string {
	if via := c.gate.peek().via; via != nil {
		return via.name()
	}
	return ""
}

// Done is closed when the client has ended, for whatever reason, and the last
// callback has returned. Err tells why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the client has ended: nil while it has not, and after Close
// or Disconnect.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Disconnect tells the server, which ends the session, and then ends the
// client. Messages that were received are still given to their callbacks;
// Done says when. The error is that of the farewell; the client has ended in
// any case, when ctx ends at the latest or after the MaxNetworkDelay. It may be
// called from a callback.
func (c *Client) Disconnect(ctx context.Context) error {
	c.mu.Lock()
	started := c.started
	c.mu.Unlock()
	if !started {
		return c.Close()
	}
	c.leaving.Store(true)
	var err error
	if l := c.gate.peek(); l.via != nil {
		bye := &bayeux.Message{Channel: metaDisconnect, ClientID: l.id}
		ctx, cancel := context.WithTimeoutCause(ctx, c.o.MaxNetworkDelay, ErrTimeout)
		defer cancel()
		if _, err = c.ask(ctx, l.via, bye); err == nil {
			l.via.close(true)
		}
	}
	c.end(ErrClosed)
	<-c.down
	return err
}

// Close ends the client at once, without a word to the server, which keeps the
// session until it expires. Callbacks that wait are dropped. It returns when
// the network side has ended; Done also waits for the callback that runs. It
// may be called from a callback, and more than once. The error is nil.
func (c *Client) Close() error {
	c.callbacks.discard.Store(true)
	c.leaving.Store(true)
	c.mu.Lock()
	started := c.started
	c.started = true
	c.mu.Unlock()
	if started {
		c.end(ErrClosed)
		<-c.down
		return nil
	}
	c.life, c.end = context.WithCancelCause(context.Background())
	c.end(ErrClosed)
	c.gate.end(ErrClosed)
	c.state.Store(int64(StateDisconnected))
	close(c.down)
	close(c.done)
	return nil
}
