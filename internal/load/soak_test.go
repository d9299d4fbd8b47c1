package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSoakLines(t *testing.T) {
	grow := func(by float64) []soakSample {
		var samples []soakSample
		for i := range 100 {
			v := 100e6 + by*float64(i)
			samples = append(samples, soakSample{Resident: v, Heap: 50e6, Goroutines: 20, Descriptors: 300})
		}
		return samples
	}
	flat := func(samples []soakSample) (flat []string) {
		for _, l := range soakLines(samples) {
			if l.Flat {
				flat = append(flat, l.Name)
			}
		}
		return flat
	}
	require.Equal(t, []string{"resident", "heap", "goroutines", "descriptors"}, flat(grow(0)))
	require.Equal(t, []string{"resident", "heap", "goroutines", "descriptors"}, flat(grow(-1e5)))
	require.Equal(t, []string{"heap", "goroutines", "descriptors"}, flat(grow(1e6)))
	require.Empty(t, flat(nil), "no samples say nothing")

	busy := grow(0)
	for i := range busy {
		busy[i].Goroutines += float64(10 * i)
		busy[i].Descriptors += float64(10 * i)
		busy[i].Heap += 1e6 * float64(i)
	}
	require.Equal(t, []string{"resident"}, flat(busy))
	lines := soakLines(grow(1e6))
	require.InDelta(t, 137e6, lines[0].Early, 1e6, "the median of the second quarter")
	require.InDelta(t, 187e6, lines[0].Late, 1e6, "the median of the last quarter")
}
