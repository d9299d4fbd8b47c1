// Package agenda keeps many things in the order in which each is to be looked
// at.
package agenda

import "github.com/halleypush/halley/bayeux/internal/instant"

// Item is what can be in one agenda, at most once.
type Item interface {
	comparable
	// AgendaPlace is where the agenda notes where the item is; zero: it is in
	// none. Nobody else touches it.
	AgendaPlace() *int32
}

// Agenda is a heap. The zero value is empty. It is not safe for concurrent use.
// Set, Drop and Due take
// logarithmic time.
type Agenda[I Item] struct{ heap heap[I] }

// Set has the item looked at no later than at: a later time than it has is not
// entered, for who is looked at can say so then, and most times only move on.
// It reports whether the item is the first one now.
func (a *Agenda[I]) Set(item I, at instant.Time) (first bool) {
	place := int(*item.AgendaPlace())
	switch {
	case place == 0:
		a.heap = append(a.heap, entry[I]{})
		a.heap.up(len(a.heap)-1, entry[I]{at, item})
	case at.Before(a.heap[place-1].at):
		a.heap.up(place-1, entry[I]{at, item})
	}
	return *item.AgendaPlace() == 1
}

// Drop takes an item out, if it is in.
func (a *Agenda[I]) Drop(item I) {
	if place := int(*item.AgendaPlace()); place > 0 {
		a.heap.remove(place - 1)
	}
}

// Next returns the time of the first item, zero if nothing is in.
func (a *Agenda[I]) Next() instant.Time {
	if len(a.heap) == 0 {
		return 0
	}
	return a.heap[0].at
}

// Due takes out the first item, if its time has come.
func (a *Agenda[I]) Due(now instant.Time) (item I, ok bool) {
	if len(a.heap) == 0 || a.heap[0].at.After(now) {
		return item, false
	}
	item = a.heap[0].item
	a.heap.remove(0)
	return item, true
}

// All returns what is in, in no order.
func (a *Agenda[I]) All() []I {
	all := make([]I, len(a.heap))
	for i := range a.heap {
		all[i] = a.heap[i].item
	}
	return all
}

type entry[I Item] struct {
	at   instant.Time
	item I
}

// heap has the first entry in front: those at 4i+1 to 4i+4 are not before the
// one at i. Four, because a step down reads neighbours in memory and there are
// half as many.
type heap[I Item] []entry[I]

// put gives e a place.
func (h heap[I]) put(i int, e entry[I]) {
	h[i] = e
	*e.item.AgendaPlace() = int32(i) + 1 //nolint:gosec // as many as fit into memory
}

// up gives e the place i, or one further in front.
func (h heap[I]) up(i int, e entry[I]) {
	for i > 0 {
		parent := (i - 1) / 4
		if !e.at.Before(h[parent].at) {
			break
		}
		h.put(i, h[parent])
		i = parent
	}
	h.put(i, e)
}

// down gives e the place i, or one further behind.
func (h heap[I]) down(i int, e entry[I]) {
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].at.Before(h[least].at) {
				least = c
			}
		}
		if !h[least].at.Before(e.at) {
			break
		}
		h.put(i, h[least])
		i = least
	}
	h.put(i, e)
}

// remove takes out the entry at i.
func (h *heap[I]) remove(i int) {
	old := *h
	*old[i].item.AgendaPlace() = 0
	end := len(old) - 1
	last := old[end]
	old[end] = entry[I]{}
	*h = old[:end]
	if i == end {
		return
	}
	if i > 0 && last.at.Before(old[(i-1)/4].at) {
		h.up(i, last)
	} else {
		h.down(i, last)
	}
}
