//go:build interop

package proxies

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// children are the workers of the proxy.
func (g *rig) children() []string {
	pid := g.proxy.cmd.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return strings.Fields(string(text))
}

// busy are the workers that take connections; nginx says so of those that do not.
func (g *rig) busy() []string {
	return slices.DeleteFunc(g.children(), func(pid string) bool {
		title, err := os.ReadFile("/proc/" + pid + "/cmdline")
		return err != nil || strings.Contains(string(title), "shutting down")
	})
}

// reload has the proxy read its configuration anew, and waits for the new workers.
func reload(t *testing.T, g *rig) {
	t.Helper()
	old := g.children()
	require.NotEmpty(t, old)
	g.kind.reload(t, g, g.dir)
	eventually(t, func() bool {
		busy := g.busy()
		left := slices.ContainsFunc(busy, func(pid string) bool { return slices.Contains(old, pid) })
		return slices.ContainsFunc(busy, func(pid string) bool { return !slices.Contains(old, pid) }) && (!left || filepath.Base(g.program) != "nginx")
	}, func() string { return "new workers" })
	g.proxy.accepts(t, g.address)
}

// TestReload reloads each proxy while polls are held and sockets are open, and has the bounds pass after which the old
// workers end: sessions go on, with new connections.
func TestReload(t *testing.T) {
	t.Parallel()
	short := map[string][]change{
		"nginx.conf":        {{"worker_shutdown_timeout 5m", "worker_shutdown_timeout 2s"}},
		"nginx-stream.conf": {{"worker_shutdown_timeout 5m", "worker_shutdown_timeout 2s"}},
		"haproxy.cfg":       {{"hard-stop-after 5m", "hard-stop-after 2s"}},
	}
	through(t, kinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, hold, short[k.recipe]...)
		clients := crowd(t, g)
		for i := range 2 {
			old := g.children()
			reload(t, g)
			news(t, g, clients, fmt.Sprint("reloaded ", i))
			if len(short[k.recipe]) > 0 {
				eventually(t, func() bool {
					return !slices.ContainsFunc(g.children(), func(pid string) bool { return slices.Contains(old, pid) })
				}, func() string { return "the old workers to end" })
			}
			news(t, g, clients, fmt.Sprint("old workers gone ", i))
		}
		goOn(t, clients, 2)
		for _, c := range clients {
			require.Equal(t, 1, c.sessions(), "the session went on")
		}
		require.Zero(t, g.unknown(t))
	})
}
