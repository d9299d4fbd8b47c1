package floors

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readSize   = 64 << 10
	eventCount = 1024
	freeCount  = 1024 // buffers that are kept for the next flush
	freeSize   = 64 << 10
)

// protocol is what a floor speaks.
type protocol interface {
	// input takes what it can of b and returns how much that was. An error
	// closes the connection.
	input(c *conn, b []byte) (int, error)
	// release answers a held connect.
	release(c *conn)
	// closed forgets a connection.
	closed(c *conn)
	// round is called after the events of a wake-up.
	round()
}

// conn is a connection.
type conn struct {
	fd      int
	open    bool     // upgraded
	gone    bool     // closed; what still points here ignores it
	writing bool     // the kernel is asked to tell when there is room
	marked  bool     // in loop.marked
	session *session // of LongPolling: the one whose connect is held here
	in      []byte   // the beginning of what is not complete
	out     []byte   // what waits to be sent
	held    []byte   // the id of the connect that is held; nil: none
	due     int64    // when it is to be answered, in ns since the start
	topics  []*topic
	acks    *acks // of WebSocket: of a client with acknowledged messages
}

// hold is an entry of the queue of held connects, which are all held equally
// long; it means nothing if the connection has another due by then.
type hold struct {
	c   *conn
	due int64
}

// Floor is a floor that listens. Run serves; Stop may be called by any
// goroutine, the others by one.
type Floor struct {
	cfg   Config
	port  int
	lfd   int
	epfd  int
	mu    sync.Mutex
	wake  [2]int // a pipe that ends Run; its writing end is behind mu
	start time.Time
	speak protocol

	conns  map[int]*conn
	marked []*conn // those with something to flush after the wake-up
	free   [][]byte
	holds  []hold
	ending bool
	buf    []byte
}

// Listen makes a floor that listens.
func Listen(cfg Config) (*Floor, error) {
	if cfg.Hold == 0 {
		cfg.Hold = DefaultHold
	}
	f := &Floor{cfg: cfg, conns: map[int]*conn{}, buf: make([]byte, readSize), start: time.Now(), lfd: -1, epfd: -1, wake: [2]int{-1, -1}}
	switch cfg.Protocol {
	case WebSocket:
		f.speak = &webSocket{Floor: f, topics: topics{}}
	case LongPolling:
		f.speak = &longPolling{Floor: f, topics: topics{}, sessions: map[string]*session{}}
	default:
		return nil, fmt.Errorf("protocol %q: want %s or %s", cfg.Protocol, WebSocket, LongPolling)
	}
	if err := f.listen(); err != nil {
		f.shut()
		return nil, err
	}
	return f, nil
}

