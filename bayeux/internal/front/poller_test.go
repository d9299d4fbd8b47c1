//go:build linux

package front

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An event that was fetched before its connection was closed is not one of the
// connection that has the descriptor then.
func TestLateEvents(t *testing.T) {
	p, err := newPoller()
	require.NoError(t, err)
	defer p.close()
	ours, peer := sockets(t)
	s := &Server{poll: p}
	first, second := &Conn{s: s, fd: ours, state: held}, &Conn{s: s, fd: ours, state: taken}
	require.NoError(t, p.add(first))
	mark := first.mark
	p.remove(first)
	p.epoll.remove(int(ours))
	require.NoError(t, p.add(second))

	p.tell(int(ours), mark, event{in: true, hup: true, dead: true})
	second.mu.Lock()
	require.False(t, second.dead)
	require.False(t, second.hup)
	second.mu.Unlock()

	sysClose(int(peer))
	require.NoError(t, second.wait(&second.in))
	second.mu.Lock()
	defer second.mu.Unlock()
	require.True(t, second.hup, "its own are told")
}

// sockets returns the two ends of a connection.
func sockets(t *testing.T) (a, b int32) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(pair[0]) })
	return int32(pair[0]), int32(pair[1])
}
