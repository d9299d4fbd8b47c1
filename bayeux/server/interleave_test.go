package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/ack"
)

const (
	histories    = 100_000 // in all; with -short a quarter, for make check has three minutes
	opsOfHistory = 6       // besides handshakes, first subscriptions and the end
)

// history is a short random life of two clients of one server.
type history struct {
	*scheduler
	t       *testing.T
	srv     *Server
	seed    uint64
	clients []*client
	socks   []*sock
	busy    bool  // the server publishes
	told    []int // what it has published
}

// TestInterleavings plays histories of subscribe, publish, expire, disconnect
// and re-attach with a fake scheduler. After each, nothing is left in the
// server; each message came once at most and in order, and to those who stayed
// for certain ([R-DL-10], [R-EX-5], [R-WS-18], [R-WS-19], [R-WS-21], [R-CN-20]).
func TestInterleavings(t *testing.T) {
	const workers = 2
	all := histories
	if testing.Short() {
		all /= 4
	}
	for worker := range workers {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			c := &scheduler{now: time.Now()}
			srv := stillServer(t, c)
			for seed := worker; seed < all; seed += workers {
				c.Rand = rand.New(rand.NewPCG(uint64(seed), 7))
				(&history{scheduler: c, t: t, srv: srv, seed: uint64(seed)}).play()
			}
			require.Empty(t, srv.deadlines.all())
		})
	}
}

// stillServer returns a server in which nothing happens by itself: the scheduler
// has its clock and serves its deadlines.
func stillServer(t *testing.T, c *scheduler) *Server {
	t.Helper()
	srv, err := New(Config{
		Policy:     yieldingPolicy{c: c},
		Extensions: []bayeux.Extension{ack.New(), yieldingExtension{c}},
		Options:    Options{"timeout": "600", "maxInterval": "500", "sweepPeriod": "100", "maxQueue": "12"},
	})
	require.NoError(t, err)
	srv.stopOnce.Do(func() {
		close(srv.stop)
		close(srv.deadlines.stop)
	})
	srv.loops.Wait()
	srv.now = func() time.Time { return c.now }
	srv.moment = func() instant.Time { return srv.clock.At(c.now) }
	return srv
}

// limit is what a carrier takes at a time: sometimes less than one message.
func (h *history) limit() int { return []int{1, 60, 1 << 20}[h.IntN(3)] }

// advance moves the clock; what is due becomes pending.
func (h *history) advance(most time.Duration) {
	h.now = h.now.Add(time.Duration(h.Int64N(int64(most))))
	for {
		s, _ := h.srv.deadlines.due(h.srv.moment())
		if s == nil {
			return
		}
		h.later(s.tick)
	}
}

// settle runs all pending steps.
func (h *history) settle() {
	for n := 0; h.next(); n++ {
		if n == 10_000 {
			require.Fail(h.t, "it does not end", "seed %d", h.seed)
		}
	}
}

func (h *history) play() {
	for i := range 2 {
		h.newClient(i + 1)
	}
	for range opsOfHistory {
		h.later(h.pick())
	}
	slow := h.chance(3) // sessions expire meanwhile
	for h.next() {
		if slow && h.chance(3) {
			h.advance(150 * time.Millisecond)
		}
	}
	for _, c := range h.clients {
		if s := h.srv.registry.get(c.id); s != nil {
			h.requireFound(s)
			h.requireQuiet(s)
			h.drain(c)
		}
		h.requireOrder(c)
	}
	h.finish()
}

func nothing() {}

