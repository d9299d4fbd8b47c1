package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/internal/cli/serve"
	"github.com/halleypush/halley/internal/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "0123456789abcdef-doctor"

func none(string) (string, bool) { return "", false }

// halley runs the program's server, over TCP, and returns its address.
func halley(t *testing.T, args ...string) string {
	t.Helper()
	var c serve.Command
	parser, err := kong.New(&c)
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"--listen", "127.0.0.1:0", "--shutdown-timeout", "1m"}, args...))
	require.NoError(t, err)
	in, out := io.Pipe()
	signals, done := make(chan os.Signal, 1), make(chan error, 1)
	go func() {
		done <- c.Run(context.WithoutCancel(t.Context()), serve.Env{
			Lookup: func(name string) (string, bool) { return "1GiB", name == "GOMEMLIMIT" },
			Stdout: io.Discard, Stderr: out, Signals: signals,
		})
		_ = out.Close()
	}()
	lines := bufio.NewScanner(in)
	address := ""
	for address == "" && lines.Scan() {
		var line struct{ Message, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
			address = line.Address
		}
	}
	require.NotEmpty(t, address)
	go func() {
		for lines.Scan() {
			continue
		}
	}()
	t.Cleanup(func() {
		signals <- os.Interrupt
		require.NoError(t, <-done)
	})
	return address
}

// run runs the command.
func run(t *testing.T, env Env, args ...string) (string, error) {
	t.Helper()
	var c Command
	parser, err := kong.New(&c)
	require.NoError(t, err)
	_, err = parser.Parse(args)
	require.NoError(t, err)
	var out strings.Builder
	if env.Lookup == nil {
		env.Lookup = none
	}
	env.Stdout, env.Stderr = &out, io.Discard
	err = c.Run(t.Context(), env)
	return out.String(), err
}

// TestReport shows what people read.
func TestReport(t *testing.T) {
	r := doctor.Report{
		URL: "http://way/cometd", Mode: doctor.ModeProbe, Took: 42.4,
		Findings: []doctor.Finding{
			{ID: doctor.CookieStripped, Severity: doctor.Problem, What: "Cookies do not arrive.", Remedies: []doctor.Remedy{{For: "nginx", Set: "proxy_pass_request_headers on;"}, {For: "HAProxy", Set: "nothing"}}},
			{ID: doctor.UpgradeStripped, Severity: doctor.Warning, What: "Upgrades do not arrive."},
		},
		Untested:     []string{"cuts after more than 50 s", "what a \x1b[31mserver says"},
		Observations: doctor.Observations{Mode: doctor.ModeProbe, Proto: "HTTP/1.1", ServerProto: "HTTP/1.0", RoundTrip: 0.0123, KeptAlive: true, Via: []string{"1.1 way"}},
	}
	var text, raw strings.Builder
	require.NoError(t, (&Command{}).write(&r, &text))
	require.Equal(t, strings.TrimLeft(`
http://way/cometd, examined for 42 s with the server's help

  HTTP        HTTP/1.1 here, HTTP/1.0 at the server
  round trip  12.3 ms, connections are kept
  answers by  1.1 way

2 findings:

problem: cookie-stripped
  Cookies do not arrive.
    nginx    proxy_pass_request_headers on;
    HAProxy  nothing

warning: upgrade-stripped
  Upgrades do not arrive.

Not tested:
  - cuts after more than 50 s
  - what a ?[31mserver says
--thorough takes five minutes and goes further.
`, "\n"), text.String())

	path := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, (&Command{JSON: path, Thorough: true}).write(&doctor.Report{URL: "http://way/cometd", Mode: doctor.ModeBayeux}, &text))
	require.Contains(t, text.String(), "by plain Bayeux")
	require.Contains(t, text.String(), "Nothing was found")
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(file), `"url": "http://way/cometd"`)
	require.NoError(t, (&Command{JSON: "-"}).write(&r, &raw))
	var again doctor.Report
	require.NoError(t, json.Unmarshal([]byte(raw.String()), &again))
	require.Equal(t, r.Findings[0], again.Findings[0])
}

func TestCalledWrongly(t *testing.T) {
	good := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(good, []byte("short"), 0o600))
	for want, args := range map[string][]string{
		"want a URL":                 {"localhost:8080"},
		"exclude each other":         {"http://x", "--token", token, "--token-file", good},
		"--token-file: open":         {"http://x", "--token-file", good + "x"},
		"--token-file: want 16":      {"http://x", "--token-file", good},
		"--token: want 16":           {"http://x", "--token", "short"},
		"--header \"x\":":            {"http://x", "--header", "x"},
		"--handshake-ext: want":      {"http://x", "--handshake-ext", "[]"},
		"--ca: open":                 {"http://x", "--ca", good + "x"},
		good + " has no certificate": {"http://x", "--ca", good},
	} {
		_, err := run(t, Env{}, args...)
		require.ErrorContains(t, err, want)
		exit := new(ExitError)
		require.ErrorAs(t, err, &exit, want)
		require.Equal(t, ExitUsage, exit.Code)
	}
}

func TestUnexamined(t *testing.T) {
	url := "http://" + halley(t, "--doctor-token", token) + "/cometd"
	for want, args := range map[string][]string{
		"refuses the token": {url, "--token", "another-token-0123"},
		"handshake":         {strings.TrimSuffix(url, "cometd") + "elsewhere", "--token", token},
		"refused":           {"http://127.0.0.1:1/cometd"},
	} {
		_, err := run(t, Env{}, args...)
		require.ErrorContains(t, err, want)
		exit := new(ExitError)
		require.ErrorAs(t, err, &exit, want)
		require.Equal(t, ExitUnexamined, exit.Code)
	}
}

func TestInterrupted(t *testing.T) {
	url := "http://" + halley(t, "--doctor-token", token) + "/cometd"
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	_, err := run(t, Env{Signals: signals}, url, "--token", token)
	require.ErrorIs(t, err, context.Canceled)
}

func TestVisible(t *testing.T) {
	require.Equal(t, "a?[31m?é", visible("a\x1b[31m\u0085é"))
}
