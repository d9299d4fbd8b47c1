//go:build interop

package interop

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// goClient is this module's own client under the command of a scenario.
type goClient struct {
	c   *bayeuxclient.Client
	box *inbox

	mu   sync.Mutex
	subs map[string]*bayeuxclient.Subscription
}

func newGoClient(t *testing.T, base, transport string, ack bool) *goClient {
	t.Helper()
	return newGoClientWith(t, base, bayeuxclient.Options{Transports: []string{transport}, Ack: ack})
}

// newGoClientWith fills what the options leave open.
func newGoClientWith(t *testing.T, base string, o bayeuxclient.Options) *goClient {
	t.Helper()
	g := &goClient{box: newInbox(), subs: map[string]*bayeuxclient.Subscription{}}
	o.Extensions, o.Backoff, o.MaxBackoff = []bayeux.Extension{g}, 100*time.Millisecond, 500*time.Millisecond
	o.OnState = func(s bayeuxclient.State, reason error) {
		g.box.add(event{Kind: "state", Status: s.String(), Error: fmt.Sprint(reason)})
	}
	c, err := bayeuxclient.New(base, o)
	require.NoError(t, err)
	g.c = c
	t.Cleanup(g.Close)
	return g
}

// Incoming implements bayeux.Extension: it notes the replies to meta messages.
func (g *goClient) Incoming(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	if m.Successful == nil {
		return nil
	}
	ack, _ := m.ExtMember("ack")
	g.box.add(event{
		Kind: "meta", Channel: m.Channel, OK: m.OK(), ClientID: m.ClientID, Error: m.Error,
		Subscription: m.Subscription, Advice: m.Advice, Ack: ack, Transport: g.c.Transport(),
	})
	return nil
}

// Outgoing implements bayeux.Extension.
func (g *goClient) Outgoing(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

func (g *goClient) receive(m *bayeux.Message) {
	g.box.add(event{Kind: "message", Channel: m.Channel, Data: compact(m.Data)})
}

// Do implements client.
func (g *goClient) Do(ctx context.Context, cmd command) error {
	switch cmd.Cmd {
	case "handshake":
		return g.c.Start(ctx)
	case "subscribe":
		sub, err := g.c.Subscribe(ctx, cmd.Channel, g.receive)
		if err == nil {
			g.keep(map[string]*bayeuxclient.Subscription{cmd.Channel: sub})
		}
		return err
	case "unsubscribe":
		g.mu.Lock()
		sub := g.subs[cmd.Channel]
		delete(g.subs, cmd.Channel)
		g.mu.Unlock()
		return sub.Unsubscribe(ctx)
	case "publish":
		return g.c.Publish(ctx, cmd.Channel, cmd.Data)
	case "batch":
		return g.batch(ctx, cmd.Ops)
	case "disconnect":
		return g.c.Disconnect(ctx)
	default:
		return fmt.Errorf("unknown command %q", cmd.Cmd)
	}
}

func (g *goClient) batch(ctx context.Context, ops []command) error {
	subs := map[string]*bayeuxclient.Subscription{}
	err := g.c.Batch(ctx, func(b *bayeuxclient.Batch) {
		for _, op := range ops {
			if op.Cmd == "subscribe" {
				subs[op.Channel], _ = b.Subscribe(op.Channel, g.receive)
			} else {
				b.Publish(op.Channel, op.Data)
			}
		}
	})
	g.keep(subs)
	return err
}

func (g *goClient) keep(subs map[string]*bayeuxclient.Subscription) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.Copy(g.subs, subs)
}

// About implements client.
func (g *goClient) About(context.Context) (about, error) {
	return about{Client: "bayeuxclient (Go)", Version: "this module"}, nil
}

// Inbox implements client.
func (g *goClient) Inbox() *inbox { return g.box }

// Close implements client.
func (g *goClient) Close() {
	_ = g.c.Close()
	<-g.c.Done()
}
