package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.InDelta(t, 3, median([]slowRun{{p99: 9}, {p99: 1}, {p99: 3}}).p99, 0)
	require.InDelta(t, 1, median([]slowRun{{p99: 1}}).p99, 0)
}

func TestTableGoesIntoTheDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	require.NoError(t, os.WriteFile(path, []byte("a\n<!-- slow -->\nold\n<!-- end -->\nb\n<!-- end -->\n"), 0o600))
	s := slowPlan{clients: 10, stalled: 1, pairs: 2}
	table := s.table([]verdict{{policy: "conflate", stalled: slowRun{p99: 2, counts: "5 replaced (maxQueue)"}, free: slowRun{p99: 1}, change: 1, allowed: 0.1, failed: []string{"x"}}})
	require.Contains(t, table, "| `conflate` **failed** | 2.0 | 1.0 | +100 % | 10 % |")
	require.NoError(t, replace(path, table))
	require.NoError(t, replace(path, table))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a\n<!-- slow -->\n"+table+"<!-- end -->\nb\n<!-- end -->\n", string(text))
	require.NoError(t, os.WriteFile(path, []byte("none"), 0o600))
	require.Error(t, replace(path, table))
}

func TestMessagesGoInTurn(t *testing.T) {
	p := plan{channels: 2}
	require.Equal(t, "/load/*", p.subscription())
	require.Equal(t, []string{"/load/0", "/load/1", "/load/0"}, []string{p.target(0), p.target(1), p.target(2)})
	p.channels = 0
	require.Equal(t, p.subscription(), p.target(7))
}
