package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Wires: what is spoken.
const (
	Bayeux = "bayeux"
	// Centrifuge is the JSON protocol of github.com/centrifugal/centrifuge over
	// WebSocket, as far as connecting, subscribing and publishing go. Nothing is
	// held: the server sends pings.
	Centrifuge = "centrifuge"
)

// clothes are what stands around the messages that leave together.
type clothes struct{ before, between, after string }

func clothesOf(wire string) clothes {
	if wire == Centrifuge {
		return clothes{between: "\n"}
	}
	return clothes{"[", ",", "]"}
}

// Numbers of the commands before publications.
const (
	connectID = iota + 1
	subscribeID
)

// centrifugeReply is a line of the server that answers a command.
type centrifugeReply struct {
	ID    int `json:"id"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// beginCentrifuge starts a session.
func (c *client) beginCentrifuge(w *wire, out []byte) []byte {
	c.stage = handshaking
	return w.send(out, fmt.Appendf(nil, `{"id":%d,"connect":{}}`, connectID))
}

// subscribeCentrifuge asks for all subscriptions, one to a frame; a client
// without them lives.
func (c *client) subscribeCentrifuge(w *wire, out []byte) []byte {
	c.stage = subscribing
	for _, ch := range c.rooms {
		c.asked++
		out = w.send(out, fmt.Appendf(nil, `{"id":%d,"subscribe":{"channel":%q}}`, subscribeID, c.eng.names[ch]))
	}
	if c.asked == c.agreed {
		c.stage, c.rooms = living, nil
		c.eng.isReady()
	}
	return out
}

// takeCentrifuge handles a payload: lines, each a reply, a push or a ping.
func (c *client) takeCentrifuge(w *wire, p []byte, now int64, out []byte) ([]byte, error) {
	if len(c.subs) > 0 {
		c.deliveries(p, now)
		if c.stage == living && len(p) > 2 && !bytes.Contains(p, []byte("\n{}")) && !bytes.HasPrefix(p, []byte("{}")) {
			return out, nil // pushes alone
		}
	}
	published := 0
	for line := range bytes.SplitSeq(p, []byte{'\n'}) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || bytes.HasPrefix(line, []byte(`{"push"`)):
			continue
		case string(line) == "{}":
			out = w.send(out, line) // a ping wants itself back
			continue
		case bytes.HasSuffix(line, []byte(`,"publish":{}}`)):
			published++
			continue
		}
		var err error
		if out, err = c.answered(w, line, now, out); err != nil {
			return out, err
		}
	}
	if c.pub == nil {
		return out, nil
	}
	return c.pub.acked(w, published, now, out)
}

// answered takes the answer to a command that is no publication.
func (c *client) answered(w *wire, line []byte, now int64, out []byte) ([]byte, error) {
	var r centrifugeReply
	if err := json.Unmarshal(line, &r); err != nil {
		return out, fmt.Errorf("no line of centrifuge: %w", err)
	}
	switch {
	case r.Error != nil:
		return out, fmt.Errorf("command %d: %d %s", r.ID, r.Error.Code, r.Error.Message)
	case c.stage == handshaking && r.ID == connectID && c.eng.cfg.Mode == Churn:
		return c.left(w, now, out)
	case c.stage == handshaking && r.ID == connectID:
		return c.subscribeCentrifuge(w, out), nil
	case c.stage == subscribing && r.ID == subscribeID:
		if c.agreed++; c.agreed == c.asked {
			c.stage, c.rooms = living, nil
			c.eng.isReady()
		}
	}
	return out, nil
}

// publication appends a publication.
func (p *publisher) publication(to []byte, channel string, m mark, pad string) []byte {
	p.ids++
	to = strconv.AppendUint(append(to, `{"id":`...), subscribeID+p.ids, 10)
	to = append(append(to, `,"publish":{"channel":"`...), channel...)
	return append(appendData(append(to, `","data":`...), m, pad), "}}"...)
}
