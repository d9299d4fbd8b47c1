package faults

import (
	"context"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// fixture is the policy that some scripts need.
func fixture(c *server.Config) {
	c.Policy = denials{}
}

type denials struct{ bayeux.DefaultPolicy }

func (denials) CanHandshake(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	if _, ok := m.ExtMember("deny"); ok {
		return bayeux.Deny("")
	}
	return nil
}

func (d denials) CanCreate(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	if strings.HasPrefix(m.Channel, "/denied/create") || strings.Contains(string(m.Subscription), "/denied/create") {
		return bayeux.Deny(bayeux.ReasonSecurityPolicy)
	}
	return d.DefaultPolicy.CanCreate(ctx, s, ch, m)
}

func (d denials) CanSubscribe(ctx context.Context, s bayeux.Session, p channels.Pattern, m *bayeux.Message) error {
	if string(p.Name()) == "/denied/subscribe" {
		return bayeux.Deny("members_only")
	}
	return d.DefaultPolicy.CanSubscribe(ctx, s, p, m)
}

func (d denials) CanPublish(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	if string(ch) == "/denied/publish" {
		return bayeux.Deny(bayeux.ReasonSecurityPolicy)
	}
	return d.DefaultPolicy.CanPublish(ctx, s, ch, m)
}

// furnish sets up the channels and services that some scripts need.
func furnish(srv *server.Server) error {
	if err := srv.Configure("/lazy", server.ChannelOptions{Persistent: true, Lazy: true, LazyTimeout: 500 * time.Millisecond}); err != nil {
		return err
	}
	for channel, l := range map[string]bayeux.Listener{
		"/service/echo": func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
			return from.Deliver(ctx, m.Channel, m.Data)
		},
		"/service/kick": func(ctx context.Context, from bayeux.Session, _ *bayeux.Message) error {
			return from.Disconnect(ctx)
		},
		"/veto": func(context.Context, bayeux.Session, *bayeux.Message) error { return bayeux.Drop },
	} {
		if _, err := srv.Listen(channel, l); err != nil {
			return err
		}
	}
	return nil
}
