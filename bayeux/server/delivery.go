package server

import (
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// delivery is queued messages that leave without a reply, by far the most
// frequent of all outputs. It is used again when its lease has ended.
type delivery struct {
	sess  *session
	lease queue.Lease
	done  func(sent int, replied bool) // bound once
}

func newDelivery() any {
	d := new(delivery)
	d.done = d.end
	return d
}

// push takes what can be pushed to the client of p ([R-WS-12]).
func (p *port) push(s *session, limit int) transport.Output {
	if s == nil {
		return transport.Output{Done: noDone}
	}
	d, _ := p.settings.srv.deliveries.Get().(*delivery)
	d.sess = s
	s.mu.Lock()
	if s.port == p && !s.onlyLocked(p) && s.wantsOutLocked() {
		s.leaseLocked(&d.lease, limit, false)
		p.trip.began = 0 // how long the silence after that is, nobody measures
	}
	s.mu.Unlock()
	if len(d.lease.Messages) == 0 {
		d.free()
		return transport.Output{Done: noDone}
	}
	return transport.Output{Messages: d.lease.Messages, More: d.lease.More, Done: d.done}
}

// wantsOutLocked tells whether a message wants to leave now. Lazy ones alone
// wait for their time [R-WS-16].
func (s *session) wantsOutLocked() bool {
	return s.queue.Urgent() || s.queue.Unsent() > 0 && s.queue.Pending(s.srv.moment())
}

// end is the Done of the output.
func (d *delivery) end(sent int, _ bool) {
	d.sess.delivered(&d.lease, sent)
	d.free()
}

// free keeps the delivery for the next one, without what was in it.
func (d *delivery) free() {
	srv := d.sess.srv
	d.sess = nil
	d.lease.Reset()
	srv.deliveries.Put(d)
}

// delivered ends a lease of messages that left without a reply. Where all of
// them were written no time of the session has changed.
func (s *session) delivered(lease *queue.Lease, sent int) {
	if sent < len(lease.Messages) {
		s.finish(lease, sent, false, false)
		return
	}
	s.mu.Lock()
	s.leases--
	s.queue.Done(lease, sent)
	s.srv.stats.messagesOut.Add(uint64(sent)) //nolint:gosec // a length
	if s.queue.Unsent() == 0 {
		s.calmLocked()
		s.mu.Unlock()
		return
	}
	s.announceLocked(s.srv.moment(), 0) // what came meanwhile had to wait
}
