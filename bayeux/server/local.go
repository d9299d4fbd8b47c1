package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
)

// TransportLocal is what bayeux.Session.Transport says of a Local.
const TransportLocal = "local"

// ErrLocal says that something is not for local sessions.
var ErrLocal = errors.New("the session is a local one")

var errTemplate = errors.New("a template is no channel; subscribe to a wildcard")

// Receiver is called with messages for a Local. The context ends with the call,
// with the session or after ExtensionTimeout; bayeux.Param has the parameters
// of the subscription. The message belongs to the receiver, but for the bytes of
// its raw values, which others may have too.
type Receiver func(ctx context.Context, m *bayeux.Message)

// Local is a session of server code: a client without a network. It may do all,
// no policy is asked ([R-SP-1]), and never expires ([R-EX-6]). Extensions,
// listeners and life-cycle listeners see it as any other session, and its
// messages are delivered to others and come to it in the same order as theirs.
//
// What is queued for it waits within the limits of any session (maxQueue,
// maxQueueBytes), beyond which the slow-consumer policy acts. Receivers are
// called one at a time, in order, by a goroutine that exists only while there is
// something to receive; one that blocks or panics harms nobody but its own
// session. All methods are safe for concurrent use, in receivers too.
type Local struct {
	srv  *Server
	sess *session
	link *localLink
	rest Receiver

	mu sync.Mutex
	// Guarded by mu.
	receivers []*receiver
}

// receiver is one subscription's callback.
type receiver struct {
	template channels.Template
	f        Receiver
}

// NewLocal makes a local session. rest receives what no subscription's receiver
// does, such as what bayeux.Session.Deliver and services send; it may be nil.
// The error is that of an extension or listener that refuses the handshake, or
// says that the server is stopping. Close ends the session.
func (srv *Server) NewLocal(ctx context.Context, rest Receiver) (*Local, error) {
	st := srv.settings[TransportLocal]
	l := &Local{srv: srv, rest: rest}
	l.sess = srv.sessionOf(srv.config.NodePrefix+newID(sessionIDChars), "", st)
	l.link = &localLink{local: l}
	l.link.port = &port{settings: st, link: l.link, sess: l.sess}
	l.sess.port = l.link.port // nobody else knows the session yet
	reply := l.send(ctx, &bayeux.Message{Channel: metaHandshake, HasChannel: true})
	if !reply.OK() {
		l.sess.discard()
		return nil, fmt.Errorf("local session: %w", refusal(reply))
	}
	return l, nil
}

// refusal is the error that an unsuccessful reply states.
func refusal(reply *bayeux.Message) error {
	e := bayeux.ParseError(reply.Error)
	e.Ext = reply.Ext
	return e
}

// Session returns the session as others see it.
func (l *Local) Session() bayeux.Session { return l.sess }

// Done returns a channel that is closed when the session has ended: by Close,
// by others, or because its queue was full.
func (l *Local) Done() <-chan struct{} { return l.sess.gone() }

// send takes a message through the pipeline, as a carrier does.
func (l *Local) send(ctx context.Context, m *bayeux.Message) *bayeux.Message {
	s := l.sess
	m.ClientID = s.id()
	s.enter(s.made)
	defer s.releaseUser()
	defer s.settle()
	p := &pass{srv: l.srv, origin: l.link.port.origin(), settings: l.link.port.settings, sess: s, holder: l.link.port, port: l.link.port, alone: true}
	reply := p.message(ctx, m)
	l.srv.leaves(ctx, s, reply, true) // a reply that extensions drop is as good as any
	return reply
}

// Publish publishes a message, as a client does: to all who subscribe, or to a
// service. data is bayeux.Raw, or anything that encoding/json marshals. The
// error is a *bayeux.Error where a listener or an extension refuses.
func (l *Local) Publish(ctx context.Context, channel string, data any) error {
	m, err := serverMessage(channel, data)
	if err == nil {
		m.HasChannel = true
		if reply := l.send(ctx, m); !reply.OK() {
			err = refusal(reply)
		}
	}
	if err != nil {
		return fmt.Errorf("local publish to %q: %w", channel, err)
	}
	return nil
}

