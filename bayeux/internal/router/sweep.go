package router

import "github.com/halleypush/halley/channels"

// sweepLimit is how many sweeps in a row have to find a channel unused before
// it goes ([R-SB-13]).
const sweepLimit = 3

// Sweep removes the channels that this call and the two before found unused:
// not persistent, without subscribers and pins, and not touched in between by
// Ensure, Update, Add, Pin or Collect ([R-SB-13]). It returns their names, in
// no order. Its cost depends on the number of unused channels, not of all. It
// is meant to be called about once a second, by one goroutine at a time.
func (r *Router[T]) Sweep() []channels.Name {
	var removed []channels.Name
	for i := range r.plain {
		removed = r.sweep(&r.plain[i], removed)
		removed = r.sweep(&r.shallow[i], removed)
	}
	return removed
}

func (r *Router[T]) sweep(sh *shard[T], removed []channels.Name) []channels.Name {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := sh.unused[:0]
	for _, n := range sh.unused {
		_, key := r.locate(n)
		nd := sh.nodes[key]
		switch {
		case !nd.unused():
			nd.listed = false
			nd.sweeps.Store(0)
		case nd.sweeps.Add(1) < sweepLimit:
			kept = append(kept, n)
		default:
			delete(sh.nodes, key)
			r.count(n, -1)
			removed = append(removed, n)
		}
	}
	clear(sh.unused[len(kept):])
	sh.unused = kept
	if len(kept) == 0 {
		sh.unused = nil
	}
	return removed
}

// Stats returns the number of channels, and of subscriptions to all of them.
// Under concurrent changes it is no more than an estimate. It visits all shards,
// some microseconds of work.
func (r *Router[T]) Stats() (count, subscriptions int) {
	for sh := range r.shards {
		sh.mu.RLock()
		count += len(sh.nodes)
		subscriptions += sh.members
		sh.mu.RUnlock()
	}
	return count, subscriptions
}

// Range calls f for each channel, in no order, without a lock, until f returns
// false. What is created or removed meanwhile may be missing or still there.
func (r *Router[T]) Range(f func(n channels.Name, attrs Attrs, subscribers int) bool) {
	type row struct {
		name        channels.Name
		attrs       Attrs
		subscribers int
	}
	var rows []row
	for sh := range r.shards {
		rows = rows[:0]
		sh.mu.RLock()
		for _, nd := range sh.nodes {
			rows = append(rows, row{nd.name, nd.behaviour(), int(nd.subs.live)})
		}
		sh.mu.RUnlock()
		for _, w := range rows {
			if !f(w.name, w.attrs, w.subscribers) {
				return
			}
		}
	}
}

// shards yields the shards.
func (r *Router[T]) shards(yield func(sh *shard[T]) bool) {
	for i := range r.plain {
		if !yield(&r.plain[i]) || !yield(&r.shallow[i]) {
			return
		}
	}
}
