package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs the program and returns its exit code and what it wrote.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	p := Program{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err,
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
	code = p.Run(t.Context())
	return code, out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	config := filepath.Join(t.TempDir(), "halley.yaml")
	require.NoError(t, os.WriteFile(config, []byte("options:\n  timout: 1\n"), 0o600))
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(rules, []byte("- allow: subscribe\n  who: everyone\n  channels: /a\n"), 0o600))
	webXML := filepath.Join("importwebxml", "testdata", "many-options.xml")
	tests := []struct {
		args           []string
		env            map[string]string
		code           int
		stdout, stderr string
	}{
		{[]string{"--help"}, nil, 0, "halley serve ", ""},
		{[]string{"serve", "--help"}, nil, 0, "HALLEY_LISTEN", ""},
		{[]string{"explain-permission", "--permissions", rules, "--anonymous", "--subscribe", "/a"}, nil, 0, "allowed: rule 1 allows it (rules.yaml:1)\n", ""},
		{[]string{"explain-permission", "--permissions", rules, "--anonymous", "--publish", "/a"}, nil, 1, "refused: no rule allows it\n", ""},
		{[]string{"explain-permission", "--permissions", rules, "--subscribe", "/a"}, nil, 2, "", "halley: who asks?"},
		{[]string{"explain-permission", "--permissions", config, "--anonymous", "--subscribe", "/a"}, nil, 2, "", `halley.yaml:1: key "options" is unknown`},
		{[]string{"serve", "--permissions", rules, "--check-config"}, nil, 0, "ok\n", ""},
		{[]string{"version"}, nil, 0, "halley ", ""},
		{nil, nil, 2, "", "halley: expected one of"},
		{[]string{"import", "--help"}, nil, 0, "Exit codes: 0 written", ""},
		{[]string{"import", webXML}, nil, 0, "options:\n  timeout: 18000\n", "many-options.xml:10: warning: maxLazyTimeout"},
		{[]string{"import", webXML, "--strict"}, nil, 3, "options:", "things were not carried over"},
		{[]string{"import", config}, nil, 2, "", "halley: halley.yaml: not XML"},
		{[]string{"import", "-"}, nil, 2, "", "halley: standard input: not XML"},
		{[]string{"import", "missing.xml"}, nil, 1, "", "halley: open missing.xml"},
		{[]string{"import"}, nil, 2, "", "expected"},
		{[]string{"doctor", "--help"}, nil, 0, "with 3 when the server could not be examined", ""},
		{[]string{"doctor", "localhost"}, nil, 2, "", "halley: \"localhost\": want a URL"},
		{[]string{"doctor", "http://127.0.0.1:1/cometd"}, map[string]string{"HALLEY_DOCTOR_TOKEN": "short"}, 2, "", "halley: HALLEY_DOCTOR_TOKEN: want 16 to 4096 bytes"},
		{[]string{"doctor", "http://127.0.0.1:1/cometd"}, nil, 3, "", "halley: the server could not be examined: "},
		{[]string{"sub", "--help"}, nil, 0, "Subscribe to channels", ""},
		{[]string{"pub"}, nil, 2, "", "expected"},
		{[]string{"pub", "http://127.0.0.1:1/cometd", "no-channel", "{}"}, nil, 2, "", "no-channel"},
		{[]string{"sreve"}, nil, 2, "", `unexpected argument sreve`},
		{[]string{"serve", "--lisen", "x"}, nil, 2, "", `unknown flag --lisen, did you mean "--listen"?`},
		{[]string{"serve", "--print-config=xml"}, nil, 2, "", `want text or json`},
		{[]string{"serve", "--check-config"}, nil, 0, "ok\n", ""},
		{[]string{"serve", "--print-config"}, map[string]string{"HALLEY_PATH": "/p"}, 0, "env HALLEY_PATH", ""},
		{[]string{"serve", "--config", config}, nil, 2, "", `halley: halley.yaml:2: option "timout" is unknown; the nearest is "timeout"`},
		{[]string{"serve", "--listen", ":0"}, nil, 2, "", "halley serve --listen :0 --posture strict"},
		{[]string{"serve", "--listen", ":0", "--posture", "strict", "--check-config"}, nil, 0, "ok\n", ""},
		{[]string{"serve", "--listen", "[2001:db8::1]:0", "--posture", "cometd"}, nil, 1, "", "halley: listen [2001:db8::1]:0: "},
	}
	for _, tt := range tests {
		code, stdout, stderr := run(t, tt.env, tt.args...)
		require.Equal(t, tt.code, code, "%v: %s", tt.args, stderr)
		require.Contains(t, stdout, tt.stdout, tt.args)
		require.Contains(t, stderr, tt.stderr, tt.args)
		if tt.stdout == "" {
			require.Empty(t, stdout, tt.args)
		}
	}
}

// TestServes runs the real server: a handshake succeeds, and a signal stops
// the program with exit code 0.
func TestServes(t *testing.T) {
	in, out := io.Pipe()
	signals := make(chan os.Signal, 1)
	p := Program{
		Args: []string{"serve", "--listen", "127.0.0.1:0"}, Stdout: io.Discard, Stderr: out, Signals: signals,
		Lookup: func(name string) (string, bool) { return "1GiB", name == "GOMEMLIMIT" },
	}
	code := make(chan int, 1)
	go func() {
		code <- p.Run(t.Context())
		_ = out.Close()
	}()
	lines := bufio.NewScanner(in)
	require.True(t, lines.Scan())
	var line struct{ Level, Message, Address, Path string }
	require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
	require.Equal(t, "listening", line.Message)
	go func() { _, _ = io.Copy(io.Discard, in) }()

	body := `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+line.Address+line.Path, strings.NewReader(body))
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, string(answer), `"successful":true`)

	signals <- syscall.SIGTERM
	require.Zero(t, <-code)
}

// A server is parsed by its own command alone, which is that of the program.
func TestGrammar(t *testing.T) {
	alone, err := newParser(grammar([]string{"serve", "--help"}))
	require.NoError(t, err)
	require.Len(t, alone.Model.Children, 1)
	all, err := newParser(grammar([]string{"sub", "serve"}))
	require.NoError(t, err)
	require.Greater(t, len(all.Model.Children), 10)
	flags := func(n *kong.Node) (names []string) {
		for _, f := range n.Flags {
			names = append(names, f.String())
		}
		return names
	}
	one, other := alone.Model.Children[0], all.Model.Children[0]
	require.Equal(t, other.Name, one.Name)
	require.NotEmpty(t, flags(one))
	require.Equal(t, flags(other), flags(one))
}
