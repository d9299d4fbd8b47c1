package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/channels"
)

// Membership is an ability of sessions: what they are subscribed to.
type Membership interface {
	// Subscriptions returns the names, sorted; none once the session has ended.
	Subscriptions() []channels.Name
}

var _ Membership = (*session)(nil)

// Subscriptions implements Membership.
func (s *session) Subscriptions() []channels.Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	return s.machine.Subscriptions()
}

// Channels returns the names of all channels and wildcards that exist, sorted,
// those of meta and service channels included.
func (srv *Server) Channels() []channels.Name {
	var names []channels.Name
	srv.router.Range(func(n channels.Name, _ channelAttrs, _ int) bool {
		names = append(names, n)
		return true
	})
	slices.Sort(names)
	return names
}

// SubscribersOf returns the sessions subscribed to exactly this channel or
// wildcard, in no order; none for a name that is no channel.
func (srv *Server) SubscribersOf(channel string) []bayeux.Session {
	n, err := channels.Parse(channel)
	if err != nil {
		return nil
	}
	all := srv.router.Members(n)
	out := make([]bayeux.Session, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

// Subscribe subscribes a session to a broadcast channel or wildcard, as if its
// client had asked for it, but no policy is: server code decides. Nothing is
// said to the client, and its session lives no longer for it. It returns when
// messages go there; listeners to subscriptions are told as ever, without a
// message, and not waited for. The error is ErrNoSession, ErrNotBroadcast, or a
// *bayeux.Error where the session has too many subscriptions, has ended
// meanwhile, or an initialiser of the channel refuses.
func (srv *Server) Subscribe(ctx context.Context, id, channel string) error {
	return srv.enlist(ctx, id, metaSubscribe, channel)
}

// Unsubscribe ends a subscription of a session, whoever asked for it; where
// there is none nothing happens. Errors are those of Subscribe.
func (srv *Server) Unsubscribe(ctx context.Context, id, channel string) error {
	return srv.enlist(ctx, id, metaUnsubscribe, channel)
}

func (srv *Server) enlist(ctx context.Context, id, meta, channel string) error {
	s := srv.registry.get(id)
	if s == nil {
		return fmt.Errorf("%s of %q: %w", meta, id, ErrNoSession)
	}
	n, err := channels.Parse(channel)
	if err != nil || !n.IsBroadcast() {
		return fmt.Errorf("%s to %q: %w", meta, channel, ErrNotBroadcast)
	}
	if meta == metaSubscribe {
		if _, err := srv.router.Create(n, nil); err != nil {
			return fmt.Errorf("%s to %q: %w", meta, channel, refusedInit(err, bayeux.DeniedCreate))
		}
	}
	in := machine.Input{
		Message: &bayeux.Message{Channel: meta}, Names: []channels.Name{n},
		MaxSubscriptions: srv.maxSubscriptions, Silent: true,
	}
	tell := func(e machine.Effects) { srv.subscriptionsChanged(ctx, s, e, nil) }
	eff := s.stepWith(nil, tell, func(now instant.Time) machine.Effects { return s.machine.Step(now, in) })
	if !eff.Reply.OK() {
		return fmt.Errorf("%s to %q: %w", meta, channel, refusal(eff.Reply))
	}
	return nil
}

// PublishFrom is PublishMessage in the name of a session: listeners and
// extensions see it as the publisher, and where publishers do not get their own
// messages it does not either ([R-PB-11]). No policy is asked.
func (srv *Server) PublishFrom(ctx context.Context, id string, m *bayeux.Message) error {
	s := srv.registry.get(id)
	if s == nil {
		return fmt.Errorf("publish from %q: %w", id, ErrNoSession)
	}
	return srv.broadcast(ctx, s, m)
}
