package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux/server"
	engine "github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/cli/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func halley(t *testing.T) *server.Server {
	t.Helper()
	srv, err := server.New(server.Config{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // at once
		_ = srv.Shutdown(ctx)
	})
	return srv
}

// run parses a command line as the program does and runs it.
func run(t *testing.T, terminal bool, signals chan os.Signal, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var c bench.Command
	parser, err := kong.New(&c)
	require.NoError(t, err)
	_, err = parser.Parse(args)
	require.NoError(t, err)
	var out, diag bytes.Buffer
	err = c.Run(t.Context(), bench.Env{Stdout: &out, Stderr: &diag, Signals: signals, Terminal: terminal})
	return out.String(), diag.String(), err
}

func quick(url string, more ...string) []string {
	return append([]string{url, "--clients=5", "--warmup=50ms", "--duration=200ms", "--settle=1ms", "--p99=1m", "--deliveries=500"}, more...)
}

func TestRun(t *testing.T) {
	s := httptest.NewServer(halley(t))
	defer s.Close()
	dir := t.TempDir()
	j, h := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	stdout, stderr, err := run(t, false, nil, quick(s.URL+"/cometd", "--json="+j, "--html="+h, "--pid="+strconv.Itoa(os.Getpid()))...)
	if err != nil { // the rate is the machine's
		require.ErrorIs(t, err, bench.ErrBounds)
	}
	require.Contains(t, stdout, "delivered                   100 of 100; 0 lost, 0 twice, 0 out of order\n")
	require.Contains(t, stdout, "server memory")
	require.Contains(t, stderr, "measure ")
	require.NotContains(t, stderr, "\x1b")
	text, err := os.ReadFile(j)
	require.NoError(t, err)
	var r engine.Result
	require.NoError(t, json.Unmarshal(text, &r))
	require.EqualValues(t, 100, r.Delivered)
	require.NotNil(t, r.Server)
	page, err := os.ReadFile(h)
	require.NoError(t, err)
	require.Contains(t, string(page), "<svg")
}

func TestTerminalAndStandardOutput(t *testing.T) {
	s := httptest.NewServer(halley(t))
	defer s.Close()
	stdout, stderr, _ := run(t, true, nil, quick(s.URL+"/cometd", "--json=-")...)
	var r engine.Result
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Regexp(t, `^\r\x1b\[K.*\n$`, stderr)
}

func TestFindMax(t *testing.T) {
	s := httptest.NewServer(halley(t))
	defer s.Close()
	_, stderr, err := run(t, false, nil, quick(s.URL+"/cometd", "--find-max", "--max-rate=100")...)
	if err != nil { // a busy machine keeps no rate
		require.ErrorIs(t, err, engine.ErrNoRate)
	}
	require.Contains(t, stderr, "step: 100 messages/s")
}

func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(halley(t))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	for _, flag := range []string{"--ca=" + ca, "--insecure"} {
		stdout, _, _ := run(t, false, nil, quick(s.URL+"/cometd", flag, "--clients=1", "--deliveries=100")...)
		require.Contains(t, stdout, "20 of 20; 0 lost")
	}
	_, _, err := run(t, false, nil, quick(s.URL+"/cometd")...)
	require.ErrorContains(t, err, "certificate")
}

func TestUsage(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, args := range map[string][]string{
		"exclude each other":          {"http://h/", "--rate=1", "--deliveries=1"},
		"want http, https, ws or wss": {"ftp://h/"},
		"clients: want 1 to":          {"http://h/", "--clients=-1"},
		"no such file":                {"http://h/", "--ca=/missing"},
		"has no certificate":          {"http://h/", "--ca=" + empty},
		"size: want":                  {"http://h/", "--size=48"},
	} {
		_, _, err := run(t, false, nil, args...)
		var usage *bench.UsageError
		require.ErrorAs(t, err, &usage)
		require.ErrorContains(t, err, want)
	}
}

func TestSignalEndsTheRun(t *testing.T) {
	s := httptest.NewServer(halley(t))
	defer s.Close()
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	_, _, err := run(t, false, signals, quick(s.URL+"/cometd", "--duration=1h")...)
	require.ErrorIs(t, err, context.Canceled)
}
