package notify

import "sync"

// Line makes calls one at a time, in the order in which they were added. The
// zero value is ready. It has a goroutine only while there is something to call.
type Line struct {
	mu    sync.Mutex
	calls []call
	busy  bool
}

type call struct {
	f    func()
	done chan struct{}
}

// Add has f called by a goroutine of the group when all that was added before
// has returned. The channel is closed when f has.
func (l *Line) Add(g *Group, f func()) (done <-chan struct{}) {
	c := call{f, make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	if !l.busy {
		l.busy = true
		g.Go(l.run)
	}
	return c.done
}

func (l *Line) run() {
	for {
		l.mu.Lock()
		if len(l.calls) == 0 {
			l.calls, l.busy = nil, false
			l.mu.Unlock()
			return
		}
		c := l.calls[0]
		l.calls = l.calls[1:]
		l.mu.Unlock()
		c.f()
		close(c.done)
	}
}
