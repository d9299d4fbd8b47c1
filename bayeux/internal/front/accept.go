package front

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// closedWithin is how soon it is noticed that somebody else has closed a
// listener, of which nobody tells.
const closedWithin = time.Second

// acceptor accepts the connections of one listener. Its descriptor is in the
// epoll like those of connections.
type acceptor struct {
	s    *Server
	way  *way
	raw  syscall.RawConn
	poll *Conn // what is told of the listener
	err  error
}

// quit ends wait.
func (c *Conn) quit() {
	c.mu.Lock()
	c.state = over
	c.in.rouse()
	c.mu.Unlock()
}

// acceptTCP takes connections until the listener is closed.
func (s *Server) acceptTCP(l *net.TCPListener, w *way) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	a := &acceptor{s: s, way: w, raw: raw, poll: w.acceptor}
	if err := a.control(a.begin); err != nil {
		return err
	}
	defer s.poll.remove(a.poll)
	pause := time.Duration(0)
	for {
		err := a.control(a.accept)
		switch {
		case err == errAgain: //nolint:errorlint // our own
			pause = 0
			if !a.wait() {
				return net.ErrClosed
			}
		case !temporary(err):
			return err
		default:
			// No descriptors are left, most likely; net/http waits as long.
			pause = min(max(5*time.Millisecond, 2*pause), time.Second)
			s.logf("http: Accept error: %v; retrying in %v", err, pause)
			if !w.pause(pause) {
				return net.ErrClosed
			}
		}
	}
}

// temporary tells whether it makes sense to try again, as net sees it.
func temporary(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Temporary() //nolint:staticcheck // net/http asks for nothing else
}

// control calls f with the descriptor, which stays open meanwhile.
func (a *acceptor) control(f func(fd int) error) error {
	a.err = nil
	err := a.raw.Control(func(fd uintptr) { a.err = f(int(fd)) })
	if err != nil {
		return err
	}
	return a.err
}

func (a *acceptor) begin(fd int) error {
	a.poll.fd = int32(fd) //nolint:gosec // a descriptor
	sysPrepare(fd)
	return a.s.poll.add(a.poll)
}

// wait returns when there may be connections, or it is time to look whether the
// listener still is; false: net/http has closed it.
func (a *acceptor) wait() bool {
	_ = a.poll.SetReadDeadline(time.Now().Add(closedWithin))
	err := a.poll.wait(&a.poll.in)
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// accept takes all connections that wait; its error is never nil.
func (a *acceptor) accept(listener int) error {
	for {
		fd, peer, err := sysAccept(listener)
		if err != nil {
			return err
		}
		c := &Conn{s: a.s, way: a.way, fd: int32(fd), remote: peer, fresh: true} //nolint:gosec // a descriptor
		a.s.welcome(c)
	}
}

// welcome begins the life of a connection.
func (s *Server) welcome(c *Conn) {
	switch {
	case !s.enter(c):
		sysClose(int(c.fd))
	case !c.remote.IsValid():
		c.mu.Lock()
		c.send(toPass)
		c.mu.Unlock()
	default:
		c.begun(s.headerTime())
		s.watch(c)
	}
}

// watch has the poller tell of a connection. It may have been closed since it is
// known, and its descriptor must not be somebody else's.
func (s *Server) watch(c *Conn) {
	if !c.enter() {
		return
	}
	err := s.poll.add(c)
	if c.refs.Load()&closedBit != 0 {
		s.poll.remove(c)
	}
	c.exit()
	if err != nil {
		c.end()
	}
}
