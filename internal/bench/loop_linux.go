package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// shardBuffer is what one read of a shard takes at most.
	shardBuffer = 256 << 10
	// longPause is what is left to the runtime's timers: to a millisecond.
	longPause = 5 * time.Millisecond
)

// pause waits more exactly than the runtime's timers do. It can be interrupted
// but for its last milliseconds.
func pause(ctx context.Context, d time.Duration) {
	if d > longPause {
		rest(ctx, d-longPause/2)
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // after a signal the caller looks at the time again
}

// Events are told of once: to be told again of what has not been read yet costs a
// twentieth of the generator.
const (
	incoming = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	outgoing = unix.EPOLLOUT
	ending   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// receive reads what there is, io.EOF at the end.
func receive(fd int, p []byte) (int, error) {
	n, err := transfer(unix.SYS_RECVFROM, fd, p, unix.MSG_DONTWAIT)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// transmit writes what there is room for.
func transmit(fd int, p []byte) (int, error) {
	return transfer(unix.SYS_SENDTO, fd, p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// transfer never waits, and does not tell the scheduler, which is a tenth of the
// cost of a small message.
func transfer(call uintptr, fd int, p []byte, flags uintptr) (int, error) {
	for {
		//nolint:gosec // a pointer is what the system call takes
		n, _, code := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch code {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, code
		}
	}
}

// socket is a connection of a shard.
type socket struct {
	fd      int
	w       *wire
	to      netip.AddrPort // of a visit; else not valid
	pending []byte         // could not be written yet
	ended   bool           // the server has ended its side: it is read to the end
	closed  bool
}

// shard is an epoll loop: one goroutine, many connections.
type shard struct {
	eng         *engine
	epoll, wake int

	// Of the goroutine of the loop: those that wait for the pace, and those that
	// have ended in good order.
	later []*socket

	mu      sync.Mutex
	sockets map[int32]*socket
	ended   bool
}

func newLoops(e *engine, n int) ([]loop, error) {
	var all []loop
	for range n {
		s, err := newShard(e)
		if err != nil {
			for _, l := range all {
				l.stop()
			}
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func newShard(e *engine) (*shard, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}) //nolint:gosec // a descriptor
		if err != nil {
			_ = unix.Close(wake)
		}
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, err
	}
	s := &shard{eng: e, epoll: epoll, wake: wake, sockets: make(map[int32]*socket)}
	e.routines.Go(s.run) // ends with stop
	return s, nil
}

// adopt implements loop: the descriptor is doubled, so that the runtime's
// poller forgets its own.
func (s *shard) adopt(conn net.Conn, w *wire) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	if raw.Control(func(from uintptr) { fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return false
	}
	_ = tcp.Close()
	s.add(&socket{fd: fd, w: w})
	return true
}

// visit implements loop.
func (s *shard) visit(c *client, to netip.AddrPort) {
	c.since = s.eng.now()
	fd, err := connect(to)
	if err != nil {
		s.eng.lost(err)
		return
	}
	s.add(&socket{fd: fd, w: &wire{c: c, kind: c.kind}, to: to})
}

// connect begins a connection; what is written before it is there has to wait.
func connect(to netip.AddrPort) (fd int, err error) {
	var family int
	var addr unix.Sockaddr
	if ip := to.Addr().Unmap(); ip.Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: ip.As4()}
	} else {
		family, addr = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: ip.As16()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // as net does
	if err = unix.Connect(fd, addr); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// add has the loop run a connection.
func (s *shard) add(k *socket) {
	fd := k.fd
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		_ = unix.Close(fd)
		return
	}
	// Under the lock, so that the loop does not meet it half made.
	out := k.w.start(s.eng.now(), nil)
	s.sockets[int32(fd)] = k                                                                                 //nolint:gosec // a descriptor
	err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: incoming, Fd: int32(fd)}) //nolint:gosec // a descriptor
	if err == nil {
		err = s.write(k, out)
	}
	if err != nil {
		s.drop(k, err)
	}
}

// stop implements loop.
func (s *shard) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		_, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // the counter cannot be full
	}
}

