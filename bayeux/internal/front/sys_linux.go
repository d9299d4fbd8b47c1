package front

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/halleypush/halley/bayeux/internal/rawio"
)

// supported tells that connections of this platform can wait in an epoll.
const supported = true

// sysRead reads what there is: errAgain if nothing is, io.EOF at the end.
func sysRead(fd int, p []byte) (int, error) {
	n, again, err := rawio.Recv(uintptr(fd), p)
	switch {
	case again:
		return 0, errAgain
	case err != nil:
		return 0, os.NewSyscallError("recvfrom", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// sysWrite writes what the kernel takes: errAgain if it takes nothing.
func sysWrite(fd int, p []byte) (int, error) {
	n, again, err := rawio.Send(uintptr(fd), p)
	if again {
		return 0, errAgain
	}
	return n, os.NewSyscallError("sendto", err)
}

// sysEnded tells whether the peer has ended its side and all it has sent was
// read, or the connection is broken.
func sysEnded(fd int) bool {
	var one [1]byte
	n, err := retry(func() (int, error) {
		n, _, err := unix.Recvfrom(fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return n, err
	})
	return n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN)
}

func sysClose(fd int) { _ = unix.Close(fd) }

func sysCloseWrite(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

// retry repeats a call that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR { //nolint:errorlint // as the kernel returns it
			return max(n, 0), err
		}
	}
}

// sysAccept takes a connection: errAgain if there is none. Not valid is the
// address of a peer that is net's to understand.
func sysAccept(listener int) (fd int, peer netip.AddrPort, err error) {
	var from unix.Sockaddr
	fd, err = retry(func() (int, error) {
		var fd int
		fd, from, err = unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return fd, err
	})
	if err != nil {
		if err == unix.EAGAIN { //nolint:errorlint // as the kernel returns it
			return 0, peer, errAgain
		}
		return 0, peer, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	return fd, addrPort(from), nil
}

func addrPort(sa unix.Sockaddr) (a netip.AddrPort) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)) //nolint:gosec // a port
	case *unix.SockaddrInet6:
		if sa.ZoneId == 0 {
			return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)) //nolint:gosec // a port
		}
	}
	return a
}

func sysLocal(fd int) net.Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return &net.TCPAddr{}
	}
	return net.TCPAddrFromAddrPort(addrPort(sa))
}

// sysPrepare sets what net sets on each connection, as far as it can be set,
// where they all get it from: on the listener.
func sysPrepare(listener int) {
	const seconds, probes = 15, 9 // net's defaults
	for _, o := range [][3]int{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes},
	} {
		_ = unix.SetsockoptInt(listener, o[0], o[1], o[2])
	}
}

// sysConn makes one of net's connections of a descriptor, which it closes.
func sysConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "tcp")
	defer func() { _ = f.Close() }()
	return net.FileConn(f)
}

// epoll tells of connections. Each is registered once, for all that may come
// and edge-triggered, as the runtime's own poller does it.
type epoll struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
}

func newEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// The runtime's poller waits for ours, so that no thread has to.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	e := &epoll{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	if e.raw, err = e.file.SyscallConn(); err == nil {
		err = e.file.SetReadDeadline(time.Time{}) // an error where it cannot be waited for
	}
	if err != nil {
		_ = e.file.Close()
		return nil, err
	}
	return e, nil
}

func (e *epoll) close() { _ = e.file.Close() }

// add has wait tell of a descriptor, and with it of a mark.
func (e *epoll) add(fd int, mark int32) error {
	const all = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	return os.NewSyscallError("epoll_ctl",
		unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: all & 0xffffffff, Fd: int32(fd), Pad: mark})) //nolint:gosec // a descriptor
}

func (e *epoll) remove(fd int) { _ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, fd, nil) }

// wait calls tell for what has happened, until the epoll is closed.
func (e *epoll) wait(tell func(fd int, mark int32, ev event)) {
	events := make([]unix.EpollEvent, 128)
	// One call of Read for ever: what happens after the last look wakes it, which
	// a new call would not know of without another look.
	_ = e.raw.Read(func(fd uintptr) bool {
		for {
			n, err := rawio.Events(fd, events)
			if err != nil {
				return false
			}
			for _, one := range events[:n] {
				tell(int(one.Fd), one.Pad, event{
					in:   one.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
					out:  one.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
					hup:  one.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
					dead: one.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0,
				})
			}
			if n < len(events) {
				return false
			}
		}
	})
}
