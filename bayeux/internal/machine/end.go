package machine

import (
	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// disconnect ends the session for its client. It needs no connect before
// ([R-DC-1]); a held one is answered ([R-CN-15]).
func (s *Session) disconnect(now instant.Time, in Input) Effects {
	if !s.state.Alive() {
		return Effects{Reply: s.unknown(in.Message)} // [R-ERR-3]
	}
	if in.Refused != nil {
		s.Received(now)
		return Effects{Reply: in.Message.Reply().Fail(in.Refused)}
	}
	e := s.Disconnect(now, ReasonDisconnect)
	e.Reply = in.Message.Reply().Succeed(true)
	return e
}

// Disconnect ends the session from the server's side. A held connect is
// answered at once, with the advice not to retry ([R-CN-16]), also when the session was removed before.
func (s *Session) Disconnect(now instant.Time, reason Reason) Effects {
	var e Effects
	e.Removed = s.end(Disconnected, reason)
	if s.holding {
		e.Ended = s.finish(now, Terminated)
	}
	return s.done(e)
}

// Remove ends the session from the server's side without a word: a held
// connect stays until its time comes and is then told not to retry
// ([R-CN-17]). The caller goes on calling Expire until then.
func (s *Session) Remove(_ instant.Time, reason Reason) Effects {
	return s.done(Effects{Removed: s.end(Disconnected, reason)})
}

// Terminate ends the session with an error that its client is told: a held
// connect is answered with it at once, also when the session was removed
// before, and so is whatever still meets the session (see Sentenced). A
// session that has ended keeps its reason.
func (s *Session) Terminate(now instant.Time, reason Reason, verdict *bayeux.Error) Effects {
	if s.state.Over() && !s.holding {
		return s.done(Effects{})
	}
	s.verdict = verdict
	return s.Disconnect(now, reason)
}

// end enters a final state. It returns the reason, empty when the session had
// ended before.
func (s *Session) end(final State, reason Reason) Reason {
	if s.state.Over() {
		return ""
	}
	s.enter(final)
	return reason
}
