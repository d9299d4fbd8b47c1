package testkit

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program can listen at the address, more than once; until then, and between,
// it is nobody's.
func TestFreeAddress(t *testing.T) {
	address, other := FreeAddress(t), FreeAddress(t)
	require.NotEqual(t, address, other)
	for range 3 {
		_, err := net.Dial("tcp", address)
		require.Error(t, err)
		l, err := net.Listen("tcp", address)
		require.NoError(t, err)
		_, err = net.Listen("tcp", address)
		require.Error(t, err)
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		served, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, served.Close())
		require.NoError(t, c.Close())
	}
}
