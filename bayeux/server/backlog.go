package server

import "github.com/halleypush/halley/bayeux/internal/queue"

// leaseLocked leases what may leave, into a fresh lease, and reports false if
// nothing may: then the lease stays as it is, else finish must follow. In a
// batch of server code nothing may, but for a connect's reply that closes a
// batch of retained messages.
func (s *session) leaseLocked(l *queue.Lease, limit int, reply bool) bool {
	if s.queue == nil || s.blockedLocked() || s.batched > 0 && !s.queue.Retaining() {
		return false
	}
	s.queue.TakeInto(l, limit, reply)
	if len(l.Messages) > 0 {
		s.leases++
	}
	return true
}

// clearLocked drops the queue of an ended session, the retained messages too,
// once nobody can take from it any more ([R-EX-5], [R-DC-2], [R-ACK-13]).
func (s *session) clearLocked() {
	if s.over && s.users == 0 && s.port == nil {
		s.queue.Clear()
	}
	s.calmLocked()
}

// fillLocked returns the queue, made if missing.
func (s *session) fillLocked() *queue.Queue {
	if s.queue == nil {
		q, _ := s.srv.queues.Get().(*queue.Queue)
		q.SetLimits(s.made.queueLimits())
		s.queue = q
	}
	return s.queue
}

// calmLocked gives the queue back when a new one would be the same: nothing is
// in it, and nobody has a lease of it.
func (s *session) calmLocked() {
	if s.queue != nil && s.leases == 0 && !s.slow.bounds && s.queue.Blank() {
		s.srv.queues.Put(s.queue)
		s.queue = nil
	}
}
