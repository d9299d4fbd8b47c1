package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/scale"
)

// result is that of a share which was connected, and whose memory was read, so
// many seconds after the beginning.
func result(begin time.Time, connected, read int, resident int64) bench.Result {
	at := begin.Add(time.Duration(read) * time.Second)
	return bench.Result{
		Config: bench.Config{Settle: time.Duration(read-connected) * time.Second}, Started: at, Sessions: 11, Delivered: 10, Expected: 10,
		Latency: bench.Latency{Max: float64(connected)}, Server: &bench.Usage{RSSBefore: 100, RSSIdle: 100 + resident},
	}
}

func TestSum(t *testing.T) {
	begin := time.Now()
	s := show{sessions: 10}
	got, err := s.sum([]bench.Result{result(begin, 5, 40, 1100), result(begin, 20, 38, 3300)}, begin)
	require.NoError(t, err)
	require.Equal(t, 22, got.Sessions)
	require.Equal(t, 20, got.Subscriptions)
	require.Equal(t, 20, got.Delivered)
	require.Equal(t, 20, got.Expected)
	require.InDelta(t, 200, got.Resident, 0.1)
	require.InDelta(t, 300, got.Largest, 0.1)
	require.InDelta(t, 20, got.MakeSeconds, 0.1)
	require.InDelta(t, 0.02, got.ToAllSeconds, 0.001)
}

// Memory that was read before all were there says nothing.
func TestSumLate(t *testing.T) {
	begin := time.Now()
	s := show{sessions: 10, gather: 38 * time.Second}
	_, err := s.sum([]bench.Result{result(begin, 5, 40, 1100), result(begin, 31, 60, 3300)}, begin)
	require.ErrorContains(t, err, "too late for -gather 38s")
	missing := result(begin, 5, 40, 1100)
	missing.Server = nil
	_, err = s.sum([]bench.Result{missing}, begin)
	require.ErrorContains(t, err, "memory")
}

func TestJudge(t *testing.T) {
	good := scale.Show{Servers: 6, Delivered: 10, Expected: 10, Resident: 2600, Largest: 2999, Single: 2500}
	require.NoError(t, judge(good))
	lost, large, unknown := good, good, good
	lost.Delivered, large.Largest, unknown.Single = 9, 3001, 0
	require.EqualError(t, judge(lost), "9 of 10 messages came")
	require.ErrorContains(t, judge(large), "up to 3001 bytes among 6 servers and 2500 in one alone, at most 1.2 times")
	require.ErrorContains(t, judge(unknown), "and 0 in one alone")
}

func TestBounds(t *testing.T) {
	for _, args := range [][]string{{"-servers", "0"}, {"-servers", "13"}, {"-sessions", "0"}, {"-sessions", "19501"}} {
		require.ErrorContains(t, run(t.Context(), args), "1 to 12 servers", "%v", args)
	}
}
