package clientmode

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// session is a session of the usual server, which the script of a case bends.
type session struct {
	id     string
	polled bool     // a connect was answered
	subs   []string // channels, in the order of subscription
	queue  []M
	sock   *Line // the WebSocket that messages are pushed by; nil if there is none
}

// hold is a connect that is not answered yet.
type hold struct {
	in   *In
	ses  *session
	line *Line
	end  chan *Answer // holds one
}

// answer decides on a message that came by HTTP, and waits if it is held.
func (s *server) answer(m *In, l *Line) *Answer {
	a, h := s.begin(m, l)
	if h == nil {
		return a
	}
	// A client that hangs up must not leave a connect behind that messages are
	// given to.
	ctx, cancel := context.WithCancel(s.ctx)
	gone := make(chan bool, 1)
	s.work.Go(func() { gone <- l.conn.Wait(ctx) != nil })
	lost := false
	select {
	case a = <-h.end:
	case lost = <-gone:
		gone <- lost
	case <-s.ctx.Done():
	}
	cancel()
	<-gone
	switch {
	case a != nil:
		return a
	case lost:
		s.update(func() { s.dropLocked(h) })
		l.over.Store(true)
		return &Answer{Silent: true}
	default:
		return s.wait(h)
	}
}

// wait waits for the end of a hold.
func (s *server) wait(h *hold) *Answer {
	select {
	case a := <-h.end:
		return a
	case <-s.ctx.Done():
		return &Answer{Silent: true}
	}
}

// dropLocked forgets a hold whose client is gone. What it was to take along
// waits for the next one.
func (s *server) dropLocked(h *hold) {
	s.holds = slices.DeleteFunc(s.holds, func(other *hold) bool { return other == h })
	select {
	case a := <-h.end:
		h.ses.queue = slices.Concat(a.Before, h.ses.queue)
	default:
	}
}

// begin lets the script and the usual server decide. Either the answer is
// there, with the whole reply in With, or the message is held.
func (s *server) begin(m *In, l *Line) (a *Answer, h *hold) {
	var scripted *Answer
	s.mu.Lock()
	script := s.script
	s.mu.Unlock()
	if script != nil {
		scripted = script(m)
	}
	s.update(func() {
		a = &Answer{}
		if scripted != nil {
			*a = *scripted
		}
		refused := a.With["successful"] == false
		var reply M
		var queued []M
		if reply, queued, h = s.usualLocked(m, l, scripted == nil, refused); h != nil {
			return
		}
		a.Before = slices.Concat(queued, a.Before)
		a.With = merge(reply, a.With)
	})
	return a, h
}

// usualLocked is what a server without faults does. Where the message is
// refused by the script, the state stays as it is.
func (s *server) usualLocked(m *In, l *Line, mayHold, refused bool) (reply M, queued []M, h *hold) {
	reply = M{"channel": m.Channel(), "successful": true}
	if id, ok := m.Get("id"); ok {
		reply["id"] = id
	}
	if sub, ok := m.Get("subscription"); ok {
		reply["subscription"] = sub
	}
	if m.Channel() == Handshake {
		if !refused {
			s.handshakeLocked(reply)
		}
		return reply, nil, nil
	}
	ses := s.sessions[m.ClientID()]
	if ses == nil {
		return s.unknown(m, reply), nil, nil
	}
	if refused {
		return reply, nil, nil
	}
	if l.ws != nil {
		ses.sock = l
	}
	switch m.Channel() {
	case Connect:
		held := mayHold && ses.polled && !m.now() && len(ses.queue) == 0 && (m.With == 0 || l.ws != nil)
		if held {
			return nil, nil, s.holdLocked(m, l, ses)
		}
		ses.polled = true
		queued, ses.queue = ses.queue, nil
		if _, asked := m.Get("advice"); asked {
			reply["advice"] = s.advice
		}
	case Subscribe, Unsubscribe:
		s.subscribeLocked(m, ses)
	case Disconnect:
		delete(s.sessions, ses.id)
		s.endLocked(ses, &Answer{With: M{"advice": M{"reconnect": "none"}}})
	}
	return reply, queued, nil
}

func (s *server) handshakeLocked(reply M) {
	s.made++
	ses := &session{id: fmt.Sprintf("s%dx%s", s.made, s.path[1:])}
	s.sessions[ses.id] = ses
	reply["version"], reply["minimumVersion"], reply["clientId"] = "1.0", "1.0", ses.id
	reply["supportedConnectionTypes"], reply["advice"] = s.types, s.advice
}

func (*server) unknown(m *In, reply M) M {
	out := merge(reply, M{"successful": false, "error": "402::session_unknown"})
	if m.Channel() == Connect {
		out["advice"] = M{"reconnect": "handshake", "interval": 0}
	}
	return out
}

// holdLocked holds a connect. An older one of the session ends, as with
// CometD: by HTTP 500, or without an answer on a WebSocket.
func (s *server) holdLocked(m *In, l *Line, ses *session) *hold {
	older := &Answer{Silent: true}
	if l.ws == nil {
		older.Fault = Status(http.StatusInternalServerError)
	}
	s.doubled += s.endLocked(ses, older)
	h := &hold{in: m, ses: ses, line: l, end: make(chan *Answer, 1)}
	s.holds = append(s.holds, h)
	return h
}

// endLocked ends the holds of a session, or of all if it is nil, and returns
// how many there were.
func (s *server) endLocked(ses *session, a *Answer) (ended int) {
	kept := s.holds[:0]
	for _, h := range s.holds {
		if ses != nil && h.ses != ses {
			kept = append(kept, h)
			continue
		}
		to := *a
		to.Before = slices.Concat(h.ses.queue, a.Before)
		h.ses.queue = nil
		to.With = merge(M{"channel": Connect, "successful": true}, a.With)
		if id, ok := h.in.Get("id"); ok && a.With["id"] == nil {
			to.With["id"] = id
		}
		h.end <- &to
		ended++
	}
	s.holds = kept
	return ended
}

func (s *server) subscribeLocked(m *In, ses *session) {
	names := m.Strings("subscription")
	if names == nil {
		names = []string{m.Text("subscription")}
	}
	for _, name := range names {
		ses.subs = slices.DeleteFunc(ses.subs, func(other string) bool { return other == name })
		if m.Channel() == Subscribe {
			ses.subs = append(ses.subs, name)
		}
	}
}

// deliverLocked gives messages to all sessions: pushed, or by the connect.
func (s *server) deliverLocked(messages []M) (push []func()) {
	for _, ses := range s.sessions {
		if l := ses.sock; l != nil {
			push = append(push, func() { l.send(nil, messages) })
			continue
		}
		ses.queue = append(ses.queue, messages...)
		s.endLocked(ses, &Answer{})
	}
	return push
}

// lost takes a socket that has ended out of the sessions, and its holds.
func (s *server) lost(l *Line) {
	s.update(func() {
		for _, ses := range s.sessions {
			if ses.sock == l {
				ses.sock = nil
			}
		}
		kept := s.holds[:0]
		for _, h := range s.holds {
			if h.line != l {
				kept = append(kept, h)
			} else {
				h.end <- &Answer{Silent: true}
			}
		}
		s.holds = kept
	})
}
