package peers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// fakePeer makes the test program a peer that behaves as its value says.
const fakePeer = "HALLEY_FAKE_PEER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(fakePeer); kind != "" {
		os.Exit(fake(kind))
	}
	goleak.VerifyTestMain(m)
}

func fake(kind string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	switch kind {
	case "dies":
		_, _ = fmt.Fprintln(os.Stdout, "no room for", strings.Join(os.Args[1:], " "))
		return 3
	case "orphan": // starts a peer and goes away without a word to it
		_ = os.Setenv(fakePeer, "polite")
		p, err := fakeProgram().start(context.Background(), nil, nil)
		if err != nil {
			_, _ = fmt.Fprintln(os.Stdout, err)
			return 1
		}
		_, _ = fmt.Fprintln(os.Stdout, "peer", p.PID())
		return 0
	case "silent":
	case "counts":
		_, _ = fmt.Fprintln(os.Stdout, "processors", runtime.NumCPU(), os.Getenv("GOMAXPROCS"))
		_, _ = fmt.Fprintln(os.Stdout, "listening http://127.0.0.1:1/cometd")
	default:
		_, _ = fmt.Fprintln(os.Stdout, "listening http://127.0.0.1:1/cometd")
	}
	for range signals {
		if kind == "polite" {
			_, _ = fmt.Fprintln(os.Stdout, "bye")
			return 0
		}
	}
	return 1
}

// fakeProgram runs this test program.
func fakeProgram() program {
	return program{name: "fake", command: own(os.Args[0])}
}

func startFake(t *testing.T, kind string, settings ...Setting) (*Peer, error) {
	t.Helper()
	t.Setenv(fakePeer, kind)
	p, err := fakeProgram().start(t.Context(), map[string]string{"a": "b"}, settings)
	if err == nil {
		t.Cleanup(p.Kill)
	}
	return p, err
}

func TestStop(t *testing.T) {
	var log bytes.Buffer
	p, err := startFake(t, "polite", LogTo(&log))
	require.NoError(t, err)
	require.Equal(t, "fake", p.Name())
	require.Equal(t, "http://127.0.0.1:1/cometd", p.URL())
	require.Positive(t, p.PID())
	require.NoError(t, p.Stop(t.Context()))
	<-p.Done()
	require.Equal(t, "listening http://127.0.0.1:1/cometd\nbye\n", p.Log())
	require.Equal(t, p.Log(), log.String())
	require.NoError(t, p.Stop(t.Context()), "once more is no error")
	p.Kill()
}

func TestStopKills(t *testing.T) {
	p, err := startFake(t, "stubborn")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, p.Stop(ctx), "the peer fake was killed")
	<-p.Done()
}

func TestStartFails(t *testing.T) {
	_, err := startFake(t, "dies")
	require.ErrorContains(t, err, "it ended (exit status 3) before it listened")
	require.ErrorContains(t, err, "no room for 0 a=b", "the last words are in the error")
}

// The end of the context ends the start, and the process with it.
func TestStartIsBounded(t *testing.T) {
	t.Setenv(fakePeer, "silent")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := fakeProgram().start(ctx, nil, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "it does not listen")
}

func TestNotInstalled(t *testing.T) {
	prog := fakeProgram()
	prog.dir, prog.needs = "java", "none"
	_, err := prog.start(t.Context(), nil, nil)
	require.ErrorIs(t, err, ErrNotInstalled)
	prog = fakeProgram()
	prog.command = own("/no/such/program")
	_, err = prog.start(t.Context(), nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
