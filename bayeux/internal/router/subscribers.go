package router

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// scanLimit is the length up to which a list is searched from its start; longer
// ones have an index.
const scanLimit = 32

// slot is one place of a list; nil once its subscriber has left.
type slot[T any] = atomic.Pointer[T]

// list is the set of subscribers of one channel. Changes need the lock of the
// shard. Reading needs it only to take the slice: within the length taken, a
// slot changes at most once, to nil, because places are never given again.
// Hence a reader sees nobody twice, and everybody who stays.
type list[T any] struct {
	slots []slot[T]
	// index is nil while the list is short.
	index *index
	live  int32
}

// index finds places by the hash of who is there: an open table of places plus
// one, 0 where empty, at most half full. What is at a place may go, but not
// change, until the index is built anew.
type index struct {
	table []uint32
	mask  uint64
}

func (l *list[T]) add(seed maphash.Seed, s *T) bool {
	if l.find(seed, s) >= 0 {
		return false
	}
	l.push(s)
	l.live++
	switch {
	case len(l.slots) <= scanLimit:
	case l.index == nil || 2*len(l.slots) > len(l.index.table):
		l.reindex(seed)
	default:
		l.index.put(maphash.Comparable(seed, s), len(l.slots)-1)
	}
	return true
}

func (l *list[T]) remove(seed maphash.Seed, s *T) bool {
	at := l.find(seed, s)
	if at < 0 {
		return false
	}
	l.slots[at].Store(nil)
	l.live--
	if 2*int(l.live) <= len(l.slots) {
		l.compact(seed)
	}
	return true
}

// find returns the place of s, -1 if it has none.
func (l *list[T]) find(seed maphash.Seed, s *T) int {
	if l.index == nil {
		for i := range l.slots {
			if l.slots[i].Load() == s {
				return i
			}
		}
		return -1
	}
	x := l.index
	for h := maphash.Comparable(seed, s) & x.mask; ; h = (h + 1) & x.mask {
		at := int(x.table[h]) - 1
		if at < 0 || l.slots[at].Load() == s {
			return at
		}
	}
}

// compact moves the subscribers to a slice of their own. Readers of the old one
// go on with it.
func (l *list[T]) compact(seed maphash.Seed) {
	old := l.slots
	l.slots, l.index = nil, nil
	if l.live == 0 {
		return
	}
	l.slots = make([]slot[T], 0, l.live)
	for i := range old {
		if s := old[i].Load(); s != nil {
			l.push(s)
		}
	}
	if len(l.slots) > scanLimit {
		l.reindex(seed)
	}
}

func (l *list[T]) push(s *T) {
	l.slots = append(l.slots, slot[T]{})
	l.slots[len(l.slots)-1].Store(s)
}

// reindex builds the index anew, a quarter to half full.
func (l *list[T]) reindex(seed maphash.Seed) {
	l.index = new(index)
	l.index.reset(len(l.slots))
	for i := range l.slots {
		if s := l.slots[i].Load(); s != nil {
			l.index.put(maphash.Comparable(seed, s), i)
		}
	}
}

// reset empties the index and makes room for so many places.
func (x *index) reset(places int) {
	width := bits.Len(uint(2 * places))
	x.mask = 1<<width - 1
	if size := 1 << width; size > cap(x.table) {
		x.table = make([]uint32, size)
	} else {
		x.table = x.table[:size]
		clear(x.table)
	}
}

// put enters a place under a hash.
func (x *index) put(hash uint64, place int) {
	h := hash & x.mask
	for x.table[h] != 0 {
		h = (h + 1) & x.mask
	}
	x.table[h] = uint32(place) + 1 //nolint:gosec // a list of 4 billion slots would not fit in memory
}
