package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// words is how much of the generator's output an error may repeat.
const words = 500

// fakeGenerator makes the test program a generator that behaves as its value says.
const fakeGenerator = "HALLEY_FAKE_GENERATOR"

func TestMain(m *testing.M) {
	switch os.Getenv(fakeGenerator) {
	case "bounds": // the JSON, and the exit code of a run that did not keep them
		_, _ = fmt.Fprintf(os.Stdout, `{"problems":[%q]}`, strings.Join(os.Args[1:], " "))
		os.Exit(1)
	case "fails":
		_, _ = fmt.Fprintln(os.Stderr, strings.Repeat("x", 2*words), "no such flag")
		os.Exit(2)
	case "hangs":
		select {}
	}
	goleak.VerifyTestMain(m)
}

func TestLoad(t *testing.T) {
	m := machine{program: os.Args[0]}
	t.Setenv(fakeGenerator, "bounds")
	out, err := m.load(t.Context(), &subject{}, []string{"URL", "-a"})
	require.NoError(t, err)
	require.JSONEq(t, `{"problems":["bench URL -a --json -"]}`, string(out))
	t.Setenv(fakeGenerator, "fails")
	_, err = m.load(t.Context(), &subject{}, nil)
	require.ErrorContains(t, err, "the generator: exit status 2: ")
	require.ErrorContains(t, err, "no such flag")
	require.Less(t, len(err.Error()), words+100)
	t.Setenv(fakeGenerator, "hangs")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = m.load(ctx, &subject{}, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	m.program = "/no/such/program"
	_, err = m.load(t.Context(), &subject{}, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestHere(t *testing.T) {
	from := here(t.Context())
	require.Len(t, from.Tools, 3)
	require.Contains(t, from.Tools[0], "go version")
	require.NotEmpty(t, from.Commit)
	require.NotEmpty(t, from.Machine)
}

func TestCommandLine(t *testing.T) {
	var log strings.Builder
	require.Error(t, run(t.Context(), []string{"-colour"}, &log))
	dir := t.TempDir()
	doc := dir + "/doc.md"
	require.NoError(t, run(t.Context(), []string{"-state", dir + "/state", "-document", "-doc", doc}, &log))
	text, err := os.ReadFile(doc)
	require.NoError(t, err)
	require.Contains(t, string(text), "# Performance")
}
