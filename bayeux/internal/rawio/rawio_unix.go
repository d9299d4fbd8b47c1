//go:build unix && !(linux && (amd64 || arm64 || riscv64))

package rawio

import (
	"errors"
	"syscall"
)

// Supported tells that Recv and Send work here.
const Supported = true

// Recv reads what there is; again tells that there is nothing. At the end of the
// stream it returns zero and no error. The descriptor must not block.
func Recv(fd uintptr, p []byte) (n int, again bool, err error) { return call(syscall.Read, fd, p) }

// Ready tells whether a read would find something, be it the end or an error. It
// takes nothing. The descriptor must not block.
func Ready(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
	return !errors.Is(err, syscall.EAGAIN)
}

// Send writes some of what there is room for; again tells that there is none. The
// descriptor must not block.
func Send(fd uintptr, p []byte) (n int, again bool, err error) { return call(syscall.Write, fd, p) }

func call(f func(int, []byte) (int, error), fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = f(int(fd), p)
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
