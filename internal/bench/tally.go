package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds, up to a minute, to 1 %.
const (
	latencyMax    = int64(time.Minute / time.Microsecond)
	latencyDigits = 2
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, latencyMax, latencyDigits) }

// counts are what a tally has counted.
type counts struct {
	arrived    int64 // deliveries, whatever they are
	unique     int64 // that came the first time
	measured   int64 // of these: due within the measured time
	duplicates int64
	reordered  int64
	done       int64 // acknowledgements, or sessions that came and went
}

func (c *counts) add(o counts) {
	c.arrived += o.arrived
	c.unique += o.unique
	c.measured += o.measured
	c.duplicates += o.duplicates
	c.reordered += o.reordered
	c.done += o.done
}

// since is what was counted after o.
func (c counts) since(o counts) counts {
	return counts{
		arrived: c.arrived - o.arrived, unique: c.unique - o.unique, measured: c.measured - o.measured,
		duplicates: c.duplicates - o.duplicates, reordered: c.reordered - o.reordered, done: c.done - o.done,
	}
}

// tally counts for a shard of connections. The lock is taken once for what one
// read brought.
type tally struct {
	mu       sync.Mutex
	counts   counts
	from, to int64                   // what is measured: due within
	recent   *hdrhistogram.Histogram // measured since the last look
	total    *hdrhistogram.Histogram // measured before
}

func newTally() *tally {
	return &tally{recent: newHistogram(), total: newHistogram(), from: 1<<63 - 1}
}

// measure sets the time that counts, and forgets the latencies before it.
func (t *tally) measure(from, to int64) {
	t.mu.Lock()
	t.from, t.to = from, to
	t.recent.Reset()
	t.total.Reset()
	t.mu.Unlock()
}

// record notes a latency of something due at a time; the lock is held.
func (t *tally) record(due, now int64) bool {
	if due < t.from || due >= t.to {
		return false
	}
	_ = t.recent.RecordValue(min(max((now-due)/1000, 1), latencyMax)) // within its range
	return true
}

// look adds up, and merges what came since the last look into recent.
func (t *tally) look(sum *counts, recent *hdrhistogram.Histogram) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum.add(t.counts)
	recent.Merge(t.recent)
	t.total.Merge(t.recent)
	t.recent.Reset()
}

// sub is a stream that a client receives, and which messages it has seen.
type sub struct {
	stream uint32
	next   uint32 // the number after the highest seen
	seen   uint64 // bit n: number next-1-n came
}

// verdict on a message.
type verdict int

const (
	fresh verdict = iota
	duplicate
	reordered
)

// note takes a message's number. Gaps need no count: what is missing at the
// end is lost.
func (s *sub) note(seq uint32) verdict {
	if ahead := int64(seq) - int64(s.next); ahead >= 0 {
		if ahead+1 < 64 {
			s.seen = s.seen<<(ahead+1) | 1
		} else {
			s.seen = 1
		}
		s.next = seq + 1
		return fresh
	}
	back := s.next - 1 - seq
	if back >= 64 { // too far back to tell; a repetition is the likelier
		return duplicate
	}
	if s.seen>>back&1 == 1 {
		return duplicate
	}
	s.seen |= 1 << back
	return reordered
}
