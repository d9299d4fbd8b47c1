package transport

import (
	"net/http"
	"slices"
	"time"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/rawio"
)

// Paths knows from where WebSockets are of use: some proxies let upgrades through
// and nothing after them. Its methods are called with no lock held, must not block
// and are safe for concurrent use.
type Paths interface {
	// Upgrade tells whether a WebSocket may be opened from there now. Clients whose
	// first upgrade is refused take another transport.
	Upgrade(from *bayeux.Request) bool
	// Dead says that one was opened, and nothing came through: see
	// WSOptions.Silence.
	Dead(port Port)
	// Alive says, once for a connection, that it carries messages both ways: what
	// the client has sent tells that it had the reply to what it sent before.
	Alive(port Port)
}

// wsPathRefused is for who looks at the network log of a browser. The status is
// that of transports which are not served ([R-WS-4]), which all clients take as
// the sign to use another one; with 503 a load balancer could take the server for
// a broken one.
const wsPathRefused = "WebSockets from this network carried nothing lately: use long-polling"

// askPaths returns the refusal of an upgrade from where sockets are of no use.
func (s *WebSocketCarrier) askPaths(from *bayeux.Request) *wsRefusal {
	if s.o.Paths == nil || s.o.Paths.Upgrade(from) {
		return nil
	}
	s.o.Observer.Count(EventRefused)
	s.o.Observer.Count(EventWSPathRefused)
	return &wsRefusal{status: http.StatusBadRequest, text: wsPathRefused}
}

const (
	wsMetaHandshake = "/meta/handshake"
	wsMetaConnect   = "/meta/connect"
)

// wsWatchBytes is how much may have been written for the silence of a peer to tell
// something: with more under way an answer may take its time.
const wsWatchBytes = 16 << 10

// wsWatch is the watch over a new connection, until it has shown that it carries
// messages. It waits for a sign of life twice: from the beginning, and from when
// the first messages were answered; in between, and after that, it has no timer.
// The connection's lock guards it.
type wsWatch struct {
	timer *time.Timer  // nil: nothing is awaited
	due   instant.Time // when the timer is to fire; it may have been set anew as it did

	began     bool // messages have come
	handshake bool // the first of them was one
	replied   bool // an answer to them was written
	heard     bool // something has come since it is awaited
	pinged    bool // and was asked for
	busy      bool // the goroutine that reads does something else
	written   int  // bytes
}

// wsVerdict is what is to be done about a silent connection.
type wsVerdict uint8

const (
	watchNothing wsVerdict = iota
	watchPing
	watchCut
)

// watch begins the watch.
func (c *wsConn) watch() {
	if c.carrier.o.Silence <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := new(wsWatch)
	c.asideLocked().watch = w
	c.watched.Store(true)
	c.awaitLocked(w)
}

// watchLocked returns the watch, nil if there is none any more.
func (c *wsConn) watchLocked() *wsWatch {
	if c.aside == nil {
		return nil
	}
	return c.aside.watch
}

// unwatchLocked ends the watch.
func (c *wsConn) unwatchLocked() {
	c.watched.Store(false)
	if w := c.watchLocked(); w != nil {
		w.rest()
		c.aside.watch = nil
		c.tidyLocked()
	}
}

// awaitLocked awaits a sign of life from now on.
func (c *wsConn) awaitLocked(w *wsWatch) {
	w.heard, w.pinged = false, false
	c.windLocked(w)
}

func (c *wsConn) windLocked(w *wsWatch) {
	silence := c.carrier.o.Silence
	w.due = c.carrier.clock.Now().Add(silence)
	if w.timer == nil {
		w.timer = time.AfterFunc(silence, c.lookAfter)
	} else {
		w.timer.Reset(silence)
	}
}

// rest awaits nothing.
func (w *wsWatch) rest() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// watchHeard notes that something has come, be it half a frame.
func (c *wsConn) watchHeard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.watchLocked(); w != nil {
		w.heard = true
	}
}

// watchBatch notes that messages have come. watchBatchDone is to follow: while
// they are processed nobody reads, and the peer's silence is not its own.
func (c *wsConn) watchBatch(batch []*bayeux.Message) {
	c.mu.Lock()
	w := c.watchLocked()
	alive := w != nil && w.proves(batch)
	switch {
	case w == nil:
	case alive:
		c.unwatchLocked()
	default:
		w.busy = true
		if handshake := batch[0].Channel == wsMetaHandshake; handshake || !w.began {
			w.began, w.handshake, w.replied = true, handshake, false
		}
	}
	c.mu.Unlock()
	if paths := c.carrier.o.Paths; alive && paths != nil {
		paths.Alive(c.port)
	}
}

// proves tells whether the client must have had an answer to send these messages.
// After a handshake that is any but another one, for it has the session's id now.
// Where a session goes on by a new connection it may publish as it likes; it is
// the connect that waits for the one before.
func (w *wsWatch) proves(batch []*bayeux.Message) bool {
	if !w.replied {
		return false
	}
	if w.handshake {
		return batch[0].Channel != wsMetaHandshake
	}
	return slices.ContainsFunc(batch, func(m *bayeux.Message) bool { return m.Channel == wsMetaConnect })
}

func (c *wsConn) watchBatchDone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watchLocked()
	if w == nil {
		return
	}
	if w.busy = false; w.timer != nil {
		c.windLocked(w) // what has come meanwhile is still to be read
	}
}

// watchSent notes what was written.
func (c *wsConn) watchSent(bytes int, answers bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watchLocked()
	if w == nil {
		return
	}
	w.written += bytes
	if answers && w.began && !w.replied {
		w.replied = true
		c.awaitLocked(w)
	}
}

// lookAfter is called when a sign of life may have been awaited for long enough.
func (c *wsConn) lookAfter() {
	switch c.judge() {
	case watchPing:
		c.queueControl(ws.OpPing, nil)
		c.Wake()
	case watchCut:
		if c.unread() {
			c.lookAgain()
		} else {
			c.die()
		}
	case watchNothing:
	}
}

func (c *wsConn) judge() wsVerdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, now := c.watchLocked(), c.carrier.clock.Now()
	switch {
	case w == nil || w.timer == nil || w.due.After(now):
		return watchNothing
	case w.heard, w.written > wsWatchBytes, c.closing.Load() != nil:
		w.rest()
		return watchNothing
	case !w.pinged:
		w.pinged = true
		c.windLocked(w)
		return watchPing
	case w.busy, c.state.Load()&(linkRunning|linkQueued|linkDirty) != 0, now.Sub(w.due) > c.carrier.o.Silence/4:
		// The ping may not have left, or its answer not have been looked at; where
		// timers are late, so is all else.
		c.windLocked(w)
		return watchNothing
	default:
		return watchCut
	}
}

// unread tells whether something has come that nobody has got to reading, as far as
// that can be known.
func (c *wsConn) unread() (ready bool) {
	if c.raw == nil {
		return false
	}
	err := c.raw.Control(func(fd uintptr) { ready = rawio.Ready(fd) })
	return err == nil && ready
}

// lookAgain looks once more, later.
func (c *wsConn) lookAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.watchLocked(); w != nil && w.timer != nil {
		c.windLocked(w)
	}
}

// die ends a connection that nothing comes through.
func (c *wsConn) die() {
	why := &wsClosing{code: wsAbnormal, reason: "nothing comes through", end: EndDead}
	if !c.closing.CompareAndSwap(nil, why) {
		return
	}
	c.cut()
	c.carrier.o.Observer.Count(EventWSDead)
	if paths := c.carrier.o.Paths; paths != nil {
		paths.Dead(c.port)
	}
}
