package notify

import (
	"context"
	"sync"
)

// Group counts goroutines. The zero value is ready. Unlike a sync.WaitGroup it
// may grow while somebody waits.
type Group struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n is zero again; nil when nobody waits
}

// Go runs f on a goroutine of its own.
func (g *Group) Go(f func()) {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
	go func() {
		defer g.done()
		f()
	}()
}

func (g *Group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Wait returns when no goroutine is left, or with the error of ctx.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
