package server

// turn is a place in the order in which a session's effects on the router, the
// registry and the index of users are carried out (DESIGN 4.2).
type turn struct {
	sess *session // nil: this is no turn
	at   uint32
}

// turnLocked takes the next turn.
func (s *session) turnLocked() turn {
	s.taken++
	return turn{s, s.taken}
}

// takeTurn takes the next turn.
func (s *session) takeTurn() turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turnLocked()
}

// enter waits until it is our turn, leave hands it on.
func (t turn) enter() { t.sess.await(t.at - 1) }

func (t turn) leave() {
	s := t.sess
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	if m := s.more.Load(); m != nil && m.turned != nil {
		close(m.turned)
		m.turned = nil
	}
}

// await returns when so many turns have been carried out.
func (s *session) await(turns uint32) {
	s.mu.Lock()
	for int32(s.done-turns) < 0 { //nolint:gosec // the numbers may wrap
		m := s.rare()
		if m.turned == nil {
			m.turned = make(chan struct{})
		}
		next := m.turned
		s.mu.Unlock()
		<-next
		s.mu.Lock()
	}
	s.mu.Unlock()
}

// routed waits until all turns taken so far have been carried out.
func (s *session) routed() {
	s.mu.Lock()
	taken := s.taken
	s.mu.Unlock()
	s.await(taken)
}
