package conformance

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/suite"
)

// TestCases checks the cases themselves: ids, sections, references.
func TestCases(t *testing.T) {
	require.NoError(t, suite.Check(All()))
	n := 0
	for _, s := range All() {
		require.NotEmpty(t, s.Cases, s.Name)
		n += len(s.Cases)
	}
	require.GreaterOrEqual(t, n, 280)
}
