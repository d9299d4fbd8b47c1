package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/ack"
)

const (
	histories    = 100_000 // in all
	perBubble    = 1_000
	opsOfHistory = 6 // besides handshakes, first subscriptions, connect loops and the end
)

// history is a short random life of a few clients of one server.
type history struct {
	t    *testing.T
	srv  *Server
	c    *chaos
	seed int
	busy sync.WaitGroup

	clients []*client
	turn    chan struct{} // the server's own publishes

	mu    sync.Mutex
	socks []*sock
	told  []int // numbers published with success
	own   int
}

// limit is what a carrier takes at a time: sometimes less than one message.
func (h *history) limit() int { return []int{1, 60, 1 << 20}[h.c.n(3)] }

// TestInterleavings plays histories of subscribe, publish, expire, disconnect
// and re-attach with a fake scheduler. After each, nothing is left in the
// server; each message came once at most and in order, and to those who stayed,
// for certain ([R-DL-10], [R-EX-5], [R-WS-19], [R-WS-21], [R-CN-20]).
func TestInterleavings(t *testing.T) {
	for worker := range 2 {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			for first := worker * perBubble; first < histories; first += 2 * perBubble {
				synctest.Test(t, func(t *testing.T) { playBubble(t, first) })
			}
		})
	}
}

// playBubble plays histories one after the other on one server; first is the
// seed of all.
func playBubble(t *testing.T, first int) {
	c := newChaos(uint64(first))
	srv, err := New(Config{
		Policy:     chaosPolicy{c: c},
		Extensions: []bayeux.Extension{ack.New(), chaosExtension{c}},
		Options:    Options{"timeout": "600", "maxInterval": "500", "sweepPeriod": "20000", "maxQueue": "15"},
	})
	require.NoError(t, err)
	defer func() { _ = srv.Shutdown(context.Background()) }()
	for i := range perBubble {
		(&history{t: t, srv: srv, c: c, seed: first + i}).play()
	}
	time.Sleep(15 * time.Minute)
	require.Zero(t, srv.router.Len())
	require.Empty(t, srv.deadlines.all())
}

func (h *history) play() {
	h.turn = make(chan struct{}, 1)
	for range 2 {
		h.newClient()
	}
	// Mostly at a pace at which operations meet, at times so slow that sessions
	// expire meanwhile.
	pace := []time.Duration{20 * time.Millisecond, 60 * time.Millisecond, time.Second}[h.c.n(3)]
	for range opsOfHistory {
		op, at := h.pick(), time.Duration(h.c.n(int(pace)))
		h.busy.Go(func() {
			time.Sleep(at)
			op()
		})
	}
	h.busy.Wait()
	for !h.settled() {
		time.Sleep(50 * time.Millisecond)
	}
	for _, c := range h.clients {
		if s := h.srv.registry.get(c.id); s != nil {
			h.requireQuiet(s)
			h.drain(c)
		}
		h.requireOrder(c)
	}
	h.finish()
}

// settled tells whether no socket is being written to or closed.
func (h *history) settled() bool {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return !slices.ContainsFunc(h.socks, func(s *sock) bool { return !s.settled() })
}

// requireQuiet asserts that nobody waits for a message that nobody is going to
// send: no wake-up was lost.
func (h *history) requireQuiet(s *session) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(h.t, []int{s.batch, s.users, s.leases}, make([]int, 3), "seed %d: batch, users, leases", h.seed)
	require.False(h.t, s.wakesHoldLocked(now), "seed %d: a hold sleeps", h.seed)
	require.False(h.t, s.wakesPortLocked(now), "seed %d: a socket sleeps", h.seed)
}

// drain has the client of a live session fetch what waits. It then has all that
// the server has published since it subscribed.
func (h *history) drain(c *client) {
	c.mu.Lock()
	c.sock = nil
	c.mu.Unlock()
	for range 100 {
		c.post(`[{"channel":"/meta/connect","clientId":"$","id":"@","ext":{"ack":#},"advice":{"timeout":0}}]`, false)
		s := h.srv.registry.get(c.id)
		if s == nil {
			return
		}
		s.mu.Lock()
		left := s.queue.Len()
		s.mu.Unlock()
		if left == 0 && !c.left {
			c.mu.Lock()
			require.Subset(h.t, c.got, h.told, "seed %d: messages are lost", h.seed)
			c.mu.Unlock()
		}
		if left == 0 {
			return
		}
	}
	require.Fail(h.t, "the queue is never empty", "seed %d", h.seed)
}

// requireOrder asserts that each message came once, those of one publisher in
// their order.
func (h *history) requireOrder(c *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := map[int]int{}
	for _, n := range c.got {
		require.Greater(h.t, n, last[n/1000], "seed %d, ack %t: %v", h.seed, c.ack, c.got)
		last[n/1000] = n
	}
}

