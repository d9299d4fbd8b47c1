package server

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSerial(t *testing.T) {
	for id, want := range map[string]int64{
		"": -1, "0": 0, "7": 7, "0042": 42, "999999999999999999": 999_999_999_999_999_999,
	} {
		require.Equal(t, want, serial(id), id)
	}
	marks := map[int64]bool{}
	for _, id := range []string{"1000000000000000000", "-1", "+1", "1.5", " 1", "a7", "7a", "a", "٣", strings.Repeat("x", 10_000)} {
		n := serial(id)
		require.Less(t, n, int64(-1), id)
		require.GreaterOrEqual(t, n, int64(math.MinInt32), id)
		require.False(t, marks[n], id)
		marks[n] = true
		require.Zero(t, testing.AllocsPerRun(10, func() { n = serial(id) }), id)
	}
}
