package archtest

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	module   = "github.com/halleypush/halley"
	maxLines = 500
)

// arrows lists the packages of this module and which of them each may import.
// A package that is missing fails the test, so that a new arrow is drawn on
// purpose. Leaves, which nothing below internal/cli imports, are extensions
// and clients.
func arrows() map[string][]string {
	return map[string][]string{
		"channels":                    {},
		"bayeux":                      {"channels"},
		"bayeux/internal/agenda":      {"bayeux/internal/instant"},
		"bayeux/internal/front":       {"bayeux/internal/agenda", "bayeux/internal/instant", "bayeux/internal/lifetime", "bayeux/internal/rawio"},
		"bayeux/internal/instant":     {},
		"bayeux/internal/lifetime":    {},
		"bayeux/internal/machine":     {"bayeux", "bayeux/internal/instant", "channels"},
		"bayeux/internal/notify":      {},
		"bayeux/internal/pathprofile": {"bayeux/internal/instant"},
		"bayeux/internal/queue":       {"bayeux", "bayeux/internal/instant"},
		"bayeux/internal/rawio":       {},
		"bayeux/internal/router":      {"bayeux", "channels"},
		"bayeux/internal/transport":   {"bayeux", "bayeux/internal/front", "bayeux/internal/instant", "bayeux/internal/lifetime", "bayeux/internal/rawio", "channels"},
		"bayeux/server":               {"bayeux", "bayeux/internal/*", "channels"},
		"bayeux/service":              {"bayeux", "channels"},
		"bayeux/filter":               {"bayeux", "channels"},
		"extensions/*":                {"bayeux", "channels"},
		"clients/bayeuxclient":        {"bayeux", "channels"},
		"clients/interop":             {},
		"clients/interop/*":           {},
		"clients/interop/conform":     {"bayeux", "clients/bayeuxclient"},
		"clients/interop/networks":    {"clients/bayeuxclient", "clients/interop/drive", "internal/hostileproxy", "internal/peers"},
		"conformance":                 {"conformance/*"},
		"conformance/*":               {"conformance", "conformance/*"},
		"internal/cli/doctor":         {"internal/cli/interrupt", "internal/doctor", "internal/probe"},
		"internal/doctor":             {"internal/probe"},
		"internal/probe":              {},
		"internal/cli/explain":        {"bayeux", "extensions/permissions", "internal/cli/serve"},
		"internal/cli/serve":          {"bayeux", "bayeux/server", "channels", "extensions/*", "internal/certs", "internal/demo", "internal/probe"},
		"internal/cli/bench":          {"internal/bench", "internal/cli/interrupt"},
		"internal/cli/conform":        {"conformance", "conformance/*", "internal/cli/interrupt"},
		"internal/cli/interrupt":      {},
		"internal/cli/pubsub":         {"bayeux", "channels", "clients/bayeuxclient"},
		"internal/cli/version":        {},
		"internal/cli/health":         {},
		"internal/cli/manual":         {"internal/cli/version"},
		"internal/cli/importwebxml":   {"bayeux/server"},
		"internal/demo":               {"bayeux", "channels"},
		"internal/cli":                {"internal/cli/*"},
		"cmd/halley":                  {"internal/cli"},
		"internal/testkit":            {"bayeux", "channels"},
		"internal/hostileproxy":       {},
		"internal/faults":             {"bayeux", "bayeux/server", "channels", "extensions/*"},
		"internal/archtest":           {},
		"internal/attacks":            {"clients/bayeuxclient", "internal/cli/serve"},
		"internal/baselines":          {},
		"internal/bench":              {"internal/procfs"},
		"internal/benchpeers":         {"internal/bench", "internal/peers", "internal/procfs", "internal/scale"},
		"internal/certs":              {},
		"internal/load":               {"internal/procfs"},
		"internal/procfs":             {},
		"internal/scale":              {},
		"internal/scale/show":         {"internal/bench", "internal/peers", "internal/scale"},
		"internal/clientmatrix":       {"conformance/*"},
		"internal/migration":          {},
		"internal/mutants":            {"bayeux/server", "conformance", "conformance/*", "internal/faults", "internal/peers/fixtures"},
		"internal/matrix":             {"conformance", "conformance/*", "internal/peers"},
		"internal/peers":              {},
		"internal/peers/envelope":     {},
		"internal/peers/floors":       {"internal/peers/envelope"},
		"internal/peers/floors/*":     {"internal/peers/floors"},
		"internal/peers/run":          {"internal/peers"},
		"internal/peers/fixtures":     {"bayeux", "bayeux/server", "channels"},
		"internal/peers/chat":         {"bayeux", "bayeux/filter", "bayeux/server", "bayeux/service", "channels"},
		"internal/peers/halley":       {"bayeux", "bayeux/server", "internal/cli/serve", "internal/peers/chat", "internal/peers/fixtures"},
		"internal/packaging":          {},
		"internal/release":            {},
		"internal/readme":             {},
		"internal/testsum":            {},
	}
}

