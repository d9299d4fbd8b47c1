package bayeuxclient

import (
	"context"
	"sync"
)

// link is a session and the carrier that it is reached by at the moment.
type link struct {
	id  string
	via carrier
}

// gate holds back calls while no session can be reached. It is safe for
// concurrent use.
type gate struct {
	mu      sync.Mutex
	now     link          // the current session; via nil while it cannot be used
	ended   error         // why no session will come, nil while one may
	changed chan struct{} // closed and replaced at each change
	recheck context.CancelCauseFunc
}

func newGate(err error) *gate { return &gate{ended: err, changed: make(chan struct{})} }

func (g *gate) update(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.changed)
	g.changed = make(chan struct{})
}

// open lets calls through to a session.
func (g *gate) open(l link) { g.update(func() { g.now, g.ended = l, nil }) }

// shut holds calls back.
func (g *gate) shut() { g.update(func() { g.now.via, g.ended = nil, nil }) }

// lost holds calls back if via is still the way to the session.
func (g *gate) lost(via carrier) {
	g.update(func() {
		if g.now.via == via {
			g.now.via = nil
		}
	})
}

// end makes all calls fail. The first reason stays.
func (g *gate) end(err error) { g.update(func() { g.now.via, g.ended = nil, err }) }

// peek returns the current session; its carrier is nil while there is none.
func (g *gate) peek() link {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// wait returns the session once it can be used and its id is not stale.
func (g *gate) wait(ctx context.Context, stale string) (link, error) {
	for {
		g.mu.Lock()
		now, ended, changed := g.now, g.ended, g.changed
		g.mu.Unlock()
		switch {
		case ended != nil:
			return link{}, ended
		case now.via != nil && now.id != stale:
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return link{}, context.Cause(ctx)
		}
	}
}

// onRecheck sets what doubt calls; nil for nothing.
func (g *gate) onRecheck(f context.CancelCauseFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.recheck = f
}

// doubt has the session of that id checked, as the server said 402.
func (g *gate) doubt(id string) {
	g.mu.Lock()
	f := g.recheck
	if g.now.id != id {
		f = nil
	}
	g.mu.Unlock()
	if f != nil {
		f(errRecheck)
	}
}
