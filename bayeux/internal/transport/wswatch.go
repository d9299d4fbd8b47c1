package transport

import (
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Watched is a Port that wants to know whether its connection carries anything. Of
// any other no care is taken. Neither method may block.
type Watched interface {
	// Dead says that nothing came through: no message, and no answer to a ping
	// either. The connection is about to be cut.
	Dead()
	// Alive says that messages do. It may be called more than once.
	Alive()
}

// ReasonLost is what Port.Closed is told of a connection that broke: nobody has
// said goodbye.
const ReasonLost = "connection lost"

const reasonSilent = "nothing comes through"

// watchRounds bounds how often a connection is looked at.
const watchRounds = 6

// wsWatch looks after connections in their first seconds, for there are proxies
// that let them be opened and nothing through, or only the first messages. A client
// that has something to say is never asked: who has sent two messages is well. One
// that is silent gets a ping, and who does not answer that either is cut.
//
// All wait equally long, so that they are due in the order in which they came. One
// timer is for all, and there is none while nobody waits.
type wsWatch struct {
	carrier *WebSocketCarrier

	// Guarded by mu.
	mu      sync.Mutex
	young   []wsYoung
	first   uint32 // the number of young[0]; numbers begin anew after 2^32
	waiting bool   // the timer runs
}

// wsYoung is a connection and when it is looked at.
type wsYoung struct {
	c      *wsConn // nil: it has ended
	at     instant.Time
	rounds uint8
	asked  bool // a ping is on its way
}

// watched is what a connection knows of that.
type watched struct {
	number  uint32 // guarded by the lock of the watch
	batches uint8  // that came; owned by the goroutine that reads; two are enough
	in      bool   // it is watched; guarded by the lock of the watch
}

// add begins to look after a connection.
func (w *wsWatch) add(c *wsConn) {
	if _, ok := c.port.(Watched); !ok || w.carrier.o.Silence <= 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addLocked(wsYoung{c: c})
}

func (w *wsWatch) addLocked(y wsYoung) {
	silence := w.carrier.o.Silence
	y.at = w.carrier.clock.Now().Add(silence)
	y.c.watched.number, y.c.watched.in = w.first+uint32(len(w.young)), true //nolint:gosec // begins anew
	w.young = append(w.young, y)
	if !w.waiting {
		w.waiting = true
		time.AfterFunc(silence, w.look)
	}
}

// drop ends the care for a connection. It reports false if there was none.
func (w *wsWatch) drop(c *wsConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.watched.in {
		return false
	}
	c.watched.in = false
	w.young[c.watched.number-w.first].c = nil
	return true
}

// look is called by the timer.
func (w *wsWatch) look() {
	now := w.carrier.clock.Now()
	for _, y := range w.due(now) {
		w.judge(y)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.young) > 0 && w.young[0].c == nil {
		w.young, w.first = w.young[1:], w.first+1
	}
	if w.waiting = len(w.young) > 0; !w.waiting {
		w.young = nil
		return
	}
	// Those that come one behind the other are looked at together.
	time.AfterFunc(max(w.young[0].at.Sub(now), w.carrier.o.Silence/8), w.look)
}

// due takes out those whose time has come.
func (w *wsWatch) due(now instant.Time) (all []wsYoung) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.young) && (w.young[n].c == nil || !w.young[n].at.After(now)) {
		if y := w.young[n]; y.c != nil {
			y.c.watched.in = false
			all = append(all, y)
		}
		w.young[n] = wsYoung{}
		n++
	}
	w.young, w.first = w.young[n:], w.first+uint32(n) //nolint:gosec // a length
	return all
}

// judge decides what becomes of a connection: whoever has answered a ping is well.
func (w *wsWatch) judge(y wsYoung) {
	c := y.c
	y.rounds++
	switch stirred := c.stirred.Swap(false); {
	case c.closing.Load() != nil:
		return
	case stirred && y.asked:
		c.tell(Watched.Alive)
		return
	case stirred:
	case y.asked:
		c.tell(Watched.Dead)
		w.carrier.o.Observer.Count(EventWSSilent)
		c.Cut(reasonSilent)
		return
	default:
		y.asked = true
		c.queueControl(ws.OpPing, nil)
		c.Wake()
	}
	if y.rounds >= watchRounds {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.over() {
		w.addLocked(y)
	}
}

// over tells whether the connection has ended.
func (c *wsConn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// stir notes a frame of the peer.
func (c *wsConn) stir() {
	if !c.stirred.Load() {
		c.stirred.Store(true)
	}
}

// thrives notes a batch of the peer: with the second it is well.
func (c *wsConn) thrives() {
	if c.watched.batches >= 2 {
		return
	}
	if c.watched.batches++; c.watched.batches == 2 && c.carrier.watch.drop(c) {
		c.tell(Watched.Alive)
	}
}

// tell tells the port, if it wants to know.
func (c *wsConn) tell(what func(Watched)) {
	if p, ok := c.port.(Watched); ok {
		what(p)
	}
}
