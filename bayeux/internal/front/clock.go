package front

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// tick is how often deadlines are looked at, at most.
const tick = int64(50 * time.Millisecond)

// clock has look called when a deadline may have passed: never early, and a
// tick late at most. There is no timer while there is no deadline.
type clock struct {
	look func(now int64) (next int64) // 0: none

	next atomic.Int64 // when it looks; math.MaxInt64: never

	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func newClock(look func(int64) int64) *clock {
	c := &clock{look: look}
	c.next.Store(math.MaxInt64)
	return c
}

// watch has it look at that time. It may be called with a connection's lock
// held.
func (c *clock) watch(at int64) {
	if at < c.next.Load() {
		c.set(at)
	}
}

func (c *clock) set(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || at >= c.next.Load() {
		return
	}
	c.next.Store(at)
	if c.timer != nil {
		c.timer.Stop()
	}
	now := time.Now().UnixNano()
	c.timer = time.AfterFunc(time.Duration(max(0, at-now)), c.fire)
}

func (c *clock) fire() {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.next.Store(math.MaxInt64) // what is set from now on counts
	c.mu.Unlock()
	now := time.Now().UnixNano()
	if next := c.look(now); next != 0 {
		c.watch(max(next, now+tick))
	}
}

// end stops it.
func (c *clock) end() {
	c.mu.Lock()
	c.ended = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
}
