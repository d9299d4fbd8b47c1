package serve

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGCPercent(t *testing.T) {
	const mb = 1 << 20
	for alive, want := range map[uint64]int{
		0: 400, 1: 400, 3 * mb: 400, 4 * mb: 300, 5 * mb: 200, 6 * mb: 150, 8 * mb: 100, 9 * mb: 100, 1 << 40: 100,
	} {
		require.Equal(t, want, gcPercent(alive), "%d alive", alive)
	}
}

// The goal follows the heap: a small one may grow to 16 MB, a large one to twice
// what is alive.
func TestKeepRoom(t *testing.T) {
	usual := debug.SetGCPercent(100)
	defer debug.SetGCPercent(usual)
	keepRoom(func(string) (string, bool) { return "50", true })
	require.Equal(t, 100, debug.SetGCPercent(100), "GOGC is respected")

	keepRoom(func(string) (string, bool) { return "", false })
	require.Equal(t, mostPercent, debug.SetGCPercent(mostPercent))
	large := make([]*[1 << 10]byte, 40<<10)
	for i := range large {
		large[i] = new([1 << 10]byte)
	}
	for tries := 0; debug.SetGCPercent(mostPercent) != usualPercent; tries++ {
		require.Less(t, tries, 10_000)
		runtime.GC()
	}
	runtime.KeepAlive(large)
}
