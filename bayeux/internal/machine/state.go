package machine

import "fmt"

// State is where a session stands ([R-CN-3]).
type State uint8

// The states. The zero value is Created.
const (
	// Created, CometD's NEW, is a session whose handshake has not succeeded
	// yet. Nobody outside the server knows it; it has no deadline and may be
	// thrown away.
	Created State = iota
	// Handshaken is a session that has not sent a connect yet. It may
	// subscribe and publish ([R-HS-16]); its first connect is never held.
	Handshaken
	// Connected is a session whose first connect was processed: the next ones
	// may be held.
	Connected
	// Disconnected is a session that ended on purpose, by its client or by the
	// server. A connect that meets it is told not to come back ([R-ERR-4]).
	Disconnected
	// Expired is a session that ended because nothing came from its client for
	// too long. A connect that meets it is told to handshake ([R-ERR-5]).
	Expired
)

// stateNames are the names as snapshots and logs spell them.
//
//nolint:gochecknoglobals // a constant table, never written
var stateNames = [...]string{"created", "handshaken", "connected", "disconnected", "expired"}

// transitions are the legal changes of state. What is not here does not
// happen; doc.go shows the same table and a test compares them.
//
//nolint:gochecknoglobals // a constant table, never written
var transitions = map[State][]State{
	Created:      {Handshaken, Disconnected},
	Handshaken:   {Connected, Disconnected, Expired},
	Connected:    {Disconnected, Expired},
	Disconnected: {},
	Expired:      {},
}

// String returns the name of the state.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Alive tells whether the client may use the session: it is Handshaken or
// Connected.
func (s State) Alive() bool { return s == Handshaken || s == Connected }

// Over tells whether the session has ended: it is Disconnected or Expired.
func (s State) Over() bool { return s == Disconnected || s == Expired }

// MarshalText implements encoding.TextMarshaler with the name of the state.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it refuses other names.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("machine: no state %q", text)
}
