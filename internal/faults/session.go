package faults

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// maxSessions bounds the memory of a proxy; sessions above it are not known.
const maxSessions = 10_000

// session is what a proxy remembers of one, seen from outside.
type session struct {
	id     string
	cookie string // value of the browser cookie at the handshake
	home   string // transport of the handshake
	last   string // transport of the last message
	l      *link  // the WebSocket of the last message, nil on HTTP

	begun    time.Time // the handshake was answered
	asked    time.Time // the last connect came
	answered time.Time // the last connect was answered; zero before the first
	previous time.Time // as asked, of the connect before
	connects int       // connects that came
	replied  int       // connects that were answered with success
	subs     []string  // what it is subscribed to, as spelt
	once     []string  // what it ever was subscribed to
	moved    bool      // the last message came by another transport than those before
	over     bool      // it was disconnected, or was unknown when it asked
	left     bool      // it was disconnected
	held     []*hold   // connects that are not answered yet
	notes    map[string]string
}

// hold is a connect that is not answered yet.
type hold struct {
	s   *session
	ask *message
	x   *exchange
	l   *link
}

// note returns and sets a word that a fault remembers of a session.
func (s *session) note(name string) string {
	if s == nil {
		return ""
	}
	return s.notes[name]
}

func (s *session) setNote(name, value string) {
	if s != nil {
		s.notes[name] = value
	}
}

// alive tells whether the session is known and not over.
func (s *session) alive() bool { return s != nil && !s.over }

// live tells whether a connect of the session is held.
func (s *session) holding() bool { return s != nil && len(s.held) > 0 }

// covers counts the subscriptions of the session that match a channel.
func (s *session) covers(channel string) int {
	n := 0
	if s == nil {
		return 0
	}
	for _, pattern := range s.subs {
		if matches(pattern, channel) {
			n++
		}
	}
	return n
}

// matches tells whether a subscription reaches a broadcast channel.
func matches(pattern, channel string) bool {
	pattern, channel = strings.TrimRight(pattern, "/ "), strings.TrimRight(channel, "/ ")
	if pattern == channel {
		return true
	}
	if strings.HasPrefix(channel, "/meta/") || strings.HasPrefix(channel, "/service/") {
		return false
	}
	if parent, ok := strings.CutSuffix(pattern, "/**"); ok {
		return strings.HasPrefix(channel, parent+"/")
	}
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		rest, ok := strings.CutPrefix(channel, parent+"/")
		return ok && !strings.Contains(rest, "/")
	}
	return false
}

// subscriptions reads a subscription field: a string or an array of strings.
func subscriptions(value string) []string {
	var one string
	if json.Unmarshal([]byte(value), &one) == nil && one != "" {
		return []string{one}
	}
	var many []string
	if json.Unmarshal([]byte(value), &many) != nil {
		return nil
	}
	return many
}

// know returns the session of an id, nil if it never was.
func (p *proxy) know(id string) *session { return p.sessions[id] }

// noteIn takes a unit on its way in into the memory, as the client sent it.
func (p *proxy) noteIn(u *unit) {
	if len(u.msgs) > 0 {
		u.s = p.know(u.msgs[0].str("clientId"))
	}
	if u.l != nil && u.s == nil {
		u.s = u.l.s
	} else if u.l != nil && u.l.s == nil {
		u.l.s = u.s
	}
	for _, m := range u.msgs {
		ask := m.clone()
		if u.l != nil {
			u.l.waiting = append(u.l.waiting, ask)
		}
		if m.channel() != metaConnect || u.s == nil {
			continue
		}
		u.s.held = append(u.s.held, &hold{s: u.s, ask: ask, x: u.x, l: u.l})
		u.s.connects++
		u.s.previous, u.s.asked = u.s.asked, time.Now()
	}
}

// noteOut takes a unit on its way back into the memory, as the server sent it.
func (p *proxy) noteOut(u *unit) {
	for _, m := range u.msgs {
		if !m.reply() {
			continue
		}
		if m.channel() == metaHandshake && m.ok() {
			u.s = p.remember(u, m)
			continue
		}
		if m.str("error") == unknownSession && m.channel() == metaConnect && u.s != nil {
			u.s.over = true
		}
		if u.s != nil {
			u.s.noteReply(u, m)
		}
	}
	if u.s != nil {
		u.s.moved = u.s.last != u.on
		u.s.last, u.s.l = u.on, u.l
	}
}

func (p *proxy) remember(u *unit, m *message) *session {
	s := &session{id: m.str("clientId"), home: u.on, last: u.on, l: u.l, begun: time.Now(), notes: map[string]string{}}
	if u.l != nil {
		u.l.s = s
		s.cookie = cookieOf(u.l.r)
	} else {
		s.cookie = u.x.cookie()
	}
	if len(p.sessions) < maxSessions {
		p.sessions[s.id] = s
	}
	return s
}

func (s *session) noteReply(u *unit, m *message) {
	switch m.channel() {
	case metaConnect:
		s.held = slices.DeleteFunc(s.held, func(h *hold) bool { return h.x == u.x && h.l == u.l && idText(h.ask) == idText(m) })
		if m.ok() {
			s.replied++
			s.answered = time.Now()
		}
	case metaSubscribe:
		if m.ok() {
			s.subs = append(s.subs, subscriptions(m.get("subscription"))...)
			s.once = append(s.once, subscriptions(m.get("subscription"))...)
		}
	case metaUnsubscribe:
		if m.ok() {
			gone := subscriptions(m.get("subscription"))
			s.subs = slices.DeleteFunc(s.subs, func(sub string) bool { return slices.Contains(gone, sub) })
		}
	case metaDisconnect:
		s.over, s.left = s.over || m.ok(), s.left || m.ok()
	}
}

// forget takes the holds of an exchange or a link that has ended out of the
// memory.
func (p *proxy) forget(x *exchange, l *link) {
	for _, s := range p.sessions {
		s.held = slices.DeleteFunc(s.held, func(h *hold) bool { return x != nil && h.x == x || l != nil && h.l == l })
	}
}

// release answers the held connects of a session here and now, with the
// messages given ahead of the reply; the server's own replies go nowhere.
func (p *proxy) release(s *session, replies func(h *hold) []*message) {
	if s == nil {
		return
	}
	for _, h := range s.held {
		msgs := replies(h)
		if h.l != nil {
			h.l.unwanted = append(h.l.unwanted, h.ask)
			h.l.sendDown(msgs)
			continue
		}
		select {
		case h.x.early <- msgs:
		default:
		}
	}
	s.held = nil
}

// connectReply is the plain successful reply to a connect.
func connectReply(ask *message) *message {
	m := made(`{"channel":"/meta/connect"}`)
	if id := idText(ask); id != "" {
		m.setStr("id", id)
	}
	m.set("successful", "true")
	return m
}
