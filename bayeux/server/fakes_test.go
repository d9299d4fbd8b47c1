package server

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
)

// chaos is a scheduler of a synctest bubble: whoever yields sleeps for a random
// number of virtual nanoseconds. Time goes on only when all sleep, and no two
// sleep alike, so that one goroutine runs at a time and the seed decides which.
type chaos struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newChaos(seed uint64) *chaos { return &chaos{rng: rand.New(rand.NewPCG(seed, 3))} }

func (c *chaos) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

func (c *chaos) yield()              { time.Sleep(time.Duration(1 + c.n(int(20*time.Millisecond)))) }
func (c *chaos) chance(one int) bool { return c.n(one) == 0 }

// chaosPolicy and chaosExtension yield where foreign code may block.
type chaosPolicy struct {
	bayeux.DefaultPolicy
	c *chaos
}

func (p chaosPolicy) CanSubscribe(context.Context, bayeux.Session, channels.Pattern, *bayeux.Message) error {
	p.c.yield()
	return nil
}

func (p chaosPolicy) CanPublish(context.Context, bayeux.Session, channels.Name, *bayeux.Message) error {
	p.c.yield()
	return nil
}

type chaosExtension struct{ c *chaos }

func (e chaosExtension) Incoming(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

func (e chaosExtension) Outgoing(_ context.Context, to bayeux.Session, _ *bayeux.Message) error {
	if to != nil && e.c.chance(3) {
		e.c.yield() // between a lease and its end
	}
	return nil
}

// client is a client that a history plays with: its session, what it has
// received and how far it has acknowledged.
type client struct {
	h       *history
	id      string
	browser string
	ack     bool
	left    bool          // it may have unsubscribed
	awaits  bool          // the reply to a connect is due
	turn    chan struct{} // publishes of one client follow each other

	mu    sync.Mutex
	got   []int
	batch string // the last batch received
	epoch int    // connects so far
	sock  *sock  // the newest socket
	sent  int
}

// receive notes messages that reached the client, with the replies they came
// with.
func (c *client) receive(messages []*bayeux.Frozen, replies [][][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ack && !c.acceptLocked(replies) {
		return
	}
	for _, m := range messages {
		if n, ok := number(m.JSON); ok {
			c.got = append(c.got, n)
		}
	}
}

// acceptLocked looks for the reply to the client's last connect, whose batch it
// then acknowledges. What comes with the reply to an older one, which it has
// given up, it ignores.
func (c *client) acceptLocked(replies [][][]byte) bool {
	for _, group := range replies {
		for _, r := range group {
			var reply struct {
				ID  string
				Ext struct{ Ack json.RawMessage }
			}
			if json.Unmarshal(r, &reply) == nil && reply.ID == strconv.Itoa(c.epoch) {
				if len(reply.Ext.Ack) > 0 {
					c.batch = string(reply.Ext.Ack)
				}
				c.awaits = false
				return true
			}
		}
	}
	return false
}

// number returns the data of a message of a history.
func number(text []byte) (int, bool) {
	_, rest, ok := bytes.Cut(text, []byte(`"data":`))
	if !ok {
		return 0, false
	}
	end := bytes.IndexAny(rest, ",}")
	n, err := strconv.Atoi(string(rest[:max(end, 0)]))
	return n, err == nil
}

// fill makes a batch of a body: $ is the client's id, # the last batch that it
// has received, @ the number of its connect, which it returns.
func (c *client) fill(body string) (batch []*bayeux.Message, epoch int) {
	c.mu.Lock()
	if strings.Contains(body, "@") {
		c.epoch++
		epoch, c.awaits = c.epoch, true
		body = strings.ReplaceAll(body, "@", strconv.Itoa(epoch))
	}
	body = strings.ReplaceAll(strings.ReplaceAll(body, "$", c.id), "#", c.batch)
	c.mu.Unlock()
	batch, err := bayeux.Decode([]byte(body), bayeux.Limits{})
	if err != nil {
		panic(body) // a mistake of the test
	}
	return batch, epoch
}

// stale tells whether what answers that connect reaches nobody: the client has
// given it up. Only then may retained messages come again.
func (c *client) stale(epoch int, s *sock) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ack && (epoch > 0 && epoch != c.epoch || c.sock != s)
}

// post plays an HTTP request. With fate the carrier may fail or the client
// leave.
func (c *client) post(body string, fate bool) {
	h := c.h
	from := transport.Origin{Transport: transport.LongPolling, Browser: c.browser, Request: &bayeux.Request{}}
	batch, epoch := c.fill(body)
	x, err := h.srv.Request(context.Background(), from, batch)
	if err != nil {
		return
	}
	h.c.yield()
	patience := time.Hour
	if fate && h.c.chance(3) {
		patience = time.Duration(h.c.n(int(time.Second)))
	}
	due := make(chan struct{}, 1)
	if x.Await(func() { due <- struct{}{} }) {
		select {
		case <-due:
		case <-time.After(patience):
			h.c.yield()
			x.Abandon()
			x.Abandon()
			return
		}
	}
	h.c.yield()
	if c.stale(epoch, nil) { // its request is aborted, as the carrier notices
		x.Abandon()
		return
	}
	out := x.Take(context.Background(), h.limit())
	h.c.yield()
	if out.Err != nil || fate && h.c.chance(5) || c.stale(epoch, nil) {
		out.Done(0, false)
		return
	}
	c.receive(out.Messages, out.Replies)
	h.c.yield()
	out.Done(len(out.Messages), true)
}

// sock is the carrier's side of a WebSocket: one goroutine receives, one
// flushes, as in package transport.
type sock struct {
	c    *client
	port transport.Port
	busy chan struct{} // held while a message is received

	mu                                    sync.Mutex
	running, dirty, broken, drain, closed bool
}

func (h *history) dial(c *client) *sock {
	s := &sock{c: c, busy: make(chan struct{}, 1)}
	s.port = h.srv.Attach(transport.Origin{Transport: transport.WebSocket, Request: &bayeux.Request{}}, s)
	c.mu.Lock()
	c.sock = s
	c.mu.Unlock()
	h.mu.Lock()
	h.socks = append(h.socks, s)
	h.mu.Unlock()
	return s
}

// send plays a WebSocket message.
func (s *sock) send(body string) {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	if s.isBroken() {
		return
	}
	batch, _ := s.c.fill(body)
	if s.port.Receive(context.Background(), batch) != nil {
		s.Cut("refused")
	}
	s.Wake()
}

func (s *sock) isBroken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Wake implements transport.Link.
func (s *sock) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty = true; !s.running && !s.broken {
		s.running = true
		go s.flush() // ends when there is nothing to write
	}
}

