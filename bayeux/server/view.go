package server

import (
	"context"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
)

// What extensions, policies and listeners see of a session.

// ID implements bayeux.Session.
func (s *session) ID() string { return s.id() }

// User implements bayeux.Session.
func (s *session) User() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// SetUser implements bayeux.Identity.
func (s *session) SetUser(id string) {
	s.mu.Lock()
	if s.user == id {
		s.mu.Unlock()
		return
	}
	s.user = id
	t := s.turnLocked()
	s.mu.Unlock()
	t.enter()
	if s.known { // else it is found under its user when it begins, or was
		s.srv.users.move(s, id)
	}
	t.leave()
}

// Subject implements bayeux.Authentication.
func (s *session) Subject() *bayeux.Subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subject
}

// SetSubject implements bayeux.Authentication.
func (s *session) SetSubject(subject *bayeux.Subject) {
	user := ""
	if subject != nil {
		user = subject.User
	}
	s.mu.Lock()
	s.subject = subject
	s.mu.Unlock()
	s.SetUser(user)
}

// Batch implements bayeux.Batching ([R-DL-2]).
func (s *session) Batch(f func()) {
	s.mu.Lock()
	s.batch++
	s.batched++
	s.mu.Unlock()
	defer s.step(func(instant.Time) machine.Effects {
		s.batch--
		s.batched--
		return machine.Effects{}
	})
	f()
}

// Transport implements bayeux.Session.
func (s *session) Transport() string { return s.way().name }

// way is the transport last used.
func (s *session) way() *settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Attributes implements bayeux.Session.
func (s *session) Attributes() *bayeux.Attributes { return &s.rare().attributes }

// Deliver implements bayeux.Session ([R-PB-7]).
func (s *session) Deliver(ctx context.Context, channel string, data any) error {
	m, err := serverMessage(channel, data)
	if err != nil {
		return err
	}
	s.srv.deliverTo(ctx, s, m)
	return nil
}

// Disconnect implements bayeux.Session. The client is told by a pushed
// /meta/disconnect with the connect that is held, else with the request of its
// own that is being processed, or where the socket was last used for something
// else than a connect ([R-CN-16], [R-AC-1], [R-WS-22]).
func (s *session) Disconnect(ctx context.Context) error {
	farewell := s.srv.farewell(ctx, s)
	s.step(func(now instant.Time) machine.Effects {
		if s.over {
			return machine.Effects{}
		}
		if farewell != nil && s.hearsLocked() {
			// A full queue cannot take the farewell; the session ends all the same.
			_ = s.fillLocked().Append(farewell, 0)
		}
		if x, ok := s.holder.(*exchange); ok {
			s.partLocked(x)
		}
		return s.machine.Disconnect(now, machine.ReasonServer)
	})
	return nil
}

// Retain implements bayeux.Delivery.
func (s *session) Retain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isLocal() {
		return // it has no connects to acknowledge with
	}
	s.fillLocked().Retain()
	s.connectOnly = true // [R-ACK-2]
}

// Retaining implements bayeux.Delivery.
func (s *session) Retaining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Retaining()
}

// SetConnectOnly implements bayeux.Delivery. What waited for a connect may
// leave at once when it is turned off; what waited for a push wakes the hold
// when it is turned on.
func (s *session) SetConnectOnly(on bool) {
	s.step(func(instant.Time) machine.Effects {
		s.connectOnly = on && !s.isLocal() || s.queue.Retaining()
		return machine.Effects{}
	})
}

// CloseBatch implements bayeux.Delivery. The core has closed the batch when it
// took the messages that leave with the reply, under one lock.
func (s *session) CloseBatch(reply *bayeux.Message) int64 { return reply.Batch() }

// Acknowledge implements bayeux.Delivery.
func (s *session) Acknowledge(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.wantsOutLocked()
	// What waits anyway makes the answer immediate without further ado.
	return s.queue.Acknowledge(n) && !waiting
}

// SetTimeout implements bayeux.Timing.
func (s *session) SetTimeout(d time.Duration) { s.tune(func() { s.machine.SetTimeout(d) }) }

// SetInterval implements bayeux.Timing.
func (s *session) SetInterval(d time.Duration) { s.tune(func() { s.machine.SetInterval(d) }) }

// SetMaxInterval implements bayeux.Timing.
func (s *session) SetMaxInterval(d time.Duration) { s.tune(func() { s.machine.SetMaxInterval(d) }) }

func (s *session) tune(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// SetBroadcastToPublisher implements Echo ([R-PB-11]).
func (s *session) SetBroadcastToPublisher(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noEcho = !on
}

var (
	_ bayeux.Session  = (*session)(nil)
	_ bayeux.Delivery = (*session)(nil)
	_ bayeux.Timing   = (*session)(nil)
	_ bayeux.Identity = (*session)(nil)
	_ bayeux.Batching = (*session)(nil)

	_ bayeux.Authentication = (*session)(nil)
	_ bayeux.Ending         = (*session)(nil)
	_ bayeux.Reviewing      = (*session)(nil)
)
