package main

import "syscall"

// stall makes a socket that its client will not read hold little: a few
// kilobytes here and, for its segments are small, on the server's side too.
// Over the loopback the kernel would keep megabytes otherwise.
func stall(_, _ string, c syscall.RawConn) error {
	var err error
	failed := c.Control(func(fd uintptr) {
		if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096); err == nil {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