// Close implements transport.Link.
func (s *sock) Close(int, string) {
	s.mu.Lock()
	s.drain = true
	s.mu.Unlock()
	s.Wake()
}

// Cut implements transport.Link, and plays a lost connection.
func (s *sock) Cut(string) {
	s.mu.Lock()
	first := !s.broken
	s.broken = true
	s.mu.Unlock()
	if first {
		go s.close() // ends once nothing is received or written
	}
}

// close is the end of the reader: when nothing is received or written any more.
func (s *sock) close() {
	s.c.h.c.yield()
	s.busy <- struct{}{}
	for s.flushing() {
		s.c.h.c.yield()
	}
	s.port.Closed("")
	<-s.busy
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
}

// settled tells whether nothing is under way on the connection.
func (s *sock) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.running && s.broken == s.closed
}

func (s *sock) flushing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

func (s *sock) flush() {
	for {
		s.mu.Lock()
		if s.broken || !s.dirty {
			s.running = false
			drained := s.drain && !s.broken
			s.mu.Unlock()
			if drained {
				s.Cut("drained")
			}
			return
		}
		s.dirty = false
		s.mu.Unlock()
		for s.write() {
		}
	}
}

// write takes and writes once.
func (s *sock) write() bool {
	h := s.c.h
	out := s.port.Take(context.Background(), h.limit())
	if out.Empty() {
		return false
	}
	h.c.yield()
	sent := len(out.Messages)
	switch {
	case out.Err != nil || s.c.stale(0, s):
		sent = 0
		s.Cut("nobody listens")
	case s.isBroken() || h.c.chance(8):
		if sent = h.c.n(sent + 1); out.Joined {
			sent = 0
		}
		s.Cut("lost while writing")
		s.c.receive(out.Messages[:sent], nil)
	default:
		s.c.receive(out.Messages, out.Replies)
	}
	if h.c.yield(); h.c.chance(8) {
		time.Sleep(time.Duration(h.c.n(int(200 * time.Millisecond)))) // stuck
	}
	out.Done(sent, sent == len(out.Messages))
	return !s.isBroken()
}
