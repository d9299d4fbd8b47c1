package transport

import (
	"time"

	"github.com/gobwas/ws"
)

// wsAside is what connections have now and then.
type wsAside struct {
	control []byte // control frames to be sent
	timers  [2]*time.Timer
	watch   *wsWatch // nil: nothing, or nothing any more
}

// asideLocked returns it, made if missing.
func (c *wsConn) asideLocked() *wsAside {
	if c.aside == nil {
		c.aside = new(wsAside)
	}
	return c.aside
}

// tidyLocked gives it up when nothing of it is there.
func (c *wsConn) tidyLocked() {
	if a := c.aside; a.control == nil && a.timers == ([2]*time.Timer{}) && a.watch == nil {
		c.aside = nil
	}
}

// queueControl adds a control frame to what the flusher sends next.
func (c *wsConn) queueControl(op ws.OpCode, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.asideLocked()
	a.control = frameAppendControl(a.control, op, payload)
}

func (c *wsConn) controlSize() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aside == nil {
		return 0
	}
	return len(c.aside.control)
}

// ping is called by a timer. One unsent ping is enough.
func (c *wsConn) ping() {
	if c.closing.Load() != nil {
		return
	}
	if c.controlSize() == 0 {
		c.queueControl(ws.OpPing, nil)
		c.Wake()
	}
	c.after(0, c.carrier.o.PingInterval, c.ping)
}

// after calls f in d; what is the timer's place. Nothing is called once the
// connection has ended.
func (c *wsConn) after(what int, d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.asideLocked().timers[what] = time.AfterFunc(d, f)
	}
}

// takeControl appends the control frames that are to be sent.
func (c *wsConn) takeControl(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.aside
	if a == nil {
		return dst
	}
	dst = append(dst, a.control...)
	a.control = nil
	c.tidyLocked()
	return dst
}

// stopTimers ends what after and the watch have begun, and lets nothing begin
// again.
func (c *wsConn) stopTimers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.aside == nil {
		return
	}
	for _, t := range c.aside.timers {
		if t != nil {
			t.Stop()
		}
	}
	c.unwatchLocked()
}
