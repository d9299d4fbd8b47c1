package permissions

import (
	"context"
	"errors"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Server is what Review needs of a server.
type Server interface {
	Channels() []channels.Name
	SubscribersOf(channel string) []bayeux.Session
	Unsubscribe(ctx context.Context, id, channel string) error
}

// membership is what ReviewSession needs of a session.
type membership interface{ Subscriptions() []channels.Name }

// Review ends subscriptions to broadcast channels that are no longer allowed,
// after Replace, and returns how many. Clients are not told: the protocol has no
// words for it, and messages just stop. Subscriptions that server code made go
// too; those of local sessions stay. A subscription that was being asked for
// while the rules changed may slip through. ctx ends it early. The error is
// ctx's, or those of the server; a session that has ended meanwhile is none of
// them.
func (p *Policy) Review(ctx context.Context, srv Server) (ended int, err error) {
	for _, name := range srv.Channels() {
		if !name.IsBroadcast() {
			continue
		}
		for _, s := range srv.SubscribersOf(string(name)) {
			if err := ctx.Err(); err != nil {
				return ended, err
			}
			done, err := p.review(ctx, srv, s, name)
			if err != nil {
				return ended, err
			}
			if done {
				ended++
			}
		}
	}
	return ended, nil
}

// ReviewSession does so for one session, whose subject has changed.
func (p *Policy) ReviewSession(ctx context.Context, srv Server, s bayeux.Session) (ended int, err error) {
	m, ok := s.(membership)
	if !ok {
		return 0, nil
	}
	var all []error
	for _, name := range m.Subscriptions() {
		done, err := p.review(ctx, srv, s, name)
		if done {
			ended++
		}
		all = append(all, err)
	}
	return ended, errors.Join(all...)
}

// local is the transport of sessions that server code has ([R-SP-1]).
const local = "local"

func (p *Policy) review(ctx context.Context, srv Server, s bayeux.Session, name channels.Name) (ended bool, err error) {
	if s.Transport() == local || p.mayHear(s, name) {
		return false, nil
	}
	if err := srv.Unsubscribe(ctx, s.ID(), string(name)); err != nil {
		if m, ok := s.(membership); ok && len(m.Subscriptions()) == 0 {
			return false, nil
		}
		return false, err
	}
	return true, nil
}
