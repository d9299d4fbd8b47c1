package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const printed = `goos: linux
pkg: example.org/a
BenchmarkOne/small-2   	 1135262	      1005 ns/op	 197.05 MB/s	     768 B/op	       3 allocs/op
BenchmarkOne/small-2   	 1135262	      1005 ns/op	 197.05 MB/s	     770 B/op	       2 allocs/op
BenchmarkTwo-2         	     100	      1005 ns/op	       0 B/op	       0 allocs/op
PASS
pkg: example.org/b
BenchmarkTwo-2         	     100	      1005 ns/op	  12.5 ns/delivery	     100 B/op	     200 allocs/op
`

func TestParse(t *testing.T) {
	require.Equal(t, map[string]garbage{
		"example.org/a BenchmarkOne/small-2": {770, 3},
		"example.org/a BenchmarkTwo-2":       {0, 0},
		"example.org/b BenchmarkTwo-2":       {100, 200},
	}, parse([]byte(printed)))
}

func TestJudge(t *testing.T) {
	old := map[string]garbage{"a": {1000, 3}, "b": {0, 200}}
	for name, c := range map[string]struct {
		now  map[string]garbage
		more string
	}{
		"the same":        {map[string]garbage{"a": {1000, 3}, "b": {0, 200}}, ""},
		"less":            {map[string]garbage{"a": {100, 1}, "b": {0, 0}}, ""},
		"within":          {map[string]garbage{"a": {1164, 3}, "b": {64, 210}}, ""},
		"an allocation":   {map[string]garbage{"a": {1000, 4}, "b": {0, 200}}, "a: 4 allocations each, 3 are stored\n"},
		"many of many":    {map[string]garbage{"a": {1000, 3}, "b": {0, 211}}, "b: 211 allocations each, 200 are stored\n"},
		"bytes":           {map[string]garbage{"a": {1165, 3}, "b": {0, 200}}, "a: 1165 bytes of garbage each, 1000 are stored\n"},
		"one is missing":  {map[string]garbage{"a": {1000, 3}}, "b: stored, but there is no such benchmark\n"},
		"one is not kept": {map[string]garbage{"a": {1000, 3}, "b": {0, 200}, "c": {}}, "c: not stored yet\n"},
	} {
		more, text := judge(old, c.now)
		require.Equal(t, c.more != "", more, name)
		if more {
			require.Equal(t, c.more, text, name)
		} else {
			require.Equal(t, "2 benchmarks make no more garbage than is stored\n", text, name)
		}
	}
}

// What is stored has the codec, the channel tree, the queue, fan-out and polls.
func TestStored(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", stored))
	require.NoError(t, err)
	for _, want := range []string{"BenchmarkDecode/", "BenchmarkFreeze", "BenchmarkCollect", "BenchmarkRoute", "BenchmarkAppendTakeDone", "BenchmarkFanOut", "BenchmarkPoll"} {
		require.Contains(t, string(text), want)
	}
}

func TestUsage(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), nil, nil), "is needed")
}
