//go:build !unix

package transport

import "syscall"

// pollRawReads tells that pollSyscallRead works here.
const pollRawReads = false

func pollSyscallRead(uintptr, []byte) (n int, again bool, err error) {
	return 0, false, syscall.EINVAL
}

func pollSyscallWrite(uintptr, []byte) (n int, again bool, err error) {
	return 0, false, syscall.EINVAL
}
