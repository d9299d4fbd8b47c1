package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// fixture is the policy and the extension that some scripts need.
func fixture(c *server.Config) {
	c.Policy = denials{}
	c.Extensions = append(c.Extensions, bayeux.Funcs{In: timesyncIn, Out: timesyncOut})
}

// timesyncIn and timesyncOut are as much of the timesync extension as the
// faults need: a is always there where the request has l.
func timesyncIn(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	var ask struct{ TC, L, O *int64 }
	raw, ok := m.ExtMember("timesync")
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, &ask); err != nil || ask.TC == nil {
		return err
	}
	ts := time.Now().UnixMilli()
	answer := fmt.Sprintf(`{"tc":%d,"ts":%d}`, *ask.TC, ts)
	if ask.L != nil && ask.O != nil {
		answer = fmt.Sprintf(`{"tc":%d,"ts":%d,"a":%d}`, *ask.TC, ts, *ask.TC+*ask.O+*ask.L-ts)
	}
	m.Reply().SetExt("timesync", bayeux.Raw(answer))
	return nil
}

func timesyncOut(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	raw, ok := m.ExtMember("timesync")
	var answer struct{ TS *int64 }
	if ok && m.OK() && json.Unmarshal(raw, &answer) == nil && answer.TS != nil {
		p := fmt.Sprint(time.Now().UnixMilli() - *answer.TS)
		m.SetExt("timesync", bayeux.SetExtMember(raw, "p", bayeux.Raw(p)))
	}
	return nil
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
