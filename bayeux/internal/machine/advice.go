package machine

import (
	"time"

	"github.com/halleypush/halley/bayeux"
)

// longest bounds every duration, so that sums of a few of them stay in range.
const longest = 50 * 365 * 24 * time.Hour

// wish returns what a client's connect asks for, capped (DESIGN 7). ok is false
// when its advice cannot be read.
func wish(m *bayeux.Message, v *Via) (asks bayeux.ClientAdvice, ok bool) {
	asks, err := bayeux.ParseAdvice(m.Advice)
	if v.MaxTimeout > 0 {
		asks.Timeout = min(asks.Timeout, v.MaxTimeout)
	}
	if v.MaxInterval > 0 {
		asks.Interval = min(asks.Interval, v.MaxInterval)
	}
	return asks, err == nil
}

// clamp makes a configured time safe to add; negative stays -1.
func clamp(d time.Duration) time.Duration { return min(max(d, -1), longest) }

// choose returns the first that is set.
func choose(own, transport time.Duration) time.Duration {
	if own >= 0 {
		return own
	}
	return max(0, clamp(transport))
}

func (s *Session) currentTimeout() time.Duration {
	return choose(s.set().timeout, s.times().Timeout)
}

// currentInterval includes what the client asked for in this cycle.
func (s *Session) currentInterval() time.Duration {
	if s.asked >= 0 {
		return s.asked
	}
	return choose(s.set().interval, s.times().Interval)
}

func (s *Session) currentMaxInterval() time.Duration {
	return choose(s.set().maxInterval, s.times().MaxInterval)
}

// life is how long the session lives beyond the interval without a connect,
// as things are: less before its first one, where that is configured and server
// code has not set a time of its own.
func (s *Session) life() time.Duration {
	d := s.currentMaxInterval()
	if most := s.times().Unconnected; most > 0 && s.state == Handshaken && s.set().maxInterval < 0 {
		d = min(d, most)
	}
	return d
}

// full returns the complete advice: the timeout of the next hold, not the
// client's own of this one, and the interval in force ([R-AD-3]).
func (s *Session) full() *bayeux.Advice {
	interval, timeout := s.currentInterval(), s.currentTimeout()
	a := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: &interval, Timeout: &timeout}
	if s.reconnects() {
		maxInterval := s.currentMaxInterval()
		a.MaxInterval = &maxInterval
	}
	return a
}

// advise puts full advice on a connect's reply where it is due: the transport
// is not the one last advised, or a change made it due ([R-AD-1], [R-AD-2]).
// Advice that an extension has put there stays, and ours stays due. No other
// replies have advice, but those of handshakes ([R-AD-5]).
func (s *Session) advise(reply *bayeux.Message) {
	if s.due() && reply.Advice == nil {
		reply.Advice = s.full().Raw()
		s.advised = s.way
	}
}

// farewell is the advice of a held connect whose session has ended: not to
// retry ([R-CN-15], [R-CN-17]). What is due of the full advice comes with it,
// as with CometD ([R-AD-1]).
func (s *Session) farewell() *bayeux.Advice {
	a := &bayeux.Advice{}
	if s.due() {
		a = s.full()
	}
	a.Reconnect = bayeux.ReconnectNone
	return a
}

// due tells whether the next connect reply brings full advice.
func (s *Session) due() bool { return s.Advised() == "" || s.Advised() != s.transport() }

// again returns advice that comes with 402.
func again(reconnect string) bayeux.Raw {
	var now time.Duration
	return (&bayeux.Advice{Reconnect: reconnect, Interval: &now}).Raw()
}

// SetTimeout sets how long connects are held; negative means the transport's
// time. A hold in progress is not shortened; its reply has full advice
// ([R-AD-1], [R-AD-4]).
func (s *Session) SetTimeout(d time.Duration) {
	s.change().timeout = clamp(d)
	s.advised = nil
}

// SetInterval sets the pause between connects; negative means the
// transport's. The next connect reply has full advice ([R-AD-1], [R-AD-4]).
func (s *Session) SetInterval(d time.Duration) {
	s.change().interval = clamp(d)
	s.advised = nil
}

// SetMaxInterval sets how long the session lives beyond the interval without
// a connect; negative means the transport's. It counts from the next reply on
// ([R-EX-6]). Full advice is due if it has a maxInterval.
func (s *Session) SetMaxInterval(d time.Duration) {
	s.change().maxInterval = clamp(d)
	if s.reconnects() {
		s.advised = nil
	}
}

// tuned are times that server code has set; negative is the transport's.
type tuned struct{ timeout, interval, maxInterval time.Duration }

// set returns the times that server code has set.
func (s *Session) set() tuned {
	if s.tuned == nil {
		return tuned{-1, -1, -1}
	}
	return *s.tuned
}

// change returns them to be changed. Few sessions have any.
func (s *Session) change() *tuned {
	if s.tuned == nil {
		s.tuned = &tuned{-1, -1, -1}
	}
	return s.tuned
}

// times are those of the transport last used.
func (s *Session) times() Times {
	if s.way == nil {
		return Times{}
	}
	return s.way.Times
}

func (s *Session) transport() string {
	if s.way == nil {
		return ""
	}
	return s.way.Transport
}

func (s *Session) reconnects() bool { return s.way != nil && s.way.HandshakeReconnect }
