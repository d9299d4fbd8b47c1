package auth

import (
	"maps"
	"sync"
)

// Stats are the extension's figures at a moment.
type Stats struct {
	// Handshakes and Refreshes count by Outcome, those of sessions that the
	// policy refused afterwards too.
	Handshakes, Refreshes map[string]uint64
	// Ended counts the sessions that were ended by reason: expired, revoked.
	Ended map[string]uint64
	// Warned counts the warnings before an end, Narrowed the subscriptions that
	// a narrower token has ended.
	Warned, Narrowed uint64
	// Revocations are those that are remembered; Full counts those for which
	// there was no room.
	Revocations int
	Full        uint64
	// Hook is how long the questions of methods such as Hook took.
	Hook Latency
}

// counts are the counters behind Stats. Their lock is a leaf.
type counts struct {
	mu    sync.Mutex
	stats Stats
}

func (c *counts) init() {
	c.stats.Handshakes, c.stats.Refreshes, c.stats.Ended = map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
}

func (c *counts) add(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}

func (c *counts) handshake(o Outcome) { c.add(func(s *Stats) { s.Handshakes[string(o)]++ }) }
func (c *counts) refresh(o Outcome)   { c.add(func(s *Stats) { s.Refreshes[string(o)]++ }) }
func (c *counts) ended(o Outcome)     { c.add(func(s *Stats) { s.Ended[string(o)]++ }) }
func (c *counts) warned()             { c.add(func(s *Stats) { s.Warned++ }) }
func (c *counts) full()               { c.add(func(s *Stats) { s.Full++ }) }
func (c *counts) narrowed(n int)      { c.add(func(s *Stats) { s.Narrowed += uint64(max(0, n)) }) }

// Stats returns the figures of this moment.
func (x *Extension) Stats() Stats {
	x.mu.Lock()
	n := x.revoked.size()
	x.mu.Unlock()
	x.count.mu.Lock()
	defer x.count.mu.Unlock()
	s := x.count.stats
	s.Handshakes, s.Refreshes, s.Ended = maps.Clone(s.Handshakes), maps.Clone(s.Refreshes), maps.Clone(s.Ended)
	s.Revocations = n
	for _, m := range x.config.Methods {
		if timed, ok := m.(interface{ Latency() Latency }); ok {
			l := timed.Latency()
			s.Hook = Latency{s.Hook.Count + l.Count, s.Hook.Sum + l.Sum, s.Hook.Failed + l.Failed}
		}
	}
	return s
}
