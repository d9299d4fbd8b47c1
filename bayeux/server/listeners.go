package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// errNoListener is what a nil listener is refused with.
var errNoListener = errors.New("there is no listener")

// Listen calls l with each message published to a channel, before it is
// delivered; for service channels it is the service ([R-PB-12]). The channel
// may be a wildcard, or a template such as /room/{id}; bayeux.Param has what
// its parameters stand for. A meta channel's listeners hear what clients send
// there before the server acts on it, which they can keep it from; only those
// whose name begins with /meta/ hear it.
//
// Listeners are called one after the other: those of wildcards first, from /**
// inwards ([R-PB-10]), then those of templates, then the channel's own; on one
// name in the order in which they came. The first that refuses is the last
// ([R-PB-4]). What one changes in the message, the next sees, and then the
// subscribers.
//
// The channel exists, and is not swept, until the returned function ends the
// listening ([R-SB-13]); a template is no channel. A call under way goes on.
func (srv *Server) Listen(channel string, l bayeux.Listener) (remove func(), err error) {
	return srv.addListener(channel, l, true)
}

// ListenWeak is Listen for one that does not keep the channel: it may be swept
// as if nobody listened ([R-SB-13]), and is heard again should it come back.
func (srv *Server) ListenWeak(channel string, l bayeux.Listener) (remove func(), err error) {
	return srv.addListener(channel, l, false)
}

func (srv *Server) addListener(channel string, l bayeux.Listener, keep bool) (remove func(), err error) {
	t, err := channels.ParseTemplate(channel)
	if err == nil && l == nil {
		err = errNoListener
	}
	if err != nil {
		return nil, fmt.Errorf("listen to %q: %w", channel, err)
	}
	release := func() {}
	switch meta := t.Name().IsMeta(); {
	case meta:
		srv.listeners.meta.Add(1)
		release = func() { srv.listeners.meta.Add(-1) }
	case keep && t.Params() == 0:
		if err := srv.router.Pin(t.Name()); err != nil {
			return nil, fmt.Errorf("listen to %q: %w", channel, err)
		}
		release = func() { srv.router.Unpin(t.Name()) }
	}
	forget := srv.listeners.add(t, l)
	return sync.OnceFunc(func() {
		forget()
		release()
	}), nil
}

// keepChannel makes a channel exist until release is called. Where its
// initialiser fails, it does not.
func (srv *Server) keepChannel(n channels.Name) (release func()) {
	if srv.router.Pin(n) != nil {
		return func() {}
	}
	return func() { srv.router.Unpin(n) }
}

// listenerTable knows the listeners.
type listenerTable struct {
	attached[bayeux.Listener]

	meta atomic.Int64 // those of meta channels
}

func (t *listenerTable) match(n channels.Name) []*channels.Entry[bayeux.Listener] {
	all := t.attached.match(n)
	if n.IsMeta() {
		all = slices.DeleteFunc(all, func(e *channels.Entry[bayeux.Listener]) bool { return !e.Name().IsMeta() })
	}
	return all
}

// listen calls the listeners of a channel. One that refuses ends the message
// ([R-PB-4]).
func (srv *Server) listen(ctx context.Context, s *session, name channels.Name, m *bayeux.Message) *bayeux.Error {
	listeners := srv.listeners.match(name)
	if len(listeners) == 0 {
		return nil
	}
	err := srv.call(ctx, s, func(ctx context.Context) error {
		for _, l := range listeners {
			err := l.Value(bayeux.WithParams(ctx, l.Template, name), view(s), m)
			var e *bayeux.Error
			switch {
			case err == nil:
			case errors.Is(err, bayeux.Drop), errors.As(err, &e):
				return err
			default:
				srv.quiet.failure("listener").Err(err).Str("channel", m.Channel).Msg("listener failed; the message goes on")
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	return srv.verdict(err, bayeux.ErrMessageDeleted)
}

// hear calls the listeners of a meta channel with what a client sends there.
// It returns the reply to a message that one of them refuses, else nil.
func (p *pass) hear(ctx context.Context, s *session, m *bayeux.Message) *bayeux.Message {
	name := channels.Name(m.Channel)
	if p.srv.listeners.meta.Load() == 0 || !isMeta(name) || s == nil || s.isOver() {
		return nil
	}
	if e := p.srv.listen(ctx, s, name, m); e != nil {
		return p.vetoed(m, e)
	}
	return nil
}
