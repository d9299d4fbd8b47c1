package peers

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A peer whose parent dies without a word ends with it.
func TestEndsWithParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), fakePeer+"=orphan")
	out, err := parent.Output()
	require.NoError(t, err, "%s", out)
	var pid int
	_, err = fmt.Sscanf(string(out), "peer %d", &pid)
	require.NoError(t, err, "%s", out)
	require.Eventually(t, func() bool { return ended(pid) }, time.Minute, 10*time.Millisecond)
}

// ended tells whether a process has ended, be it that nobody has waited for it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}
