package front

import (
	"runtime"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/rawio"
)

const (
	// poolPatience is how long connections may wait before it is asked whether the
	// goroutines are stuck.
	poolPatience = 5 * time.Millisecond
	// poolSlow is how many connections a goroutine gets done in that time, at
	// least, if it is not.
	poolSlow = 8
)

// pool does what is to be done with connections, in the order of their coming,
// on few goroutines whose stacks have grown already. What a handler does may
// take as long as it likes: where few connections get done because their
// goroutines are stuck, there will be more goroutines after some milliseconds,
// at most one for each connection. It is safe for concurrent use.
type pool struct {
	do   func(*Conn)
	most int // goroutines that there are without need for more

	mu sync.Mutex
	// Guarded by mu.
	head, tail *Conn // linked by Conn.next
	waiting    int
	active     int // goroutines that take connections
	limit      int // of active; most, or more while they are stuck
	done       int // connections taken since the watch has looked
	idle       []chan struct{}
	watch      *time.Timer
	watching   bool
	ended      bool
}

func newPool(do func(*Conn)) *pool {
	n := max(4, 2*runtime.GOMAXPROCS(0))
	return &pool{do: do, most: n, limit: n}
}

// run has a goroutine run c, which must not be waiting already. It does not
// block, and may be called with the lock of a connection held.
func (p *pool) run(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail == nil {
		p.head = c
	} else {
		p.tail.next = c
	}
	p.tail = c
	p.waiting++
	if p.active < p.limit {
		p.start()
	} else if !p.watching {
		p.lookLater()
	}
}

// start has one more goroutine take connections. The lock is held.
func (p *pool) start() {
	p.active++
	if n := len(p.idle); n > 0 {
		wake := p.idle[n-1]
		p.idle = p.idle[:n-1]
		wake <- struct{}{} // there is room for one
		return
	}
	go p.work() // ends by end, or when enough others wait
}

func (p *pool) work() {
	wake := make(chan struct{}, 1)
	var spell rawio.Spell
	for {
		spell.Begin()
		for c := p.next(); c != nil; c = p.next() {
			p.do(c)
			spell.Step()
		}
		if !p.rest(wake) {
			return
		}
		<-wake
	}
}

// next returns the next connection; nil if there is none, or enough others take
// them.
func (p *pool) next() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.head
	if c == nil || p.active > p.limit {
		return nil
	}
	if p.head, c.next = c.next, nil; p.head == nil {
		p.tail = nil
	}
	p.waiting--
	p.done++
	return c
}

// rest counts a goroutine out, and tells whether it is to wait.
func (p *pool) rest(wake chan struct{}) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head != nil && p.active <= p.limit {
		wake <- struct{}{} // there is more meanwhile
		return true
	}
	p.active--
	if p.ended || len(p.idle) >= p.most {
		return false
	}
	p.idle = append(p.idle, wake)
	return true
}

// leave counts a goroutine out that is about to wait for somebody else; another one
// takes its place.
func (p *pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	if p.head != nil && p.active < p.limit {
		p.start()
	}
}

// rejoin counts it in again. Where there are enough meanwhile, it ends when its
// connection is done.
func (p *pool) rejoin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active++
}

// lookLater sets the watch. The lock is held.
func (p *pool) lookLater() {
	p.watching, p.done = true, 0
	if p.watch == nil {
		p.watch = time.AfterFunc(poolPatience, p.look)
	} else {
		p.watch.Reset(poolPatience)
	}
}

// look doubles the goroutines while they are stuck.
func (p *pool) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == 0 {
		// Those that are still at work may be stuck: they are in nobody's way.
		p.watching, p.limit = false, p.active+p.most
		return
	}
	if p.done < poolSlow*p.active {
		p.limit = p.active + min(max(p.active, 1), p.waiting)
		for p.active < p.limit {
			p.start()
		}
	} else {
		p.limit = p.most
	}
	p.lookLater()
}

// end has the goroutines end that wait, and others when their work is done.
func (p *pool) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, wake := range p.idle {
		close(wake)
	}
	p.idle = nil
	if p.watch != nil {
		p.watch.Stop()
	}
}
