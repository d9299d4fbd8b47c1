package server

import (
	"sync"

	"github.com/rs/zerolog"
)

// quiet bounds the lines of each kind that clients can have written to the log:
// so many a second, then they are counted and told with the next line.
type quiet struct {
	log  zerolog.Logger
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

func newQuiet(log zerolog.Logger, most int, now Clock) *quiet {
	return &quiet{log: log, most: most, now: now, kinds: make(map[string]*lines)}
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

// notice begins a line of that kind, failure one of an error; nil, which zerolog
// takes for a line that is not written, where there were too many.
func (q *quiet) notice(kind string) *zerolog.Event  { return q.line(kind, zerolog.InfoLevel) }
func (q *quiet) failure(kind string) *zerolog.Event { return q.line(kind, zerolog.ErrorLevel) }

func (q *quiet) line(kind string, level zerolog.Level) *zerolog.Event {
	ok, missed := q.allow(kind)
	if !ok {
		return nil
	}
	if missed > 0 {
		return q.log.WithLevel(level).Int("suppressed", missed) //nolint:zerologlint // the caller sends it
	}
	return q.log.WithLevel(level) //nolint:zerologlint // the caller sends it
}
