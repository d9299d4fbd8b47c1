package transport

import (
	"context"
	"sync"
	"time"
)

// memoryPoller is the Poller of connections in memory. It cannot look at them
// without reading, so whatever is armed is ready at once, and the read waits.
type memoryPoller struct {
	mu    sync.Mutex
	armed map[*Parked]bool
	ended bool
	arms  int
	calls sync.WaitGroup
}

func newMemoryPoller() *memoryPoller { return &memoryPoller{armed: make(map[*Parked]bool)} }

func (m *memoryPoller) Arm(p *Parked, _ time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return false
	}
	m.arms++
	m.armed[p] = true
	m.calls.Go(func() {
		if m.Disarm(p) {
			p.Ready()
		}
	})
	return true
}

func (m *memoryPoller) Disarm(p *Parked) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	armed := m.armed[p]
	delete(m.armed, p)
	return armed
}

func (m *memoryPoller) Wait(context.Context) error {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.calls.Wait()
	return nil
}
