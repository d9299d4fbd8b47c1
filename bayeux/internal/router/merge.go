package router

import (
	"hash/maphash"
	"slices"
)

// mergeLimit is the number of receivers up to which duplicates are looked for
// one by one.
const mergeLimit = 12

// merge appends several audiences, each receiver once ([R-PB-9]). In the usual
// case, a few subscribers of wildcards and then many of the channel, it
// compares instead of hashing; the last audience never enters the table.
func (r *Router[T]) merge(dst []Receiver[T], found []audience[T]) []Receiver[T] {
	base, total := len(dst), 0
	for _, a := range found {
		total += len(a.slots)
	}
	dst = slices.Grow(dst, total)
	dst = found[0].appendTo(dst)
	var t *table[T]
	for _, a := range found[1:] {
		known := dst[base:]
		if len(known) > mergeLimit {
			if t == nil {
				t = r.borrow(total - len(found[len(found)-1].slots))
				defer r.tables.Put(t)
			}
			t.enter(known)
		}
		dst = a.appendNew(dst, known, t)
	}
	return dst
}

// appendNew appends those who are not known yet. An audience names nobody
// twice, so what it appends need not be known.
func (a audience[T]) appendNew(dst, known []Receiver[T], t *table[T]) []Receiver[T] {
	for i := range a.slots {
		s := a.slots[i].Load()
		if s == nil {
			continue
		}
		if at := t.find(known, s); at >= 0 {
			known[at].NoEcho = known[at].NoEcho && a.noEcho // [R-PB-11]
		} else {
			dst = append(dst, Receiver[T]{s, a.noEcho})
		}
	}
	return dst
}

// table finds receivers in a growing slice. A nil table searches from the start.
type table[T any] struct {
	index  index
	seed   maphash.Seed
	filled int // how many receivers are entered
}

// borrow returns an empty table for so many receivers, to be put back into
// r.tables.
func (r *Router[T]) borrow(receivers int) *table[T] {
	t, _ := r.tables.Get().(*table[T])
	if t == nil {
		t = &table[T]{seed: r.seed}
	}
	t.index.reset(receivers)
	t.filled = 0
	return t
}

// enter makes those known whom an earlier call has not.
func (t *table[T]) enter(known []Receiver[T]) {
	for ; t.filled < len(known); t.filled++ {
		t.index.put(maphash.Comparable(t.seed, known[t.filled].S), t.filled)
	}
}

// find returns the place of s in known, -1 if it has none.
func (t *table[T]) find(known []Receiver[T], s *T) int {
	if t == nil {
		for i := range known {
			if known[i].S == s {
				return i
			}
		}
		return -1
	}
	x := &t.index
	for h := maphash.Comparable(t.seed, s) & x.mask; ; h = (h + 1) & x.mask {
		at := int(x.table[h]) - 1
		if at < 0 || known[at].S == s {
			return at
		}
	}
}
