package cli

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

var update = flag.Bool("update", false, "write the tables of docs/OPERATIONS.md")

// TestOperationsTables compares the tables of docs/OPERATIONS.md that are not
// those of `halley serve` with the commands; -update writes them.
func TestOperationsTables(t *testing.T) {
	codes := "| code | meaning |\n|---|---|\n"
	for _, c := range exitCodes() {
		codes += testkit.Row(c.String(), c.Meaning)
	}
	all := "| command | what |\n|---|---|\n"
	flags := "| command | flag | default | what |\n|---|---|---|---|\n"
	for _, c := range definitions(t).Children {
		all += testkit.Row("`halley "+c.Summary()+"`", c.Help)
		for _, f := range c.Flags {
			if c.Name == "serve" {
				continue // It has a table of its own.
			}
			def := ""
			if f.Default != "" {
				def = "`" + f.Default + "`"
			}
			flags += testkit.Row(c.Name, "`--"+f.Name+"`", def, f.Help)
		}
	}
	path := filepath.Join("..", "..", "docs", "OPERATIONS.md")
	testkit.Tables(t, path, *update, "run make docs", map[string]string{"exit codes": codes, "commands": all, "command flags": flags})
}

// TestDocsNameWhatIsThere finds each flag and each target of make that the
// documents name.
func TestDocsNameWhatIsThere(t *testing.T) {
	root := filepath.Join("..", "..")
	known := map[string]bool{"--help": true}
	for _, c := range definitions(t).Children {
		for _, f := range c.Flags {
			known["--"+f.Name] = true
		}
	}
	// Those of other programs.
	for _, name := range []string{"--read-only", "--cap-drop", "--now", "--ignore-missing", "--strip-components", "--build-arg"} {
		known[name] = true
	}
	targets, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	for _, name := range []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/OPERATIONS.md", "docs/NETWORKS.md", "docs/BENCH.md", "docs/TLS.md", "internal/packaging/halley.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?:^|[\s`+"`"+`'(])(--[a-z][a-z-]*[a-z])`).FindAllStringSubmatch(string(text), -1) {
			require.True(t, known[m[1]], "%s names the flag %s", name, m[1])
		}
		for _, m := range regexp.MustCompile("(?m)(?:`|^    )make ([a-z][a-z0-9-]*)").FindAllStringSubmatch(string(text), -1) {
			family := m[1][:strings.LastIndex(m[1], "-")+1] + "%"
			require.Regexp(t, `(?m)^(`+m[1]+`|`+family+`):`, string(targets), "%s names the target %s", name, m[1])
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(root, filepath.Dir(name), filepath.FromSlash(m[1])))
			require.NoError(t, err, "%s links to it", name)
		}
	}
}
