package front

import (
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/agenda"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// tick is how often deadlines are looked at, at most.
const tick = 50 * time.Millisecond

// clock has connections looked at when their time may have come: never early,
// and a tick late at most. There is no timer while no connection has a time.
type clock struct {
	time instant.Clock

	mu sync.Mutex
	// Guarded by mu.
	agenda agenda.Agenda[*Conn]
	timer  *time.Timer
	at     instant.Time // when it fires; zero: it does not
	looked instant.Time // when it has looked last
	ended  bool
}

func newClock() *clock { return &clock{time: instant.New(time.Now())} }

// now is the time.
func (k *clock) now() instant.Time { return k.time.Now() }

// after is that long from now; zero if that is not positive.
func (k *clock) after(d time.Duration) instant.Time {
	if d <= 0 {
		return 0
	}
	return k.now().Add(d)
}

// of is the moment of a time, zero of the zero time.
func (k *clock) of(t time.Time) instant.Time {
	if t.IsZero() {
		return 0
	}
	return max(1, k.time.At(t)) // a deadline long ago is one
}

// passed tells whether a moment has come; zero never does.
func (k *clock) passed(at instant.Time) bool { return !at.IsZero() && !at.After(k.now()) }

// date is the time of a moment, zero of the zero moment.
func (k *clock) date(at instant.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	return k.time.Time(at)
}

// set has a connection looked at no later than at. It may be called with the
// connection's lock held.
func (k *clock) set(c *Conn, at instant.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.agenda.Set(c, at) && !k.ended {
		k.wind(at)
	}
}

// drop forgets a connection.
func (k *clock) drop(c *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.agenda.Drop(c)
}

// wind has it fire at that time, or when a tick has passed. The lock is held.
func (k *clock) wind(at instant.Time) {
	at = max(at, k.looked.Add(tick))
	if !k.at.IsZero() && !at.Before(k.at) {
		return
	}
	k.at = at
	wait := at.Sub(k.now())
	if k.timer == nil {
		k.timer = time.AfterFunc(wait, k.fire)
	} else {
		k.timer.Reset(wait)
	}
}

// fire looks at the connections whose time has come.
func (k *clock) fire() {
	now := k.now()
	k.mu.Lock()
	var late []*Conn
	for c, ok := k.agenda.Due(now); ok; c, ok = k.agenda.Due(now) {
		late = append(late, c)
	}
	k.mu.Unlock()
	for _, c := range late {
		c.expire(now)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at, k.looked = 0, now
	if next := k.agenda.Next(); !next.IsZero() && !k.ended {
		k.wind(next)
	}
}

// end stops it.
func (k *clock) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	if k.timer != nil {
		k.timer.Stop()
	}
}
