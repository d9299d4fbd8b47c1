package queue

import (
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Snapshot is a queue to be kept as JSON.
type Snapshot struct {
	Messages  []Stored `json:"messages,omitempty"`
	Retaining bool     `json:"retaining,omitempty"`
	// Batch is the last batch number given out.
	Batch int64 `json:"batch,omitempty"`
}

// Stored is a message of a Snapshot.
type Stored struct {
	// JSON is the message: a string, so that it stays byte for byte what it is.
	JSON string `json:"json"`
	// Lazy tells that the message is lazy, Wait how long it still is, in
	// nanoseconds; a nil Wait is until others leave.
	Lazy bool           `json:"lazy,omitempty"`
	Wait *time.Duration `json:"wait,omitempty"`
	// Batch is the number under which it left or will leave, 0 for none; Sent
	// tells that it left and is not acknowledged.
	Batch int64 `json:"batch,omitempty"`
	Sent  bool  `json:"sent,omitempty"`
	// Left tells that it left once under a batch number.
	Left bool `json:"left,omitempty"`
	// Channel and Slow are those of the message, for the slow-consumer policy.
	Channel string              `json:"channel,omitempty"`
	Slow    bayeux.SlowConsumer `json:"slow,omitempty"`
}

// Snapshot returns a copy. Messages that are leased count as not sent, for
// nobody will report on them.
func (q *Queue) Snapshot(now instant.Time) Snapshot {
	if q == nil {
		return Snapshot{}
	}
	s := Snapshot{Retaining: q.retaining, Batch: q.batch}
	for i := range q.entries {
		e := &q.entries[i]
		if e.f == nil {
			continue
		}
		m := Stored{
			JSON: string(e.f.JSON), Lazy: e.lazy, Batch: e.batch, Sent: e.sent,
			Left: e.left, Channel: e.f.Channel, Slow: e.slow,
		}
		if !e.until.IsZero() {
			wait := max(0, e.until.Sub(now))
			m.Wait = &wait
		}
		s.Messages = append(s.Messages, m)
	}
	return s
}

// Restore returns the queue of a snapshot. Its messages are kept even if they
// pass the bounds of l; t may be nil.
func Restore(now instant.Time, s Snapshot, l Limits, t *Total) *Queue {
	q := New(l, t)
	q.retaining, q.batch = s.Retaining, max(0, s.Batch)
	for _, m := range s.Messages {
		e := entry{
			f:    &bayeux.Frozen{JSON: []byte(m.JSON), Channel: m.Channel},
			lazy: m.Lazy, batch: max(0, m.Batch), sent: m.Sent && s.Retaining,
			left: (m.Left || m.Sent) && s.Retaining, slow: m.Slow,
		}
		if m.Lazy && m.Wait != nil {
			e.until = now.Add(*m.Wait)
		}
		q.push(e)
	}
	return q
}
