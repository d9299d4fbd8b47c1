package hostileproxy

import (
	"sync"
	"time"
)

// hold keeps bytes back: the first ones until there are enough, or each piece until the next.
type hold struct {
	run   *run
	next  sink
	rule  Rule
	first int // how many first bytes are held; zero is each piece.
	limit time.Duration

	timers sync.WaitGroup // those that may fire.
	mu     sync.Mutex
	kept   []byte
	since  time.Time
	timer  *time.Timer
	open   bool // nothing is held any more.
	err    error
}

// holds puts in front of a sink what the rules hold back; stop gets all that must be stopped in the end.
func (r *run) holds(next sink, stop *[]*hold) sink {
	add := func(rule Rule, first int) {
		h := &hold{run: r, next: next, rule: rule, first: first, limit: r.rules.HoldTime}
		*stop = append([]*hold{h}, *stop...)
		next = h
	}
	if r.rules.HoldLast {
		add(RuleHoldLast, 0)
	}
	if r.rules.HoldFirst > 0 {
		add(RuleHoldFirst, r.rules.HoldFirst)
	}
	return next
}

func (h *hold) add(piece []byte, fresh bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open {
		return h.next.add(piece, fresh)
	}
	if h.first == 0 && fresh {
		h.releaseLocked()
	}
	h.keep(piece)
	if h.first > 0 && len(h.kept) >= h.first || len(h.kept) > h.run.c.p.keep {
		h.releaseLocked()
	}
	return h.err
}

func (h *hold) keep(piece []byte) {
	if h.since.IsZero() {
		h.since = time.Now()
		if h.limit > 0 {
			since := h.since
			h.timers.Add(1)
			h.timer = time.AfterFunc(h.limit, func() {
				defer h.timers.Done()
				h.expire(since)
			})
		}
	}
	h.kept = append(h.kept, piece...)
}

// expire releases what is held since the moment, if that still is.
func (h *hold) expire(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.Equal(since) {
		h.releaseLocked()
	}
}

// release lets go what is held.
func (h *hold) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.releaseLocked()
}

func (h *hold) releaseLocked() {
	if h.since.IsZero() {
		return
	}
	h.cancelTimer()
	h.run.held(h.rule, h.since, len(h.kept))
	err := h.next.add(h.kept, true)
	if h.err == nil {
		h.err = err
	}
	h.kept, h.since, h.open = nil, time.Time{}, h.first > 0
}

func (h *hold) cancelTimer() {
	if h.timer != nil && h.timer.Stop() {
		h.timers.Done()
	}
	h.timer = nil
}

func (h *hold) end() error {
	h.release()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return h.err
	}
	return h.next.end()
}

// stop forgets what is held, and waits for the timer.
func (h *hold) stop() {
	h.mu.Lock()
	h.kept, h.since = nil, time.Time{}
	h.cancelTimer()
	h.mu.Unlock()
	h.timers.Wait()
}
