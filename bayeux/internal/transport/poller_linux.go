package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pollWake is the descriptor number, in events, of the poller's own wake-up.
const pollWake = -1

// pollTick is how exactly deadlines are met.
const pollTick = 200 * time.Millisecond

// pollSlotOf numbers the ticks of time.
func pollSlotOf(at time.Time) int64 { return at.UnixNano() / int64(pollTick) }

// EpollPoller is the Poller of Linux, for plain TCP connections. Each ready
// connection gets a goroutine for as long as it has something to say.
// Deadlines are met to the second, never early.
type EpollPoller struct {
	epoll, wake int

	// Guarded by mu.
	mu    sync.Mutex
	armed map[int]*Parked     // by descriptor
	wheel map[int64][]*Parked // by the second they are looked at
	ended bool

	// calls counts the goroutines: the loop and what runs Ready.
	calls sync.WaitGroup
}

var _ Poller = (*EpollPoller)(nil)

// NewEpollPoller returns a poller, which is to be ended with Wait. The error is
// the kernel's.
func NewEpollPoller() (*EpollPoller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: pollWake})
		if err != nil {
			_ = unix.Close(wake)
		}
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, err
	}
	e := &EpollPoller{epoll: epoll, wake: wake, armed: make(map[int]*Parked), wheel: make(map[int64][]*Parked)}
	e.calls.Go(e.loop) // ends with Wait
	return e, nil
}

// Arm implements Poller. Only a bare *net.TCPConn can be watched: what lies
// above a descriptor may have read from it already.
func (e *EpollPoller) Arm(p *Parked, deadline time.Time) bool {
	tcp, ok := p.Conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	armed := false
	// Control keeps the descriptor open meanwhile.
	err = raw.Control(func(fd uintptr) { armed = e.arm(p, int(fd), deadline) })
	return err == nil && armed
}

func (e *EpollPoller) arm(p *Parked, fd int, deadline time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return false
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)} //nolint:gosec // a descriptor
	op := unix.EPOLL_CTL_ADD
	if p.known {
		op = unix.EPOLL_CTL_MOD
	}
	p.fd, p.deadline, p.armed = fd, deadline, true
	e.armed[fd] = p // before the kernel knows: the event may come at once
	if unix.EpollCtl(e.epoll, op, fd, &event) != nil {
		p.armed = false
		delete(e.armed, fd)
		return false
	}
	p.known = true
	e.schedule(p)
	return true
}

// schedule enters the deadline, unless the connection is looked at before it
// anyway. The lock is held.
func (e *EpollPoller) schedule(p *Parked) {
	if p.deadline.IsZero() {
		return
	}
	due := pollSlotOf(p.deadline) + 1
	if p.due != 0 && p.due <= due {
		return
	}
	p.due = due
	e.wheel[due] = append(e.wheel[due], p)
	if len(e.wheel) == 1 && len(e.wheel[due]) == 1 {
		e.interrupt() // the loop sleeps without a limit while there is none
	}
}

// Disarm implements Poller.
func (e *EpollPoller) Disarm(p *Parked) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !p.armed {
		return false
	}
	e.disarm(p)
	return true
}

// disarm forgets that p is armed. What the kernel still says of it is ignored,
// and closing the descriptor makes it forget too. The lock is held.
func (e *EpollPoller) disarm(p *Parked) {
	p.armed = false
	delete(e.armed, p.fd)
}

// Wait implements Poller.
func (e *EpollPoller) Wait(ctx context.Context) error {
	e.mu.Lock()
	first := !e.ended
	e.ended = true
	for _, p := range e.armed {
		e.call(p)
	}
	if first {
		e.interrupt()
	}
	e.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last call
		e.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call hands p to a goroutine. The lock is held.
func (e *EpollPoller) call(p *Parked) {
	e.disarm(p)
	e.calls.Go(p.Ready) // ends when the connection has no more to say
}

// interrupt makes the loop look at the wheel and at ended. The lock is held.
func (e *EpollPoller) interrupt() {
	_, _ = unix.Write(e.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // the counter cannot be full
}

// loop waits for the kernel. It owns the descriptors and closes them.
func (e *EpollPoller) loop() {
	defer func() {
		// Under the lock: nobody may be about to write to them.
		e.mu.Lock()
		defer e.mu.Unlock()
		_ = unix.Close(e.epoll)
		_ = unix.Close(e.wake)
	}()
	events := make([]unix.EpollEvent, 256)
	timeout := -1
	for {
		n, err := unix.EpollWait(e.epoll, events, timeout)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			e.abandon()
			return
		}
		var more bool
		if timeout, more = e.round(events[:max(n, 0)]); !more {
			return
		}
	}
}

// round hands out what is ready and what is due, and returns how many
// milliseconds to sleep.
func (e *EpollPoller) round(events []unix.EpollEvent) (timeout int, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range events {
		if ev.Fd == pollWake {
			var count [8]byte
			_, _ = unix.Read(e.wake, count[:])
			continue
		}
		// An event of a descriptor closed and used again may be taken for its
		// successor's: Ready then reads, and waits.
		if p := e.armed[int(ev.Fd)]; p != nil {
			e.call(p)
		}
	}
	if e.ended {
		return 0, false
	}
	e.expire(time.Now())
	if len(e.wheel) == 0 {
		return -1, true
	}
	return int(pollTick.Milliseconds()), true
}

// expire looks at the connections whose tick has come: their deadlines may
// have moved since. The lock is held.
func (e *EpollPoller) expire(now time.Time) {
	for due, list := range e.wheel {
		if due > pollSlotOf(now) {
			continue
		}
		delete(e.wheel, due)
		for _, p := range list {
			if p.due == due {
				p.due = 0
			}
			switch {
			case !p.armed || p.deadline.IsZero():
			case p.deadline.After(now):
				e.schedule(p)
			default:
				e.call(p)
			}
		}
	}
}

// abandon hands out everything: the kernel has failed us, and the connections
// wait on their own from now on.
func (e *EpollPoller) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	for _, p := range e.armed {
		e.call(p)
	}
}
