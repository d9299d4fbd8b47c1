package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShell(t *testing.T) {
	t.Setenv("GOFLAGS", "-race")
	t.Setenv("GOARCH", "mips")
	t.Setenv("KEPT", "yes")
	s := newShell(surroundings{dir: t.TempDir(), cache: "/cache", zone: "Pacific/Chatham"})
	for _, want := range []string{"KEPT=yes", "GOFLAGS=", "CGO_ENABLED=0", "GOCACHE=/cache", "TZ=Pacific/Chatham"} {
		require.Contains(t, s.env, want)
	}
	require.NotContains(t, s.env, "GOFLAGS=-race")
	require.NotContains(t, s.env, "GOARCH=mips")
	require.Len(t, s.with("A=1").env, len(s.env)+1)

	out, err := s.with("A=1").output(t.Context(), "sh", "-c", "echo $A; pwd")
	require.NoError(t, err)
	require.Equal(t, "1\n"+s.dir+"\n", out)
	require.ErrorContains(t, s.run(t.Context(), "sh", "-c", "echo oh >&2; exit 3"), "exit status 3\noh\n")
}

func TestLicences(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("readme", "nothing")
	write("license.go", strings.Repeat("code ", 100))
	write("NOTICE", "too short to be one")
	_, err := readLicences(dir)
	require.ErrorContains(t, err, "no licence in ")

	long := strings.Repeat("You may. ", 40)
	write("LICENSE-MIT.txt", "\n"+long+"\r\n")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "licenses"), 0o700))
	text, err := readLicences(dir)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(long)+"\n\ntoo short to be one\n", string(text))
	_, err = readLicences(filepath.Join(dir, "none"))
	require.Error(t, err)
}

func TestTargets(t *testing.T) {
	var names []string
	for _, target := range targets() {
		names = append(names, target.String()+"/"+target.program())
	}
	require.Equal(t, []string{
		"linux_amd64/halley", "linux_arm64/halley", "darwin_amd64/halley", "darwin_arm64/halley", "windows_amd64/halley.exe", "windows_arm64/halley.exe",
	}, names)
}

func TestNoRepository(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dist")
	_, err := build(t.Context(), t.TempDir(), surroundings{dir: filepath.Join(t.TempDir(), "source")}, out)
	require.ErrorContains(t, err, "git clone")
}
