package server

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/notify"
	"github.com/halleypush/halley/channels"
)

// sessionHook, userHook, channelHook and subscriptionHook are what server code
// wants to be told of. Nil functions are not called.
type (
	sessionHook struct {
		begin func(bayeux.Session)
		end   func(bayeux.Session, string)
	}
	userHook         struct{ came, went func(user string) }
	channelHook      struct{ created, removed func(channels.Name) }
	subscriptionHook struct{ subscribed, unsubscribed SubscriptionFunc }
)

// lifecycle is what server code wants to be told of, and who tells it.
type lifecycle struct {
	sessions      registered[sessionHook]
	users         registered[userHook]
	channels      registered[channelHook]
	subscriptions attached[subscriptionHook]
	// ctx is that of calls which belong to no request, however they were caused.
	ctx context.Context //nolint:containedctx // nobody's, and never done
	// tasks are the goroutines that call server code, and local sessions'.
	tasks    notify.Group
	presence notify.Presence[string]        // of users
	births   notify.Presence[channels.Name] // of channels
}

// tellers bounds the goroutines that tell of users, and of channels.
const tellers = 64

// OnSession has begin called when a session has come to exist and end when it
// has ended, with the reason; either may be nil. What is told of one session is
// told one call at a time, in the order in which it happened: begin first, then
// its subscriptions (see OnSubscription), end last. Of several listeners the
// one that came first is called first. The returned function ends that.
//
// The reply to a handshake waits for begin: what it does to the session is done
// before the client's next message. End is called on a goroutine of its own. A
// call that takes longer than ExtensionTimeout is not waited for any more.
func (srv *Server) OnSession(begin func(bayeux.Session), end func(s bayeux.Session, reason string)) (remove func()) {
	return srv.lifecycle.sessions.add(&sessionHook{begin: begin, end: end})
}

// SubscriptionFunc is told of a subscription to a channel, which may be a
// wildcard. m is the message that asked for it; nil when the session has ended,
// or was restored.
type SubscriptionFunc = func(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message)

// OnSubscription has subscribed called when a session has subscribed to a
// channel that matches, and unsubscribed when it no longer is; either may be
// nil. The channel is a channel, a wildcard or a template, as with Listen: "/**"
// for all. It is called once for each subscription, in the order told at
// OnSession; when a session ends, for all that it had. The returned function
// ends that.
//
// The reply to the client's message waits for it: what a listener delivers to
// the session arrives with the reply, ahead of it.
func (srv *Server) OnSubscription(channel string, subscribed, unsubscribed SubscriptionFunc) (remove func(), err error) {
	t, err := channels.ParseTemplate(channel)
	if err != nil {
		return nil, fmt.Errorf("subscriptions of %q: %w", channel, err)
	}
	return srv.lifecycle.subscriptions.add(t, subscriptionHook{subscribed, unsubscribed}), nil
}

// OnUser has came called when the first session of a user has come to exist,
// and went when the last has ended; either may be nil. For one user the calls
// alternate, came first, one at a time; those of different users run at the same
// time. While a call for a user is under way, what cancels out is not told: the
// last call always tells how things stand. They come on goroutines of their
// own, which nothing waits for. The returned function ends that.
//
// Users that are there already are not told of; see Users.
func (srv *Server) OnUser(came, went func(user string)) (remove func()) {
	remove = srv.lifecycle.users.add(&userHook{came: came, went: went})
	if srv.users.watched.CompareAndSwap(false, true) {
		for _, user := range srv.Users() {
			srv.lifecycle.presence.Known(user)
		}
	}
	return remove
}

// OnChannel has created called when a channel has come to exist, and removed
// when it has been swept; either may be nil. They are called as those of OnUser
// are. To see a channel before others do, use InitChannel.
func (srv *Server) OnChannel(created, removed func(ch channels.Name)) (remove func()) {
	remove = srv.lifecycle.channels.add(&channelHook{created: created, removed: removed})
	if srv.watchChannels.CompareAndSwap(false, true) {
		srv.router.Range(func(n channels.Name, _ channelAttrs, _ int) bool {
			srv.lifecycle.births.Known(n)
			return true
		})
	}
	return remove
}

// prepare makes the parts know each other; nothing runs yet.
func (l *lifecycle) prepare(srv *Server) {
	l.ctx = context.Background()
	l.presence.Group, l.presence.Limit = &l.tasks, tellers
	l.presence.Present = srv.users.present
	l.presence.Tell = func(user string, there bool) {
		for _, h := range l.users.all() {
			f := h.went
			if there {
				f = h.came
			}
			if f != nil {
				srv.inform("listener to users", func(context.Context) { f(user) })
			}
		}
	}
	l.births.Group, l.births.Limit = &l.tasks, tellers
	l.births.Present = srv.router.Exists
	l.births.Tell = func(n channels.Name, there bool) {
		for _, h := range l.channels.all() {
			f := h.removed
			if there {
				f = h.created
			}
			if f != nil {
				srv.inform("listener to channels", func(context.Context) { f(n) })
			}
		}
	}
}

