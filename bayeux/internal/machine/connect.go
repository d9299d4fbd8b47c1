package machine

import (
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// errAdvice says that the advice of a connect cannot be read ([R-MSG-11]).
// Decode refuses such a message before; this is for those made otherwise.
var errAdvice = &bayeux.Error{Code: 400, Text: "advice"}

// connect answers or holds. connectionType is not looked at ([R-CN-2]).
func (s *Session) connect(now instant.Time, in Input) Effects {
	if !s.state.Alive() {
		return Effects{Reply: s.late(in.Message)}
	}
	asks, ok := wish(in.Message, in.Via)
	if in.Refused != nil || !ok {
		return s.refuseConnect(now, in)
	}
	first := s.state == Handshaken
	s.enter(Connected) // [R-CN-3]
	s.asked = asks.Interval
	if asks.Present {
		s.advised = nil // [R-AD-1]
	}

	timeout := s.patience(in, asks, first)
	hold := timeout > 0

	var e Effects
	e.Ended = s.replace(in.Via.Push, hold)
	if !s.holding {
		s.way = in.Via
	}
	if hold {
		s.stop() // never runs while a connect is held [R-EX-2]
		e.Hold = s.hold(now.Add(timeout), in)
		return e
	}
	if !s.holding {
		s.write(now)
	}
	e.Reply = s.answer(in)
	return e
}

// patience is how long a connect is held, 0 for not at all. The first one tells
// the client its times and is never held [R-CN-5].
func (s *Session) patience(in Input, asks bayeux.ClientAdvice, first bool) time.Duration {
	if first || !in.Alone || in.Pending || in.Pause > 0 || in.Browser != BrowserFree {
		return 0 // [R-CN-4]
	}
	timeout := choose(s.set().timeout, in.Via.Times.Timeout)
	if asks.Timeout >= 0 {
		timeout = asks.Timeout // of this message alone [R-CN-6]
	}
	if in.Most > 0 {
		timeout = min(timeout, in.Most)
	}
	return timeout
}

// Patience tells how long Step would hold that connect now, 0 for not at all.
// Nothing changes.
func (s *Session) Patience(in Input) time.Duration {
	asks, ok := wish(in.Message, in.Via)
	if !ok || in.Refused != nil || !s.state.Alive() {
		return 0
	}
	return s.patience(in, asks, s.state == Handshaken)
}

// late answers a connect that was on its way when its session ended. The
// client of a disconnected session need not come back ([R-ERR-4]); that of an
// expired one handshakes anew ([R-ERR-5]).
func (s *Session) late(m *bayeux.Message) *bayeux.Message {
	reply := s.unknown(m)
	if s.verdict == nil && s.state == Disconnected {
		reply.Advice = again(bayeux.ReconnectNone)
	}
	return reply
}

// refuseConnect answers a connect that does not count as one. It shows that
// the client is there, and changes nothing else.
func (s *Session) refuseConnect(now instant.Time, in Input) Effects {
	s.Received(now)
	refused := in.Refused
	if refused == nil {
		refused = errAdvice
	}
	return Effects{Reply: in.Message.Reply().Fail(refused)}
}

// replace ends the hold that a newer connect replaces. On HTTP that is every
// newer one ([R-CN-20]), also when the newer one came by another kind of
// carrier ([R-WS-21]). Between WebSocket connects only one that is held
// replaces; else the older goes on ([R-WS-20]).
func (s *Session) replace(push, hold bool) Ended {
	if !s.holding || s.push && push && !hold {
		return Ended{}
	}
	return s.drop(Replaced)
}

// drop ends the hold without an answer.
func (s *Session) drop(cause Cause) Ended {
	s.holding, s.held = false, held{}
	return Ended{ID: uint64(s.holds), Cause: cause}
}

func (s *Session) hold(until instant.Time, in Input) Hold {
	s.holds++
	s.holding, s.push, s.held = true, in.Via.Push, held{until: until, reply: pack(in.Message.Reply())}
	return Hold{ID: uint64(s.holds), Until: until}
}

// answer makes the reply of a connect that is not held. Too many connects of
// one browser are told so, the first one and those with timeout 0 as well
// ([R-MC-4]).
func (s *Session) answer(in Input) *bayeux.Message {
	reply := in.Message.Reply().Succeed(true) // [R-CN-1]
	switch in.Browser {
	case BrowserRefuse:
		reply.Succeed(false) // without an error [R-MC-3]
		reply.Advice = (&bayeux.Advice{Reconnect: bayeux.ReconnectNone, MultipleClients: true}).Raw()
		s.advised = nil
	case BrowserPoll:
		reply.Advice = s.poll(in).Raw() // [R-MC-2]
	case BrowserFree:
		if in.Pause > 0 {
			s.pause(reply, in.Pause)
		} else {
			s.advise(reply)
		}
	}
	return reply
}

// pause has the client come again after d instead of its interval. Unlike that of
// poll it lets the session live as much longer: it is the server's wish.
// The answer after this one tells what holds then.
func (s *Session) pause(reply *bayeux.Message, d time.Duration) {
	s.asked, s.advised = clamp(d), nil
	s.advise(reply)
	s.advised = nil
}

// poll returns the advice that asks for polls, merged into full advice where
// that is due ([R-MC-2]). Its interval is not that of the session: it does
// not extend the session's life ([R-MC-6]).
func (s *Session) poll(in Input) *bayeux.Advice {
	a := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry}
	if s.due() {
		a = s.full()
		s.advised = s.way
	}
	interval := in.MultiInterval
	a.Interval, a.MultipleClients = &interval, true
	return a
}

