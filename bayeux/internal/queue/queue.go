package queue

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// ErrFull is what the errors of Append are, in the sense of errors.Is; their
// type is *FullError.
var ErrFull = errors.New("queue is full")

// The bounds of a queue, by name.
const (
	LimitMessages = "messages"
	LimitBytes    = "bytes"
)

// FullError says which bound a message would have passed.
type FullError struct {
	// Limit is LimitMessages or LimitBytes.
	Limit string
	// Max is the bound.
	Max int64
}

// Error names the bound.
func (e *FullError) Error() string {
	return fmt.Sprintf("%v: more than %d %s", ErrFull, e.Max, e.Limit)
}

// Is makes errors.Is(err, ErrFull) true.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Limits bound one queue. Waiting, leased and retained messages count. Zero
// and negative values are no bound.
type Limits struct {
	// Messages is their number.
	Messages int `json:"messages"`
	// Bytes is the length of their JSON.
	Bytes int64 `json:"bytes"`
}

// Total counts the bytes of many queues together: each message once, however
// many queues share it. It is safe for concurrent use; a message must not be in
// queues of different totals.
type Total struct{ bytes atomic.Int64 }

// NewTotal returns a total of nothing.
func NewTotal() *Total { return &Total{} }

// Bytes returns the length of the JSON of all queued messages.
func (t *Total) Bytes() int64 { return t.bytes.Load() }

func (t *Total) add(f *bayeux.Frozen) {
	if t != nil && f.Retain() {
		t.bytes.Add(int64(len(f.JSON)))
	}
}

func (t *Total) remove(f *bayeux.Frozen) {
	if t != nil && f.Release() {
		t.bytes.Add(-int64(len(f.JSON)))
	}
}

// entry is a message and where it stands: waiting (lease 0, not sent), leased
// (lease not 0) or retained (lease 0, sent).
type entry struct {
	f     *bayeux.Frozen // nil: removed, the place is empty
	seq   uint64         // ascending along the queue
	until instant.Time   // when a lazy one has waited enough; zero: never by itself
	batch int64          // the number it left or will leave under; 0: none yet
	lease uint64         // the lease that has it; 0: none
	at    int32          // its place in that lease
	sent  bool
	lazy  bool
	left  bool // it has left under a batch number, and is promised
	slow  bayeux.SlowConsumer
}

func (e *entry) waiting() bool { return e.f != nil && e.lease == 0 && !e.sent }

// spare tells whether the message may be dropped for another.
func (e *entry) spare() bool {
	return e.waiting() && !e.left && (e.slow == bayeux.SlowDropOldest || e.slow == bayeux.SlowConflate)
}

// Queue is the outgoing messages of one session, in the order in which they
// were queued. It is not safe for concurrent use. A nil Queue is one with nothing
// in it, for methods that put nothing in.
type Queue struct {
	limits Limits
	total  *Total

	entries []entry
	empty   int   // places in entries without a message
	bytes   int64 // of all messages
	unsent  int   // waiting messages
	urgent  int   // waiting messages that are not lazy
	// first is the earliest time of a waiting lazy message; when stale, it has
	// to be looked for again.
	first instant.Time
	stale bool
	slow  slow // see policy.go

	retaining bool
	batch     int64  // the last number given out
	seqs      uint64 // the last one given out
	leases    uint64 // the last one given out
}

// New returns an empty queue. t may be nil.
func New(l Limits, t *Total) *Queue { return &Queue{limits: l, total: t} }

// Append queues a message that no policy may drop. With a zero lazyUntil it
// wants to leave at once; else it is lazy and leaves with others, or from that
// time on by itself ([R-DL-5]). If a bound would be passed, nothing is queued
// and the error is a *FullError.
func (q *Queue) Append(f *bayeux.Frozen, lazyUntil instant.Time) error {
	if limit := q.lack(int64(len(f.JSON))); limit != "" {
		return q.full(limit)
	}
	q.push(entry{f: f, until: lazyUntil, lazy: !lazyUntil.IsZero()})
	return nil
}

// lack names the bound that one more message of that size would pass; empty
// if there is room.
func (q *Queue) lack(size int64) string {
	if l := q.limits.Messages; l > 0 && q.Len() >= l {
		return LimitMessages
	}
	if l := q.limits.Bytes; l > 0 && q.bytes+size > l {
		return LimitBytes
	}
	return ""
}

func (q *Queue) full(limit string) *FullError {
	if limit == LimitBytes {
		return &FullError{Limit: limit, Max: q.limits.Bytes}
	}
	return &FullError{Limit: limit, Max: int64(q.limits.Messages)}
}

// Limits returns the bounds.
func (q *Queue) Limits() Limits { return q.limits }

