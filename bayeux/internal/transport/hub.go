package transport

import (
	"context"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Names of the transports, as they stand in supportedConnectionTypes.
const (
	LongPolling     = "long-polling"
	CallbackPolling = "callback-polling"
	WebSocket       = "websocket"
)

// Origin is what a carrier knows of the sender of a batch.
type Origin struct {
	// Transport is one of the names above.
	Transport string
	// Request is the HTTP request, or the upgrade of a WebSocket.
	Request *bayeux.Request
	// Browser is the value of the browser cookie, empty if none; of a WebSocket
	// only where Options.WebSocketCookie asks for it.
	Browser string
	// HTTP2 tells that the request came by HTTP/2, whose requests have a limit
	// of their own ([R-MC-1]).
	HTTP2 bool
}

// Hub is what carriers need of the server. Its methods may block, for they
// call extensions and policies.
type Hub interface {
	// Request processes the messages of one HTTP request in their order. The
	// error, a *StatusError, refuses the request as a whole. The caller must go
	// on to call Take, or Abandon, once.
	Request(ctx context.Context, from Origin, batch []*bayeux.Message) (Exchange, error)
	// Attach returns the server's end of a new WebSocket connection.
	Attach(from Origin, link Link) Port
}

// StatusError refuses a whole request with an HTTP status (WebSocket: a close
// code, see Port.Receive).
type StatusError struct {
	// Status is an HTTP status of 400 or more.
	Status int
	// Reason is a short text for the body and the log: what was wrong, which
	// limit.
	Reason string
	// RetryAfter is sent in the header of that name when not zero.
	RetryAfter time.Duration
}

// Error returns the reason.
func (e *StatusError) Error() string { return e.Reason }

// Exchange is one HTTP request whose messages have been processed.
type Exchange interface {
	// Await tells whether the answer has to wait because a connect is held. If
	// so, wake is called once, from any goroutine and without blocking, when
	// the answer is due; then Take. If not, wake is never called. Nil only asks.
	Await(wake func()) (held bool)
	// Abandon says that the client has gone away while its connect was held:
	// the hold is dropped, nothing queued is lost, the expiry clock starts
	// (WIRE 16). Idempotent; Take must not follow.
	Abandon()
	// Take collects what leaves with the answer, at most limit bytes of
	// messages (a single larger one goes alone). Outgoing extensions run here.
	// The caller must call Output.Done once.
	Take(ctx context.Context, limit int) Output
}

// Trickler is an Exchange that may have blanks, white space of JSON, sent while its
// answer waits, so that those between here and the client who wait for bytes have
// some. The head leaves with the first blank, when that time has passed, as does
// the status: an Output.Err is answered with an empty array after that, and
// Output.SetBrowser is too late.
type Trickler interface {
	// Trickle returns how often; 0: never. It is asked once, when a hold begins,
	// and only where the answer can trickle: by long-polling, over HTTP/1.1 or
	// later.
	Trickle() time.Duration
}

// Output is what leaves in one go, in this order: handshake reply, messages,
// replies ([R-OUT-2]).
type Output struct {
	// Err, when not nil, is answered instead of everything else: the
	// duplicate of a held connect ([R-CN-20]).
	Err *StatusError
	// SetBrowser is the value of the browser cookie to set, empty for none
	// ([R-HS-14]).
	SetBrowser string
	// Handshake is the encoded reply to a handshake, nil if there is none.
	Handshake []byte
	// Messages are the queued messages, under a lease. They must not be used
	// after Done.
	Messages []*bayeux.Frozen
	// Replies are encoded replies: one group for each request or WebSocket
	// message they answer, in order ([R-WS-10]). They are the hub's again when
	// Done is called.
	Replies [][][]byte
	// Joined asks a WebSocket to send Messages and Replies in one WebSocket
	// message: retained delivery (WIRE 16).
	Joined bool
	// More tells that something was left behind, messages for the limit for
	// example; on a WebSocket the caller takes again. Without it there is
	// nothing to take until the next Link.Wake.
	More bool
	// Done ends the lease: sent is the number of Messages that were written
	// whole, replied tells that the replies were too. What was not written goes
	// back in front of the queue; the expiry clock of a connect reply starts
	// either way ([R-CN-18], [R-CN-22]). Never nil.
	Done func(sent int, replied bool)
}

// Empty tells whether there is nothing to write.
func (o *Output) Empty() bool {
	return o.Err == nil && o.Handshake == nil && len(o.Messages) == 0 && len(o.Replies) == 0
}

// Link is the carrier's end of a WebSocket connection.
type Link interface {
	// Wake says that Port.Take has something. It never blocks; several calls
	// may count as one. It may be called with a lock held.
	Wake()
	// Close asks the connection to end with a close code, after what is
	// already taken has been written. It never blocks and is idempotent.
	Close(code int, reason string)
	// Leave is Close for a peer that may not hear of it: its answer is waited for
	// no longer than a tenth of a second.
	Leave(code int, reason string)
	// Cut ends the connection at once, also one that is stuck in a write. It
	// never blocks and is idempotent.
	Cut(reason string)
}

// Port is the server's end of a WebSocket connection. Receive is called by one
// goroutine at a time, Take by one goroutine at a time.
type Port interface {
	// Receive processes the messages of one WebSocket message in their order.
	// Replies are then in Take. A *StatusError refuses them all; the
	// connection is then to be closed with 1011 ([R-WS-8]), or with 1008 when
	// the status is 429 or 413.
	Receive(ctx context.Context, batch []*bayeux.Message) error
	// Take collects what leaves now. An empty Output needs no Done.
	Take(ctx context.Context, limit int) Output
	// Idle returns how long the connection may be without a frame from the
	// peer before it is closed: twice the longest hold in force, and at least
	// the configured minimum (DESIGN 7).
	Idle() time.Duration
	// Closed says that the connection is gone: a held connect is dropped and
	// the expiry clock starts ([R-WS-18]). Idempotent.
	Closed(reason string)
}

// End is how a WebSocket connection ended.
type End uint8

const (
	// EndClosed is a close frame, of either side: nothing was to come any more.
	EndClosed End = iota
	// EndLost is an end without one: the connection was closed or has failed,
	// which the peer has done or somebody between here and there.
	EndLost
	// EndIdle says that no frame came for Port.Idle.
	EndIdle
	// EndStuck says that the peer made no room for a write in
	// WSOptions.WriteTimeout.
	EndStuck
	// EndDead says that nothing came through from the first: see
	// WSOptions.Silence.
	EndDead
	// EndCut is a cut by the server, of this connection or as it shut down.
	EndCut
)

// String names the end, for logs.
func (e End) String() string {
	names := [...]string{"closed", "lost", "idle", "stuck", "dead", "cut"}
	if int(e) >= len(names) {
		return "unknown"
	}
	return names[e]
}

// Ender is a Port that wants to know how its connection ended.
type Ender interface {
	// Ended is called once, right before Closed, by the same goroutine.
	Ended(how End)
}
