package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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

// short makes a plan of 50 seconds one of less than three.
const short = 0.05

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

// TestCleanWay examines our own server over the loopback, with its endpoint and
// without, and finds nothing.
func TestCleanWay(t *testing.T) {
	for name, tt := range map[string]struct {
		serve, doctor []string
		mode          doctor.Mode
	}{
		"with the endpoint": {[]string{"--doctor-token", token}, []string{"--token", token}, doctor.ModeProbe},
		"by net/http":       {[]string{"--doctor-token", token, "--park", "false"}, []string{"--token", token}, doctor.ModeProbe},
		"without":           {nil, []string{"--token", token}, doctor.ModeBayeux},
		"strict, no token":  {[]string{"--posture", "strict", "--doctor-token", token}, nil, doctor.ModeBayeux},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := "http://" + halley(t, tt.serve...) + "/cometd"
			out, err := run(t, Env{Scale: short}, append(tt.doctor, url, "--json", "-")...)
			require.NoError(t, err, out)
			var r doctor.Report
			require.NoError(t, json.Unmarshal([]byte(out), &r))
			require.Equal(t, tt.mode, r.Mode)
			require.Empty(t, r.Findings)
			for _, h := range r.Observations.Holds {
				require.Equal(t, doctor.OK, h.Outcome, "%+v", h)
			}
			if tt.mode == doctor.ModeProbe {
				require.Equal(t, doctor.OK, r.Observations.Flow.Outcome)
				require.Equal(t, doctor.OK, r.Observations.Bodies[0].Outcome)
				require.Equal(t, doctor.OK, r.Observations.Socket.Lively.Outcome)
				require.True(t, r.Observations.KeptAlive)
			}
		})
	}
}

// TestReport shows what people read, and the exit that goes with it.
func TestReport(t *testing.T) {
	target := "http://" + halley(t, "--doctor-token", token)
	way := httptest.NewServer(strip(target))
	defer way.Close()
	path := filepath.Join(t.TempDir(), "report.json")
	out, err := run(t, Env{Scale: short, Lookup: func(name string) (string, bool) { return token, name == tokenVariable }}, way.URL+"/cometd", "--json", path)
	require.ErrorIs(t, err, ErrFound)
	for _, want := range []string{
		way.URL + "/cometd, examined for", "with the server's help", "HTTP/1.1 here, HTTP/1.1 at the server",
		"problem: cookie-stripped\n  Cookies that we send do not arrive at the server.\n    nginx",
		"warning: upgrade-stripped", `proxy_set_header Upgrade $http_upgrade;`, "Not tested:\n  - cuts after more than 2.5 s",
	} {
		require.Contains(t, out, want)
	}
	require.Less(t, strings.Index(out, "cookie-stripped"), strings.Index(out, "upgrade-stripped"), "the worst first")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var r doctor.Report
	require.NoError(t, json.Unmarshal(raw, &r))
	require.Equal(t, doctor.CookieStripped, r.Findings[0].ID)
	require.NotContains(t, string(raw)+out, token)
}

// strip passes on requests without cookies and upgrades.
func strip(target string) http.Handler {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		u, err := r.URL.Parse(target + r.URL.RequestURI())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		out.URL, out.RequestURI, out.Host = u, "", ""
		for _, name := range []string{"Cookie", "Upgrade", "Connection"} {
			out.Header.Del(name)
		}
		res, err := transport.RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		p := make([]byte, 4096)
		for {
			n, err := res.Body.Read(p)
			if _, bad := w.Write(p[:n]); bad != nil || err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
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
		_, err := run(t, Env{Scale: short}, args...)
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
