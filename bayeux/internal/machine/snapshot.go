package machine

import (
	"errors"
	"time"

	"github.com/halleypush/halley/channels"
)

// Snapshot is a session without its carrier, to be kept as JSON. Durations are
// in nanoseconds; negative ones are not set.
type Snapshot struct {
	ID            string          `json:"id"`
	State         State           `json:"state"`
	Subscriptions []channels.Name `json:"subscriptions,omitempty"`

	// Times that server code set.
	Timeout     time.Duration `json:"timeout"`
	Interval    time.Duration `json:"interval"`
	MaxInterval time.Duration `json:"maxInterval"`
	// Asked is the interval that the client asked for.
	Asked time.Duration `json:"asked"`

	// Transport, Times and Reconnect are those of the last connect or
	// handshake; Advised is the transport last advised.
	Transport string `json:"transport,omitempty"`
	Times     Times  `json:"times"`
	Reconnect bool   `json:"reconnect,omitempty"`
	Advised   string `json:"advised,omitempty"`

	// Remaining is what is left of the session's time; a hold or an unwritten
	// reply counts as lost just now.
	Remaining time.Duration `json:"remaining"`
	// Holds is the number of ids given to holds.
	Holds uint64 `json:"holds,omitempty"`
}

// Snapshot returns a copy of the state. The session is not changed.
func (s *Session) Snapshot(now time.Time) Snapshot {
	c := *s
	if c.held != nil || c.clock.writing {
		c.held = nil
		c.start(now)
	}
	snap := Snapshot{
		ID: c.id, State: c.state, Subscriptions: c.Subscriptions(),
		Timeout: c.timeout, Interval: c.interval, MaxInterval: c.maxInterval, Asked: c.asked,
		Transport: c.way.transport, Times: c.way.times, Reconnect: c.way.reconnect,
		Advised: c.advised, Holds: c.holds,
	}
	if at := c.Deadline(); !at.IsZero() {
		snap.Remaining = max(0, at.Sub(now))
	}
	return snap
}

// Restore returns the session of a snapshot, with its time going on at now.
// It refuses a snapshot without an id.
func Restore(now time.Time, snap Snapshot) (*Session, error) {
	if snap.ID == "" {
		return nil, errors.New("machine: snapshot without an id")
	}
	s := New(snap.ID)
	s.state = snap.State
	s.timeout, s.interval, s.maxInterval = clamp(snap.Timeout), clamp(snap.Interval), clamp(snap.MaxInterval)
	s.asked = clamp(snap.Asked)
	s.way = way{transport: snap.Transport, times: snap.Times, reconnect: snap.Reconnect}
	s.advised, s.holds = snap.Advised, snap.Holds
	if len(snap.Subscriptions) > 0 {
		s.subs = make(map[channels.Name]struct{}, len(snap.Subscriptions))
		for _, name := range snap.Subscriptions {
			s.subs[name] = struct{}{}
		}
	}
	if s.state.Alive() {
		s.clock.run(now.Add(max(0, clamp(snap.Remaining))))
	}
	return s, nil
}
