package transport

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/halleypush/halley/bayeux/internal/front"
	"github.com/halleypush/halley/bayeux/internal/rawio"
)

// Poller keeps connections that have nothing to say, so that they need no
// goroutine and no buffer (DESIGN 4.5). Without one, a goroutine waits for
// each connection. It is safe for concurrent use.
type Poller interface {
	// Arm calls p.Ready once, on a goroutine of its own, when p.Conn can be
	// read, was closed by its peer, or the deadline has passed (zero: none). It
	// reports false when this connection cannot be watched, or no longer: the
	// caller then waits itself. p must not be armed already.
	Arm(p *Parked, deadline time.Time) bool
	// Disarm ends the watch and reports whether p was still armed: then Ready
	// is not called any more. It must come before the connection is closed by
	// us.
	Disarm(p *Parked) bool
	// Wait ends the poller: nothing can be armed any more, what is armed is
	// called as if its deadline had passed, and Wait returns when those calls
	// have returned, or with the error of ctx.
	Wait(ctx context.Context) error
}

// Parked is a connection that a Poller may keep.
type Parked struct {
	// Conn and Ready are set once, before the first Arm.
	Conn  net.Conn
	Ready func()

	pollSlot
}

// pollSlot is what the epoll poller knows of a connection; its lock guards it.
type pollSlot struct {
	fd       int
	armed    bool
	known    bool      // the descriptor is registered
	deadline time.Time // zero: none
	due      int64     // tick at which it is looked at next, 0: none
}

// pollBuffer is a read buffer on loan from a pool.
type pollBuffer [8 << 10]byte

// pollPool lends read buffers.
type pollPool struct{ pool sync.Pool }

func (p *pollPool) get() *pollBuffer {
	if b, ok := p.pool.Get().(*pollBuffer); ok {
		return b
	}
	return new(pollBuffer)
}

func (p *pollPool) put(b *pollBuffer) {
	if b != nil {
		p.pool.Put(b)
	}
}

// frontPoller leaves connections of package front to the engine that has them
// anyway.
type frontPoller struct{}

// Arm implements Poller.
func (frontPoller) Arm(p *Parked, deadline time.Time) bool {
	c, ok := p.Conn.(*front.Conn)
	return ok && c.Arm(p.Ready, deadline)
}

// Disarm implements Poller.
func (frontPoller) Disarm(p *Parked) bool {
	c, ok := p.Conn.(*front.Conn)
	return ok && c.Disarm()
}

// Wait implements Poller. The engine is ended by who has made it.
func (frontPoller) Wait(context.Context) error { return nil }

// pollerOf returns who keeps a connection: for those of an engine that is the
// engine.
func pollerOf(conn net.Conn, other Poller) Poller {
	if _, ok := conn.(*front.Conn); ok {
		return frontPoller{}
	}
	return other
}

// pollReader reads what a connection has. It has no buffer while it waits,
// where the platform lets it. It must not be copied once it was initialised.
type pollReader struct {
	conn  net.Conn
	pool  *pollPool
	raw   syscall.RawConn // nil: read through conn
	front *front.Conn     // nil: another kind
	small [32]byte

	// What try has found; it is bound once, not at each read.
	try  func(fd uintptr) bool
	got  []byte
	buf  *pollBuffer
	fail error
}

// rawOf returns the descriptor of a bare TCP connection, of which what it says
// is all there is; nil for any other.
func rawOf(conn net.Conn) syscall.RawConn {
	if c, ok := conn.(*front.Conn); ok && rawio.Supported {
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	}
	if tcp, ok := conn.(*net.TCPConn); ok && rawio.Supported {
		if raw, err := tcp.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// init has it read conn, by raw where that is not nil.
func (r *pollReader) init(conn net.Conn, raw syscall.RawConn, pool *pollPool) {
	r.conn, r.raw, r.pool = conn, raw, pool
	r.front, _ = conn.(*front.Conn)
	if raw != nil {
		r.try = r.tryRead
	}
}

// read waits until the connection has something and returns it. The bytes are
// valid until the next read, or until the buffer, if one is returned, goes
// back to its pool. idle says that nothing is half read: the peer may take its
// time.
func (r *pollReader) read(idle bool) ([]byte, *pollBuffer, error) {
	if r.front != nil {
		return r.readFront()
	}
	if r.raw != nil {
		return r.readRaw()
	}
	if idle {
		n, err := r.conn.Read(r.small[:])
		return r.small[:n], nil, err
	}
	buf := r.pool.get()
	n, err := r.conn.Read(buf[:])
	return buf[:n], buf, err
}

// readFront reads without waiting: where there is nothing, that is what it
// returns, and the connection is parked.
func (r *pollReader) readFront() ([]byte, *pollBuffer, error) {
	buf := r.pool.get()
	n, err := r.front.TryRead(buf[:])
	if n == 0 {
		r.pool.put(buf)
		buf = nil
	}
	if front.Again(err) {
		err = nil
	}
	if buf == nil {
		return nil, nil, err
	}
	return buf[:n], buf, err
}

// readRaw reads with the descriptor itself: the runtime waits when the read
// finds nothing, and the buffer is on loan only for the length of the call.
// To wait first and read afterwards would lose what comes in between, for the
// runtime's poller tells of changes only.
func (r *pollReader) readRaw() ([]byte, *pollBuffer, error) {
	err := r.raw.Read(r.try)
	if err == nil {
		err = r.fail
	}
	p, buf := r.got, r.buf
	r.got, r.buf, r.fail = nil, nil, nil
	return p, buf, err
}

// tryRead reports false when there was nothing to read.
func (r *pollReader) tryRead(fd uintptr) bool {
	buf := r.pool.get()
	n, again, err := rawio.Recv(fd, buf[:])
	if again {
		r.pool.put(buf)
		return false
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	r.got, r.buf, r.fail = buf[:n], buf, err
	return true
}
