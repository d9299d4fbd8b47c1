// Package scale is what runs with very many sessions have measured: files that
// they write, and that docs/PERFORMANCE.md is made from. Package internal/benchpeers
// reads them.
package scale

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// MillionFile is where `make million` writes its result, below the top of the
// source tree.
const MillionFile = "bin/bench/million.json"

// Million is what a crowd of sessions in one process cost, whose connections are in
// memory: `make million`. Each has two subscriptions, one of them to a channel of
// all and one to a channel of ten, and a held connect. Sizes are in bytes, for each
// session where not said otherwise.
type Million struct {
	System     string `json:"system"` // operating system, architecture, version of Go
	Processors int    `json:"processors"`
	Sessions   int    `json:"sessions"`
	Channels   int    `json:"channels"`

	// MakeSeconds is how long all took to come, one after the other: upgrade,
	// handshake, two subscriptions, two connects, with what the clients do for it.
	MakeSeconds float64 `json:"makeSeconds"`
	// Live is what lives in the heap of the server, Objects in how many objects.
	Live    float64 `json:"live"`
	Objects float64 `json:"objects"`
	// Resident is what the kernel counts, ten seconds after the last session and
	// without a forced collection; Least is after one, with all free memory given
	// back. Zero where it cannot be told.
	Resident float64 `json:"resident"`
	Least    float64 `json:"least"`

	// ToAll is a message to all.
	ToAll Spread `json:"toAll"`
	// RoomMicros is from a publish to ten until they have it: the median.
	RoomMicros float64 `json:"roomMicros"`
	// ConnectMicros is a connect that is answered at once and the next one, held:
	// two messages in, one answer.
	ConnectMicros float64 `json:"connectMicros"`

	Collector Collector `json:"collector"`

	// SweepMillis is one sweep of the router with no channel unused, LookMillis one
	// of the sum of all queues over its bound, which asks each session.
	SweepMillis float64 `json:"sweepMillis"`
	LookMillis  float64 `json:"lookMillis"`
	// Due is all held connects that end at one moment, Expiry all sessions that
	// expire at one, Close all connections that end.
	Due    Spread `json:"due"`
	Expiry Spread `json:"expiry"`
	Close  Spread `json:"close"`

	// LiveAfter, ResidentAfter and LeastAfter are what is left when all have gone,
	// the resident memory RestSeconds later, without a forced collection: the
	// runtime makes one of its own every two minutes.
	RestSeconds   float64 `json:"restSeconds"`
	LiveAfter     float64 `json:"liveAfter"`
	ResidentAfter float64 `json:"residentAfter"`
	LeastAfter    float64 `json:"leastAfter"`
}

// Spread is something done for all sessions.
type Spread struct {
	// Seconds until it was done for the last.
	Seconds float64 `json:"seconds"`
	// Micros of CPU for each.
	Micros float64 `json:"micros"`
}

// Collector is what garbage collection costs with all sessions there.
type Collector struct {
	// Seconds of a cycle, nothing else being done, and the seconds of CPU it took.
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
	// PauseMicros is the longest stop of the world for a collection, until all had
	// sent their connects.
	PauseMicros float64 `json:"pauseMicros"`
	// ShareMake is the part of the CPU that the collector used while the sessions
	// came, ShareConnect that while each sent a connect.
	ShareMake    float64 `json:"shareMake"`
	ShareConnect float64 `json:"shareConnect"`
}

// Write writes a result whole, into a folder that is made if missing.
func Write(name string, result any) error {
	b, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Read reads a result. A missing file is fs.ErrNotExist.
func Read[T any](name string) (*T, error) {
	b, err := os.ReadFile(name) //nolint:gosec // the caller names it
	if err != nil {
		return nil, err
	}
	result := new(T)
	if err := json.Unmarshal(b, result); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return result, nil
}
