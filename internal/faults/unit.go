package faults

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"
)

// unit is a batch of messages on its way: a request or a response of HTTP, or
// a WebSocket message. A hook changes what leaves.
type unit struct {
	p  *proxy
	on string    // the transport
	s  *session  // whom it is from or for; nil when that is not known
	l  *link     // the WebSocket, nil on HTTP
	x  *exchange // the HTTP exchange, nil on a WebSocket

	msgs []*message
	// array tells whether it leaves as an array; a unit of one message may be
	// an object.
	array bool
	// parts, if set, are arrays that leave one after the other instead of msgs:
	// as WebSocket messages of their own, or behind each other in a body.
	parts [][]*message
	// wait is how long it is kept. What follows on a WebSocket may overtake it.
	wait time.Duration
	// drop keeps it: nothing leaves on a WebSocket, an HTTP exchange is cut.
	drop bool
	// binary has it leave in a frame of that kind.
	binary bool
	// closing, if set, ends the WebSocket behind it with that code.
	closing ws.StatusCode

	extra []*message // see also
	raw   []byte     // as it came
	first []*message // msgs as they came
	whole bool       // array as it came
	asks  map[*message]*message
}

func newUnit(p *proxy, on string, text []byte) *unit {
	msgs, array, err := parseBatch(text)
	if err != nil {
		return nil
	}
	return &unit{p: p, on: on, msgs: msgs, array: array, raw: text, first: slices.Clone(msgs), whole: array}
}

// same tells whether the unit leaves as it came.
func (u *unit) same() bool {
	return u.parts == nil && u.array == u.whole && slices.Equal(u.msgs, u.first) &&
		!slices.ContainsFunc(u.msgs, func(m *message) bool { return m.changed })
}

// texts returns what leaves: one array, or as many as there are parts.
func (u *unit) texts() [][]byte {
	switch {
	case u.same():
		return [][]byte{u.raw}
	case u.parts != nil:
		var all [][]byte
		for _, part := range u.parts {
			all = append(all, encodeBatch(part))
		}
		return all
	case !u.array && len(u.msgs) == 1:
		return [][]byte{u.msgs[0].bytes()}
	default:
		return [][]byte{encodeBatch(u.msgs)}
	}
}

// request returns the message that a reply answers, as the client sent it; an
// empty one when it is not known.
func (u *unit) request(reply *message) *message {
	if m := u.asks[reply]; m != nil {
		return m
	}
	return &message{}
}

// pair finds the requests of the replies among those that wait, oldest first,
// and returns what still waits.
func (u *unit) pair(waiting []*message) []*message {
	u.asks = map[*message]*message{}
	for _, m := range u.msgs {
		if !m.reply() {
			continue
		}
		i := slices.IndexFunc(waiting, func(w *message) bool {
			return w.channel() == m.channel() && idText(w) == idText(m)
		})
		if i < 0 {
			i = slices.IndexFunc(waiting, func(w *message) bool { return idText(w) == idText(m) })
		}
		if i >= 0 {
			u.asks[m] = waiting[i]
			waiting = slices.Delete(slices.Clone(waiting), i, i+1)
		}
	}
	return waiting
}

// idText returns an id as replies have it: numbers as strings.
func idText(m *message) string {
	if id := m.get("id"); id != "null" {
		return strings.Trim(id, `"`)
	}
	return ""
}

// pushes returns the messages that are no replies.
func (u *unit) pushes() []*message {
	return slices.DeleteFunc(slices.Clone(u.msgs), (*message).reply)
}

// replies returns those that are.
func (u *unit) replies() []*message {
	return slices.DeleteFunc(slices.Clone(u.msgs), func(m *message) bool { return !m.reply() })
}

// find returns the first message on a channel, nil if there is none.
func (u *unit) find(channel string) *message {
	for _, m := range u.msgs {
		if m.channel() == channel {
			return m
		}
	}
	return nil
}

// polls tells whether the unit is a connect alone, which may be held.
func (u *unit) polls() bool { return len(u.msgs) == 1 && u.msgs[0].channel() == metaConnect }

// keep leaves only the messages for which f holds. A WebSocket message of
// which nothing is left does not leave.
func (u *unit) keep(f func(*message) bool) {
	n := len(u.msgs)
	u.msgs = slices.DeleteFunc(slices.Clone(u.msgs), func(m *message) bool { return !f(m) })
	if len(u.msgs) == 0 && n > 0 && u.l != nil {
		u.drop = true
	}
}

// insert puts a message of ours in front of the others on the way in; its
// reply is taken out again on the way back.
func (u *unit) insert(m *message) {
	m = m.clone()
	m.setStr("id", u.p.ownID())
	if u.s != nil {
		m.setStr("clientId", u.s.id)
	}
	u.msgs = slices.Insert(slices.Clone(u.msgs), 0, m)
}

// refuse fails the whole unit: by HTTP 400, or by closing the WebSocket with
// 1011.
func (u *unit) refuse() {
	if u.x != nil {
		u.x.answer(http.StatusBadRequest, "text/plain;charset=UTF-8", []byte("refused\n"))
		return
	}
	u.drop, u.closing = true, ws.StatusInternalServerError
}

// also sends the server a message of ours in the name of the session, before
// the unit leaves, which is on its way out.
func (u *unit) also(m *message) {
	m.setStr("id", u.p.ownID())
	m.setStr("clientId", u.s.id)
	u.extra = append(u.extra, m)
}

// subscribesAlong tells whether the batch that a unit answers subscribes to
// what reaches a channel.
func (u *unit) subscribesAlong(channel string) bool {
	asked := []*message{}
	if u.l != nil {
		asked = u.l.waiting
	} else if u.x.up != nil {
		asked = u.x.up.first
	}
	return slices.ContainsFunc(asked, func(m *message) bool {
		return m.channel() == metaSubscribe && slices.ContainsFunc(subscriptions(m.get("subscription")), func(s string) bool {
			return matches(s, channel)
		})
	})
}
