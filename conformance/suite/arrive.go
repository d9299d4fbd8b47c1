package suite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// unit takes what came in one response or frame: replies go to their
// requests, the rest to the inbox. Of HTTP the exchange is known; of a
// WebSocket it is any that is pending.
func (c *Client) unit(body []byte, of *Pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.units++
	messages, bare, err := c.decode(body)
	if of != nil {
		of.bare = bare
	}
	for _, m := range messages {
		m.Unit = c.units
		c.sort(m, of)
	}
	close(c.arrived)
	c.arrived = make(chan struct{})
	return err
}

func (c *Client) decode(body []byte) (all []*Message, bare bool, err error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(body, &raws); err != nil {
		if m, ok := c.t.Parse(body); ok {
			return []*Message{m}, true, nil
		}
		return nil, false, fmt.Errorf("the body is no array of messages: %s", short(body))
	}
	for _, raw := range raws {
		m, ok := c.t.Parse(raw)
		if !ok {
			return all, false, fmt.Errorf("%s in the array is no message", short(raw))
		}
		all = append(all, m)
	}
	return all, false, nil
}

// sort puts a message where it belongs. An id that matches decides; a reply
// without a matching id goes to the oldest request that it can be meant for.
func (c *Client) sort(m *Message, of *Pending) {
	open := c.pending
	if of != nil {
		open = []*Pending{of}
	}
	var fallback *Pending
	place := -1
	for _, p := range open {
		i, sure := p.pick(m)
		if sure {
			fallback, place = p, i
			break
		}
		if i >= 0 && fallback == nil {
			fallback, place = p, i
		}
	}
	for _, p := range open {
		p.all = append(p.all, m)
	}
	if fallback != nil {
		m.asked = fallback.asked[place]
		fallback.replies[place] = m
		c.learn(m)
		if of == nil && fallback.complete() {
			c.end(fallback)
		}
		return
	}
	if _, flagged := m.Get("successful"); strings.HasPrefix(m.Channel(), "/meta/") || flagged && !hasData(m) {
		c.stray = append(c.stray, m)
		return
	}
	c.inbox = append(c.inbox, m)
}

func hasData(m *Message) bool {
	_, ok := m.Get("data")
	return ok
}

func (p *Pending) complete() bool {
	for _, r := range p.replies {
		if r == nil {
			return false
		}
	}
	return true
}

// learn takes from a reply what a client keeps.
func (c *Client) learn(m *Message) {
	switch {
	case m.Channel() == "/meta/handshake" && m.OK():
		c.ID, c.left = m.Text("clientId"), false
	case m.Channel() == "/meta/disconnect" && m.OK():
		c.left = true
	}
}

// end closes an exchange. The client's lock is held.
func (c *Client) end(p *Pending) {
	if p.over {
		return
	}
	p.over, p.done = true, time.Now()
	kept := c.pending[:0:0]
	for _, q := range c.pending {
		if q != p {
			kept = append(kept, q)
		}
	}
	c.pending = kept
	close(p.ended)
}

// response ends an exchange over HTTP.
func (c *Client) response(p *Pending, res *wire.Response, err error) {
	var body []byte
	if err == nil && res.Status == 200 {
		body, err = c.unwrap(res.Body)
		if err == nil {
			err = c.unit(body, p)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if res != nil {
		c.keepCookies(res.Header)
	}
	p.res, p.err = res, err
	c.end(p)
}

// unwrap takes the array out of the call of a callback-polling response.
func (c *Client) unwrap(body []byte) ([]byte, error) {
	if c.on != CP {
		return body, nil
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(body), "/**/"))
	text = strings.TrimSuffix(text, ";")
	inner, ok := strings.CutPrefix(text, callback+"(")
	if inner, ok2 := strings.CutSuffix(inner, ")"); ok && ok2 {
		return []byte(inner), nil
	}
	return nil, fmt.Errorf("the body is no call of %s: %s", callback, short(body))
}

// lost ends all that is pending on a WebSocket.
func (c *Client) lost(end *wire.CloseError, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range append([]*Pending(nil), c.pending...) {
		p.closed, p.err = end, err
		c.end(p)
	}
}

// Strays returns, and forgets, replies that belong to no request, pushed meta
// messages included. What a case leaves here fails it.
func (c *Client) Strays() []*Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.stray
	c.stray = nil
	return out
}

// Inbox returns, and forgets, the deliveries that arrived and were not taken,
// in their order. It does not wait.
func (c *Client) Inbox() []*Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.inbox
	c.inbox = nil
	return out
}

// take removes the first delivery of a channel.
func (c *Client) take(channel string) (*Message, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.inbox {
		if m.Channel() == channel {
			c.inbox = append(c.inbox[:i:i], c.inbox[i+1:]...)
			return m, nil
		}
	}
	return nil, c.arrived
}
