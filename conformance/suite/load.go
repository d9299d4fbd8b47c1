package suite

import (
	"context"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// What the canary finds slow, and what it finds calm.
const (
	canaryEvery = 250 * time.Millisecond
	busyAfter   = 500 * time.Millisecond
	calmBelow   = 150 * time.Millisecond
	calmLimit   = 30 * time.Second
	attempts    = 3
	pace        = 5 * time.Millisecond
)

// watch is a canary: all through the run it asks the server for something
// trivial and takes the time. When even that is slow, the machine, the server
// or the network is too busy for a failure to mean anything, and a case that
// failed just then is run again.
type watch struct {
	mu     sync.Mutex
	spells [][2]time.Time // when it was busy
	asked  time.Time      // of the question that is under way; zero if none is
	last   time.Duration

	starts sync.Mutex // one case begins at a time
}

// run asks until ctx ends.
func (w *watch) run(ctx context.Context, r *Runner) {
	t := r.newT(ctx, Case{ID: "canary"}, r.first())
	t.tape = newScrap()
	c := t.Client()
	defer c.Close()
	for ctx.Err() == nil {
		w.begin()
		p := c.Start(c.ConnectMessage(M{"clientId": "canary", "advice": M{"timeout": 0}}))
		select {
		case <-p.ended:
		case <-ctx.Done():
			return
		}
		w.end()
		select {
		case <-time.After(canaryEvery):
		case <-ctx.Done():
		}
	}
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = time.Now()
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Since(w.asked)
	if w.last > busyAfter {
		w.spells = append(w.spells, [2]time.Time{w.asked, time.Now()})
	}
	w.asked = time.Time{}
}

// busy tells whether there was a busy spell since then.
func (w *watch) busy(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.asked.IsZero() && time.Since(w.asked) > busyAfter {
		return true
	}
	return len(w.spells) > 0 && w.spells[len(w.spells)-1][1].After(since)
}

// calm waits until the canary is quick again, but not for ever.
func (w *watch) calm(ctx context.Context) {
	limit := time.Now().Add(calmLimit)
	for ctx.Err() == nil && time.Now().Before(limit) {
		w.mu.Lock()
		ok := w.asked.IsZero() && w.last < calmBelow
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-time.After(canaryEvery):
		case <-ctx.Done():
		}
	}
}

// start lets cases begin one after the other, the slower the busier it is, so
// that the suite is not itself the load that it measures.
func (w *watch) start(ctx context.Context) {
	w.starts.Lock()
	defer w.starts.Unlock()
	w.mu.Lock()
	wait := pace + w.last/2
	if !w.asked.IsZero() {
		wait += time.Since(w.asked) / 2
	}
	w.mu.Unlock()
	select {
	case <-time.After(min(wait, 2*time.Second)):
	case <-ctx.Done():
	}
}

// attempt runs a case, and again if it failed while the machine was busy.
func (r *Runner) attempt(ctx context.Context, k task) *Result {
	for n := 1; ; n++ {
		r.watch.start(ctx)
		began := time.Now()
		t := r.newT(ctx, k.c, k.on)
		t.execute(r.caseLimit())
		if n > 1 {
			t.notes = append(t.notes, Note{Kind: NoteInfo, Text: "the machine was too busy before; this is another attempt"})
		}
		res := t.result(began)
		if res.Outcome == Pass || res.Outcome == Skipped || n == attempts || !r.watch.busy(began) || ctx.Err() != nil {
			return res
		}
		r.watch.calm(ctx)
	}
}

// newScrap returns a tape that keeps nothing.
func newScrap() *wire.Tape {
	t := wire.NewTape()
	t.Stop()
	return t
}
