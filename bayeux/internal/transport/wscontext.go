package transport

import (
	"context"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// wsContext is a wsConn as the context of what is done for it: it has the
// upgrade's request, and ends with the connection. What can be waited for is
// made when somebody asks for it, for hardly anybody does.
type wsContext wsConn

// wsLife is that.
type wsLife struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc
}

func (c *wsConn) context() context.Context { return (*wsContext)(c) }

// Deadline implements context.Context.
func (*wsContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *wsContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	life := c.life.Load()
	if life == nil {
		life = &wsLife{}
		life.Context, life.cancel = context.WithCancel(context.Background())
		if c.over {
			life.cancel()
		}
		c.life.Store(life)
	}
	return life.Done()
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

// Value implements context.Context. Whatever is derived from this context finds
// what it has to watch below it.
func (c *wsContext) Value(key any) any {
	if _, ok := key.(bayeux.RequestKey); ok {
		return &c.request
	}
	if life := c.life.Load(); life != nil {
		return life.Value(key)
	}
	return nil
}

// cancel ends the context.
func (c *wsConn) cancel() {
	c.mu.Lock()
	c.over = true
	life := c.life.Load()
	c.mu.Unlock()
	if life != nil {
		life.cancel()
	}
}
