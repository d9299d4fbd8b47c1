//go:build interop

package proxies

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// resultsFolder names the folder that gets what was seen, for docs/COMPATIBILITY.md; nothing is written without it.
const resultsFolder = "HALLEY_INTEROP_RESULTS"

// result is what was seen of a proxy. The program in the folder compat reads it.
type result struct {
	Proxy   string `json:"proxy"`
	Version string `json:"version"`
	Recipe  string `json:"recipe"`
	Passed  bool   `json:"passed"`
}

type results struct {
	mu  sync.Mutex
	all []result
}

func (r *results) add(t *testing.T, g *rig) {
	t.Helper()
	version, err := exec.Command(g.program, "-v").CombinedOutput()
	require.NoError(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, result{g.name, regexp.MustCompile(`\d+\.\d+\.\d+`).FindString(string(version)), g.recipe, !t.Failed()})
}

func (r *results) write(t *testing.T) {
	t.Helper()
	dir := os.Getenv(resultsFolder)
	if dir == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.all, func(a, b result) int { return strings.Compare(a.Proxy, b.Proxy) })
	text, err := json.MarshalIndent(r.all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "proxies"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "proxies", "proxies.json"), text, 0o644))
}
