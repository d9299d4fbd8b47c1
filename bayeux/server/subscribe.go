package server

import (
	"context"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/channels"
)

// subscribe handles /meta/subscribe. All elements are validated first
// ([R-SB-2]); then the policy is asked for each, up to the first refusal
// ([R-SB-3]).
func (p *pass) subscribe(ctx context.Context, s *session, m *bayeux.Message) *bayeux.Message {
	in := p.input(m)
	reviews := p.srv.reviews.Load()
	names, bad := p.parseNames(m)
	in.Refused = bad
	for _, n := range names {
		e := p.maySubscribe(ctx, s, n, m)
		if e == nil {
			// Now, and not when the subscription takes effect: an initialiser may
			// refuse. A service channel is known from now on, but without effect
			// ([R-SB-6]).
			if _, err := p.srv.router.Create(n, nil); err != nil {
				e = refusedInit(err, bayeux.DeniedCreate)
			} else if n.IsService() {
				continue
			}
			n = p.srv.router.Intern(n) // subscribers share it
		}
		in.Names, in.Refusals = append(in.Names, n), append(in.Refusals, e)
		if e != nil {
			break
		}
	}
	reply := p.stepTold(ctx, s, m, in)
	s.routed() // also what a request at the same time has subscribed [R-SB-14]
	if p.srv.reviews.Load() != reviews {
		s.Review(ctx) // what was allowed under the old policy took effect too late to be seen
	}
	if !reply.OK() && strings.Contains(reply.Error, "subscriptions_limit") {
		p.srv.stats.limit("subscriptions")
	}
	return reply
}

// parseNames returns the normalised names of the subscription field.
func (p *pass) parseNames(m *bayeux.Message) ([]channels.Name, *bayeux.Error) {
	list, _, bad := bayeux.ParseSubscription(m.Subscription)
	if bad != nil {
		return nil, bad
	}
	lim := p.srv.config.Limits.Messages
	names := make([]channels.Name, 0, len(list))
	for _, text := range list {
		n, err := channels.Parse(text)
		if err != nil {
			return nil, bayeux.ErrSubscriptionInvalid
		}
		if over(len(n), lim.ChannelBytes) || over(n.Segments(), lim.ChannelSegments) {
			p.srv.stats.limit("channel")
			return nil, bayeux.ErrSubscriptionInvalid
		}
		names = append(names, n)
	}
	return names, nil
}

func over(n, limit int) bool { return limit > 0 && n > limit }

// maySubscribe asks for CREATE where the channel is new, then for SUBSCRIBE
// ([R-SB-8]). Meta channels are refused whatever the policy says ([R-SB-7]).
func (p *pass) maySubscribe(ctx context.Context, s *session, n channels.Name, m *bayeux.Message) *bayeux.Error {
	if n.IsMeta() {
		operation := bayeux.DeniedCreate
		if isMeta(n) {
			operation = bayeux.DeniedSubscribe
		}
		return complete(bayeux.Deny(bayeux.ReasonSecurityPolicy), operation)
	}
	if !p.srv.router.Exists(n) {
		if e := p.srv.roomForChannel(bayeux.DeniedCreate); e != nil {
			return e
		}
		e := p.srv.ask(ctx, s, bayeux.DeniedCreate, func(ctx context.Context) error {
			return p.srv.config.Policy.CanCreate(ctx, s, n, m)
		})
		if e != nil {
			return e
		}
	}
	return p.srv.askSubscribe(ctx, s, n, m)
}

// askSubscribe asks the policy whether a session may subscribe to a channel that
// exists.
func (srv *Server) askSubscribe(ctx context.Context, s *session, n channels.Name, m *bayeux.Message) *bayeux.Error {
	return srv.ask(ctx, s, bayeux.DeniedSubscribe, func(ctx context.Context) error {
		return srv.config.Policy.CanSubscribe(ctx, s, channels.Compile(n), m)
	})
}

// unsubscribe handles /meta/unsubscribe ([R-SB-12]).
func (p *pass) unsubscribe(ctx context.Context, s *session, m *bayeux.Message) *bayeux.Message {
	in := p.input(m)
	names, bad := p.parseNames(m)
	in.Refused = bad
	for _, n := range names {
		var e *bayeux.Error
		switch {
		case isMeta(n):
			e = bayeux.ErrUnsubscribeFailed
		case !p.srv.router.Exists(n):
			e = bayeux.ErrChannelMissing
		case n.IsService():
			continue
		}
		in.Names, in.Refusals = append(in.Names, n), append(in.Refusals, e)
		if e != nil {
			break
		}
	}
	return p.stepTold(ctx, s, m, in)
}

// stepTold steps the machine and waits until the listeners to subscriptions
// know.
func (p *pass) stepTold(ctx context.Context, s *session, m *bayeux.Message, in machine.Input) *bayeux.Message {
	var told <-chan struct{}
	tell := func(e machine.Effects) { told = p.srv.subscriptionsChanged(ctx, s, e, m) }
	eff := s.stepWith(nil, tell, func(now instant.Time) machine.Effects { return s.machine.Step(now, in) })
	p.srv.await(ctx, told)
	return eff.Reply
}
