package bayeux

import (
	"fmt"
	"strings"
)

// SlowConsumer says what becomes of a message when the queue of a session has
// no room for it: the slow-consumer policy (WIRE 16 on [R-DL-8]). The zero value
// leaves it to the next wider setting: a channel's to the session's, that to
// the option slowConsumer of its transport.
//
// A policy loses only messages that may be lost: none that a carrier has
// taken, and with retained delivery none that has left before. Batch numbers
// are given when messages leave, so a loss makes no gap in them.
type SlowConsumer uint8

// The policies.
const (
	// SlowUnset leaves it to the next wider setting.
	SlowUnset SlowConsumer = iota
	// SlowDisconnect ends the session. Nothing is lost silently.
	SlowDisconnect
	// SlowDropOldest drops the oldest message that may be lost.
	SlowDropOldest
	// SlowDropNewest drops the message that has no room.
	SlowDropNewest
	// SlowConflate keeps the newest message of each broadcast channel, in the
	// place of the one that it replaces, from the time the queue is full until
	// the client has fetched all that waits. Where there are more channels than
	// room it drops the oldest, as SlowDropOldest does.
	SlowConflate

	// SlowPolicies is the number of values.
	SlowPolicies
)

func slowNames() [SlowPolicies]string {
	return [...]string{"", "disconnect", "drop-oldest", "drop-newest", "conflate"}
}

// SlowConsumerNames returns the names of the policies, SlowUnset apart.
func SlowConsumerNames() []string {
	names := slowNames()
	return names[1:]
}

// String returns the name, empty for SlowUnset.
func (p SlowConsumer) String() string {
	if p >= SlowPolicies {
		return fmt.Sprintf("SlowConsumer(%d)", uint8(p))
	}
	return slowNames()[p]
}

// ParseSlowConsumer is the inverse of String; the error names the choices.
func ParseSlowConsumer(text string) (SlowConsumer, error) {
	for i, name := range slowNames() {
		if name == text {
			return SlowConsumer(i), nil
		}
	}
	return SlowUnset, fmt.Errorf("slow-consumer policy %q: want one of %s", text, strings.Join(SlowConsumerNames(), ", "))
}

// MarshalText implements encoding.TextMarshaler.
func (p SlowConsumer) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *SlowConsumer) UnmarshalText(text []byte) (err error) {
	*p, err = ParseSlowConsumer(string(text))
	return err
}

// Backlog is an ability of sessions: what waits for the client, and how much of
// it there may be. Safe for concurrent use.
type Backlog interface {
	// Queued returns the messages of the queue and the bytes of their JSON,
	// those included that are on their way or not acknowledged.
	Queued() (messages int, bytes int64)
	// SetMaxQueue bounds the queue; zero and negative values are no bound. What
	// is in it already stays. The options maxQueue and maxQueueBytes are the
	// bounds of a new session.
	SetMaxQueue(messages int, bytes int64)
	// SetSlowConsumer sets the policy for all messages to this session, which
	// channels and options no longer choose; SlowUnset, or no policy at all,
	// returns to them.
	SetSlowConsumer(p SlowConsumer)
}
