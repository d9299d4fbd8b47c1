// Package instant is the time as machines, queues and deadlines keep it: one
// word instead of the three of time.Time, of which there are several in each
// session. It does not follow the clock on the wall when that is set.
package instant

import "time"

// Time is a moment, in nanoseconds of a Clock. The zero value is no moment, and
// before all others.
type Time int64

// Add returns t+d. The caller bounds d, so that the sum does not overflow.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Before tells whether t is before u.
func (t Time) Before(u Time) bool { return t < u }

// After tells whether t is after u.
func (t Time) After(u Time) bool { return t > u }

// IsZero tells whether t is no moment.
func (t Time) IsZero() bool { return t == 0 }

// start is the moment at which a Clock begins: later than zero, which is none,
// by more than anybody looks back.
const start = Time(24 * time.Hour)

// Clock counts from a beginning. Moments of different clocks have nothing to do
// with each other.
type Clock struct{ begin time.Time }

// New returns a clock that begins at begin.
func New(begin time.Time) Clock { return Clock{begin} }

// Now returns the moment by the system's clock, for less than At(time.Now()) does.
func (c Clock) Now() Time { return start.Add(time.Since(c.begin)) }

// At returns the moment of a time, which is not more than a day before the
// clock's beginning.
func (c Clock) At(t time.Time) Time { return start.Add(t.Sub(c.begin)) }

// Time returns the time of a moment.
func (c Clock) Time(t Time) time.Time { return c.begin.Add(t.Sub(start)) }
