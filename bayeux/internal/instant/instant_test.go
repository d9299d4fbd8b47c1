package instant_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

func TestTime(t *testing.T) {
	begin := time.Now()
	c := instant.New(begin)
	var none instant.Time
	first := c.At(begin)
	require.True(t, none.IsZero())
	require.False(t, first.IsZero())
	require.True(t, none.Before(c.At(begin.Add(-time.Hour))), "also what was before the clock began")

	later := c.At(begin.Add(time.Minute))
	require.Equal(t, first.Add(time.Minute), later)
	require.Equal(t, time.Minute, later.Sub(first))
	require.True(t, later.After(first))
	require.Equal(t, begin.Add(time.Minute), c.Time(later))
	require.True(t, first.Before(later))
	require.False(t, first.After(first)) //nolint:gocritic // the same moment is not after itself
}
