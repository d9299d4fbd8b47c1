package bayeuxclient

import (
	"context"
	"sync/atomic"
	"time"
)

// callbacks calls functions one after the other on its own goroutine. The queue
// in between is bounded.
type callbacks struct {
	queue   chan func()
	stall   time.Duration
	discard atomic.Bool
	last    func()        // written before queue is closed, read after
	done    chan struct{} // closed by run
}

func newCallbacks(length int, stall time.Duration) *callbacks {
	return &callbacks{queue: make(chan func(), length), stall: stall, done: make(chan struct{})}
}

// run calls what is pushed until finish was called and the queue is empty.
func (q *callbacks) run() {
	defer close(q.done)
	for f := range q.queue {
		if !q.discard.Load() {
			f()
		}
	}
	q.last()
}

// push queues f. It waits while the queue is full, until ctx ends or, after the
// stall time, with ErrStalled.
func (q *callbacks) push(ctx context.Context, f func()) error {
	select {
	case q.queue <- f:
		return nil
	default:
	}
	t := time.NewTimer(q.stall)
	defer t.Stop()
	select {
	case q.queue <- f:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return ErrStalled
	}
}

// finish lets run end after what is queued, and has last called as the very
// last, also when the rest is discarded. No push may follow.
func (q *callbacks) finish(last func()) {
	q.last = last
	close(q.queue)
}
