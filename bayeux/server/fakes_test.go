package server

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
)

// scheduler decides by a seed which of the pending steps runs next, on one
// goroutine and with a clock of its own. Code that may be called while others
// go on, such as a policy, runs some of them in between.
type scheduler struct {
	*rand.Rand
	now   time.Time
	steps []func()
	depth int
}

func (s *scheduler) chance(one int) bool { return s.IntN(one) == 0 }

// later makes f a pending step.
func (s *scheduler) later(f func()) { s.steps = append(s.steps, f) }

// next runs a pending step, if there is one.
func (s *scheduler) next() bool {
	if len(s.steps) == 0 {
		return false
	}
	i, last := s.IntN(len(s.steps)), len(s.steps)-1
	f := s.steps[i]
	s.steps[i] = s.steps[last]
	s.steps = s.steps[:last]
	f()
	return true
}

// yield lets others go on.
func (s *scheduler) yield() {
	if s.depth > 3 {
		return
	}
	s.depth++
	for range s.IntN(3) {
		s.next()
	}
	s.depth--
}

// yieldingPolicy and yieldingExtension let others go on where foreign code may
// block.
type yieldingPolicy struct {
	bayeux.DefaultPolicy
	c *scheduler
}

func (p yieldingPolicy) CanSubscribe(context.Context, bayeux.Session, channels.Pattern, *bayeux.Message) error {
	p.c.yield()
	return nil
}

func (p yieldingPolicy) CanPublish(context.Context, bayeux.Session, channels.Name, *bayeux.Message) error {
	p.c.yield()
	return nil
}

type yieldingExtension struct{ c *scheduler }

func (e yieldingExtension) Incoming(context.Context, bayeux.Session, *bayeux.Message) error {
	return nil
}

func (e yieldingExtension) Outgoing(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
	if to != nil && m.Channel != metaHandshake {
		e.c.yield() // between a lease and its end
	}
	return nil
}

// client is a client that a history plays with: its session, what it has
// received and how far it has acknowledged.
type client struct {
	h       *history
	number  int
	id      string
	browser string
	ack     bool
	left    bool   // it may have unsubscribed
	busy    bool   // a publish is under way: one publisher's follow each other
	sent    int    // publishes
	got     []int  // what it received
	batch   string // the last batch received
	epoch   int    // connects so far
	awaits  bool   // the reply to the last one is due
	sock    *sock  // the newest socket
}

// receive notes messages that reached the client, with the replies they came
// with. A client with the ack extension takes part in what comes with the reply
// to its last connect, and ignores those that it has given up.
func (c *client) receive(messages []*bayeux.Frozen, replies [][][]byte) {
	if c.ack && !c.accept(replies) {
		return
	}
	for _, m := range messages {
		_, rest, ok := bytes.Cut(m.JSON, []byte(`"data":`))
		if !ok {
			continue // a pushed disconnect
		}
		n, err := strconv.Atoi(string(rest[:bytes.IndexAny(rest, ",}")]))
		if err != nil {
			panic(string(m.JSON)) // a mistake of the test
		}
		c.got = append(c.got, n)
	}
}