// newClient makes a client with a subscription and a first connect.
func (h *history) newClient(number int) {
	c := &client{h: h, number: number, batch: "0", ack: h.chance(3)}
	h.clients = append(h.clients, c)
	hello := `[{"channel":"/meta/handshake"}]`
	if c.ack {
		hello = `[{"channel":"/meta/handshake","ext":{"ack":true}}]`
	}
	batch, _ := c.fill(hello)
	x, err := h.srv.Request(context.Background(), transport.Origin{Transport: transport.LongPolling, Request: &bayeux.Request{}}, batch)
	require.NoError(h.t, err)
	out := x.Take(context.Background(), 0)
	c.browser, c.id = out.SetBrowser, x.(*exchange).sess.id()
	out.Done(0, true)
	c.post(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`, false, nothing)
	h.settle()
	h.later(func() { c.connect(h.chance(2)) })
}

// connect sends a connect by the way that the client uses at the time.
func (c *client) connect(now bool) {
	body := `[{"channel":"/meta/connect","clientId":"$","id":"@","ext":{"ack":#}}]`
	if now {
		body = `[{"channel":"/meta/connect","clientId":"$","id":"@","ext":{"ack":#},"advice":{"timeout":0}}]`
	}
	s := c.sock
	if s != nil && c.ack && c.awaits { // given up, as clients do that sort out what came twice
		s.Cut("given up")
		s = c.dial()
	}
	if s != nil {
		s.send(body, nothing)
		return
	}
	c.post(body, true, nothing)
}

// tell sends anything else.
func (c *client) tell(body string, after func()) {
	if c.sock != nil && !c.h.chance(4) {
		c.sock.send(body, after)
		return
	}
	c.post(body, true, after)
}

// publish numbers the message: one publisher's messages keep their order.
func (c *client) publish(channel string) {
	if c.busy {
		return
	}
	c.busy = true
	c.sent++
	body := fmt.Sprintf(`[{"channel":%q,"clientId":"$","data":%d}]`, channel, 1000*c.number+c.sent)
	c.tell(body, func() { c.busy = false })
}

// broadcast publishes on the server's own behalf.
func (h *history) broadcast() {
	if h.busy { // it is in a policy further up on the stack
		return
	}
	h.busy = true
	h.told = append(h.told, len(h.told)+1)
	if h.srv.Publish(context.Background(), "/a", len(h.told)) != nil {
		panic("publish") // nobody refuses it
	}
	h.busy = false
}

// pick returns a random operation.
func (h *history) pick() func() {
	c := h.clients[h.IntN(len(h.clients))]
	channel := []string{"/a", "/a", "/b", "/a/*", "/**"}[h.IntN(5)]
	switch h.IntN(24) {
	case 0, 1, 2:
		return func() {
			c.tell(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","subscription":%q}]`, channel), nothing)
		}
	case 3:
		c.left = c.left || channel == "/a"
		return func() {
			c.tell(fmt.Sprintf(`[{"channel":"/meta/unsubscribe","clientId":"$","subscription":%q}]`, channel), nothing)
		}
	case 4, 5, 6, 7:
		return func() { c.publish([]string{"/a", "/a/x"}[h.IntN(2)]) }
	case 8, 9, 10, 11:
		return h.broadcast
	case 12, 13:
		return func() { c.connect(false) }
	case 14:
		return func() { c.connect(true) }
	case 15, 16, 17: // re-attach: a fresh socket, its first message a connect
		return func() {
			c.dial()
			c.connect(false)
		}
	case 18: // back to long-polling
		return func() {
			if c.sock != nil && h.chance(2) {
				c.sock.Cut("left")
			}
			c.sock = nil
			c.connect(false)
		}
	case 19:
		return func() {
			if c.sock != nil {
				c.sock.Cut("the network")
			}
		}
	default:
		return h.pickEnd(c)
	}
}

// pickEnd returns an operation that ends a session, or lets time pass.
func (h *history) pickEnd(c *client) func() {
	switch h.IntN(6) {
	case 4:
		user := []string{"", "ann", "bob"}[h.IntN(3)]
		return func() {
			if s := h.srv.registry.get(c.id); s != nil {
				s.SetUser(user)
			}
		}
	case 5:
		return func() {
			if s := h.srv.registry.get(c.id); s != nil {
				s.Batch(h.yield)
			}
		}
	case 0:
		return func() { c.tell(`[{"channel":"/meta/disconnect","clientId":"$"}]`, nothing) }
	case 1:
		return func() { _ = h.srv.Remove(c.id) }
	case 2:
		return func() {
			if s, ok := h.srv.Session(c.id); ok {
				_ = s.Disconnect(context.Background())
			}
		}
	default:
		return func() { h.advance(time.Second) }
	}
}

// requireQuiet asserts that nobody waits for a message that nobody is going to
// send: no wake-up was lost.
func (h *history) requireQuiet(s *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := [3]int32{s.batch, s.users - h.heldBy(s), s.leases}; now != [3]int32{} {
		require.Fail(h.t, "something is under way", "seed %d: batch, users, leases: %v", h.seed, now)
	}
	if s.wakesHoldLocked(h.srv.moment()) || s.wakesPortLocked(h.srv.moment()) {
		require.Fail(h.t, "a hold or a socket sleeps", "seed %d", h.seed)
	}
}

// requireFound asserts that the session is found under its user.
func (h *history) requireFound(s *session) {
	if user := s.User(); user != "" && !slices.Contains(h.srv.users.of(user), s) {
		require.Fail(h.t, "the user's session is not found", "seed %d: %s", h.seed, user)
	}
}

// heldBy counts the exchange that holds a connect.
func (h *history) heldBy(s *session) int32 {
	if _, ok := s.holder.(*exchange); ok {
		return 1
	}
	return 0
}

// drain has the client of a live session fetch what waits. It then has all that
// the server has published since it subscribed.
func (h *history) drain(c *client) {
	c.sock = nil
	for range 100 {
		c.post(`[{"channel":"/meta/connect","clientId":"$","id":"@","ext":{"ack":#},"advice":{"timeout":0}}]`, false, nothing)
		h.settle()
		s := h.srv.registry.get(c.id)
		if s == nil {
			return
		}
		if s.queue.Len() == 0 {
			for _, n := range h.told {
				if !c.left && !slices.Contains(c.got, n) {
					require.Fail(h.t, "a message is lost", "seed %d, ack %t: %d of %v", h.seed, c.ack, n, c.got)
				}
			}
			return
		}
	}
	require.Fail(h.t, "the queue is never empty", "seed %d", h.seed)
}

// requireOrder asserts that each message came once, those of one publisher in
// their order.
func (h *history) requireOrder(c *client) {
	var last [3]int
	for _, n := range c.got {
		if n <= last[n/1000] {
			require.Fail(h.t, "out of order or twice", "seed %d, ack %t: %v", h.seed, c.ack, c.got)
		}
		last[n/1000] = n
	}
}

// finish ends what is left, each session by another way, and asserts that
// nothing is left of them.
func (h *history) finish() {
	for _, c := range h.clients {
		switch h.IntN(3) {
		case 0:
			c.post(`[{"channel":"/meta/disconnect","clientId":"$"}]`, false, nothing)
		case 1:
			_ = h.srv.Remove(c.id)
		default: // it expires
		}
	}
	for _, s := range h.socks {
		s.Cut("the end")
	}
	h.settle()
	for range 4 {
		h.now = h.now.Add(500 * time.Millisecond)
		h.advance(time.Second)
		h.settle()
	}
	for _, n := range []channels.Name{"/a", "/b", "/a/*", "/**"} {
		if h.srv.router.Subscribers(n) != 0 {
			require.Fail(h.t, "subscriptions are left", "seed %d: %s", h.seed, n)
		}
	}
	st := &h.srv.stats
	left := [6]int64{
		h.srv.registry.count.Load(), int64(h.srv.browsers.size()), st.holds.Load(), st.sockets.Load(), h.srv.total.Bytes(),
		int64(len(h.srv.Users())),
	}
	if left != [6]int64{} {
		require.Fail(h.t, "something is left", "seed %d: sessions, browsers, holds, sockets, bytes, users: %v", h.seed, left)
	}
}
