package queue

import (
	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// slow is what the slow-consumer policies keep. It costs a queue that is not
// full four words and no work.
type slow struct {
	spareBytes int64 // length of the waiting messages that may be dropped
	spare      int32 // and their number
	oldest     int32 // no message that may be dropped has a place before
	// places are where the message of each channel waits that a newer one
	// replaces: nil when it has to be looked for again. It has at most as many
	// entries as the queue.
	places map[string]int
	// conflating lasts from a lack of room until nothing waits; byBytes tells
	// that the bound on bytes began it.
	conflating, byBytes bool
	maxed               bool // see Maxed
}

// Outcome is what became of an offered message, and of others for its sake.
type Outcome struct {
	// Queued tells that the message is in the queue.
	Queued bool
	// Limit is the bound that had no room, LimitMessages or LimitBytes, and Max
	// its value. Empty when nothing had to give way.
	Limit string
	Max   int64
	// Replaced is how many messages newer ones of their channels have replaced.
	Replaced int
	// Dropped counts messages that were dropped, by the policy that let them
	// go; the offered one too, unless its policy is SlowDisconnect.
	Dropped [bayeux.SlowPolicies]int
}

// Offer queues a message as Append does, with a policy for the case that there
// is no room ([R-DL-8], WIRE 16):
//
//   - SlowDropNewest: the message is dropped.
//   - SlowDropOldest: the oldest messages of SlowDropOldest and SlowConflate
//     make room.
//   - SlowConflate: from now on until nothing waits, messages of this policy
//     take the place of the one that waits on their channel; if that makes no
//     room, the oldest make room.
//   - any other: the oldest of those two kinds make room as well. If the message
//     is not queued even so, the session should end.
//
// What is leased, was sent or, with retained delivery, has left before stays: it
// is promised to the client under a batch number. If it leaves no room, nothing
// is dropped but the message itself.
//
// Each call takes constant time on average, whatever the queue holds.
func (q *Queue) Offer(f *bayeux.Frozen, lazyUntil instant.Time, p bayeux.SlowConsumer) Outcome {
	size := int64(len(f.JSON))
	e := entry{f: f, until: lazyUntil, lazy: !lazyUntil.IsZero(), slow: p}
	merges := p == bayeux.SlowConflate && f.Channel != ""
	limit := q.lack(size)
	if limit == "" && (!merges || !q.slow.conflating) {
		q.push(e)
		return Outcome{Queued: true}
	}
	o := Outcome{Limit: limit}
	if merges {
		if !q.slow.conflating {
			q.slow.conflating, q.slow.byBytes = true, limit == LimitBytes
		}
		if limit == "" {
			o.Limit = q.began()
		}
		if q.merge(&e, &o) {
			return q.told(o)
		}
		limit = q.lack(size)
	}
	if limit != "" && !q.makeRoom(size, p, &o) {
		if p != bayeux.SlowDisconnect {
			o.Dropped[p]++
		}
		q.calm()
		return q.told(o)
	}
	o.Queued = true
	q.push(e)
	if merges && q.slow.places != nil {
		q.slow.places[f.Channel] = len(q.entries) - 1
	}
	return q.told(o)
}

// began returns the bound that began the conflating.
func (q *Queue) began() string {
	if q.slow.byBytes {
		return LimitBytes
	}
	return LimitMessages
}

// told completes an outcome.
func (q *Queue) told(o Outcome) Outcome {
	if o.Queued && o.Replaced == 0 && o.Dropped == ([bayeux.SlowPolicies]int{}) {
		o.Limit = ""
	}
	if o.Limit != "" {
		o.Max = q.full(o.Limit).Max
	}
	return o
}

// feasible tells whether dropping what may be dropped would make room.
func (q *Queue) feasible(size int64) bool {
	l := q.limits
	return (l.Messages <= 0 || q.Len()-int(q.slow.spare) < l.Messages) &&
		(l.Bytes <= 0 || q.bytes-q.slow.spareBytes+size <= l.Bytes)
}

// makeRoom drops the oldest messages that may be dropped until there is room.
// It drops none where that would not do.
func (q *Queue) makeRoom(size int64, p bayeux.SlowConsumer, o *Outcome) bool {
	if p == bayeux.SlowDropNewest || !q.feasible(size) {
		return false
	}
	for at := int(q.slow.oldest); q.lack(size) != ""; at++ {
		e := &q.entries[at]
		if !e.spare() {
			continue
		}
		o.Dropped[e.slow]++
		if q.slow.places[e.f.Channel] == at {
			delete(q.slow.places, e.f.Channel)
		}
		q.slow.oldest = int32(at) + 1 //nolint:gosec // a place in memory
		q.remove(e)
	}
	q.close() // not calm: the offered message waits
	return true
}

// returned says that the entry at i waits again.
func (q *Queue) returned(i int) {
	q.slow.oldest = min(q.slow.oldest, int32(i)) //nolint:gosec // a place in memory
	q.slow.places = nil
}

// merge puts a message into the place of the one that waits on its channel, so
// that a busy channel gets its turn however long the queue is. It reports false
// if there is none, or none any more: then the message goes to the end.
func (q *Queue) merge(e *entry, o *Outcome) bool {
	if q.slow.places == nil {
		q.squash(o)
	}
	place, ok := q.slow.places[e.f.Channel]
	if !ok {
		return false
	}
	old := &q.entries[place]
	size := int64(len(e.f.JSON))
	switch l := q.limits.Bytes; {
	case l <= 0 || q.bytes-int64(len(old.f.JSON))+size <= l:
		q.replace(old, e)
		o.Queued = true
	case !q.feasible(size):
		return false // the older one stays
	default: // its place is too small
		delete(q.slow.places, e.f.Channel)
		q.remove(old)
		q.close()
	}
	o.Replaced++
	return o.Queued
}

// replace puts the message of e into the place of another. It leaves no later
// than the other would have.
func (q *Queue) replace(old, e *entry) {
	q.count(old, -1)
	q.bytes += int64(len(e.f.JSON) - len(old.f.JSON))
	q.total.add(e.f)
	q.total.remove(old.f)
	old.f = e.f
	if old.lazy = old.lazy && e.lazy; !old.lazy {
		old.until = 0
	} else if old.until.IsZero() || e.until.Before(old.until) {
		old.until = e.until
	}
	q.count(old, 1)
}

// squash leaves one message to each channel and learns the places.
func (q *Queue) squash(o *Outcome) {
	places := make(map[string]int)
	for i := range q.entries {
		e := &q.entries[i]
		if !e.spare() || e.slow != bayeux.SlowConflate || e.f.Channel == "" {
			continue
		}
		if at, ok := places[e.f.Channel]; ok {
			q.replace(&q.entries[at], e)
			q.remove(e)
			o.Replaced++
			continue
		}
		places[e.f.Channel] = i
	}
	if q.empty > 0 {
		q.compact()
		for i := range q.entries {
			if e := &q.entries[i]; e.spare() && e.slow == bayeux.SlowConflate && e.f.Channel != "" {
				places[e.f.Channel] = i
			}
		}
	}
	q.slow.places = places
}

// calm ends the conflating when nothing waits any more.
func (q *Queue) calm() {
	if q.unsent == 0 {
		q.slow.conflating, q.slow.places = false, nil
	}
}

// Conflating tells whether newer messages replace older ones.
func (q *Queue) Conflating() bool { return q.slow.conflating }

// Maxed tells which bound leaves no room for a message, the first time since
// the queue was at most half full; else it returns nil.
func (q *Queue) Maxed(f *bayeux.Frozen) *FullError {
	limit := q.lack(int64(len(f.JSON)))
	if q.slow.maxed || limit == "" {
		return nil
	}
	q.slow.maxed = !q.drained()
	return q.full(limit)
}

// drained tells whether the queue is at most half full.
func (q *Queue) drained() bool {
	l := q.limits
	return (l.Messages <= 0 || q.Len() <= l.Messages/2) && (l.Bytes <= 0 || q.bytes <= l.Bytes/2)
}