func (c *client) accept(replies [][][]byte) bool {
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

// fill makes a batch of a body: $ is the client's id, # the last batch that it
// has received, @ the number of its connect, which it returns.
func (c *client) fill(body string) (batch []*bayeux.Message, epoch int) {
	if strings.Contains(body, "@") {
		c.epoch++
		epoch, c.awaits = c.epoch, true
		body = strings.Replace(body, "@", strconv.Itoa(epoch), 1)
	}
	body = strings.ReplaceAll(strings.Replace(body, "#", c.batch, 1), "$", c.id)
	batch, err := bayeux.Decode([]byte(body), bayeux.Limits{})
	if err != nil {
		panic(body) // a mistake of the test
	}
	return batch, epoch
}

// stale tells whether what answers that connect, or comes over that socket,
// reaches nobody: the client has given it up.
func (c *client) stale(epoch int, s *sock) bool {
	return c.ack && (epoch > 0 && epoch != c.epoch || c.sock != s)
}

// post plays an HTTP request, in steps. With fate the carrier may fail or the
// client leave.
func (c *client) post(body string, fate bool, after func()) {
	h := c.h
	from := transport.Origin{Transport: transport.LongPolling, Browser: c.browser, Request: &bayeux.Request{}}
	batch, epoch := c.fill(body)
	x, err := h.srv.Request(context.Background(), from, batch)
	if err != nil {
		panic(err) // no such request is made
	}
	over := false // either answered or abandoned, whichever step comes first
	abandon := func() {
		if !over {
			over = true
			x.Abandon()
			x.Abandon()
			after()
		}
	}
	answer := func() {
		switch {
		case over:
		case c.stale(epoch, nil): // its request is aborted, as the carrier notices
			abandon()
		default:
			over = true
			c.take(x, epoch, fate, after)
		}
	}
	h.later(func() {
		if !over && !x.Await(func() { h.later(answer) }) {
			h.later(answer)
		}
	})
	if fate && h.chance(5) {
		h.later(abandon)
	}
}

func (c *client) take(x transport.Exchange, epoch int, fate bool, after func()) {
	h := c.h
	out := x.Take(context.Background(), h.limit())
	h.later(func() {
		if out.Err != nil || fate && h.chance(5) || c.stale(epoch, nil) {
			out.Done(0, false)
			after()
			return
		}
		c.receive(out.Messages, out.Replies)
		h.later(func() {
			out.Done(len(out.Messages), true)
			after()
		})
	})
}

// sock is the carrier's side of a WebSocket: it receives one message at a time
// and writes one output at a time, as in package transport.
type sock struct {
	c                               *client
	port                            transport.Port
	receiving, flushing             bool
	dirty, broken, draining, closed bool
}

func (c *client) dial() *sock {
	s := &sock{c: c}
	s.port = c.h.srv.Attach(transport.Origin{Transport: transport.WebSocket, Request: &bayeux.Request{}}, s)
	c.sock = s
	c.h.socks = append(c.h.socks, s)
	return s
}

// send plays a WebSocket message.
func (s *sock) send(body string, after func()) {
	switch {
	case s.broken:
		after()
	case s.receiving:
		s.c.h.later(func() { s.send(body, after) })
	default:
		s.receiving = true
		batch, _ := s.c.fill(body)
		if s.port.Receive(context.Background(), batch) != nil {
			s.Cut("refused")
		}
		s.receiving = false
		s.Wake()
		after()
	}
}

// Wake implements transport.Link.
func (s *sock) Wake() {
	if s.dirty = true; !s.flushing && !s.broken {
		s.flushing = true
		s.c.h.later(s.flush)
	}
}

// Close implements transport.Link.
func (s *sock) Close(int, string) {
	s.draining = true
	s.Wake()
}

// Leave implements transport.Link.
func (s *sock) Leave(code int, reason string) { s.Close(code, reason) }

// Cut implements transport.Link, and plays a lost connection.
func (s *sock) Cut(string) {
	if !s.broken {
		s.broken = true
		s.c.h.later(s.close)
	}
}

// close is the end of the reader: when nothing is received or written any more.
func (s *sock) close() {
	if s.receiving || s.flushing {
		s.c.h.later(s.close)
		return
	}
	s.closed = true
	s.port.Closed("")
}

// flush takes and writes once, in steps, until there is nothing left.
func (s *sock) flush() {
	h := s.c.h
	if !s.broken {
		s.dirty = false
		out := s.port.Take(context.Background(), h.limit())
		if !out.Empty() {
			h.later(func() { s.write(&out) })
			return
		}
	}
	switch {
	case s.broken:
		s.flushing = false
	case s.dirty:
		h.later(s.flush)
	default:
		if s.flushing = false; s.draining {
			s.Cut("drained")
		}
	}
}

func (s *sock) write(out *transport.Output) {
	h, sent := s.c.h, len(out.Messages)
	switch {
	case out.Err != nil || s.c.stale(0, s):
		sent = 0
		s.Cut("nobody listens")
	case s.broken || h.chance(8):
		if sent = h.IntN(sent + 1); out.Joined {
			sent = 0
		}
		s.Cut("lost while writing")
		s.c.receive(out.Messages[:sent], nil)
	default:
		s.c.receive(out.Messages, out.Replies)
	}
	h.later(func() {
		out.Done(sent, sent == len(out.Messages))
		h.later(s.flush)
	})
}
