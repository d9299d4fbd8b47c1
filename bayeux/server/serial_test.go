package server

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSerial(t *testing.T) {
	for id, want := range map[string]int64{
		"": -1, "0": 0, "7": 7, "0042": 42, "999999999999999999": 999_999_999_999_999_999, "1000000000000000000": -1,
		"-1": -1, "+1": -1, "1.5": -1, " 1": -1, "a7": -1, "7a": -1, "٣": -1,
	} {
		require.Equal(t, want, serial(id), id)
		require.Zero(t, testing.AllocsPerRun(10, func() { serial(id) }), id)
	}
}
