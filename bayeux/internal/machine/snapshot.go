package machine

import (
	"errors"
	"slices"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
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
func (s *Session) Snapshot(now instant.Time) Snapshot {
	c := *s
	if c.holding || c.writing {
		c.holding = false
		c.start(now)
	}
	own := c.set()
	snap := Snapshot{
		ID: c.id, State: c.state, Subscriptions: c.Subscriptions(),
		Timeout: own.timeout, Interval: own.interval, MaxInterval: own.maxInterval, Asked: c.asked,
		Transport: c.transport(), Times: c.times(), Reconnect: c.reconnects(),
		Advised: c.Advised(), Holds: uint64(c.holds),
	}
	if at := c.Deadline(); !at.IsZero() {
		snap.Remaining = max(0, at.Sub(now))
	}
	return snap
}

// Restore returns the session of a snapshot, with its time going on at now.
// It refuses a snapshot without an id.
func Restore(now instant.Time, snap Snapshot) (*Session, error) {
	if snap.ID == "" {
		return nil, errors.New("machine: snapshot without an id")
	}
	s := New(snap.ID)
	s.state = snap.State
	if own := (tuned{clamp(snap.Timeout), clamp(snap.Interval), clamp(snap.MaxInterval)}); own != (tuned{-1, -1, -1}) {
		s.tuned = &own
	}
	s.asked = clamp(snap.Asked)
	s.way = &Via{Transport: snap.Transport, Times: snap.Times, HandshakeReconnect: snap.Reconnect}
	s.holds = uint32(snap.Holds) //nolint:gosec // may wrap
	if snap.Advised != "" {
		s.advised = &Via{Transport: snap.Advised}
	}
	s.subs = slices.Compact(slices.Sorted(slices.Values(snap.Subscriptions)))
	if s.state.Alive() {
		s.run(now.Add(max(0, clamp(snap.Remaining))))
	}
	return s, nil
}
