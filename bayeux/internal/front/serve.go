package front

import (
	"net"
	"slices"
)

// maxPieces is in how many pieces a request may come. Who needs more is slow, or
// does it on purpose, and gets a goroutine of net/http.
const maxPieces = 16

// serve reads and serves until there is nothing to do. It is run by one
// goroutine at a time.
func (c *Conn) serve() {
	for c.step() {
	}
}

// step reads once and serves what has come. It reports false when the
// connection waits, or is not the engine's any more.
func (c *Conn) step() bool {
	h := c.takeHalf()
	if h.buf == nil {
		h.buf = c.s.buffers.get()
	}
	b := h.buf
	if len(b.b) == cap(b.b) {
		b.b = slices.Grow(b.b, cap(b.b))
	}
	n, err := c.TryRead(b.b[len(b.b):cap(b.b)])
	b.b = b.b[:len(b.b)+n]
	switch {
	case Again(err):
		return c.nothing(h)
	case err != nil:
		c.s.buffers.put(b)
		c.end()
		return false
	}
	h.pieces++
	r, v := parse(b.b, c.s.headLimit())
	switch {
	case v == other, v == whole && !c.s.takes(r.target), v == partial && h.pieces > maxPieces:
		c.pass(b.b)
		c.s.buffers.put(b)
		return false
	case v == partial, r.missing == 0 && len(b.b) == cap(b.b): // there may be more
		c.putHalf(h)
		return true // until there is nothing to be read
	}
	again := c.handle(&r, b.b)
	c.s.buffers.put(b)
	return again
}

// takeHalf returns what has come of a request, without a buffer if that is
// nothing.
func (c *Conn) takeHalf() (h half) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.half != nil {
		h, c.half = *c.half, nil
	}
	return h
}

// putHalf keeps what has come of a request. From its first byte on its time is
// short.
func (c *Conn) putHalf(h half) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == over {
		return
	}
	if h.pieces == 1 && !c.fresh {
		c.by = c.s.headerTime()
	}
	c.half = &h
}

// nothing has the connection wait.
func (c *Conn) nothing(h half) bool {
	if len(h.buf.b) == 0 {
		c.s.buffers.put(h.buf)
		if c.s.stopping.Load() {
			c.end()
			return false
		}
	} else {
		c.putHalf(h)
	}
	return !c.rest()
}

// pass gives the connection to net/http, with what was read of it.
func (c *Conn) pass(read []byte) {
	h := c.takeHalf()
	if h.buf != nil {
		read = h.buf.b
	}
	c.mu.Lock()
	if c.state == over {
		c.mu.Unlock()
		return
	}
	c.state = over // nobody looks at the descriptor any more
	c.mu.Unlock()
	conn, err := c.detach()
	c.s.forget(c, false)
	if err != nil {
		c.s.logf("front: a connection was lost: %v", err)
		return
	}
	conn = replay(conn, read)
	c.s.buffers.put(h.buf)
	c.way.give(conn)
}

// detach makes one of net's connections of it.
func (c *Conn) detach() (net.Conn, error) {
	if c.pump != nil {
		conn, more, err := c.pump.detach()
		return replay(conn, more), err
	}
	c.s.poll.remove(c)
	c.s.poll.epoll.remove(int(c.fd))
	c.refs.Or(closedBit | passedBit)
	return sysConn(int(c.fd))
}
