//go:build linux && (amd64 || arm64 || riscv64)

package transport

import (
	"syscall"
	"unsafe"
)

// pollSyscallWrite writes without blocking; again tells that there was no room.
//
// A call that never waits need not be announced to the Go scheduler, which
// would send a thread to look after the processor meanwhile: that costs more
// than the rest of the way from a message to the kernel. MSG_DONTWAIT makes sure
// of it, whatever somebody has set on the descriptor.
func pollSyscallWrite(fd uintptr, p []byte) (n int, again bool, err error) {
	const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	for {
		//nolint:gosec // a pointer is what the system call takes
		r, _, code := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
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