// SetLimits changes the bounds. What is queued already stays.
func (q *Queue) SetLimits(l Limits) {
	q.limits = l
	q.slow.maxed = q.slow.maxed && !q.drained()
}

func (q *Queue) push(e entry) {
	q.seqs++
	e.seq = q.seqs
	q.entries = append(q.entries, e)
	q.bytes += int64(len(e.f.JSON))
	q.total.add(e.f)
	q.count(&e, 1)
}

// count adds a waiting entry to the counters, or takes it off. Each change of
// an entry is put between count(e, -1) and count(e, 1).
func (q *Queue) count(e *entry, by int) {
	if !e.waiting() {
		return
	}
	q.unsent += by
	if e.spare() {
		q.slow.spare += int32(by) //nolint:gosec // 1 or -1
		q.slow.spareBytes += int64(by) * int64(len(e.f.JSON))
	}
	switch {
	case !e.lazy:
		q.urgent += by
	case e.until.IsZero():
	case by < 0:
		q.stale = q.stale || !q.first.Before(e.until)
	case q.first.IsZero() || e.until.Before(q.first):
		q.first = e.until
	}
}

// set changes where an entry stands.
func (q *Queue) set(e *entry, lease uint64, sent bool) {
	q.count(e, -1)
	e.lease, e.sent = lease, sent
	q.count(e, 1)
}

// remove takes an entry's message out. tidy must follow.
func (q *Queue) remove(e *entry) {
	q.count(e, -1)
	q.bytes -= int64(len(e.f.JSON))
	q.total.remove(e.f)
	e.f = nil
	q.empty++
	q.slow.maxed = q.slow.maxed && !q.drained()
}

// roomy is the capacity above which an empty queue gives its memory back, so
// that idle sessions keep little.
const roomy = 16

// tidy drops empty places: all of them when there is nothing else, or when they
// are more than a third. calm follows.
func (q *Queue) tidy() {
	q.close()
	q.calm()
}

func (q *Queue) close() {
	switch {
	case q.empty < len(q.entries):
		if q.empty > len(q.entries)/3 {
			q.compact()
		}
		return
	case cap(q.entries) > roomy:
		q.entries = nil
	default:
		q.entries = q.entries[:0]
	}
	q.empty, q.slow.oldest, q.slow.places = 0, 0, nil
}

// compact drops all empty places. It needs no memory.
func (q *Queue) compact() {
	q.entries = slices.DeleteFunc(q.entries, func(e entry) bool { return e.f == nil })
	q.empty, q.slow.oldest, q.slow.places = 0, 0, nil
}

// Clear removes all messages. Leases that are out keep theirs, and Done for
// them does nothing. Batch numbers go on.
func (q *Queue) Clear() {
	if q == nil {
		return
	}
	for i := range q.entries {
		if q.entries[i].f != nil {
			q.remove(&q.entries[i])
		}
	}
	q.tidy()
}

// Len returns the number of messages: waiting, leased and retained.
func (q *Queue) Len() int {
	if q == nil {
		return 0
	}
	return len(q.entries) - q.empty
}

// Blank tells whether the queue is like a new one: it has nothing, and no
// retained delivery. Leases that are out are not looked at.
func (q *Queue) Blank() bool {
	return q.Len() == 0 && !q.Retaining() && !q.slow.maxed && !q.slow.conflating
}

// Bytes returns the length of their JSON.
func (q *Queue) Bytes() int64 {
	if q == nil {
		return 0
	}
	return q.bytes
}

// Unsent returns the number of waiting messages, lazy ones included.
func (q *Queue) Unsent() int {
	if q == nil {
		return 0
	}
	return q.unsent
}

// Urgent tells whether a waiting message is not lazy.
func (q *Queue) Urgent() bool { return q != nil && q.urgent > 0 }

// Pending tells whether a message wants to leave now: a waiting one that is
// not lazy, or a lazy one whose time has come ([R-CN-11], [R-DL-5]).
func (q *Queue) Pending(now instant.Time) bool {
	if q == nil {
		return false
	}
	if q.urgent > 0 {
		return true
	}
	at := q.LazyDeadline()
	return !at.IsZero() && !now.Before(at)
}

// LazyDeadline returns the earliest time of a waiting lazy message, zero if
// there is none ([R-DL-6]). It may have passed: the message then waits for a
// carrier. Lazy messages that left once and were not acknowledged have no time:
// they wait for the next reply (CASES 141).
func (q *Queue) LazyDeadline() instant.Time {
	if q == nil {
		return 0
	}
	if !q.stale {
		return q.first
	}
	q.first, q.stale = 0, false
	for i := range q.entries {
		e := &q.entries[i]
		if e.waiting() && e.lazy && !e.until.IsZero() && (q.first.IsZero() || e.until.Before(q.first)) {
			q.first = e.until
		}
	}
	return q.first
}
