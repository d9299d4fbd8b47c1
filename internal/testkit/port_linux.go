package testkit

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// FreeAddress returns an address of the loopback for a program that listens
// there later, and again: until the test ends nobody else gets it, neither to
// listen nor for a connection. Its port is bound and does not listen, which is
// no obstacle to who says SO_REUSEADDR, as servers do.
func FreeAddress(t testing.TB) string {
	t.Helper()
	fd, port, err := bind()
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func bind() (fd, port int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket: %w", err)
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var at syscall.Sockaddr
	if err == nil {
		at, err = syscall.Getsockname(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return 0, 0, fmt.Errorf("bind: %w", err)
	}
	four, _ := at.(*syscall.SockaddrInet4)
	return fd, four.Port, nil
}
