package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func contents() []file {
	return []file{
		{name: "z.txt", text: []byte("last")},
		{name: "bin/run", text: bytes.Repeat([]byte("run "), 1000), executable: true},
		{name: "a.txt", text: []byte("first")},
	}
}

// TestPackIsTheSame packs in another order, at another moment and place, and
// gets the same bytes; the order that was given is not touched.
func TestPackIsTheSame(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	there := at.In(time.FixedZone("there", 3600))
	for _, zipped := range []bool{false, true} {
		ext := map[bool]string{false: ".tar.gz", true: ".zip"}[zipped]
		one, other, third := t.TempDir(), t.TempDir(), t.TempDir()
		files := contents()
		require.NoError(t, pack(one, "x", zipped, files, at))
		require.Equal(t, contents(), files)
		turned := []file{files[2], files[0], files[1]}
		require.NoError(t, pack(other, "x", zipped, turned, there))
		require.NoError(t, pack(third, "x", zipped, files, at.Add(time.Hour)))
		a, b, c := read(t, one, "x"+ext), read(t, other, "x"+ext), read(t, third, "x"+ext)
		require.Equal(t, a, b)
		require.NotEqual(t, a, c, "the time is that of the files")
		require.Error(t, pack(one, "x", zipped, files, at), "nothing is overwritten")
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return text
}

func TestTar(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dir := t.TempDir()
	require.NoError(t, pack(dir, "x", false, contents(), at))
	packed, err := gzip.NewReader(bytes.NewReader(read(t, dir, "x.tar.gz")))
	require.NoError(t, err)
	require.Empty(t, packed.Name)
	require.True(t, packed.ModTime.IsZero())
	archive := tar.NewReader(packed)
	var names []string
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
		require.True(t, h.ModTime.Equal(at))
		require.Zero(t, h.Uid+h.Gid)
		require.Empty(t, h.Uname+h.Gname)
		want := int64(0o644)
		if h.Name == "x/bin/run" {
			want = 0o755
		}
		require.Equal(t, want, h.Mode, h.Name)
		text, err := io.ReadAll(archive)
		require.NoError(t, err)
		require.Len(t, text, int(h.Size))
	}
	require.Equal(t, []string{"x/a.txt", "x/bin/run", "x/z.txt"}, names)
}

func TestZip(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	dir := t.TempDir()
	require.NoError(t, pack(dir, "x", true, contents(), at))
	text := read(t, dir, "x.zip")
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	require.NoError(t, err)
	require.Len(t, archive.File, 3)
	for i, want := range []file{contents()[2], contents()[1], contents()[0]} {
		f := archive.File[i]
		require.Equal(t, "x/"+want.name, f.Name)
		require.Equal(t, want.mode(), f.Mode())
		require.True(t, f.Modified.Equal(at))
		r, err := f.Open()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, want.text, got)
	}
}

func TestSums(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, other} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), []byte("same"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
		require.NoError(t, writeSums(dir))
	}
	require.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"+
		"0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5  b\n", string(read(t, one, sumsFile)))
	require.NoError(t, compare(one, other))

	require.NoError(t, os.WriteFile(filepath.Join(other, "b"), []byte("changed"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(other, "c"), nil, 0o600))
	require.NoError(t, os.Remove(filepath.Join(other, sumsFile)))
	require.NoError(t, writeSums(other))
	err := compare(one, other)
	require.ErrorContains(t, err, "b: 0967115f")
	require.ErrorContains(t, err, "c: missing the first time")
	require.NotContains(t, err.Error(), "a: ")

	require.NoError(t, os.WriteFile(filepath.Join(other, sumsFile), nil, 0o600))
	require.ErrorContains(t, compare(other, other), "empty")
	require.NoError(t, os.WriteFile(filepath.Join(other, sumsFile), []byte("nonsense\n"), 0o600))
	require.ErrorContains(t, compare(one, other), "no checksum")
	require.Error(t, compare(one, t.TempDir()))
}
