//go:build unix && !(linux && (amd64 || arm64 || riscv64))

package transport

import (
	"errors"
	"syscall"
)

// pollSyscallWrite writes without blocking; again tells that there was no room.
func pollSyscallWrite(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Write(int(fd), p)
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
