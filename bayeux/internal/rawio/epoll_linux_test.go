package rawio

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEvents(t *testing.T) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	defer func() { _ = unix.Close(epoll) }()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	defer func() { _ = unix.Close(wake) }()
	require.NoError(t, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 7}))

	events := make([]unix.EpollEvent, 4)
	n, err := Events(uintptr(epoll), events)
	require.NoError(t, err)
	require.Zero(t, n, "it does not wait")
	_, err = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	require.NoError(t, err)
	n, err = Events(uintptr(epoll), events)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.EqualValues(t, 7, events[0].Fd)
	require.NotZero(t, events[0].Events&unix.EPOLLIN)
	_, err = Events(uintptr(wake), events)
	require.ErrorIs(t, err, unix.EINVAL)
}
