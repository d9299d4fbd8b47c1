package server

import (
	"container/heap"
	"slices"
	"sync"
	"time"
)

// deadline is a session's place among the deadlines. It is moved lazily: a
// later time is not entered, the session answers with it when it is looked at.
type deadline struct {
	at    time.Time
	index int // position in the heap plus one; 0: not in it
}

// deadlines serves the times of all sessions with one heap and one goroutine.
type deadlines struct {
	clock Clock
	fire  func(*session)
	poke  chan struct{}
	stop  chan struct{}

	mu    sync.Mutex
	queue sessionHeap
}

func newDeadlines(clock Clock, fire func(*session)) *deadlines {
	return &deadlines{
		clock: clock, fire: fire,
		poke: make(chan struct{}, 1), stop: make(chan struct{}),
	}
}

// set asks for the session to be looked at no later than at.
func (d *deadlines) set(s *session, at time.Time) {
	d.mu.Lock()
	e := &s.entry
	switch {
	case e.index == 0:
		e.at = at
		heap.Push(&d.queue, s)
	case at.Before(e.at):
		e.at = at
		heap.Fix(&d.queue, e.index-1)
	}
	first := e.index == 1
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
	if s.entry.index > 0 {
		heap.Remove(&d.queue, s.entry.index-1)
	}
}

// all returns the sessions that wait for a time.
func (d *deadlines) all() []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.queue)
}

// due takes out the first session whose time has come; otherwise it tells how
// long to wait.
func (d *deadlines) due(now time.Time) (*session, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil, time.Hour
	}
	if wait := d.queue[0].entry.at.Sub(now); wait > 0 {
		return nil, wait
	}
	s, _ := heap.Pop(&d.queue).(*session)
	return s, 0
}

// run fires deadlines until stop is closed.
func (d *deadlines) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s, wait := d.due(d.clock())
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

// sessionHeap is a heap.Interface over the sessions' deadlines.
type sessionHeap []*session

func (h sessionHeap) Len() int           { return len(h) }
func (h sessionHeap) Less(i, j int) bool { return h[i].entry.at.Before(h[j].entry.at) }
func (h sessionHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].entry.index, h[j].entry.index = i+1, j+1
}

func (h *sessionHeap) Push(x any) {
	s, _ := x.(*session)
	*h = append(*h, s)
	s.entry.index = len(*h)
}

func (h *sessionHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.entry.index = 0
	return s
}
