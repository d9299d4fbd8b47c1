//go:build linux && (amd64 || arm64 || riscv64)

package rawio

import (
	"syscall"
	"unsafe"
)

// Supported tells that Recv and Send work here.
const Supported = true

// Recv reads what there is; again tells that there is nothing. At the end of the
// stream it returns zero and no error.
func Recv(fd uintptr, p []byte) (n int, again bool, err error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

// Ready tells whether a read would find something, be it the end or an error. It
// takes nothing.
func Ready(fd uintptr) bool {
	var one [1]byte
	_, again, _ := call(syscall.SYS_RECVFROM, fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return !again
}

// Send writes some of what there is room for; again tells that there is none.
func Send(fd uintptr, p []byte) (n int, again bool, err error) {
	return call(syscall.SYS_SENDTO, fd, p[:min(len(p), sendMax)], syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

// sendMax is what one call sends, so that a stop of the world waits for little.
const sendMax = 64 << 10

// call does not announce the system call to the Go scheduler, which would send a
// thread to look after the processor meanwhile: that costs more than the rest of
// the way from a message to the kernel. It is for calls that never wait;
// MSG_DONTWAIT makes sure of it, whatever somebody has set on the descriptor.
func call(number, fd uintptr, p []byte, flags uintptr) (n int, again bool, err error) {
	for {
		//nolint:gosec // a pointer is what the system call takes
		r, _, code := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch code {
		case 0:
			return int(r), false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, code
		}
	}
}
