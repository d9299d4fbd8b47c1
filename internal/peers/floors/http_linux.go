package floors

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/halleypush/halley/internal/peers/envelope"
)

// longPolling is the floor of HTTP: one response, written at once, for each
// request.
type longPolling struct {
	*Floor
	topics   topics
	sessions map[string]*session // by client id in quotes
	ready    []*session          // with Coalesce: those whose poll is to be answered
	made     int
	replies  []byte
	response []byte
}

// session is a client of longPolling.
type session struct {
	id     string
	conn   *conn  // where its connect is held; nil: nowhere
	queue  []byte // what the next connect brings
	ready  bool   // in longPolling.ready
	topics []*topic
}

func (l *longPolling) input(c *conn, b []byte) (int, error) {
	used := 0
	for !c.gone {
		head := bytes.Index(b[used:], []byte("\r\n\r\n"))
		if head < 0 {
			break
		}
		request := b[used : used+head]
		if !bytes.HasPrefix(request, []byte("POST ")) {
			return used, errRequest
		}
		size, err := strconv.Atoi(string(header(request, "Content-Length")))
		if err != nil || size < 0 || size > MaxInput {
			return used, errRequest
		}
		end := used + head + 4 + size
		if len(b) < end {
			break
		}
		l.request(c, b[end-size:end])
		used = end
	}
	return used, nil
}

// request takes the messages of a request. A connect is held if it is alone
// and nothing waits for it.
func (l *longPolling) request(c *conn, b []byte) {
	l.replies = l.replies[:0]
	count := 0
	for {
		m, rest, ok := envelope.Next(b)
		if !ok {
			break
		}
		b = rest
		count++
		if m.Kind() == envelope.Connect && count == 1 && l.park(c, &m, rest) {
			return
		}
		if !l.message(&m) {
			l.Floor.close(c)
			return
		}
	}
	l.respond(c, l.replies)
}

// park holds a connect, if it is to be held.
func (l *longPolling) park(c *conn, m *envelope.Message, rest []byte) bool {
	s := l.sessions[string(m.ClientID)]
	if s == nil || m.AtOnce() || len(s.queue) > 0 || bytes.IndexByte(rest, '{') >= 0 {
		return false
	}
	if s.conn != nil { // the poll before is given up
		l.release(s.conn)
	}
	s.conn, c.session = c, s
	l.hold(c, m.ID)
	return true
}

// message takes a message that is answered at once. It returns false when there
// are too many sessions.
func (l *longPolling) message(m *envelope.Message) bool {
	if m.Kind() == envelope.Handshake {
		if len(l.sessions) >= MaxSessions {
			return false
		}
		l.made++
		s := &session{id: `"floor` + strconv.Itoa(l.made) + `"`}
		l.sessions[s.id] = s
		l.replies = appendReply(l.replies, m, LongPolling, []byte(s.id), l.cfg.Hold, nil)
		return true
	}
	s := l.sessions[string(m.ClientID)]
	if s == nil {
		l.replies = appendUnknown(l.replies, m)
		return true
	}
	switch m.Kind() {
	case envelope.Connect:
		l.replies = append(comma(l.replies), s.queue...)
		s.queue = nil
	case envelope.Subscribe:
		if t := l.topics.get(m.Subscription); !slices.Contains(s.topics, t) {
			t.sessions = append(t.sessions, s)
			s.topics = append(s.topics, t)
		}
	case envelope.Unsubscribe:
		if t := l.topics[string(m.Subscription)]; t != nil {
			l.leave(s, t)
			s.topics = without(s.topics, t)
		}
	case envelope.Disconnect:
		l.end(s)
	default:
		l.deliver(m)
	}
	l.replies = appendReply(l.replies, m, LongPolling, nil, l.cfg.Hold, nil)
	return true
}

func (l *longPolling) leave(s *session, t *topic) {
	t.sessions = without(t.sessions, s)
	l.topics.prune(t)
}

// end forgets a session and answers its connect.
func (l *longPolling) end(s *session) {
	for _, t := range s.topics {
		l.leave(s, t)
	}
	s.topics = nil
	delete(l.sessions, s.id)
	if s.conn != nil {
		replies := l.replies
		l.replies = nil
		l.release(s.conn)
		l.replies = replies
	}
}

// deliver answers the poll of each subscriber, or leaves the message for the next.
func (l *longPolling) deliver(m *envelope.Message) {
	t := l.topics[string(m.Channel)]
	if t == nil {
		return
	}
	text := appendDelivery(nil, m)
	for _, s := range slices.Backward(t.sessions) { // one that is closed leaves the list, one that was served takes its place
		if len(s.queue)+len(text) < MaxQueue {
			s.queue = append(comma(s.queue), text...)
		}
		switch {
		case s.conn == nil || s.ready:
		case l.cfg.Coalesce:
			s.ready = true
			l.ready = append(l.ready, s)
		default:
			l.answer(s)
		}
	}
}

// answer ends the poll of a session with all that waits for it.
func (l *longPolling) answer(s *session) {
	c := s.conn
	m := envelope.Message{Channel: []byte(`"/meta/connect"`)}
	if len(c.held) > 0 {
		m.ID = c.held
	}
	body := appendReply(s.queue, &m, LongPolling, nil, l.cfg.Hold, nil)
	s.queue = body[:0]
	if cap(body) > freeSize {
		s.queue = nil
	}
	s.conn, c.session, c.held = nil, nil, nil
	l.respond(c, body)
}

func (l *longPolling) release(c *conn) { l.answer(c.session) }

// closed forgets the session whose poll the connection holds: its client is gone.
func (l *longPolling) closed(c *conn) {
	if s := c.session; s != nil {
		s.conn, c.session, c.held = nil, nil, nil
		l.end(s)
	}
}

func (l *longPolling) round() {
	for _, s := range l.ready {
		s.ready = false
		if s.conn != nil {
			l.answer(s)
		}
	}
	clear(l.ready)
	l.ready = l.ready[:0]
}

func (l *longPolling) respond(c *conn, objects []byte) {
	b := append(l.response[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(objects))+2, 10)
	b = append(append(append(b, "\r\n\r\n["...), objects...), ']')
	l.response = b
	l.send(c, b)
}
