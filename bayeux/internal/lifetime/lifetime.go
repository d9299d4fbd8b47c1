// Package lifetime has a context that most code never waits for: what can be
// waited for is made when somebody asks.
package lifetime

import (
	"context"
	"sync"
	"time"
)

// Context is a context without a deadline that ends by Cancel. The zero value
// lives. It is to be embedded in types that have values of their own, whose Value
// asks it for all other keys; it must not be copied.
type Context struct {
	mu   sync.Mutex
	life *life // nil: nobody has asked
	over bool
}

// life is what can be waited for.
type life struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc
}

var _ context.Context = (*Context)(nil)

// Deadline implements context.Context.
func (*Context) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		c.life = new(life)
		c.life.Context, c.life.cancel = context.WithCancel(context.Background())
		if c.over {
			c.life.cancel()
		}
	}
	return c.life.Done()
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. Whatever is derived from this context and
// waits for it finds what it has to watch below it, and needs no goroutine.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	l := c.life
	c.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.Value(key)
}

// Cancel ends the context. It is idempotent, and calls nobody: it may be called
// with a lock held.
func (c *Context) Cancel() {
	c.mu.Lock()
	c.over = true
	l := c.life
	c.mu.Unlock()
	if l != nil {
		l.cancel()
	}
}
