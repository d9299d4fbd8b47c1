package notify

import "sync"

// Presence tells whether things are there: for each of them Tell is called with
// true and false in turn, true first, one call at a time. What a thing does
// while a call for it is under way, or waits, is not told step by step: after
// the call Present is asked, and one more call follows if the answer is another
// one. So the last call always tells how things stand, and nothing piles up.
//
// All fields are set before use. Tell and Present are called without a lock, by
// at most Limit goroutines, which exist only while there is something to tell.
type Presence[K comparable] struct {
	// Present says how things stand. It must be right at any time after a change
	// has been reported by Changed.
	Present func(K) bool
	// Tell passes it on.
	Tell func(k K, there bool)
	// Group has the goroutines.
	Group *Group
	// Limit is how many of them there are at most; 0: one.
	Limit int

	mu sync.Mutex
	// Guarded by mu. things has those that are there as far as was told, and
	// those about which something is to be told.
	things  map[K]*thing
	waiting []K
	running int
}

// thing is what was told of a thing, and whether it is being told.
type thing struct {
	told  bool
	busy  bool
	again bool // it has changed since Present was asked
}

// Changed reports that a thing has come, or gone. It must be called after the
// change, for each that makes a difference; the order in which several
// goroutines call it does not matter.
func (p *Presence[K]) Changed(k K, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.things[k]
	switch {
	case t == nil && !there:
		return // gone before it was told of, and told by whoever saw it come
	case t == nil:
		t = &thing{}
		if p.things == nil {
			p.things = make(map[K]*thing)
		}
		p.things[k] = t
	case t.busy:
		t.again = true
		return
	case t.told == there:
		return
	}
	t.told, t.busy = there, true
	p.waiting = append(p.waiting, k)
	if p.running < max(p.Limit, 1) {
		p.running++
		p.Group.Go(p.run)
	}
}

// Known makes a thing count as told, without a call: for what was there before
// anybody listened. If it has gone by now, that is told.
func (p *Presence[K]) Known(k K) {
	p.mu.Lock()
	if p.things == nil {
		p.things = make(map[K]*thing)
	}
	if p.things[k] == nil {
		p.things[k] = &thing{told: true}
	}
	p.mu.Unlock()
	if !p.Present(k) {
		p.Changed(k, false)
	}
}

// Len returns how many things are known.
func (p *Presence[K]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.things)
}

// run tells of what waits, until nothing does.
func (p *Presence[K]) run() {
	for {
		p.mu.Lock()
		if len(p.waiting) == 0 {
			p.waiting = nil
			p.running--
			p.mu.Unlock()
			return
		}
		k := p.waiting[0]
		p.waiting = p.waiting[1:]
		there := p.things[k].told
		p.mu.Unlock()
		p.Tell(k, there)
		p.settle(k)
	}
}

// settle looks at a thing after a call: where it is not as was told it waits
// for another.
func (p *Presence[K]) settle(k K) {
	for {
		there := p.Present(k)
		p.mu.Lock()
		t := p.things[k]
		switch {
		case t.again:
			t.again = false
			p.mu.Unlock()
			continue
		case there != t.told:
			t.told = there
			p.waiting = append(p.waiting, k)
		case there:
			t.busy = false
		default:
			delete(p.things, k)
		}
		p.mu.Unlock()
		return
	}
}
