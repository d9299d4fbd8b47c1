package queue

import (
	"cmp"
	"slices"

	"github.com/halleypush/halley/bayeux"
)

// Lease is what leaves in one go. Its fields stay valid whatever happens to
// the queue.
type Lease struct {
	// Messages are in the order in which they were queued.
	Messages []*bayeux.Frozen
	// Batch is the number of the retained batch that leaves; 0 without
	// retained delivery, and for what leaves without a reply.
	Batch int64
	// More tells that messages were left behind for the limit.
	More bool

	id          uint64
	first, last uint64 // range of seq
}

// leaseKeep is how much room for messages a lease keeps.
const leaseKeep = 64

// Reset empties a lease that is Done, or had no messages, so that it can be
// used again.
func (l *Lease) Reset() {
	clear(l.Messages)
	messages := l.Messages[:0]
	if cap(messages) > leaseKeep {
		messages = nil
	}
	*l = Lease{Messages: messages}
}

// Retain turns retained delivery on. It stays on.
func (q *Queue) Retain() { q.retaining = true }

// Retaining tells whether Retain was called.
func (q *Queue) Retaining() bool { return q != nil && q.retaining }

// Take leases messages in the order in which they were queued: at most limit
// bytes of JSON, one more counted for each message, but at least one message;
// zero and negative limits are none. reply tells that a connect reply, or a
// handshake reply, leaves with it. The lease is never nil; Done must follow.
//
// Without retained delivery it takes those that wait. With it, nothing leaves
// without a reply; with a reply it takes all that is stored, also what left
// before or is in an older lease and was not acknowledged ([R-ACK-6]), and the
// lease gets the next batch number, also an empty one ([R-ACK-3]). A message
// keeps an earlier number if it fits in; what does not fit is of the batch after
// this one, so that acknowledging this one does not forget it (WIRE 16).
func (q *Queue) Take(limit int, reply bool) *Lease {
	l := &Lease{}
	q.TakeInto(l, limit, reply)
	return l
}

// TakeInto is Take into a lease that is new, or was Reset.
func (q *Queue) TakeInto(l *Lease, limit int, reply bool) {
	if q.retaining {
		if !reply {
			return // [R-ACK-10]
		}
		q.batch++
		l.Batch = q.batch
	} else if q.unsent == 0 {
		return
	}
	q.leases++
	l.id = q.leases
	q.fill(l, limit)
}

func (q *Queue) fill(l *Lease, limit int) {
	room := limit
	for i := range q.entries {
		e := &q.entries[i]
		if e.f == nil || !q.retaining && !e.waiting() {
			continue
		}
		if l.More = l.More || limit > 0 && len(l.Messages) > 0 && len(e.f.JSON)+1 > room; l.More {
			q.leave(e, l)
			q.returned(i)
			continue
		}
		room -= len(e.f.JSON) + 1
		if q.retaining && e.batch == 0 {
			e.batch = l.Batch
		}
		q.set(e, l.id, false)
		e.at, e.left = int32(len(l.Messages)), e.left || q.retaining //nolint:gosec // a place in memory
		if e.at == 0 {
			l.first = e.seq
		}
		l.last = e.seq
		l.Messages = append(l.Messages, e.f)
	}
	q.slow.places = nil // most of it is gone
	q.calm()
}

// leave keeps back a message that does not fit. Even a lazy one leaves at once
// by the next opportunity (DESIGN 7).
func (q *Queue) leave(e *entry, l *Lease) {
	q.count(e, -1)
	e.lease, e.sent = 0, false
	e.lazy, e.until = false, 0
	if q.retaining {
		e.batch = l.Batch + 1
	}
	q.count(e, 1)
}

// Done ends a lease: its first n messages were written. They are forgotten, or
// retained if the lease has a batch number; the others wait again, at their old
// places ([R-DL-10]). What a newer lease, an acknowledgement or Clear has taken
// from the lease meanwhile is none of its business ([R-ACK-12]). Further calls
// do nothing.
func (q *Queue) Done(l *Lease, n int) {
	if q == nil || l == nil || len(l.Messages) == 0 {
		return
	}
	start, _ := slices.BinarySearchFunc(q.entries, l.first, func(e entry, seq uint64) int {
		return cmp.Compare(e.seq, seq)
	})
	for i := start; i < len(q.entries) && q.entries[i].seq <= l.last; i++ {
		e := &q.entries[i]
		switch {
		case e.f == nil || e.lease != l.id:
		case int(e.at) >= n:
			q.set(e, 0, false)
			q.returned(i)
		case l.Batch > 0:
			q.set(e, 0, true)
		default:
			q.remove(e)
		}
	}
	q.tidy()
}

// GiveUp removes the first message that is in no lease, for nobody can have it: it
// is larger than what lies between here and the client carries. It returns nil if
// there is none.
func (q *Queue) GiveUp() *bayeux.Frozen {
	if q == nil {
		return nil
	}
	for i := range q.entries {
		if e := &q.entries[i]; e.f != nil && e.lease == 0 {
			f := e.f
			q.remove(e)
			q.tidy()
			return f
		}
	}
	return nil
}

// Acknowledge forgets the messages of batches up to n ([R-ACK-5]); a number
// never given out counts as the last one ([R-ACK-8]), one below the oldest
// batch forgets nothing ([R-ACK-4]). A batch need not be Done: its client may
// be faster than the report of its carrier.
//
// What left in later batches has not arrived, or its acknowledgement has not
// ([R-ACK-14]), and waits again, to leave with the next reply ([R-ACK-15]); missing tells whether any of it is not lazy, so that the reply
// should not wait ([R-ACK-7]). Without retained delivery nothing happens.
func (q *Queue) Acknowledge(n int64) (missing bool) {
	if !q.Retaining() {
		return false
	}
	n = min(n, q.batch)
	for i := range q.entries {
		e := &q.entries[i]
		switch {
		case e.f == nil || e.batch == 0:
		case e.batch <= n:
			q.remove(e)
		case !e.waiting():
			e.until = 0 // only lazy ones have one, and it is over
			q.set(e, 0, false)
			missing = missing || !e.lazy
		}
	}
	q.tidy()
	return missing
}