// channelChanged is told that a channel has come to exist, or was swept.
func (srv *Server) channelChanged(n channels.Name, exists bool) {
	if srv.watchChannels.Load() {
		srv.lifecycle.births.Changed(n, exists)
	}
}

// begin makes a session exist for others, in its first turn: it is registered,
// found under its user, and told of. It returns when the listeners know; false
// when the id is taken.
func (srv *Server) begin(ctx context.Context, s *session, first turn) bool {
	first.enter()
	if !srv.registry.add(s) {
		first.leave()
		return false
	}
	s.known = true
	srv.users.move(s, s.User())
	told := srv.tellBegin(s)
	first.leave()
	srv.stats.handshakes.Add(1)
	srv.log.Debug().Func(func(e *zerolog.Event) {
		if r := bayeux.RequestFrom(ctx); r != nil && r.Remote.IsValid() {
			e.Stringer("address", r.Remote.Addr())
		}
	}).Str("session", s.id()).Str("transport", s.made.name).Msg("session begins")
	srv.await(ctx, told)
	return true
}

// finish undoes begin, in the session's last turn. Others are told on a
// goroutine of their own; the session counts as one until they have been.
func (srv *Server) finish(s *session, reason machine.Reason, subscriptions []channels.Name) {
	if !s.known {
		return
	}
	s.known = false
	srv.users.move(s, "")
	if srv.lifecycle.sessions.size.Load() == 0 && srv.lifecycle.subscriptions.size.Load() == 0 {
		return
	}
	srv.ending.Add(1)
	s.tell(func() {
		defer srv.ending.Add(-1)
		for _, n := range subscriptions {
			srv.callSubscription(srv.lifecycle.ctx, s, n, nil, false)
		}
		for _, h := range srv.lifecycle.sessions.all() {
			if h.end != nil {
				srv.inform("listener to sessions", func(context.Context) { h.end(s, string(reason)) })
			}
		}
	})
}

func (srv *Server) tellBegin(s *session) (told <-chan struct{}) {
	if srv.lifecycle.sessions.size.Load() == 0 {
		return nil
	}
	return s.tell(func() {
		for _, h := range srv.lifecycle.sessions.all() {
			if h.begin != nil {
				srv.inform("listener to sessions", func(context.Context) { h.begin(s) })
			}
		}
	})
}

// tell adds a call to what is told of the session. The caller has its turn.
func (s *session) tell(f func()) (told <-chan struct{}) {
	m := s.rare()
	if m.story == nil {
		m.story = new(notify.Line)
	}
	return m.story.Add(&s.srv.lifecycle.tasks, f)
}

// subscriptionsChanged is told what a step has changed, in its turn. The
// channel is nil if nobody wants to know.
func (srv *Server) subscriptionsChanged(ctx context.Context, s *session, e machine.Effects, m *bayeux.Message) (told <-chan struct{}) {
	if srv.lifecycle.subscriptions.size.Load() == 0 {
		return nil
	}
	return s.tell(func() {
		for _, n := range e.Subscribe {
			srv.callSubscription(ctx, s, n, m, true)
		}
		for _, n := range e.Unsubscribe {
			srv.callSubscription(ctx, s, n, m, false)
		}
	})
}

func (srv *Server) callSubscription(ctx context.Context, s *session, n channels.Name, m *bayeux.Message, is bool) {
	for _, h := range srv.lifecycle.subscriptions.match(n) {
		f := h.Value.unsubscribed
		if is {
			f = h.Value.subscribed
		}
		if f == nil {
			continue
		}
		_ = srv.within(ctx, nil, "listener to subscriptions", func(ctx context.Context) error {
			f(bayeux.WithParams(telling(ctx), h.Template, n), s, n, m)
			return nil
		})
	}
}

// inform calls a listener that can neither refuse nor fail.
func (srv *Server) inform(what string, f func(ctx context.Context)) {
	_ = srv.within(srv.lifecycle.ctx, nil, what, func(ctx context.Context) error {
		f(ctx)
		return nil
	})
}

type tellingKey struct{}

// telling marks the context of a listener that is told something: what it
// causes is told after it, so it must not wait for that.
func telling(ctx context.Context) context.Context { return context.WithValue(ctx, tellingKey{}, true) }

// await waits until something has been told, no longer than a call may take.
func (srv *Server) await(ctx context.Context, told <-chan struct{}) {
	if told == nil || ctx.Value(tellingKey{}) != nil {
		return
	}
	var late <-chan time.Time
	if limit := srv.config.ExtensionTimeout; limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-told:
	case <-late:
	case <-ctx.Done():
	}
}