// Subscribe has f called with what is published to a channel, or to the
// channels that a wildcard matches. Several subscriptions to one channel are
// called in the order in which they came; a message that matches several is
// received by each of them. The returned function ends the subscription; a call
// under way goes on.
func (l *Local) Subscribe(ctx context.Context, channel string, f Receiver) (unsubscribe func(context.Context) error, err error) {
	t, err := channels.ParseTemplate(channel)
	if err == nil && t.Params() > 0 {
		err = errTemplate
	}
	if err != nil {
		return nil, fmt.Errorf("local subscription to %q: %w", channel, err)
	}
	r := &receiver{t, f}
	l.mu.Lock()
	l.receivers = append(slices.Clip(l.receivers), r) // before the first message comes
	l.mu.Unlock()
	if err := l.ask(ctx, metaSubscribe, t.Name()); err != nil {
		l.forget(r)
		return nil, err
	}
	return func(ctx context.Context) error {
		if last, was := l.forget(r); !last || !was {
			return nil
		}
		return l.ask(ctx, metaUnsubscribe, t.Name())
	}, nil
}

// forget takes a receiver away. It tells whether that was the last of its
// channel, and whether it was there.
func (l *Local) forget(r *receiver) (last, was bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last = true
	var kept []*receiver
	for _, x := range l.receivers {
		if x == r {
			was = true
			continue
		}
		last = last && x.template.Name() != r.template.Name()
		kept = append(kept, x)
	}
	l.receivers = kept
	return last, was
}

func (l *Local) ask(ctx context.Context, meta string, n channels.Name) error {
	subscription, err := json.Marshal(string(n))
	if err != nil {
		return err
	}
	reply := l.send(ctx, &bayeux.Message{Channel: meta, HasChannel: true, Subscription: subscription})
	if !reply.OK() {
		return fmt.Errorf("local %s of %q: %w", meta, n, refusal(reply))
	}
	return nil
}

// Close ends the session. What is still queued for it is dropped; a call of a
// receiver that is under way is not waited for. It is idempotent.
func (l *Local) Close(ctx context.Context) {
	l.send(ctx, &bayeux.Message{Channel: metaDisconnect, HasChannel: true})
}

// receive calls the receivers of a message.
func (l *Local) receive(f *bayeux.Frozen) {
	batch, err := bayeux.Decode(f.JSON, bayeux.Limits{Depth: -1})
	if err != nil || len(batch) != 1 {
		l.srv.quiet.failure("local").Err(err).Msg("message for a local session does not decode")
		return
	}
	l.mu.Lock()
	receivers := l.receivers
	l.mu.Unlock()
	name, taken := channels.Name(batch[0].Channel), false
	if n, err := channels.Parse(batch[0].Channel); err == nil {
		name = n
	}
	for _, r := range receivers {
		if !r.template.Matches(name) {
			continue
		}
		m := *batch[0] // each its own
		m.Fields = slices.Clone(m.Fields)
		taken = true
		l.call(&m, func(ctx context.Context) { r.f(bayeux.WithParams(ctx, r.template, name), &m) })
	}
	if !taken && l.rest != nil {
		l.call(batch[0], func(ctx context.Context) { l.rest(ctx, batch[0]) })
	}
}

func (l *Local) call(m *bayeux.Message, f func(ctx context.Context)) {
	err := l.srv.call(context.Background(), l.sess, func(ctx context.Context) error {
		f(ctx)
		return nil
	})
	if err != nil { // it panicked, which is in the log
		l.srv.quiet.failure("receiver").Str("session", l.sess.id()).Str("channel", m.Channel).Msg("a receiver of a local session has failed; it goes on")
	}
}

// localLink is the carrier of a local session: it takes what is queued and
// calls the receivers, on a goroutine that it starts when there is something.
type localLink struct {
	local *Local
	port  *port
	state atomic.Int32
}

var _ transport.Link = (*localLink)(nil)

// The states of a link.
const (
	linkIdle  = iota
	linkBusy  // its goroutine runs
	linkDirty // and has to look again
)

// Wake implements transport.Link.
func (k *localLink) Wake() {
	if k.state.Swap(linkDirty) == linkIdle {
		k.local.srv.lifecycle.tasks.Go(k.run)
	}
}

// Close implements transport.Link. There is nothing to close: the end of the
// session wakes the link.
func (k *localLink) Close(int, string) {}

// Leave implements transport.Link.
func (k *localLink) Leave(int, string) {}

// Cut implements transport.Link.
func (k *localLink) Cut(string) {}

// takeBytes is how much a local session takes at a time.
const takeBytes = 64 << 10

func (k *localLink) run() {
	s := k.local.sess
	for {
		k.state.Store(linkBusy)
		for !s.isOver() {
			out := k.port.Take(context.Background(), takeBytes)
			if out.Empty() {
				break
			}
			for _, f := range out.Messages {
				if s.isOver() {
					break
				}
				k.local.receive(f)
			}
			out.Done(len(out.Messages), true)
		}
		if s.isOver() {
			s.detach(k.port) // drops what is queued
		}
		if k.state.CompareAndSwap(linkBusy, linkIdle) {
			return
		}
	}
}