// finish ends what is left, each session by another way, and asserts that
// nothing is left of them.
func (h *history) finish() {
	for _, c := range h.clients {
		switch h.c.n(3) {
		case 0:
			c.post(`[{"channel":"/meta/disconnect","clientId":"$"}]`, false)
		case 1:
			_ = h.srv.Remove(c.id)
		default: // it expires
		}
	}
	synctest.Wait()
	for _, s := range h.socks {
		s.Cut("the end")
	}
	time.Sleep(21 * time.Second) // the next sweep
	st := &h.srv.stats
	for _, n := range []channels.Name{"/a", "/b", "/a/*", "/**"} {
		require.Zero(h.t, h.srv.router.Subscribers(n), "seed %d: subscriptions of %s", h.seed, n)
	}
	require.Equal(h.t, []int64{
		h.srv.registry.count.Load(), int64(h.srv.browsers.size()), st.holds.Load(), st.sockets.Load(), h.srv.total.Bytes(),
	}, make([]int64, 5), "seed %d: sessions, browsers, holds, sockets, bytes", h.seed)
}

// newClient makes a client with a subscription, and often a connect loop.
func (h *history) newClient() {
	c := &client{h: h, turn: make(chan struct{}, 1), batch: "0", ack: h.c.chance(3)}
	h.clients = append(h.clients, c)
	hello := `[{"channel":"/meta/handshake"}]`
	if c.ack {
		hello = `[{"channel":"/meta/handshake","ext":{"ack":true}}]`
	}
	name := transport.LongPolling
	batch, _ := c.fill(hello)
	x, err := h.srv.Request(context.Background(), transport.Origin{Transport: name, Request: &bayeux.Request{}}, batch)
	require.NoError(h.t, err)
	out := x.Take(context.Background(), 0)
	c.browser, c.id = out.SetBrowser, x.(*exchange).sess.id
	out.Done(0, true)
	c.post(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`, false)
	if !h.c.chance(4) {
		rounds := 1 + h.c.n(2)
		h.busy.Go(func() {
			for range rounds {
				c.connect(h.c.chance(4))
			}
		})
	}
}

// connect sends a connect by the way the client uses at the time.
func (c *client) connect(now bool) {
	body := `[{"channel":"/meta/connect","clientId":"$","id":"@","ext":{"ack":#}}]`
	if now {
		body = `[{"channel":"/meta/connect","clientId":"$","id":"@","ext":{"ack":#},"advice":{"timeout":0}}]`
	}
	c.mu.Lock()
	s, givenUp := c.sock, c.ack && c.awaits
	c.mu.Unlock()
	if s != nil && givenUp { // as clients do that sort out what came twice
		s.Cut("given up")
		s = c.h.dial(c)
	}
	if s != nil {
		s.send(body)
		time.Sleep(time.Duration(c.h.c.n(int(time.Second / 2))))
		return
	}
	c.post(body, true)
}

// tell sends anything else.
func (c *client) tell(body string) {
	c.mu.Lock()
	s := c.sock
	c.mu.Unlock()
	if s != nil && !c.h.c.chance(4) {
		s.send(body)
		return
	}
	c.post(body, true)
}

// publish numbers the message: one publisher's messages keep their order.
func (c *client) publish(channel string) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.mu.Lock()
	c.sent++
	n := c.sent
	c.mu.Unlock()
	for i, other := range c.h.clients {
		if other == c {
			n += 1000 * (i + 1)
		}
	}
	c.tell(fmt.Sprintf(`[{"channel":%q,"clientId":"$","data":%d}]`, channel, n))
}

// pick returns a random operation.
func (h *history) pick() func() {
	c := h.clients[h.c.n(len(h.clients))]
	channel := []string{"/a", "/a", "/b", "/a/*", "/**"}[h.c.n(5)]
	switch h.c.n(22) {
	case 0, 1, 2:
		return func() {
			c.tell(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","subscription":%q}]`, channel))
		}
	case 3:
		c.left = c.left || channel == "/a"
		return func() {
			c.tell(fmt.Sprintf(`[{"channel":"/meta/unsubscribe","clientId":"$","subscription":%q}]`, channel))
		}
	case 4, 5, 6, 7:
		return func() { c.publish([]string{"/a", "/a/x"}[h.c.n(2)]) }
	case 8, 9, 10:
		return func() { h.broadcast() }
	case 11, 12:
		return func() { c.connect(false) }
	case 13:
		return func() { c.connect(true) }
	case 14, 15, 16: // re-attach: a fresh socket, its first message a connect
		return func() {
			h.dial(c)
			c.connect(false)
		}
	case 17: // back to long-polling
		return func() {
			c.mu.Lock()
			s := c.sock
			c.sock = nil
			c.mu.Unlock()
			if s != nil && h.c.chance(2) {
				s.Cut("left")
			}
			c.connect(false)
		}
	case 18:
		return func() {
			c.mu.Lock()
			s := c.sock
			c.mu.Unlock()
			if s != nil {
				s.Cut("the network")
			}
		}
	case 19:
		return func() { c.tell(`[{"channel":"/meta/disconnect","clientId":"$"}]`) }
	case 20:
		return func() { _ = h.srv.Remove(c.id) }
	default:
		return func() {
			if s, ok := h.srv.Session(c.id); ok {
				_ = s.Disconnect(context.Background())
			}
		}
	}
}

// broadcast publishes on the server's own behalf.
func (h *history) broadcast() {
	h.turn <- struct{}{}
	defer func() { <-h.turn }()
	h.mu.Lock()
	h.own++
	n := h.own
	h.told = append(h.told, n)
	h.mu.Unlock()
	_ = h.srv.Publish(context.Background(), "/a", n)
}
