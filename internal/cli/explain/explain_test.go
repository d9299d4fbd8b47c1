package explain

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/cli/serve"
	"github.com/halleypush/halley/internal/testkit"
)

var update = flag.Bool("update", false, "write the answers in docs/PERMISSIONS.md")

const rules = `permissions:
  - name: vip
    allow: [subscribe, publish]
    who: group:vip
    channels: /vip/**
  - deny: create
    who: everyone
    channels: /rooms/*
  - allow: subscribe
    who: authenticated
    channels: ["/user/{sub}/**", /rooms/*]
  - allow: handshake
    who: [authenticated, claim:device=yes]
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// ask runs the command and returns what it printed.
func ask(t *testing.T, env map[string]string, args ...string) (string, error) {
	t.Helper()
	var c Command
	parser, err := kong.New(&c, kong.Name("halley"))
	require.NoError(t, err)
	_, err = parser.Parse(args)
	require.NoError(t, err)
	var out strings.Builder
	err = c.Run(Env{Stdout: &out, Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	return out.String(), err
}

func TestAnswers(t *testing.T) {
	config := write(t, "halley.yaml", "path: /x\n"+rules)
	token := write(t, "token.json", `{"sub":"anna","groups":["vip"],"device":"yes","subscribe":"/own/* /other","publish":["/own/{sub}",7]}`)
	for _, tt := range []struct {
		args string
		want string
		ok   bool
	}{
		{"--user anna --group vip --subscribe /vip/x", "allowed: rule 1 (vip) allows it (halley.yaml:3)\n", true},
		{"--user anna --subscribe /vip/x", "refused: no rule allows it\n", false},
		{"--anonymous --subscribe /rooms/1", "refused: no rule allows it\n", false},
		{"--user anna --subscribe /rooms/1", "allowed: rule 3 allows it (halley.yaml:10)\n", true},
		{"--user anna --create /rooms/1", "refused: rule 2 denies it (halley.yaml:7)\n", false},
		{"--user anna --create /x", "refused: who may neither subscribe nor publish may not create\n", false},
		{"--user anna --publish /meta/x", "refused: meta channels are the protocol's, whatever the rules say\n", false},
		{"--user anna --claim sub=anna --subscribe /user/anna/1", "allowed: rule 3 allows it (halley.yaml:10)\n", true},
		{"--user anna --claim sub=anna --claim sub=bob --subscribe /user/anna/1", "refused: no rule allows it\n", false},
		{"--claim device=yes --handshake", "allowed: rule 4 allows it (halley.yaml:13)\n", true},
		{"--claim device=no --claim device=yes --handshake", "allowed: rule 4 allows it (halley.yaml:13)\n", true},
		{`--claim device=["no","yes"] --handshake`, "allowed: rule 4 allows it (halley.yaml:13)\n", true},
		{"--claim device=no --handshake", "refused: no rule allows it\n", false},
		{"--token-claims " + token + " --subscribe /vip/**", "allowed: rule 1 (vip) allows it (halley.yaml:3)\n", true},
		{"--token-claims " + token + " --group none --subscribe /vip/**", "refused: no rule allows it\n", false},
		{"--token-claims " + token + " --subscribe /user/anna/**", "allowed: rule 3 allows it (halley.yaml:10)\n", true},
		{"--token-claims " + token + " --claim sub=bob --subscribe /user/bob/**", "allowed: rule 3 allows it (halley.yaml:10)\n", true},
		{"--token-claims " + token + " --subscribe /own/x", "allowed: the credentials themselves grant it\n", true},
		{"--token-claims " + token + " --publish /own/anna", "allowed: the credentials themselves grant it\n", true},
		{"--user anna --claim sub=anna --verbose --subscribe /x/*", "" +
			"rule 1 (vip)  halley.yaml:3   is for group:vip\n" +
			"rule 3        halley.yaml:10  not covered by /user/{sub}/** = /user/anna/**, not covered by /rooms/*\n" +
			"refused: no rule allows it\n", false},
	} {
		got, err := ask(t, nil, append(strings.Fields(tt.args), "--config", config)...)
		require.Equal(t, tt.want, got, tt.args)
		require.Equal(t, tt.ok, err == nil, tt.args)
		require.Equal(t, !tt.ok, errors.Is(err, ErrRefused), tt.args)
	}
	own := write(t, "own.yaml", rules)
	for _, env := range []map[string]string{{"HALLEY_CONFIG": config}, {"HALLEY_PERMISSIONS": own}} {
		_, err := ask(t, env, "--user", "anna", "--subscribe", "/rooms/1")
		require.NoError(t, err)
	}
	got, err := ask(t, nil, "--permissions", own, "--user", "anna", "--subscribe", "/rooms/1")
	require.NoError(t, err)
	require.Contains(t, got, "own.yaml:9")
}

func TestUsage(t *testing.T) {
	config := write(t, "halley.yaml", rules)
	for _, tt := range []struct{ args, want string }{
		{"--user a", "want one of --subscribe, --publish, --create and --handshake"},
		{"--user a --subscribe /a --publish /a", "want one of"},
		{"--subscribe /a", "who asks?"},
		{"--anonymous --user a --subscribe /a", "--anonymous has no user"},
		{"--user a --subscribe a", `channel "a"`},
		{"--user a --claim x --subscribe /a", `--claim "x": want NAME=VALUE`},
		{"--user a --claim x=[1 --subscribe /a", "the value is not JSON"},
		{"--token-claims /nowhere --subscribe /a", "--token-claims: open /nowhere"},
		{"--token-claims " + config + " --subscribe /a", "want a JSON object of claims, not the token itself"},
		{"--token-claims " + write(t, "null.json", "null") + " --subscribe /a", "want a JSON object"},
		{"--token-claims " + write(t, "long.json", strings.Repeat(" ", maxClaims+1)) + " --subscribe /a", "more than 1048576 bytes"},
		{"--user a --subscribe /a --permissions /nowhere", "open /nowhere"},
	} {
		out, err := ask(t, nil, append(strings.Fields(tt.args), "--config", config)...)
		require.ErrorAs(t, err, new(*serve.UsageError), tt.args)
		require.ErrorContains(t, err, tt.want)
		require.Empty(t, out)
	}
	_, err := ask(t, nil, "--user", "a", "--subscribe", "/a", "--config", write(t, "halley.yaml", "path: /x\n"))
	require.ErrorContains(t, err, "no permissions are given")
	_, err = ask(t, nil, "--user", "a", "--subscribe", "/a")
	require.ErrorContains(t, err, "no permissions are given")
	_, err = ask(t, nil, "--user", "a", "--subscribe", "/a", "--config", write(t, "halley.yaml", "permissions:\n  - alow: x\n"))
	require.ErrorContains(t, err, `the nearest is "allow"`)
}

// TestDocument compares the answers that docs/PERMISSIONS.md shows with those
// that the example before them gives; -update writes them.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "PERMISSIONS.md")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, text2, ok := strings.Cut(string(text), "## Trading desk")
	require.True(t, ok)
	_, yaml, ok := strings.Cut(text2, "```yaml\n")
	require.True(t, ok)
	yaml, _, _ = strings.Cut(yaml, "```")
	config := write(t, "halley.yaml", yaml)
	answers := "```console\n"
	for _, args := range []string{
		"--user eva --group traders --claim desk=fx --publish /desk/fx/orders",
		"--user eva --group traders --claim desk=fx --subscribe '/desk/**' --verbose",
	} {
		answers += "$ halley explain-permission --config halley.yaml " + args + "\n"
		out, err := ask(t, nil, append(strings.Fields(strings.ReplaceAll(args, "'", "")), "--config", config)...)
		require.True(t, err == nil || errors.Is(err, ErrRefused))
		answers += out
	}
	testkit.Tables(t, path, *update, "run make docs", map[string]string{"answers": answers + "```\n"})
}
