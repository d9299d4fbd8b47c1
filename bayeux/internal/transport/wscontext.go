package transport

import (
	"context"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// wsContext is the context of what is done for a connection: it has the
// upgrade's request, and ends with the connection. What can be waited for is
// made when somebody asks for it, for hardly anybody does.
type wsContext struct {
	request bayeux.SealedRequest

	mu   sync.Mutex
	life *wsLife // nil: nobody has asked
	over bool
}

// wsLife is what can be waited for.
type wsLife struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc
}

// Deadline implements context.Context.
func (*wsContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *wsContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		c.life = new(wsLife)
		c.life.Context, c.life.cancel = context.WithCancel(context.Background())
		if c.over {
			c.life.cancel()
		}
	}
	return c.life.Done()
}

// Err implements context.Context.
func (c *wsContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. Whatever is derived from this context and
// waits for it finds what it has to watch below it.
func (c *wsContext) Value(key any) any {
	if _, ok := key.(bayeux.RequestKey); ok {
		return &c.request
	}
	c.mu.Lock()
	life := c.life
	c.mu.Unlock()
	if life == nil {
		return nil
	}
	return life.Value(key)
}

// cancel ends the context.
func (c *wsContext) cancel() {
	c.mu.Lock()
	c.over = true
	life := c.life
	c.mu.Unlock()
	if life != nil {
		life.cancel()
	}
}
