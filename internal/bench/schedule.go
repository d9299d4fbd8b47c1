package bench

import (
	"sync/atomic"
	"time"
)

// pace bounds how many things begin a second. A nil one bounds nothing. It may be
// used by many goroutines.
type pace struct {
	interval float64 // nanoseconds
	begun    atomic.Int64
}

func newPace(rate float64) *pace {
	if rate <= 0 {
		return nil
	}
	return &pace{interval: float64(time.Second) / rate}
}

// take tells whether one more may begin, at a time of the run's clock.
func (p *pace) take(now int64) bool {
	if p == nil {
		return true
	}
	for {
		n := p.begun.Load()
		if float64(n)*p.interval > float64(now) {
			return false
		}
		if p.begun.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// schedule says when each group of messages is due: group k at start plus k
// intervals, whatever happened to the groups before it. All times are
// nanoseconds of the run's clock.
type schedule struct {
	start    int64
	interval float64
	count    int64
	next     int64 // the first group that was not taken
}

// newSchedule plans rate messages a second in groups of batch, for a time.
func newSchedule(start int64, rate float64, batch int, length time.Duration) schedule {
	interval := float64(time.Second) * float64(batch) / rate
	return schedule{start: start, interval: interval, count: max(1, int64(float64(length)/interval))}
}

// at is when a group is due.
func (s *schedule) at(k int64) int64 { return s.start + int64(float64(k)*s.interval) }

// take returns the next group if it is due.
func (s *schedule) take(now int64) (k, due int64, ok bool) {
	if s.next >= s.count {
		return 0, 0, false
	}
	if due = s.at(s.next); due > now {
		return 0, 0, false
	}
	s.next++
	return s.next - 1, due, true
}

// At thousands of groups a second, to wake for each would be the dearest thing
// that the generator does: those of half a millisecond leave together then, late
// by a quarter of it on average, which counts as latency.
const (
	dense     = 250 * time.Microsecond // the interval of groups below which it is so
	denseWait = 500 * time.Microsecond
)

// wait is how long nothing is to be sent; done when nothing will be.
func (s *schedule) wait(now int64) (d time.Duration, done bool) {
	if s.next >= s.count {
		return 0, true
	}
	d = time.Duration(max(0, s.at(s.next)-now))
	if d > 0 && s.interval < float64(dense) {
		d = max(d, denseWait)
	}
	return d, false
}
