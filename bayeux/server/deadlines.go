package server

import (
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/agenda"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// deadlines serves the times of all sessions with one heap and one goroutine. A
// session is moved lazily: a later time is not entered, the session answers with
// it when it is looked at.
type deadlines struct {
	now  func() instant.Time
	fire func(*session)
	poke chan struct{}
	stop chan struct{}

	mu     sync.Mutex
	agenda agenda.Agenda[*session]
}

func newDeadlines(now func() instant.Time, fire func(*session)) *deadlines {
	return &deadlines{
		now: now, fire: fire,
		poke: make(chan struct{}, 1), stop: make(chan struct{}),
	}
}

// set asks for the session to be looked at no later than at.
func (d *deadlines) set(s *session, at instant.Time) {
	d.mu.Lock()
	first := d.agenda.Set(s, at)
	d.mu.Unlock()
	if first {
		select {
		case d.poke <- struct{}{}:
		default:
		}
	}
}

// drop forgets a session that has ended.
func (d *deadlines) drop(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.agenda.Drop(s)
}

// all returns the sessions that wait for a time.
func (d *deadlines) all() []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.agenda.All()
}

// due takes out the first session whose time has come; otherwise it tells how
// long to wait.
func (d *deadlines) due(now instant.Time) (*session, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.agenda.Due(now); ok {
		return s, 0
	}
	if next := d.agenda.Next(); !next.IsZero() {
		return nil, next.Sub(now)
	}
	return nil, time.Hour
}

// run fires deadlines until stop is closed.
func (d *deadlines) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s, wait := d.due(d.now())
		if s != nil {
			d.fire(s)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-d.poke:
		case <-d.stop:
			return
		}
	}
}
