package auth

import (
	"container/heap"
	"time"
)

// schedule calls run when something is due. One timer serves all; there is no
// goroutine while nothing is. The owner's lock guards it.
type schedule struct {
	run   func()
	queue queue
	timer *time.Timer
	at    time.Time // when the timer goes off; zero: it does not
}

// due is the place of a session in a schedule; the zero value is in none.
type due struct {
	entry *entry
	at    time.Time
	index int // in the queue, from 1
}

// set puts or moves d; the zero time takes it away.
func (s *schedule) set(d *due, at time.Time) {
	switch {
	case at.IsZero():
		s.drop(d)
		return
	case d.index == 0:
		d.at = at
		heap.Push(&s.queue, d)
	default:
		d.at = at
		heap.Fix(&s.queue, d.index-1)
	}
	s.arm()
}

// drop takes d away. The timer may go off for nothing.
func (s *schedule) drop(d *due) {
	if d.index > 0 {
		heap.Remove(&s.queue, d.index-1)
	}
}

// take takes away and returns what is due.
func (s *schedule) take(now time.Time) []*entry {
	var out []*entry
	for len(s.queue) > 0 && !s.queue[0].at.After(now) {
		d, _ := heap.Pop(&s.queue).(*due)
		out = append(out, d.entry)
	}
	s.at = time.Time{}
	s.arm()
	return out
}

func (s *schedule) arm() {
	if len(s.queue) == 0 || !s.at.IsZero() && !s.queue[0].at.Before(s.at) {
		return
	}
	s.at = s.queue[0].at
	wait := max(0, time.Until(s.at))
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.run)
		return
	}
	s.timer.Reset(wait)
}

func (s *schedule) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.at = time.Time{}
}

// queue is a heap of what is due.
type queue []*due

// Len implements sort.Interface.
func (q queue) Len() int { return len(q) }

// Less implements sort.Interface.
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

// Swap implements sort.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (q *queue) Push(v any) {
	d, _ := v.(*due)
	*q = append(*q, d)
	d.index = len(*q)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	d.index = 0
	return d
}
