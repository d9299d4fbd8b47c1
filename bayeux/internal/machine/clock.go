package machine

import (
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// unwritten is how long a reply may stay unwritten without MaxProcessing. Every
// carrier reports its replies as written or lost; this bounds what a session
// costs whose carrier does neither, so that none is immortal ([R-CN-22]).
const unwritten = 10 * time.Minute

// clock is the time that a session has left. It is in one of three modes:
// stopped while a connect is held, writing (Session.writing) while a connect's
// reply is on its way, else running.
type clock struct {
	expires instant.Time // zero: stopped
	// limit is when the writing has taken too long; zero: never.
	limit instant.Time
}

func (s *Session) stop() { s.clock, s.writing = clock{}, false }

func (s *Session) run(until instant.Time) { s.clock, s.writing = clock{expires: until}, false }

func (s *Session) write(now instant.Time) {
	s.clock, s.writing = clock{expires: now.Add(unwritten)}, true
	s.restart(now)
}

// restart has MaxProcessing begin anew.
func (s *Session) restart(now instant.Time) {
	if most := s.times().MaxProcessing; most > 0 {
		s.clock.limit = now.Add(min(most, longest))
	}
}

// extend moves the deadline of a clock, never back. A stopped clock runs.
func (c *clock) extend(until instant.Time) {
	if until.After(c.expires) {
		c.expires = until
	}
}

// deadline returns when the session ends, and why.
func (c *clock) deadline() (instant.Time, Reason) {
	if !c.limit.IsZero() && c.limit.Before(c.expires) {
		return c.limit, ReasonMaxProcessing
	}
	return c.expires, ReasonExpired
}

// start lets the clock run for interval and maxInterval ([R-EX-2]).
func (s *Session) start(now instant.Time) {
	if s.state.Alive() && !s.holding {
		s.run(now.Add(s.currentInterval() + s.life()))
	}
}

// Written says that the reply of a connect or handshake has been written, or
// could not be: the clock starts now, unless a connect is held ([R-EX-2],
// [R-CN-14], [R-CN-18], [R-CN-22], [R-HS-19]).
func (s *Session) Written(now instant.Time) Effects {
	s.start(now)
	return s.done(Effects{})
}

// Received says that a message other than a connect came from the session,
// which extends a running clock to maxInterval from now, never shortens it
// ([R-EX-3] as decided in WIRE 16), and starts MaxProcessing anew. Step calls
// it where it has to; the caller does for publishes.
func (s *Session) Received(now instant.Time) {
	if s.holding || !s.state.Alive() {
		return
	}
	s.clock.extend(now.Add(s.life()))
	if !s.clock.limit.IsZero() {
		s.restart(now)
	}
}

// Expire does what is due at now: it answers a hold whose time has come
// ([R-CN-8]), or ends a session whose client has been silent for too long
// ([R-EX-1], [R-EX-2]), silently, for there is nothing to answer ([R-EX-4]).
// Rounding to sweeps is the caller's. Calls that come early do nothing.
func (s *Session) Expire(now instant.Time) Effects {
	var e Effects
	switch at, reason := s.clock.deadline(); {
	case s.holding:
		if !now.Before(s.held.until) {
			e.Ended = s.finish(now, TimedOut)
		}
	case s.state.Alive() && !now.Before(at):
		e.Removed = s.end(Expired, reason)
	}
	return s.done(e)
}

// Deadline returns when Expire wants to be called next: the end of the hold,
// else that of the session; zero when there is nothing to wait for. A session
// removed while its connect is held waits for the end of the hold.
func (s *Session) Deadline() instant.Time {
	if s.holding {
		return s.held.until
	}
	if !s.state.Alive() {
		return 0
	}
	at, _ := s.clock.deadline()
	return at
}

// ExpiresAt returns when the session expires as things are; zero while a
// connect is held, and for a session that is not alive.
func (s *Session) ExpiresAt() instant.Time {
	if s.holding {
		return 0
	}
	return s.Deadline()
}
