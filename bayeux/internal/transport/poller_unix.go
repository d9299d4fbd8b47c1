//go:build unix

package transport

import (
	"errors"
	"syscall"
)

// pollRawReads tells that pollSyscallRead works here.
const pollRawReads = true

// pollSyscallRead reads without blocking; again tells that there was nothing.
func pollSyscallRead(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		switch {
		case err == nil:
			return n, false, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, true, nil
		default:
			return 0, false, err
		}
	}
}
