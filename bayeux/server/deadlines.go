package server

import (
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// deadlines serves the times of all sessions with one heap and one goroutine. A
// session is moved lazily: a later time is not entered, the session answers with
// it when it is looked at.
type deadlines struct {
	now   Clock
	clock instant.Clock
	fire  func(*session)
	poke  chan struct{}
	stop  chan struct{}

	mu    sync.Mutex
	queue sessionHeap
}

func newDeadlines(now Clock, clock instant.Clock, fire func(*session)) *deadlines {
	return &deadlines{
		now: now, clock: clock, fire: fire,
		poke: make(chan struct{}, 1), stop: make(chan struct{}),
	}
}

// set asks for the session to be looked at no later than at.
func (d *deadlines) set(s *session, at instant.Time) {
	d.mu.Lock()
	switch {
	case s.place == 0:
		d.queue = append(d.queue, deadline{})
		d.queue.up(len(d.queue)-1, deadline{at, s})
	case at.Before(d.queue[s.place-1].at):
		d.queue.up(int(s.place)-1, deadline{at, s})
	}
	first := s.place == 1
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
	if s.place > 0 {
		d.queue.remove(int(s.place) - 1)
	}
}

// all returns the sessions that wait for a time.
func (d *deadlines) all() []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*session, len(d.queue))
	for i := range d.queue {
		all[i] = d.queue[i].sess
	}
	return all
}

// due takes out the first session whose time has come; otherwise it tells how
// long to wait.
func (d *deadlines) due(now instant.Time) (*session, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil, time.Hour
	}
	s := d.queue[0].sess
	if wait := d.queue[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	d.queue.remove(0)
	return s, 0
}

// run fires deadlines until stop is closed.
func (d *deadlines) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s, wait := d.due(d.clock.At(d.now()))
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

// deadline is a session and when it is looked at.
type deadline struct {
	at   instant.Time
	sess *session
}

// sessionHeap has the first deadline in front: those at 4i+1 to 4i+4 are not
// before the one at i. Four, because a step down reads neighbours in memory and
// there are half as many.
type sessionHeap []deadline

// put gives d a place.
func (h sessionHeap) put(i int, d deadline) {
	h[i] = d
	d.sess.place = int32(i) + 1 //nolint:gosec // sessions in memory
}

// up gives d the place i, or one further in front.
func (h sessionHeap) up(i int, d deadline) {
	for i > 0 {
		parent := (i - 1) / 4
		if !d.at.Before(h[parent].at) {
			break
		}
		h.put(i, h[parent])
		i = parent
	}
	h.put(i, d)
}

// down gives d the place i, or one further behind.
func (h sessionHeap) down(i int, d deadline) {
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].at.Before(h[least].at) {
				least = c
			}
		}
		if !h[least].at.Before(d.at) {
			break
		}
		h.put(i, h[least])
		i = least
	}
	h.put(i, d)
}

// remove takes out the deadline at i.
func (h *sessionHeap) remove(i int) {
	old := *h
	old[i].sess.place = 0
	end := len(old) - 1
	last := old[end]
	old[end] = deadline{}
	*h = old[:end]
	if i == end {
		return
	}
	if i > 0 && last.at.Before(old[(i-1)/4].at) {
		h.up(i, last)
	} else {
		h.down(i, last)
	}
}
