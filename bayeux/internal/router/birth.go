package router

import "github.com/halleypush/halley/channels"

// Births is what the owner of a Router has to do with channels that begin to
// exist. Both functions may be nil; they are called without a lock.
type Births struct {
	// Init returns what initialises a channel, nil where there is nothing to do.
	// See Create.
	Init func(n channels.Name) func(*Attrs) error
	// Born is called when a channel has come to exist.
	Born func(n channels.Name)
}

// Attend sets the Births; it must be called before all other methods.
func (r *Router[T]) Attend(b Births) { r.births = b }

// creation is a channel whose initialiser runs. It is in no map of nodes yet.
type creation struct {
	done chan struct{} // closed when over, well or not
	pins int32         // guarded by the lock of the shard
}

// Ensure is Create for an initialiser that cannot fail. It is false, too, where
// an initialiser of Births fails; then the channel does not exist.
func (r *Router[T]) Ensure(n channels.Name, init func(*Attrs)) (created bool) {
	if init == nil {
		created, _ = r.Create(n, nil)
		return created
	}
	created, _ = r.Create(n, func(a *Attrs) error {
		init(a)
		return nil
	})
	return created
}

// Create makes the channel exist and tells whether this call created it. Only
// then are the initialiser of Births and init called, in this order, once, and
// without a lock; no method shows the channel to anybody before they have
// returned, and calls that would create it wait for that. So they must not use
// this router with the same name, Pin and Unpin apart. If one panics or fails
// the channel is not created, unless it is pinned, and its error is returned. A
// nil init sets nothing. For an existing channel the call counts as a use
// ([R-SB-13]).
func (r *Router[T]) Create(n channels.Name, init func(*Attrs) error) (created bool, err error) {
	if n == "" {
		return false, nil
	}
	sh, key := r.locate(n)
	sh.mu.RLock()
	nd := sh.nodes[key]
	nd.touch()
	sh.mu.RUnlock()
	if nd != nil {
		return false, nil
	}
	init = chain(r.initialiser(n), init)
	if init != nil {
		return r.create(sh, n, key, init)
	}
	nd, created, err = r.enter(sh, n, key)
	if err != nil {
		return false, err
	}
	sh.suspect(n, nd)
	sh.mu.Unlock()
	r.tell(n, created)
	return created, nil
}

func (r *Router[T]) initialiser(n channels.Name) func(*Attrs) error {
	if r.births.Init == nil {
		return nil
	}
	return r.births.Init(n)
}

func (r *Router[T]) tell(n channels.Name, created bool) {
	if created && r.births.Born != nil {
		r.births.Born(n)
	}
}

// chain returns what calls both initialisers, up to the first that fails.
func chain(first, second func(*Attrs) error) func(*Attrs) error {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(a *Attrs) error {
		if err := first(a); err != nil {
			return err
		}
		return second(a)
	}
}

// enter locks the shard and returns the node of n, created if missing, waiting
// for an initialiser that is creating it. The caller unlocks, unless there is
// an error, and then tells.
func (r *Router[T]) enter(sh *shard[T], n channels.Name, key string) (nd *node[T], created bool, err error) {
	for asked := false; ; {
		sh.mu.Lock()
		if nd = sh.nodes[key]; nd != nil {
			nd.touch()
			return nd, false, nil
		}
		c := sh.creating[key]
		if c == nil && (asked || r.births.Init == nil) {
			nd = new(node[T])
			r.insert(sh, n, key, nd)
			return nd, true, nil
		}
		sh.mu.Unlock()
		if c != nil {
			<-c.done
			continue
		}
		init := r.initialiser(n)
		if init == nil {
			asked = true
		} else if _, err = r.create(sh, n, key, init); err != nil {
			return nil, false, err
		}
	}
}

// create initialises a channel and publishes it, unless somebody else has or
// does.
func (r *Router[T]) create(sh *shard[T], n channels.Name, key string, init func(*Attrs) error) (created bool, err error) {
	for {
		sh.mu.Lock()
		nd, c := sh.nodes[key], sh.creating[key]
		if nd == nil && c == nil {
			break
		}
		nd.touch()
		sh.mu.Unlock()
		if nd != nil {
			return false, nil
		}
		<-c.done
	}
	c := &creation{done: make(chan struct{})}
	if sh.creating == nil {
		sh.creating = make(map[string]*creation)
	}
	sh.creating[key] = c
	sh.mu.Unlock()
	return r.initialise(sh, n, key, c, init)
}

// initialise runs an initialiser and publishes its channel.
func (r *Router[T]) initialise(sh *shard[T], n channels.Name, key string, c *creation, init func(*Attrs) error) (created bool, err error) {
	var attrs Attrs
	done := false
	defer func() {
		if !done {
			attrs = Attrs{}
		}
		sh.mu.Lock()
		delete(sh.creating, key)
		exists := done || c.pins > 0
		if exists {
			nd := &node[T]{pins: c.pins}
			nd.behave(attrs)
			r.insert(sh, n, key, nd)
			sh.suspect(n, nd)
		}
		sh.mu.Unlock()
		close(c.done)
		r.tell(n, exists)
	}()
	err = init(&attrs)
	done = err == nil
	return done, err
}
