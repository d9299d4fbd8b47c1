package machine

import (
	"slices"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/channels"
)

// Names of the meta channels.
const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"
)

// Session is the protocol state of one session. It is not safe for concurrent
// use: the caller has a lock, and carries effects out after releasing it, in
// the sequence of the calls. now never needs to be later than before; a clock
// that goes back only shifts deadlines.
//
// There is one for each client there is, mostly with a connect held and nothing
// to do: what few of them have stands behind a pointer.
type Session struct {
	id   string
	subs []channels.Name // sorted

	tuned *tuned // nil: server code has set no times
	// asked is the interval that the client's last connect asked for; negative
	// when it did not ([R-CN-14]).
	asked time.Duration

	// way is that of the last handshake or connect; while a connect is held, its.
	// Nil before the handshake.
	way *Via
	// advised is the way by which the client was last sent full advice; nil when
	// full advice is due ([R-AD-1]).
	advised *Via

	verdict *bayeux.Error // what Terminate said; nil: the session did not end so

	held  held // while holding is true
	clock clock

	holds   uint32 // ids given out; the last is that of the hold there is
	state   State
	holding bool
	push    bool // the carrier of the hold pushes
	writing bool // a connect's reply is on its way
}

// held is a connect that waits.
type held struct {
	until instant.Time
	reply stub
}

// New returns a session in the state Created.
func New(id string) *Session {
	s := new(Session)
	s.Begin(id)
	return s
}

// Begin makes a zero Session one in the state Created, for who has a place for
// it.
func (s *Session) Begin(id string) { s.id, s.asked = id, -1 }

// Step processes a message. A session that ended after the caller had looked
// it up gives the answers of that case, so the caller needs no check of its
// own: 402 to all ([R-DC-3]), but "subscribe_failed" to a subscribe
// ([R-SB-8]). Any other channel than the five of a session counts as a
// publish: it is acknowledged, and Received.
func (s *Session) Step(now instant.Time, in Input) Effects {
	var e Effects
	switch in.Message.Channel {
	case metaHandshake:
		e = s.handshake(now, in)
	case metaConnect:
		e = s.connect(now, in)
	case metaSubscribe:
		e = s.subscribe(now, in)
	case metaUnsubscribe:
		e = s.unsubscribe(now, in)
	case metaDisconnect:
		e = s.disconnect(now, in)
	default:
		e = s.publish(now, in)
	}
	return s.done(e)
}

// done fills in what all effects have.
func (s *Session) done(e Effects) Effects {
	e.Wake = s.Deadline()
	return e
}

func (s *Session) publish(now instant.Time, in Input) Effects {
	if !s.state.Alive() {
		return Effects{Reply: s.unknown(in.Message)}
	}
	s.Received(now)
	if in.Refused != nil {
		return Effects{Reply: in.Message.Reply().Fail(in.Refused)}
	}
	return Effects{Reply: in.Message.Reply().Succeed(true)} // [R-PB-1]
}

// Unknown returns the reply to a message of a session that the server does
// not know, or that is not the session of its request or connection
// ([R-ID-1], [R-ID-5], [R-ERR-1]). Connects and handshakes are told to
// handshake; no other reply has advice ([R-ERR-2], [R-ERR-3]).
func Unknown(m *bayeux.Message) *bayeux.Message {
	reply := m.Reply().Fail(bayeux.ErrSessionUnknown)
	if m.Channel == metaConnect || m.Channel == metaHandshake {
		reply.Advice = again(bayeux.ReconnectHandshake)
	}
	return reply
}

// Sentenced returns the reply to a message of a session that server code has
// ended with that error: it takes the place of Unknown. Without advice of the
// error's own, connects and handshakes are told not to come back.
func Sentenced(m *bayeux.Message, verdict *bayeux.Error) *bayeux.Message {
	return sentence(m.Reply(), verdict)
}

func sentence(reply *bayeux.Message, verdict *bayeux.Error) *bayeux.Message {
	advice := verdict.Advice
	reply.Fail(verdict)
	reply.Advice = nil
	if reply.Channel != metaConnect && reply.Channel != metaHandshake {
		return reply
	}
	reply.Advice = again(bayeux.ReconnectNone)
	if advice != nil {
		reply.Advice = advice.Raw()
	}
	return reply
}

// unknown answers a message of the session that met its end.
func (s *Session) unknown(m *bayeux.Message) *bayeux.Message {
	if s.verdict != nil {
		return Sentenced(m, s.verdict)
	}
	return Unknown(m)
}

// enter changes the state. The callers keep to the table of transitions; one
// that does not changes nothing.
func (s *Session) enter(next State) {
	if slices.Contains(transitions[s.state], next) {
		s.state = next
	}
}

// ID returns the clientId.
func (s *Session) ID() string { return s.id }

// State returns the state.
func (s *Session) State() State { return s.state }

// Subscribed tells whether the session is subscribed to exactly that channel.
func (s *Session) Subscribed(name channels.Name) bool {
	_, ok := slices.BinarySearch(s.subs, name)
	return ok
}

// join notes a subscription that is new.
func (s *Session) join(name channels.Name) {
	at, _ := slices.BinarySearch(s.subs, name)
	s.subs = slices.Insert(s.subs, at, name)
}

// part ends a subscription and tells whether there was one.
func (s *Session) part(name channels.Name) bool {
	at, ok := slices.BinarySearch(s.subs, name)
	if ok {
		s.subs = slices.Delete(s.subs, at, at+1)
	}
	if len(s.subs) == 0 {
		s.subs = nil
	}
	return ok
}

// Subscriptions returns a sorted copy, never nil. A session that ended still
// has those it had at its end, for the caller to undo ([R-EX-5]).
func (s *Session) Subscriptions() []channels.Name {
	return append(make([]channels.Name, 0, len(s.subs)), s.subs...)
}

// SubscriptionCount returns the number of subscriptions.
func (s *Session) SubscriptionCount() int { return len(s.subs) }

// Held returns the connect that is held: its id, when Expire answers it and
// whether its carrier pushes; ok is false when there is none. A session that
// was removed may still have one ([R-CN-17]).
func (s *Session) Held() (id uint64, until instant.Time, push, ok bool) {
	if !s.holding {
		return 0, 0, false, false
	}
	return uint64(s.holds), s.held.until, s.push, true
}

// Advised returns the transport whose full advice the client has; empty when
// the next connect reply brings it ([R-AD-1]).
func (s *Session) Advised() string {
	if s.advised == nil {
		return ""
	}
	return s.advised.Transport
}
