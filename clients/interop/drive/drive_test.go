package drive_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/interop/drive"
)

func TestTail(t *testing.T) {
	w := drive.Tail{Limit: 4 << 10}
	for range 1000 {
		n, err := w.Write([]byte("0123456789"))
		require.NoError(t, err)
		require.Equal(t, 10, n)
	}
	require.Len(t, w.String(), 4<<10)
}
