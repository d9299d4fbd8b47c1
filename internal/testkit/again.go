package testkit

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// RunAgain runs the tests of this binary once more, with a variable set in their
// environment, but for those whose names skip matches ("": none); in that run, and
// in a short one, it does nothing.
func RunAgain(t *testing.T, variable, skip string) {
	t.Helper()
	if testing.Short() || os.Getenv(variable) != "" {
		return
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.count=1", "-test.timeout=15m", "-test.skip="+skip)
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
