package serve

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/permissions"
)

// grantedPolicy is the policy where clients are authenticated and there are no
// permissions: who has credentials that name channels is held to these, others
// to what the posture allows.
type grantedPolicy struct {
	grants bayeux.Policy
	others bayeux.Policy
}

var _ bayeux.Policy = grantedPolicy{}

func newGrantedPolicy(p server.Posture, log zerolog.Logger) grantedPolicy {
	g := grantedPolicy{
		grants: permissions.New(permissions.Config{Refused: logRefusals(log)}),
		others: bayeux.DefaultPolicy{},
	}
	if p == server.PostureStrict {
		g.others = bayeux.ClosedPolicy{}
		log.Warn().Msg("there are no permissions: clients may do what their tokens grant, and nothing else; " +
			"see docs/PERMISSIONS.md")
	}
	return g
}

// of chooses between the two.
func (g grantedPolicy) of(s bayeux.Session) bayeux.Policy {
	if who := bayeux.SubjectOf(s); who != nil && (who.Subscribe != nil || who.Publish != nil || who.Create != nil) {
		return g.grants
	}
	return g.others
}

// CanHandshake implements bayeux.Policy.
func (g grantedPolicy) CanHandshake(ctx context.Context, s bayeux.Session, m *bayeux.Message) error {
	return g.of(s).CanHandshake(ctx, s, m)
}

// CanCreate implements bayeux.Policy.
func (g grantedPolicy) CanCreate(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	return g.of(s).CanCreate(ctx, s, ch, m)
}

// CanSubscribe implements bayeux.Policy.
func (g grantedPolicy) CanSubscribe(ctx context.Context, s bayeux.Session, p channels.Pattern, m *bayeux.Message) error {
	return g.of(s).CanSubscribe(ctx, s, p, m)
}

// CanPublish implements bayeux.Policy.
func (g grantedPolicy) CanPublish(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	return g.of(s).CanPublish(ctx, s, ch, m)
}
