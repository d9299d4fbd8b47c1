package front

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Read implements net.Conn: it waits until something comes.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, err := c.TryRead(p)
		if err != errAgain { //nolint:errorlint // our own
			return n, err
		}
		if err := c.wait(&c.in); err != nil {
			return 0, err
		}
	}
}

// TryRead reads what there is, without waiting; Again tells of its error
// whether there was nothing.
func (c *Conn) TryRead(p []byte) (int, error) {
	c.mu.Lock()
	late := c.s.clock.passed(c.in.deadline)
	c.in.ready = false
	c.mu.Unlock()
	if late {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.tryRead(p)
	switch {
	case err == errAgain: //nolint:errorlint // our own
		c.quiet()
	case n == len(p):
		c.more()
	}
	return n, err
}

// more notes that there may be more than was read.
func (c *Conn) more() {
	c.mu.Lock()
	c.in.ready = true
	c.mu.Unlock()
}

// Again tells whether TryRead has found nothing.
func Again(err error) bool { return err == errAgain } //nolint:errorlint // our own

// quiet notes that there is nothing to read, not even an end.
func (c *Conn) quiet() {
	c.mu.Lock()
	if !c.in.ready {
		c.hup = false
	}
	c.mu.Unlock()
}

// Write implements net.Conn: it waits until all is written.
func (c *Conn) Write(p []byte) (int, error) {
	total := 0
	for {
		if c.s.clock.passed(c.deadline(&c.out)) {
			return total, os.ErrDeadlineExceeded
		}
		n, err := c.tryWrite(p[total:])
		total += n
		switch {
		case total == len(p):
			return total, nil
		case err == nil:
			continue
		case err != errAgain: //nolint:errorlint // our own
			return total, err
		}
		if err := c.wait(&c.out); err != nil {
			return total, err
		}
	}
}

// wait returns when something has happened on that side, or may have.
func (c *Conn) wait(s *side) error {
	c.mu.Lock()
	for {
		switch {
		case c.state == over:
			c.mu.Unlock()
			return net.ErrClosed
		case c.s.clock.passed(s.deadline):
			c.mu.Unlock()
			return os.ErrDeadlineExceeded
		case s.ready:
			s.ready = false
			c.mu.Unlock()
			return nil
		}
		if s.wake == nil {
			s.wake = make(chan struct{})
		}
		wake, by := s.wake, s.deadline
		c.mu.Unlock()
		c.await(wake, by)
		c.mu.Lock()
	}
}

func (c *Conn) await(wake <-chan struct{}, by instant.Time) {
	if by.IsZero() {
		<-wake
		return
	}
	timer := time.NewTimer(by.Sub(c.s.clock.now()))
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	}
}

func (c *Conn) deadline(s *side) instant.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.deadline
}

func (c *Conn) setDeadline(s *side, t time.Time) {
	s.deadline = c.s.clock.of(t)
	s.rouse()
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setDeadline(&c.in, t)
	c.setDeadline(&c.out, t)
	return c.alive()
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setDeadline(&c.in, t)
	return c.alive()
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setDeadline(&c.out, t)
	return c.alive()
}

// alive returns the error of a connection that is closed. The lock is held.
func (c *Conn) alive() error {
	if c.state == over {
		return net.ErrClosed
	}
	return nil
}

// Close implements net.Conn. Who waits for it gets net.ErrClosed; a connection
// that is armed is forgotten.
func (c *Conn) Close() error {
	c.mu.Lock()
	err := c.alive()
	c.mu.Unlock()
	c.end()
	return err
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.pump != nil {
		return c.pump.conn.LocalAddr()
	}
	if !c.enter() {
		return &net.TCPAddr{}
	}
	defer c.exit()
	return sysLocal(int(c.fd))
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr {
	if c.pump != nil {
		return c.pump.conn.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(c.remote)
}

// Arm has ready called once, on a goroutine of the engine, when there is
// something to read, the peer has closed, or by has passed (zero: never). Until
// then the connection has no goroutine. It reports false where there is
// something to read already, or the connection is closed: the caller then
// reads. Only who has hijacked the connection may call it, and not twice.
func (c *Conn) Arm(ready func(), by time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != taken || c.in.ready || c.hup {
		c.in.ready = false
		return false
	}
	c.ready, c.state = ready, armed
	c.expireAt(c.s.clock.of(by))
	return true
}

// Disarm ends that, and reports whether ready will not be called any more.
func (c *Conn) Disarm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != armed {
		return false
	}
	c.state = taken
	c.due = 0
	return true
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if c.pump != nil {
		return nil, errors.ErrUnsupported
	}
	return (*rawConn)(c), nil
}

// rawConn is a Conn as its descriptor.
type rawConn Conn

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if !c.enter() {
		return net.ErrClosed
	}
	defer c.exit()
	f(uintptr(c.fd)) //nolint:gosec // a descriptor
	return nil
}

// Read implements syscall.RawConn.
func (r *rawConn) Read(f func(fd uintptr) bool) error { return r.until(&r.in, f) }

// Write implements syscall.RawConn.
func (r *rawConn) Write(f func(fd uintptr) bool) error { return r.until(&r.out, f) }

// until calls f each time something has happened, until f is content.
func (r *rawConn) until(s *side, f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	for {
		if c.s.clock.passed(c.deadline(s)) {
			return os.ErrDeadlineExceeded
		}
		done := false
		if err := r.Control(func(fd uintptr) { done = f(fd) }); err != nil || done {
			return err
		}
		if err := c.wait(s); err != nil {
			return err
		}
	}
}
