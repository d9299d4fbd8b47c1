package main

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asRead is what the tool reads from a program with one module.
const asRead = `{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
  "metadata": {
    "tools": [{"name": "cyclonedx-gomod", "hashes": [{"alg": "MD5", "content": "of this machine"}]}],
    "component": {"bom-ref": "main", "name": "github.com/halleypush/halley"}
  },
  "components": [
    {"bom-ref": "one", "name": "example.org/one", "version": "v1.0.0", "evidence": {"licenses": []}},
    {"bom-ref": "std", "name": "std", "version": "go1.26.8"}
  ],
  "dependencies": [{"ref": "main", "dependsOn": ["one", "std"]}, {"ref": "one"}, {"ref": "std"}]
}`

func billOf(t *testing.T, text string) object {
	t.Helper()
	var b object
	require.NoError(t, json.Unmarshal([]byte(text), &b))
	return b
}

func builtWith() *debug.BuildInfo {
	return &debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{{Path: "example.org/one", Version: "v1.0.0"}}}
}

// source is a release whose source has a lock file.
func source(t *testing.T, lock string) *release {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "internal", "demo")
	require.NoError(t, os.MkdirAll(path, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "package-lock.json"), []byte(lock), 0o600))
	return &release{shell: shell{dir: dir}}
}

func lockOf(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "demo", "package-lock.json"))
	require.NoError(t, err)
	return string(text)
}

func TestBill(t *testing.T) {
	client, err := source(t, lockOf(t)).clientComponent()
	require.NoError(t, err)
	require.Equal(t, "cometd", client["name"])
	require.Len(t, client["hashes"].([]any)[0].(object)["content"], 128)

	b := billOf(t, asRead)
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	require.NoError(t, mend(b, sha256.Sum256([]byte("program")), at, client))
	require.NoError(t, verify(b, builtWith()))
	require.Regexp(t, `^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, b["serialNumber"])
	meta := b["metadata"].(object)
	require.Equal(t, "2026-01-02T03:04:05Z", meta["timestamp"])
	require.Equal(t, []any{object{"name": "cyclonedx-gomod"}}, meta["tools"])
	require.Contains(t, meta["component"], "licenses")

	other := billOf(t, asRead)
	require.NoError(t, mend(other, sha256.Sum256([]byte("another")), at, client))
	require.NotEqual(t, b["serialNumber"], other["serialNumber"])
}

func TestBillIsIncomplete(t *testing.T) {
	client, err := source(t, lockOf(t)).clientComponent()
	require.NoError(t, err)
	for want, change := range map[string]func(b object, info *debug.BuildInfo){
		"example.org/two@v2.0.0 is missing": func(_ object, i *debug.BuildInfo) {
			i.Deps = append(i.Deps, &debug.Module{Path: "example.org/two", Version: "v2.0.0"})
		},
		"example.org/one@v1.0.0 is not linked":  func(_ object, i *debug.BuildInfo) { i.Deps = nil },
		"std@go1.26.8 is not linked":            func(_ object, i *debug.BuildInfo) { i.GoVersion = "go1.26.9" },
		"example.org/one@v1.0.0 has no licence": func(b object, _ *debug.BuildInfo) { delete(b["components"].([]any)[0].(object), "evidence") },
		"example.org/one@v1.0.0 stands twice": func(b object, _ *debug.BuildInfo) {
			b["components"] = append(b["components"].([]any), b["components"].([]any)[0])
		},
		"gone is depended on and not there":         func(b object, _ *debug.BuildInfo) { b["dependencies"].([]any)[1].(object)["dependsOn"] = []any{"gone"} },
		"3 of 4 components have their dependencies": func(b object, _ *debug.BuildInfo) { b["dependencies"] = b["dependencies"].([]any)[1:] },
		"a component is no object":                  func(b object, _ *debug.BuildInfo) { b["components"] = []any{"one"} },
		"a dependency is no object":                 func(b object, _ *debug.BuildInfo) { b["dependencies"] = []any{"one"} },
	} {
		b, info := billOf(t, asRead), builtWith()
		require.NoError(t, mend(b, [sha256.Size]byte{}, time.Time{}, client))
		change(b, info)
		require.EqualError(t, verify(b, info), want)
	}
	for want, text := range map[string]string{
		"no metadata":             `{}`,
		"no component of its own": `{"metadata": {}}`,
		"no tools":                `{"metadata": {"component": {}}}`,
	} {
		require.EqualError(t, mend(billOf(t, text), [sha256.Size]byte{}, time.Time{}, client), want)
	}
}

func TestLock(t *testing.T) {
	for want, text := range map[string]string{
		"no cometd":      `{"packages": {}}`,
		"is no SHA-512":  `{"packages": {"node_modules/cometd": {"version": "1", "license": "MIT", "integrity": "sha512-AAAA"}}}`,
		"unexpected end": `{`,
	} {
		_, err := source(t, text).clientComponent()
		require.ErrorContains(t, err, want)
	}
}
