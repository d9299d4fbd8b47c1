package front

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// requestContext is the context of a request, as net/http's server makes it: it
// ends with the request, or when the client leaves. Most handlers never ask for
// its end, so nothing is made for it before they do.
type requestContext struct {
	c *Conn

	mu sync.Mutex
	// Guarded by mu.
	over  bool
	done  chan struct{}        // nil: nobody has asked for it
	after map[*func()]struct{} // to be called at the end
}

var _ context.Context = (*requestContext)(nil)

// Deadline implements context.Context.
func (*requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (x *requestContext) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		x.done = make(chan struct{})
		if x.over {
			close(x.done)
		}
	}
	return x.done
}

// Err implements context.Context.
func (x *requestContext) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context.
func (x *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return x.c.s.hs
	case http.LocalAddrContextKey:
		return x.c.LocalAddr()
	}
	return nil
}

// AfterFunc has f called on a goroutine of its own when the context ends; stop
// takes that back, and tells whether it did. Package context asks for it, so that
// contexts that are made from this one need no goroutine.
func (x *requestContext) AfterFunc(f func()) (stop func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		go f() // the caller's, as context.AfterFunc has it
		return func() bool { return false }
	}
	if x.after == nil {
		x.after = make(map[*func()]struct{})
	}
	x.after[&f] = struct{}{}
	return func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		_, waits := x.after[&f]
		delete(x.after, &f)
		return waits
	}
}

// cancel ends it. It is idempotent, calls nobody, and may be called with the lock
// of a connection held.
func (x *requestContext) cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.over = true
	if x.done != nil {
		close(x.done)
	}
	for f := range x.after {
		go (*f)() // the caller's, as context.AfterFunc has it
	}
	x.after = nil
}
