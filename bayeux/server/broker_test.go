package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// bus joins servers of one process: each broadcast goes to all nodes but its
// own, by a call.
type bus struct {
	mu    sync.Mutex
	nodes map[*node]func(context.Context, channels.Name, []byte)
	sent  []string
	err   error
}

// node is a server's end of the bus.
type node struct{ bus *bus }

func (n *node) Publish(ctx context.Context, ch channels.Name, message []byte) error {
	n.bus.mu.Lock()
	n.bus.sent = append(n.bus.sent, string(message))
	var others []func(context.Context, channels.Name, []byte)
	for other, deliver := range n.bus.nodes {
		if other != n {
			others = append(others, deliver)
		}
	}
	err := n.bus.err
	n.bus.mu.Unlock()
	for _, deliver := range others {
		deliver(ctx, ch, message)
	}
	return err
}

func (n *node) Join(deliver func(context.Context, channels.Name, []byte)) (func(), error) {
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	if n.bus.nodes == nil {
		n.bus.nodes = make(map[*node]func(context.Context, channels.Name, []byte))
	}
	n.bus.nodes[n] = deliver
	return func() {
		n.bus.mu.Lock()
		defer n.bus.mu.Unlock()
		delete(n.bus.nodes, n)
	}, nil
}

func (b *bus) join(c *server.Config) { c.Broker = &node{b} }

// Broadcasts reach the subscribers of both nodes, once, in their order, with
// what publishers do not relay left out ([R-PB-6]); listeners and server-wide
// extensions are asked where the message was published.
func TestBrokerJoinsServers(t *testing.T) {
	b := new(bus)
	d := new(diary)
	change := func(c *server.Config) {
		b.join(c)
		c.Extensions = append(c.Extensions, bayeux.Funcs{Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
			if to == nil && m.Channel == "/a" {
				d.note("out %s", m.Data)
				m.SetField("stamp", bayeux.Raw("7"))
			}
			return nil
		}})
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		other := r.twin(change)
		here, there := r.hello("").connect().subscribe("/a"), other.hello("").connect().subscribe("/*")
		socket := other.surf("").connected().subscribed("/a")
		held := there.later(connectHold)
		synctest.Wait()

		here.send(`[{"channel":"/a","clientId":"$","id":"9","data":{"n":1.50},"foo":[1e400]}]`)
		got := <-held
		soon(t, 0, got.Took)
		require.Equal(t, `[{"channel":"/a","foo":[1e400],"stamp":7,"data":{"n":1.50}},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Body)
		require.NotContains(t, got.Body, here.id)
		require.Contains(t, socket.Next(50*time.Millisecond).Text, `"data":{"n":1.50}`)
		require.Equal(t, []string{`out {"n":1.50}`}, d.take(), "once, where it was published")
		require.Len(t, b.sent, 1, "what came from the broker does not go back")

		r.publish("/a", 2)
		other.publish("/a", 3)
		same(t, `[{"channel":"/a","data":2,"stamp":7},{"channel":"/a","data":3,"stamp":7}]`, there.inbox())
		same(t, `[{"channel":"/a","data":2,"stamp":7},{"channel":"/a","data":3,"stamp":7}]`, here.inbox())
		here.publish("/service/x", "1")
		require.Len(t, b.sent, 3, "services stay at home")
	})
	require.Empty(t, b.nodes, "servers leave when they end")
}

// Laziness is the receiver's node's choice, and what does not decode is not
// delivered.
func TestBrokerDelivers(t *testing.T) {
	b := new(bus)
	bubble(t, b.join, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		for _, deliver := range b.nodes {
			for _, bad := range []string{"", "[", "[]", `[{"channel":"/a"},{"channel":"/a"}]`} {
				deliver(t.Context(), "/a", []byte(bad))
			}
			deliver(t.Context(), "/a", []byte(`{"channel":"/a","data":1}`))
		}
		same(t, `[{"channel":"/a","data":1}]`, u.inbox())
	})
}

// A broker that fails does not keep the message from this node's subscribers.
func TestBrokerFails(t *testing.T) {
	b := &bus{err: errors.New("no route")}
	bubble(t, b.join, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		same(t, `[{"channel":"/a","id":"p","successful":true}]`, r.hello("").publish("/a", "1").Messages)
		same(t, `[{"channel":"/a","data":1}]`, u.inbox())
	})
	_, err := server.New(server.Config{Broker: closed{}})
	require.ErrorContains(t, err, "join the broker: closed")
}

// closed is a broker that cannot be joined.
type closed struct{}

func (closed) Publish(context.Context, channels.Name, []byte) error { return nil }

func (closed) Join(func(context.Context, channels.Name, []byte)) (func(), error) {
	return nil, errors.New("closed")
}
