package procfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcess(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "7", "fd"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "7", "fd", "0"), nil, 0o600))
	stat := "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 12 0 99 1000 3 18446744073709551615"
	require.NoError(t, os.WriteFile(filepath.Join(root, "7", "stat"), []byte(stat), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "stat"), []byte("cpu  10 5 20 999 9 1 2 3 0 0\ncpu0 1\n"), 0o600))
	p, ok := read(root, "7")
	require.True(t, ok)
	require.Equal(t, Process{
		UserCPU: 1500 * time.Millisecond, SystemCPU: 250 * time.Millisecond, Threads: 12,
		RSS: 3 * int64(os.Getpagesize()), Descriptors: 1,
	}, p)
	_, ok = read(root, "8")
	require.False(t, ok)
	busy, ok := machineCPU(root)
	require.True(t, ok)
	require.Equal(t, 380*time.Millisecond, busy)
}
