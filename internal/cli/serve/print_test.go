package serve

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

var update = flag.Bool("update", false, "write the golden files and tables")

func TestPrintConfigGolden(t *testing.T) {
	c := parse(t, "--print-config", "--listen", "127.0.0.1:0", "--set", "timeout=4000", "--limit", "batch=10",
		"--extension", "activity.mode=client",
		"--config", file(t, "log-level: warn\noptions:\n  interval: 1s\n  ws:\n    timeout: 60000\n    enableExtension.x-webkit: false\n"))
	var out bytes.Buffer
	env := Env{Stdout: &out, Lookup: lookup("HALLEY_PATH", "/bayeux", "HALLEY_SET", "callback-polling.timeout=5s")}
	require.NoError(t, c.Run(t.Context(), env))
	golden(t, "print-config.golden", out.Bytes())
}

// golden compares with a file of testdata; -update writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestPrintConfigJSON(t *testing.T) {
	var out bytes.Buffer
	c := parse(t, "--print-config=json", "--set", "timeout=4000")
	require.NoError(t, c.Run(t.Context(), Env{Stdout: &out, Lookup: lookup()}))
	var lines []shown
	require.NoError(t, json.Unmarshal(out.Bytes(), &lines))
	require.Contains(t, lines, shown{"options.timeout", "4000", "20000", "flag --set"})
	require.Contains(t, lines, shown{"posture", "cometd", "cometd", "default"})
	require.Len(t, lines, len(flagTable())+len(server.OptionTable())+len(limitTable(""))+len(extensionTable())+len(authTable()), "each setting once")
}

func TestPrintFormats(t *testing.T) {
	for text, want := range map[string]string{
		"--print-config": "text", "--print-config=text": "text", "--print-config=json": "json", "--print-config=false": "",
	} {
		require.Equal(t, printFormat(want), parse(t, text).PrintConfig)
	}
}

func TestCell(t *testing.T) {
	require.Equal(t, "-", cell(""))
	require.Equal(t, "a b", cell("a b"))
	require.Equal(t, `"a\tb"`, cell("a\tb"))
}