func (f *Floor) listen() (err error) {
	if f.lfd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(f.lfd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err = unix.Bind(f.lfd, &unix.SockaddrInet4{Port: f.cfg.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err = unix.Listen(f.lfd, 4096); err != nil {
		return os.NewSyscallError("listen", err)
	}
	addr, err := unix.Getsockname(f.lfd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	if in, ok := addr.(*unix.SockaddrInet4); ok {
		f.port = in.Port
	}
	if err = unix.Pipe2(f.wake[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	if f.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	return errors.Join(f.watch(unix.EPOLL_CTL_ADD, f.lfd, unix.EPOLLIN), f.watch(unix.EPOLL_CTL_ADD, f.wake[0], unix.EPOLLIN))
}

func (f *Floor) watch(op, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(f.epfd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})) //nolint:gosec // a descriptor
}

// URL returns where the floor listens.
func (f *Floor) URL() string { return fmt.Sprintf("http://127.0.0.1:%d/cometd", f.port) }

// Stop ends Run, at once or when it begins.
func (f *Floor) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wake[1] >= 0 {
		_, _ = unix.Write(f.wake[1], []byte{1})
	}
}

// Run serves until Stop and closes everything.
func (f *Floor) Run() error {
	defer f.shut()
	events := make([]unix.EpollEvent, eventCount)
	for !f.ending {
		n, err := unix.EpollWait(f.epfd, events, f.patience())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:max(n, 0)] {
			f.event(int(e.Fd), e.Events)
		}
		f.expire()
		f.speak.round()
		f.flushMarked()
	}
	return nil
}

// shut closes everything.
func (f *Floor) shut() {
	for _, c := range f.conns {
		f.close(c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fd := range []*int{&f.lfd, &f.epfd, &f.wake[0], &f.wake[1]} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}

func (f *Floor) event(fd int, events uint32) {
	switch fd {
	case f.wake[0]:
		f.ending = true
		return
	case f.lfd:
		f.accept()
		return
	}
	c := f.conns[fd]
	if c == nil {
		return // closed in this wake-up
	}
	if events&unix.EPOLLOUT != 0 {
		f.flush(c)
	}
	if !c.gone && events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 {
		f.read(c)
	}
}

func (f *Floor) accept() {
	for {
		fd, _, err := unix.Accept4(f.lfd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // none is left, or no descriptor
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if f.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			_ = unix.Close(fd)
			continue
		}
		f.conns[fd] = &conn{fd: fd}
	}
}

// read takes what has come, at most readSize; the kernel tells of the rest again.
func (f *Floor) read(c *conn) {
	n, err := unix.Read(c.fd, f.buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 {
		f.close(c)
		return
	}
	b := f.buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	used, err := f.speak.input(c, b)
	if c.gone {
		return
	}
	if err != nil || len(b)-used > MaxInput {
		f.close(c)
		return
	}
	if used == len(b) {
		c.in = nil
	} else {
		c.in = append([]byte(nil), b[used:]...)
	}
}

func (f *Floor) close(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	delete(f.conns, c.fd)
	_ = unix.Close(c.fd)
	f.speak.closed(c)
	c.in, c.out = nil, nil
}

// send sends b, which stays the caller's. After Coalesce it waits for the end
// of the wake-up.
func (f *Floor) send(c *conn, b []byte) {
	if c.gone {
		return
	}
	if !f.cfg.Coalesce && len(c.out) == 0 {
		n, err := write(c.fd, b)
		if err != nil {
			f.close(c)
			return
		}
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
	if len(c.out)+len(b) > MaxQueue {
		f.close(c)
		return
	}
	if c.out == nil {
		c.out = f.buffer()
	}
	c.out = append(c.out, b...)
	if f.cfg.Coalesce && !c.writing {
		f.mark(c)
	} else {
		f.wantRoom(c, true)
	}
}

func (f *Floor) mark(c *conn) {
	if !c.marked {
		c.marked = true
		f.marked = append(f.marked, c)
	}
}

func (f *Floor) flushMarked() {
	for _, c := range f.marked {
		c.marked = false
		if !c.gone {
			f.flush(c)
		}
	}
	clear(f.marked)
	f.marked = f.marked[:0]
}

func (f *Floor) flush(c *conn) {
	n, err := write(c.fd, c.out)
	if err != nil {
		f.close(c)
		return
	}
	if n == len(c.out) {
		if len(f.free) < freeCount && cap(c.out) <= freeSize {
			f.free = append(f.free, c.out[:0])
		}
		c.out = nil
	} else {
		c.out = append(c.out[:0], c.out[n:]...)
	}
	f.wantRoom(c, c.out != nil)
}

func (f *Floor) wantRoom(c *conn, want bool) {
	if want == c.writing {
		return
	}
	c.writing = want
	events := uint32(unix.EPOLLIN)
	if want {
		events |= unix.EPOLLOUT
	}
	if f.watch(unix.EPOLL_CTL_MOD, c.fd, events) != nil {
		f.close(c)
	}
}

func (f *Floor) buffer() []byte {
	if n := len(f.free); n > 0 {
		b := f.free[n-1]
		f.free = f.free[:n-1]
		return b
	}
	return make([]byte, 0, 512)
}

// hold keeps a connect for the configured time; it copies the id.
func (f *Floor) hold(c *conn, id []byte) {
	c.held = append([]byte{}, id...)
	c.due = int64(time.Since(f.start) + f.cfg.Hold)
	f.holds = append(f.holds, hold{c, c.due})
}

// expire answers the connects whose time has come.
func (f *Floor) expire() {
	now := int64(time.Since(f.start))
	for len(f.holds) > 0 && f.stale(now) {
		h := f.holds[0]
		f.holds[0] = hold{}
		f.holds = f.holds[1:]
		if h.c.held != nil && h.c.due == h.due && !h.c.gone {
			f.speak.release(h.c)
		}
	}
}

// stale tells whether the first of the queue is due or was answered.
func (f *Floor) stale(now int64) bool {
	h := f.holds[0]
	return h.due <= now || h.c.gone || h.c.held == nil || h.c.due != h.due
}

// patience returns how long to wait for events, in milliseconds.
func (f *Floor) patience() int {
	if len(f.holds) == 0 {
		return -1
	}
	return int(max(0, f.holds[0].due-int64(time.Since(f.start)))/int64(time.Millisecond)) + 1
}

// write writes what the socket takes. The socket does not block, so the
// scheduler need not know.
func write(fd int, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) //nolint:gosec // what unix.Write does, without telling the scheduler
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
