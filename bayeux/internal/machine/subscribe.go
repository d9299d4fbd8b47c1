package machine

import (
	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/channels"
)

// errTooMany refuses a subscription beyond the bound (DESIGN 7).
var errTooMany = &bayeux.Error{Code: 403, Args: "subscriptions_limit", Text: bayeux.DeniedSubscribe}

// subscribe subscribes to the channels in their order, up to the first that is
// refused: those before it stay ([R-SB-3]). There is one reply ([R-SB-1]).
func (s *Session) subscribe(now instant.Time, in Input) Effects {
	switch {
	case s.state == Created || s.verdict != nil:
		return Effects{Reply: s.unknown(in.Message)}
	case !s.state.Alive():
		return Effects{Reply: in.Message.Reply().Fail(bayeux.ErrSubscribeFailed)} // [R-SB-8]
	}
	return s.each(now, in, func(e *Effects, name channels.Name) *bayeux.Error {
		if !name.IsBroadcast() || s.Subscribed(name) {
			return nil // without effect: [R-SB-6], [R-SB-5]
		}
		if in.MaxSubscriptions > 0 && len(s.subs) >= in.MaxSubscriptions {
			return errTooMany
		}
		s.join(name)                            // the session's, whatever its carrier [R-SB-15]
		e.Subscribe = append(e.Subscribe, name) // in effect before the reply [R-SB-14]
		return nil
	})
}

// unsubscribe is like subscribe. It succeeds for channels that the session is
// not subscribed to; the caller refuses those that do not exist, and meta
// channels ([R-SB-12]).
func (s *Session) unsubscribe(now instant.Time, in Input) Effects {
	if !s.state.Alive() {
		return Effects{Reply: s.unknown(in.Message)}
	}
	return s.each(now, in, func(e *Effects, name channels.Name) *bayeux.Error {
		if s.part(name) {
			e.Unsubscribe = append(e.Unsubscribe, name)
		}
		return nil
	})
}

// Unsubscribe ends subscriptions from the server's side; the client hears
// nothing of it. Those that the session does not have are passed over.
func (s *Session) Unsubscribe(names ...channels.Name) Effects {
	var e Effects
	for _, name := range names {
		if s.state.Alive() && s.part(name) {
			e.Unsubscribe = append(e.Unsubscribe, name)
		}
	}
	return s.done(e)
}

// each calls f for the channels of the message until one is refused, by the
// caller's verdicts or by f, and makes the reply. The caller may leave out
// channels that have no effect; it is he who refuses an empty array ([R-SB-4]).
func (s *Session) each(now instant.Time, in Input, f func(*Effects, channels.Name) *bayeux.Error) Effects {
	if !in.Silent {
		s.Received(now)
	}
	e := Effects{Reply: in.Message.Reply().Succeed(true)}
	if in.Refused != nil { // missing or invalid: nothing is done [R-SB-2]
		e.Reply.Fail(in.Refused)
		return e
	}
	for i, name := range in.Names {
		var refused *bayeux.Error
		if i < len(in.Refusals) {
			refused = in.Refusals[i] // [R-SB-7], [R-SB-8]
		}
		if refused == nil {
			refused = f(&e, name)
		}
		if refused != nil {
			e.Reply.Fail(refused)
			break
		}
	}
	return e
}
