package server

import (
	"sync"

	"github.com/rs/zerolog"
)

// quiet bounds the lines of each kind that clients can have written to the log:
// so many a second, then they are counted and told with the next line.
type quiet struct {
	most int // a second; negative: no bound
	now  Clock

	mu    sync.Mutex
	kinds map[string]*lines // keys are constants of the program
}

// lines are those of one kind in one second.
type lines struct {
	second  int64
	written int
	missed  int
}

func newQuiet(most int, now Clock) *quiet {
	return &quiet{most: most, now: now, kinds: make(map[string]*lines)}
}

// allow tells whether one more line may be written, and how many were not since
// the last.
func (q *quiet) allow(kind string) (ok bool, missed int) {
	second := q.now().Unix()
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.kinds[kind]
	if l == nil {
		l = &lines{}
		q.kinds[kind] = l
	}
	if l.second != second {
		l.second, l.written = second, 0
	}
	if q.most >= 0 && l.written >= q.most {
		l.missed++
		return false, 0
	}
	l.written++
	missed, l.missed = l.missed, 0
	return true, missed
}

// of leaves a line of that kind out where there were too many; it is for
// zerolog's Event.Func.
func (q *quiet) of(kind string) func(*zerolog.Event) {
	return func(e *zerolog.Event) {
		switch ok, missed := q.allow(kind); {
		case !ok:
			e.Discard()
		case missed > 0:
			e.Int("suppressed", missed)
		}
	}
}