// finish ends the hold with a reply. The clock waits for the reply to be
// written ([R-CN-18]).
func (s *Session) finish(now instant.Time, cause Cause) Ended {
	reply := s.held.reply.unpack()
	s.holding, s.held = false, held{}
	switch {
	case s.verdict != nil:
		sentence(reply, s.verdict)
	case s.state.Over():
		reply.Advice = s.farewell().Raw()
	default:
		s.advise(reply)
		s.write(now)
	}
	return Ended{ID: uint64(s.holds), Cause: cause, Reply: reply}
}

// Wake ends the hold because a message was queued ([R-CN-9]). The caller asks
// only where messages leave with connect replies: not on a WebSocket that
// pushes ([R-WS-11]), not while a request of the session itself is processed
// ([R-DL-2]). The hold of a removed session is not woken ([R-CN-17]).
func (s *Session) Wake(now instant.Time) Effects {
	var e Effects
	if s.holding && s.state.Alive() {
		e.Ended = s.finish(now, Woken)
	}
	return s.done(e)
}

// Release ends the hold because the server stops: the connect succeeds, with
// the advice drain (WIRE 16), whose timeout, where it has none, is the
// session's: there are clients that take the last advice for the whole of it
// (dojox.cometd), and would wait for ever for an answer that does not come. The
// session lives on; without drain it gets the advice of any other reply. A
// removed session's hold is told not to retry.
func (s *Session) Release(now instant.Time, drain *bayeux.Advice) Effects {
	var e Effects
	if !s.holding {
		return s.done(e)
	}
	if drain != nil && s.state.Alive() {
		advice := *drain
		if timeout := s.currentTimeout(); advice.Timeout == nil {
			advice.Timeout = &timeout
		}
		reply := s.held.reply.unpack()
		reply.Advice = advice.Raw()
		s.held.reply = pack(reply)
		s.advised = nil
	}
	e.Ended = s.finish(now, Released)
	return s.done(e)
}

// Lost says that the carrier of that hold is gone, its client has aborted:
// the hold ends as Dropped and the clock starts ([R-CN-21] as decided in
// WIRE 16). Another id, of a hold that has ended, changes nothing.
func (s *Session) Lost(now instant.Time, id uint64) Effects {
	var e Effects
	if s.holding && uint64(s.holds) == id {
		e.Ended = s.drop(Dropped)
		s.start(now)
	}
	return s.done(e)
}

// Detached says that the session's WebSocket is closed: a hold on it ends as
// Dropped and the session lives for maxInterval at least ([R-WS-18]). A hold on
// HTTP goes on.
func (s *Session) Detached(now instant.Time) Effects {
	var e Effects
	if s.holding && s.push {
		e.Ended = s.drop(Dropped)
	}
	if !s.holding && s.state.Alive() {
		if s.writing {
			s.start(now) // nobody is left to write
		}
		s.clock.extend(now.Add(s.life()))
	}
	return s.done(e)
}

// Takeover says that another carrier has taken the session: what is held on
// the old one ends as Replaced, on HTTP with the status of a duplicate, on a
// WebSocket without a word ([R-WS-21]). The clock starts; a connect on the new
// carrier stops it.
func (s *Session) Takeover(now instant.Time) Effects {
	var e Effects
	e.Ended = s.replace(false, false)
	if e.Ended.Cause != 0 {
		s.start(now)
	}
	return s.done(e)
}
