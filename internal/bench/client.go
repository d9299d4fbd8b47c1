package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
)

// stage is how far a client's session is.
type stage int

const (
	handshaking stage = iota
	connecting        // the first connect, which the server answers at once
	subscribing
	living
	leaving
)

// subscribeBatch is how many subscriptions go in one array: strict servers
// bound it.
const subscribeBatch = 50

// errDone ends a connection in good order.
var errDone = errors.New("done")

// errLater has a connection wait for the pace, and begin a session then.
var errLater = errors.New("later")

// client is a session, apart from its connections.
type client struct {
	eng    *engine
	tally  *tally
	pub    *publisher // nil for a client that only receives
	kind   string
	id     []byte
	cookie []byte
	stage  stage
	ack    int64  // the number to acknowledge next
	subs   []sub  // by stream
	rooms  []int  // channels to subscribe to
	asked  int    // subscriptions sent
	agreed int    // subscriptions answered
	since  int64  // Churn: when this session was begun
	first  []byte // the handshake
	held   []byte // the connect
}

// reply is what a client reads of a meta message.
type reply struct {
	Channel      string `json:"channel"`
	ClientID     string `json:"clientId"`
	Successful   *bool  `json:"successful"`
	Error        string `json:"error"`
	Subscription any    `json:"subscription"`
	Ext          struct {
		Ack json.RawMessage `json:"ack"`
	} `json:"ext"`
}

// begin starts a session.
func (c *client) begin(w *wire, now int64, out []byte) []byte {
	c.stage, c.held = handshaking, nil
	if w.kind != WebSocket { // else it began with the connection
		c.since = now
	}
	if c.eng.cfg.Wire == Centrifuge {
		return c.beginCentrifuge(w, out)
	}
	if c.first == nil {
		ext := ""
		if c.eng.cfg.Ack {
			ext = `,"ext":{"ack":true}`
		}
		c.first = []byte(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["` + c.kind + `"],"id":"1"` + ext + `}]`)
	}
	return w.send(out, c.first)
}

// connect sends the connect that is held.
func (c *client) connect(w *wire, out []byte) []byte {
	if !c.eng.cfg.Ack {
		if c.held == nil {
			c.held = c.meta("/meta/connect", `,"connectionType":"`+c.kind+`"`)
		}
		return w.send(out, c.held)
	}
	return w.send(out, c.meta("/meta/connect", `,"connectionType":"`+c.kind+`","ext":{"ack":`+strconv.FormatInt(c.ack, 10)+`}`))
}

func (c *client) meta(channel, more string) []byte {
	return []byte(`[{"channel":"` + channel + `","id":"2","clientId":"` + string(c.id) + `"` + more + `}]`)
}

// take handles a payload.
func (c *client) take(w *wire, p []byte, now int64, out []byte) ([]byte, error) {
	if c.eng.cfg.Wire == Centrifuge {
		return c.takeCentrifuge(w, p, now, out)
	}
	if len(c.subs) > 0 {
		c.deliveries(p, now)
	}
	if !bytes.Contains(p, []byte(`"successful"`)) {
		return out, nil
	}
	if c.stage != living {
		return c.hello(w, p, now, out)
	}
	if bytes.Contains(p, []byte(`"successful":false`)) {
		_, err := replies(p)
		return out, err
	}
	connects := 0
	if !w.post && bytes.Contains(p, []byte(`/meta/connect"`)) {
		connects = 1
		c.acknowledge(p)
		out = c.connect(w, out)
	}
	if c.pub == nil {
		return out, nil
	}
	return c.pub.acked(w, bytes.Count(p, []byte(`"successful":true`))-connects, now, out)
}

// acknowledge reads the number that the extension gave a connect's answer.
func (c *client) acknowledge(p []byte) {
	if !c.eng.cfg.Ack {
		return
	}
	_, rest, found := bytes.Cut(p, []byte(`"ack":`))
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	if found && end > 0 {
		c.ack, _ = strconv.ParseInt(string(rest[:end]), 10, 64)
	}
}

// deliveries counts the messages of a payload.
func (c *client) deliveries(p []byte, now int64) {
	m, rest, found := nextMark(p)
	if !found {
		return
	}
	t := c.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; found; m, rest, found = nextMark(rest) {
		s := c.find(m.stream)
		if s == nil {
			continue // another run's
		}
		t.counts.arrived++
		switch s.note(m.seq) {
		case duplicate:
			t.counts.duplicates++
			continue
		case reordered:
			t.counts.reordered++
		case fresh:
		}
		t.counts.unique++
		if t.record(m.due, now) {
			t.counts.measured++
		}
	}
}

// find returns the client's side of a stream, nil if there is none.
func (c *client) find(stream uint32) *sub {
	if len(c.subs) <= 8 {
		for i := range c.subs {
			if c.subs[i].stream == stream {
				return &c.subs[i]
			}
		}
		return nil
	}
	i := sort.Search(len(c.subs), func(i int) bool { return c.subs[i].stream >= stream })
	if i < len(c.subs) && c.subs[i].stream == stream {
		return &c.subs[i]
	}
	return nil
}