// run is the loop. It owns the descriptors and closes them.
func (s *shard) run() {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = true
		for _, k := range s.sockets {
			if out := k.w.c.farewell(k.w); len(out) > 0 && len(k.pending) == 0 {
				_, _ = unix.Write(k.fd, out) // the server forgets the session by itself, too
			}
			_ = unix.Close(k.fd)
		}
		_ = unix.Close(s.wake)
		_ = unix.Close(s.epoll)
	}()
	events := make([]unix.EpollEvent, 512)
	ready := make([]*socket, 0, len(events))
	buf, out := make([]byte, shardBuffer), make([]byte, 0, shardBuffer)
	for {
		n, err := unix.EpollWait(s.epoll, events, s.patience())
		if err != nil && !errors.Is(err, unix.EINTR) {
			s.eng.lost(err)
			return
		}
		var more bool
		if ready, more = s.find(events[:max(n, 0)], ready[:0]); !more {
			return
		}
		for _, k := range ready {
			if out, err = s.serve(k, buf, out[:0]); err != nil {
				s.end(k, err)
			}
		}
		s.resume()
	}
}

// patience is how long the loop may wait for events, in milliseconds.
func (s *shard) patience() int {
	if len(s.later) > 0 {
		return 1
	}
	return -1
}

// end ends the service of a connection, for now or for good.
func (s *shard) end(k *socket, err error) {
	if errors.Is(err, errLater) {
		s.later = append(s.later, k)
		return
	}
	s.mu.Lock()
	s.drop(k, err)
	s.mu.Unlock()
	if k.to.IsValid() && errors.Is(err, errDone) {
		s.later = append(s.later, k)
	}
}

// resume begins sessions, as far as the pace lets it.
func (s *shard) resume() {
	for len(s.later) > 0 && !s.eng.stopping.Load() && s.eng.pace.take(s.eng.now()) {
		k := s.later[0]
		s.later = s.later[1:]
		if k.closed && !k.to.IsValid() {
			continue // it was lost meanwhile
		}
		if k.to.IsValid() {
			s.visit(k.w.c, k.to)
			continue
		}
		if err := s.write(k, k.w.c.begin(k.w, s.eng.now(), nil)); err != nil {
			s.end(k, err)
		}
	}
}

// find appends the connections that events are of; more is false at the end.
func (s *shard) find(events []unix.EpollEvent, ready []*socket) (found []*socket, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range events {
		if k := s.sockets[ev.Fd]; k != nil {
			k.ended = k.ended || ev.Events&ending != 0
			ready = append(ready, k)
		}
	}
	return ready, !s.ended
}

// serve reads all there is.
func (s *shard) serve(k *socket, buf, out []byte) ([]byte, error) {
	if len(k.pending) > 0 {
		rest := k.pending
		k.pending = nil
		if err := s.write(k, rest); err != nil {
			return out, err
		}
		if len(k.pending) == 0 {
			if err := s.watch(k, incoming); err != nil {
				return out, err
			}
		}
	}
	for {
		n, err := receive(k.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return out, nil
		case errors.Is(err, io.EOF):
			return out, errors.New("the server ended a connection")
		case err != nil:
			return out, err
		}
		var broken error
		out, broken = k.w.feed(buf[:n], s.eng.now(), out[:0])
		if err := s.write(k, out); err != nil && broken == nil {
			broken = err
		}
		if broken != nil || n < len(buf) && !k.ended {
			return out, broken // what comes later makes the next event
		}
	}
}

// write writes what goes; the rest waits, and the kernel says when.
func (s *shard) write(k *socket, out []byte) error {
	if len(k.pending) > 0 {
		if len(k.pending)+len(out) > maxPayload {
			return errors.New("the server does not read")
		}
		k.pending = append(k.pending, out...)
		return nil
	}
	for len(out) > 0 {
		n, err := transmit(k.fd, out)
		switch {
		case errors.Is(err, unix.EAGAIN):
			k.pending = append(k.pending, out...)
			return s.watch(k, incoming|outgoing)
		case err != nil:
			return err
		default:
			out = out[n:]
		}
	}
	return nil
}

func (s *shard) watch(k *socket, events uint32) error {
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, k.fd, &unix.EpollEvent{Events: events, Fd: int32(k.fd)}) //nolint:gosec // a descriptor
}

// drop closes a connection. The lock is held.
func (s *shard) drop(k *socket, err error) {
	if k.closed {
		return
	}
	k.closed = true
	delete(s.sockets, int32(k.fd)) //nolint:gosec // a descriptor
	_ = unix.Close(k.fd)
	s.eng.lost(err)
}
