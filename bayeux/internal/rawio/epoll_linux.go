package rawio

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events returns how many of the events that an epoll has to tell of were put into
// events. It never waits, and is not announced to the Go scheduler.
func Events(epoll uintptr, events []unix.EpollEvent) (int, error) {
	for {
		//nolint:gosec // a pointer is what the system call takes
		n, _, code := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
		switch code {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, code
		}
	}
}

// Announce makes an ordinary system call, the cheapest there is, before work that may
// last: see Spell.
func Announce() { _, _, _ = syscall.Syscall(syscall.SYS_GETPID, 0, 0, 0) }