// replies decodes a payload. The first message that was refused is the error.
func replies(p []byte) (all []reply, err error) {
	if err := json.Unmarshal(p, &all); err != nil {
		return nil, fmt.Errorf("no Bayeux: %w", err)
	}
	for _, m := range all {
		if m.Successful != nil && !*m.Successful {
			return nil, fmt.Errorf("%s: %s", m.Channel, m.Error)
		}
	}
	return all, nil
}

// pass makes and ends the session of a client that comes and goes, from answers in
// their usual shape: to decode them was a quarter of the generator. It reports
// false for others.
func (c *client) pass(w *wire, p []byte, now int64, out []byte) ([]byte, bool, error) {
	if c.eng.cfg.Mode != Churn || !bytes.Contains(p, []byte(`"successful":true`)) || bytes.Contains(p, []byte(`"successful":false`)) {
		return out, false, nil
	}
	if c.stage == leaving {
		if !bytes.Contains(p, []byte(`"channel":"/meta/disconnect"`)) {
			return out, false, nil
		}
		out, err := c.left(w, now, out)
		return out, true, err
	}
	_, rest, found := bytes.Cut(p, []byte(`"clientId":"`))
	id, _, whole := bytes.Cut(rest, []byte{'"'})
	if !found || !whole || len(id) == 0 || bytes.IndexByte(id, '\\') >= 0 || !bytes.Contains(p, []byte(`"channel":"/meta/handshake"`)) {
		return out, false, nil
	}
	return c.leave(w, id, out), true, nil
}

// leave ends the session that the handshake has just made.
func (c *client) leave(w *wire, id, out []byte) []byte {
	c.id, c.stage = append(c.id[:0], id...), leaving
	return w.send(out, c.meta("/meta/disconnect", ""))
}

// hello makes the session step by step.
func (c *client) hello(w *wire, p []byte, now int64, out []byte) ([]byte, error) {
	if out, done, err := c.pass(w, p, now, out); done {
		return out, err
	}
	all, err := replies(p)
	if err != nil {
		return out, err
	}
	for _, m := range all {
		if m.Successful == nil {
			continue
		}
		if out, err = c.step(w, m, now, out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// step takes one answer.
func (c *client) step(w *wire, m reply, now int64, out []byte) ([]byte, error) {
	switch {
	case c.stage == handshaking && m.Channel == "/meta/handshake":
		if !json.Valid([]byte(`"`+m.ClientID+`"`)) || m.ClientID == "" {
			return out, fmt.Errorf("the handshake gave the client id %q", m.ClientID)
		}
		if c.eng.cfg.Mode == Churn {
			return c.leave(w, []byte(m.ClientID), out), nil
		}
		c.id, c.stage = []byte(m.ClientID), connecting
		return w.send(out, c.meta("/meta/connect", `,"connectionType":"`+c.kind+`","advice":{"timeout":0}`)), nil
	case c.stage == connecting && m.Channel == "/meta/connect":
		if n, err := strconv.ParseInt(string(m.Ext.Ack), 10, 64); err == nil {
			c.ack = n
		}
		c.stage = subscribing
		return c.subscribe(w, out), nil
	case c.stage == subscribing && m.Channel == "/meta/subscribe":
		if c.agreed++; c.agreed < c.asked {
			return out, nil
		}
		return c.subscribe(w, out), nil
	case c.stage == leaving && m.Channel == "/meta/disconnect":
		return c.left(w, now, out)
	default:
		return out, nil
	}
}

// subscribe asks for the next subscriptions; after the last the client lives.
func (c *client) subscribe(w *wire, out []byte) []byte {
	if c.asked == len(c.rooms) {
		c.stage, c.rooms, c.asked = living, nil, 0
		out = c.connect(w, out)
		c.eng.isReady()
		return out
	}
	body := []byte("[")
	for _, ch := range c.rooms[c.asked:min(len(c.rooms), c.asked+subscribeBatch)] {
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(body, `{"channel":"/meta/subscribe","id":"3","clientId":"`...)
		body = append(append(body, c.id...), `","subscription":"`...)
		body = append(append(body, c.eng.names[ch]...), `"}`...)
		c.asked++
	}
	return w.send(out, append(body, ']'))
}

// farewell ends the session of a WebSocket that lives. A poll cannot: its
// connection is busy with the connect that is held.
func (c *client) farewell(w *wire) []byte {
	if w.kind != WebSocket || c.stage != living || c.eng.cfg.Wire == Centrifuge {
		return nil
	}
	return w.send(nil, c.meta("/meta/disconnect", ""))
}

// left counts a session that came and went, and begins the next.
func (c *client) left(w *wire, now int64, out []byte) ([]byte, error) {
	c.tally.mu.Lock()
	c.tally.counts.arrived++
	if c.tally.record(c.since, now) {
		c.tally.counts.done++
	}
	c.tally.mu.Unlock()
	if w.kind == WebSocket || c.eng.stopping.Load() {
		return out, errDone
	}
	if !c.eng.pace.take(now) {
		return out, errLater
	}
	return c.begin(w, now, out), nil
}
