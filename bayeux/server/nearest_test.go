package server

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearestName(t *testing.T) {
	known := []string{"interval", "maxInterval", "timeout"}
	for name, want := range map[string]string{"MAXINTERVAL": "maxInterval", "timeot": "timeout", "interva": "interval"} {
		require.Equal(t, want, NearestName(name, known), name)
	}
	require.Empty(t, NearestName("a", nil))
	require.Equal(t, 3, distance("kitten", "sitting"))
	require.Equal(t, 3, distance("", "abc"))
}
