//go:build unix

package rawio

import (
	"bytes"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// pair returns two ends of a connection, and the descriptor of the first.
func pair(t *testing.T) (control func(func(fd uintptr)), far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	near, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	raw, err := near.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	return func(f func(fd uintptr)) { require.NoError(t, raw.Control(f)) }, far
}

func TestRecv(t *testing.T) {
	control, far := pair(t)
	p := make([]byte, 10)
	control(func(fd uintptr) {
		_, again, err := Recv(fd, p)
		require.NoError(t, err)
		require.True(t, again, "there is nothing")
		_, err = far.Write([]byte("hello"))
		require.NoError(t, err)
		for again = true; again; { // it is on its way
			var n int
			n, again, err = Recv(fd, p)
			require.NoError(t, err)
			require.Equal(t, "hello"[:n], string(p[:n]))
		}
		require.NoError(t, far.Close())
		for again = true; again; {
			var n int
			n, again, err = Recv(fd, p)
			require.NoError(t, err)
			require.Zero(t, n)
		}
	})
}

func TestReady(t *testing.T) {
	control, far := pair(t)
	control(func(fd uintptr) {
		require.False(t, Ready(fd))
		_, err := far.Write([]byte("x"))
		require.NoError(t, err)
		for !Ready(fd) { // it is on its way
			runtime.Gosched()
		}
		require.True(t, Ready(fd), "it takes nothing")
		_, _, err = Recv(fd, make([]byte, 10))
		require.NoError(t, err)
		require.False(t, Ready(fd))
		require.NoError(t, far.Close())
		for !Ready(fd) {
			runtime.Gosched()
		}
		n, again, err := Recv(fd, make([]byte, 10))
		require.NoError(t, err)
		require.False(t, again)
		require.Zero(t, n, "the end")
	})
}

func TestSend(t *testing.T) {
	control, far := pair(t)
	sent := 0
	control(func(fd uintptr) {
		p := bytes.Repeat([]byte("x"), 1<<20)
		for {
			n, again, err := Send(fd, p)
			require.NoError(t, err)
			if again {
				break
			}
			require.Positive(t, n)
			sent += n
		}
	})
	got := 0
	for p := make([]byte, 1<<20); got < sent; {
		n, err := far.Read(p)
		require.NoError(t, err)
		got += n
	}
	require.Equal(t, sent, got)
	require.NoError(t, far.Close())
	control(func(fd uintptr) {
		for err := error(nil); err == nil; { // a reset is on its way
			_, _, err = Send(fd, []byte("x"))
		}
	})
}
