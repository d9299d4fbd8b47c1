//go:build interop

package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// resultsFolder names the folder that gets what the matrix has seen, for the table of docs/COMPATIBILITY.md; nothing is
// written without it. Paths are relative to this folder.
const resultsFolder = "HALLEY_INTEROP_RESULTS"

// outcome is how a scenario went.
type outcome string

const (
	passed      outcome = "passed"
	failed      outcome = "failed"
	notPossible outcome = "not possible" // the client has no means for it.
	notReached  outcome = "not reached"  // one before it failed.
)

// result is what was seen of one scenario.
type result struct {
	Scenario string  `json:"scenario"`
	Outcome  outcome `json:"outcome"`
	Reason   string  `json:"reason,omitempty"`
}

// row is what was seen of one cell. The program in the folder compat reads it.
type row struct {
	Client    string   `json:"client"`
	Version   string   `json:"version"`
	Transport string   `json:"transport"`
	Ack       bool     `json:"ack"`
	Results   []result `json:"results"`
}

// results are the rows of a run, in the order of the cells.
type results struct {
	mu   sync.Mutex
	rows []row
}

func (r *results) set(i int, seen row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[i] = seen
}

// write puts the rows into the folder that the environment names.
func (r *results) write(t *testing.T) {
	dir := os.Getenv(resultsFolder)
	if dir == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.MarshalIndent(r.rows, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a-programs.json"), text, 0o644))
}