// topLevel lists what may stand at the top of the repository, products of a
// build included.
func topLevel() []string {
	return []string{
		".ci", ".editorconfig", ".git", ".gitattributes", ".github", ".gitignore", ".golangci.yml",
		"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "NOTICE", "README.md", "SECURITY.md",
		"bayeux", "bin", "build", "channels", "clients", "cmd", "conformance", "dist", "docs", "extensions",
		"go.mod", "go.sum", "halley", "halley.exe", "internal",
	}
}

// source is one Go file.
type source struct {
	name string // path from the top, with slashes
	text []byte
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s source) dir() string { return path.Dir(s.name) }

// sources reads all Go files of the module: not those of other modules,
// node_modules and what was built.
func sources(t *testing.T) []source {
	t.Helper()
	root := os.DirFS(filepath.Join("..", ".."))
	var all []source
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return descend(root, name, d)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		all = append(all, source{name, text})
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func descend(root fs.FS, name string, d fs.DirEntry) error {
	if name == "." {
		return nil
	}
	switch base := d.Name(); {
	case strings.HasPrefix(base, "."), base == "node_modules", base == "testdata", name == "bin", name == "dist", name == "build":
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, name+"/go.mod"); err == nil {
		return fs.SkipDir
	}
	return nil
}

// imports returns the packages of this module that a file imports.
func imports(t *testing.T, s source) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), s.name, s.text, parser.ImportsOnly)
	require.NoError(t, err)
	var own []string
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		if to, ok := strings.CutPrefix(p, module+"/"); ok {
			own = append(own, to)
		}
	}
	return own
}

// mayImport tells whether an arrow is drawn, and whether the package is known.
func mayImport(arrows map[string][]string, from, to string) (allowed, known bool) {
	for pattern, targets := range arrows {
		if ok, _ := path.Match(pattern, from); !ok {
			continue
		}
		known = true
		for _, target := range targets {
			if ok, _ := path.Match(target, to); ok {
				return true, true
			}
		}
	}
	return false, known
}

func TestImportArrows(t *testing.T) {
	table := arrows()
	for _, s := range sources(t) {
		_, known := mayImport(table, s.dir(), "")
		assert.True(t, known, "%s: the table of arrows does not know package %s", s.name, s.dir())
		// A test may use more than what it tests, except in the suite, which
		// must run against any server.
		if s.test() && !strings.HasPrefix(s.dir(), "conformance") {
			continue
		}
		for _, to := range imports(t, s) {
			allowed, _ := mayImport(table, s.dir(), to)
			assert.True(t, allowed || to == s.dir() && s.test(), "%s: %s imports %s, an arrow that is not drawn", s.name, s.dir(), to)
		}
	}
}

// TestArrowsPoint checks the table itself: it has no cycle, and each leaf is
// reached from internal/cli or another leaf only, and by the servers of
// internal/faults and internal/attacks.
func TestArrowsPoint(t *testing.T) {
	table := arrows()
	var reach func(from string, seen map[string]bool)
	reach = func(from string, seen map[string]bool) {
		for to := range table {
			if allowed, _ := mayImport(table, from, to); allowed && !seen[to] {
				seen[to] = true
				reach(to, seen)
			}
		}
	}
	for from, targets := range table {
		seen := map[string]bool{}
		reach(from, seen)
		if !strings.HasPrefix(from, "conformance") {
			assert.False(t, seen[from], "%s is part of a cycle", from)
		}
		for _, to := range targets {
			if strings.HasPrefix(to, "extensions") || strings.HasPrefix(to, "clients") {
				up := strings.HasPrefix(from, "internal/cli") || strings.HasPrefix(from, "clients/") || from == "internal/faults" || from == "internal/attacks"
				assert.True(t, up, "%s imports the leaf %s", from, to)
			}
		}
	}
}

func TestMayImport(t *testing.T) {
	table := arrows()
	for _, tt := range []struct {
		from, to       string
		allowed, known bool
	}{
		{"bayeux", "channels", true, true},
		{"channels", "bayeux", false, true},
		{"extensions/ack", "bayeux", true, true},
		{"extensions/ack", "bayeux/server", false, true},
		{"bayeux/server", "extensions/ack", false, true},
		{"conformance", "bayeux", false, true},
		{"nowhere", "bayeux", false, false},
	} {
		allowed, known := mayImport(table, tt.from, tt.to)
		require.Equal(t, tt.allowed, allowed, "%s → %s", tt.from, tt.to)
		require.Equal(t, tt.known, known, tt.from)
	}
}

func TestFileBudget(t *testing.T) {
	generated := regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	for _, s := range sources(t) {
		if lines := bytes.Count(s.text, []byte("\n")); lines > maxLines && !generated.Match(s.text) {
			assert.Fail(t, "too long", "%s has %d lines, the budget is %d", s.name, lines, maxLines)
		}
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, e := range entries {
		assert.Contains(t, topLevel(), e.Name())
	}
}
