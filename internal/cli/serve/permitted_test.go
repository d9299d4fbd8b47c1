package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/permissions"
	"github.com/halleypush/halley/internal/testkit"
)

// rulesFile writes a file of rules and returns its path.
func rulesFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const twoRules = `
  - name: news
    allow: subscribe
    who: everyone
    channels: [/news/**, "/user/{sub}/**"]
  - deny: [publish, create]
    whoAll: [group:bots, "claim:level=1"]
    channels:
      - /news/*
    reason: not_for_bots
`

// The rules may stand in the file or in one of their own, which may have the key
// permissions or the list alone.
func TestPermissionsForms(t *testing.T) {
	want := []permissions.Rule{
		{Name: "news", Operations: []bayeux.Operation{"subscribe"}, Who: []string{"everyone"}, Channels: []string{"/news/**", "/user/{sub}/**"}},
		{Deny: true, Operations: []bayeux.Operation{"publish", "create"}, WhoAll: []string{"group:bots", "claim:level=1"}, Channels: []string{"/news/*"}, Reason: "not_for_bots"},
	}
	own := rulesFile(t, twoRules)
	for name, tt := range map[string]struct {
		args   []string
		env    []string
		source string // of the rules
		shown  shown
	}{
		"in the file":             {[]string{"--config", file(t, "permissions:"+twoRules)}, nil, "halley.yaml:2", shown{"permissions", "2 rules", "", "halley.yaml:1"}},
		"as a map":                {[]string{"--config", file(t, "permissions:\n  rules:"+strings.ReplaceAll(twoRules, "\n", "\n  "))}, nil, "halley.yaml:3", shown{"permissions", "2 rules", "", "halley.yaml:1"}},
		"a file of their own":     {[]string{"--permissions", own}, nil, "rules.yaml:2", shown{"permissions", own + ": 2 rules", "", "flag --permissions"}},
		"by the environment":      {nil, []string{"HALLEY_PERMISSIONS", own}, "rules.yaml:2", shown{"permissions", own + ": 2 rules", "", "env HALLEY_PERMISSIONS"}},
		"named in the file":       {[]string{"--config", file(t, "permissions: "+own)}, nil, "rules.yaml:2", shown{"permissions", own + ": 2 rules", "", "halley.yaml:1"}},
		"with a key":              {[]string{"--permissions", rulesFile(t, "permissions:"+twoRules)}, nil, "rules.yaml:2", shown{}},
		"a flag wins over a file": {[]string{"--permissions", own, "--config", file(t, "permissions: []")}, nil, "rules.yaml:2", shown{}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse(t, tt.args...).Load(lookup(tt.env...))
			require.NoError(t, err)
			rules := s.permitted.rules
			require.Equal(t, len(want), rules.Len())
			for i, w := range want {
				got := rules.Rule(i)
				if i == 0 {
					require.Equal(t, tt.source, got.Source)
				}
				w.Source = got.Source
				require.Equal(t, w, got)
			}
			if tt.shown.Name != "" {
				require.Equal(t, tt.shown, find(t, s, "permissions"))
			}
			require.Equal(t, "allow subscribe on /news/**, /user/{sub}/** to everyone (news)", find(t, s, "permissions.1").Value)
			require.Equal(t, "deny publish, create on /news/* to group:bots and claim:level=1", find(t, s, "permissions.2").Value)
			require.IsType(t, &permissions.Policy{}, s.config(zerolog.Nop()).Policy)
		})
	}
	s, err := parse(t, "--config", file(t, "permissions: []\n")).Load(lookup())
	require.NoError(t, err)
	require.Zero(t, s.permitted.rules.Len(), "nothing is allowed")
	s, err = parse(t).Load(lookup())
	require.NoError(t, err)
	require.Nil(t, s.permitted)
	require.Nil(t, s.config(zerolog.Nop()).Policy)
}

func TestTokenGrants(t *testing.T) {
	for text, want := range map[string]bool{"": true, "  token-grants: false\n": false, "  tokenGrants: true\n": true} {
		rules, err := parse(t, "--config", file(t, "permissions:\n"+text+"  rules: []\n")).Rules(lookup())
		require.NoError(t, err)
		x, err := rules.Explain(&bayeux.Subject{User: "a", Publish: []string{"/a"}}, bayeux.OperationPublish, "/a")
		require.NoError(t, err)
		require.Equal(t, want, x.Allowed, text)
	}
}

// Errors name file, line and rule, what is wrong, and what it may have been.
func TestWrongPermissions(t *testing.T) {
	const rule = "permissions:\n  - allow: subscribe\n    who: everyone\n    channels: /a\n"
	tests := []struct{ name, text, want string }{
		{"text", "permissions:\n  x\n", "halley.yaml:1: permissions \"x\": open x"},
		{"nothing", "permissions:\n", "halley.yaml:1: permissions: want a list of rules"},
		{"twice", rule + "permissions: []\n", "halley.yaml"},
		{"map", "permissions:\n  rulse: []\n", `halley.yaml:2: permissions: key "rulse" is unknown; the nearest is "rules"`},
		{"rules", "permissions:\n  rules: x\n", "halley.yaml:2: permissions: want one list of rules"},
		{"grants", "permissions:\n  token-grants: maybe\n", `halley.yaml:2: permissions: "token-grants": want true or false`},
		{"rule", "permissions:\n  - x\n", "halley.yaml:2: rule 1: want keys with values"},
		{"key", rule + "  - alow: publish\n", `halley.yaml:5: rule 2: key "alow" is unknown; the nearest is "allow"`},
		{"both", "permissions:\n  - allow: publish\n    deny: create\n", "halley.yaml:3: rule 1: it allows or denies, not both"},
		{"two spellings", "permissions:\n  - who-all: everyone\n    whoAll: everyone\n", `halley.yaml:3: rule 1: key "whoAll" stands twice`},
		{"operation", rule + "  - allow: [publish, subscribed]\n    who: everyone\n    channels: /a\n", `halley.yaml:5: rule 2: operation "subscribed": want subscribe, publish, create or handshake; the nearest is "subscribe"`},
		{"who", "permissions:\n  - name: mine\n    allow: publish\n    who: grup:x\n    channels: /a\n", `halley.yaml:2: rule 1 (mine): who "grup:x": want everyone, authenticated, anonymous, user:NAME, group:NAME or claim:NAME=VALUE; the nearest is "group"`},
		{"a map of who", "permissions:\n  - allow: publish\n    who: {user: x}\n", `halley.yaml:3: rule 1: key "who": want a value or a list of values`},
		{"a map in a list", "permissions:\n  - allow: publish\n    who:\n      - user: x\n", `halley.yaml:4: rule 1: key "who": want a value or a list of values`},
		{"names", "permissions:\n  - name: [a, b]\n", `halley.yaml:2: rule 1: key "name": want one value`},
		{"channel", rule + "  - allow: publish\n    who: everyone\n    channels: /a/*/b\n", `halley.yaml:5: rule 2: channel "/a/*/b": channel name has an empty segment, a wildcard before`},
		{"all of them", rule + "  - allow: x\n    who: everyone\n    channels: /a\n  - allow: publish\n    who: y\n    channels: /a\n", "\nhalley.yaml:8: rule 3: who \"y\""},
		{"braces in brackets", "permissions:\n  - allow: publish\n    who: everyone\n    channels: [/a/{b}/c]\n", `halley.yaml: [4:`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, "--config", file(t, tt.text)).Load(lookup())
			var usage *UsageError
			require.ErrorAs(t, err, &usage)
			require.ErrorContains(t, err, tt.want)
		})
	}
	for text, want := range map[string]string{
		"":                                      "rules.yaml: no permissions in it",
		"path: /x\n":                            `rules.yaml:1: key "path" is unknown; the nearest is "permissions"`,
		"x\n":                                   "rules.yaml:1: permissions: want keys with values",
		"[]\n---\n[]\n":                         "stands twice",
		"- x: [\n":                              "rules.yaml: ",
		strings.Repeat("# x\n", 1+maxFile/4):    "more than 1048576 bytes",
		"- allow: subscribe\n  who: everyone\n": "rules.yaml:1: rule 1: channels are missing",
	} {
		_, err := parse(t, "--permissions", rulesFile(t, text)).Load(lookup())
		require.ErrorContains(t, err, want, "%.20q", text)
	}
	_, err := parse(t, "--permissions", "/nowhere/rules.yaml").Load(lookup())
	require.ErrorContains(t, err, `flag --permissions: permissions "/nowhere/rules.yaml": open /nowhere/rules.yaml`)
	_, err = parse(t, "--config", file(t, "permissions: ''\n")).Load(lookup())
	require.ErrorContains(t, err, "halley.yaml:1: permissions: want the name of a file")
	_, err = parse(t, "--config", file(t, "permissions: []\n")).Load(lookup("HALLEY_PERMISSIONS", ""))
	require.ErrorContains(t, err, "env HALLEY_PERMISSIONS: permissions: want the name of a file")
	_, err = parse(t, "--permissions=").Load(lookup())
	require.ErrorContains(t, err, "flag --permissions: permissions: want the name of a file")
	_, err = parse(t, "--demo", "--permissions", rulesFile(t, "[]")).Load(lookup())
	require.ErrorContains(t, err, "the demo has rules of its own")
}

// --check-config tells of rules that never decide.
func TestCheckPermissions(t *testing.T) {
	var out, log bytes.Buffer
	path := rulesFile(t, "- allow: subscribe\n  who: everyone\n  channels: /a/**\n- deny: subscribe\n  who: group:x\n  channels: /a/b\n")
	require.NoError(t, parse(t, "--check-config", "--permissions", path).Run(t.Context(), Env{Stdout: &out, Stderr: &log, Lookup: lookup()}))
	require.Equal(t, "ok\n", out.String())
	require.Equal(t, "rules.yaml:4: warning: rule 2 denies too late: rule 1 at rules.yaml:1 comes first and allows it\n", log.String())
}

func post(t *testing.T, c *http.Client, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

// SIGHUP puts other permissions in force and ends what they no longer allow;
// wrong ones change nothing. Refusals are logged with the rule.
func TestReloadPermissions(t *testing.T) {
	const rule = "- name: all\n  allow: subscribe\n  who: everyone\n  channels: "
	path := rulesFile(t, rule+"[/a/**, /b]\n")
	hangups := make(chan os.Signal, 1)
	r := run(t, Env{Hangups: hangups}, "--permissions", path)
	url := "http://" + r.address("listening") + "/cometd"
	c := client(t, &http.Transport{})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c.Jar = jar
	var hello []struct{ ClientID string }
	require.NoError(t, json.Unmarshal([]byte(post(t, c, url, `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)), &hello))
	id := hello[0].ClientID
	subscribe := func(channel string) string {
		return post(t, c, url, `[{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"`+channel+`"}]`)
	}
	require.Contains(t, subscribe("/a/1"), `"successful":true`)
	require.Contains(t, subscribe("/b"), `"successful":true`)
	reload := func(text, told string) map[string]any {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		hangups <- syscall.SIGHUP
		return r.wait(told)
	}
	line := reload(rule+"[/b]\n", "other permissions are in force")
	require.InDelta(t, 1, line["subscriptions_ended"], 0)
	require.InDelta(t, 1, line["rules"], 0)
	require.Contains(t, subscribe("/a/1"), "403:denied_by_security_policy:subscribe_denied")
	line = r.wait("refused by the permissions")
	require.Equal(t, map[string]any{
		"level": "info", "message": "refused by the permissions", "session": id, "user": "", "operation": "subscribe",
		"channel": "/a/1", "rule": "none allows it", "time": line["time"],
	}, line)
	require.Contains(t, reload("- allow: all\n", "reload failed; what was there stays")["error"], "rules.yaml:1: rule 1: operation \"all\"")
	require.Contains(t, subscribe("/b"), `"successful":true`)
	require.NoError(t, r.stop())
}

// The permissions of the file are read anew, the rest of it is not; where they
// are gone the old ones stay.
func TestReread(t *testing.T) {
	path := file(t, "path: /x\npermissions: []\n")
	s, err := parse(t, "--config", path).Load(lookup())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("path: 1\npermissions:"+twoRules), 0o600))
	rules, err := s.permitted.reread()
	require.NoError(t, err)
	require.Equal(t, 2, rules.Len())
	require.NoError(t, os.WriteFile(path, []byte("path: /x\n"), 0o600))
	_, err = s.permitted.reread()
	require.ErrorContains(t, err, "halley.yaml:2: the permissions are gone")
}

// Refusals do not flood the log; at level debug all are there.
func TestRefusalLog(t *testing.T) {
	for level, want := range map[zerolog.Level]int{zerolog.InfoLevel: refusalBurst, zerolog.DebugLevel: 3 * refusalBurst, zerolog.WarnLevel: 0} {
		var out bytes.Buffer
		s, err := parse(t, "--permissions", rulesFile(t, "- name: no\n  deny: publish\n  who: everyone\n  channels: /**\n")).Load(lookup())
		require.NoError(t, err)
		config := s.config(zerolog.New(&out).Level(level))
		testkit.Bubble(t, func() (testkit.Engine, error) { return server.New(config) }, func(t *testing.T, w *testkit.Wire) {
			u := w.Hello()
			for range 3 * refusalBurst {
				u.Send(`[{"channel":"/a","clientId":"$","data":1}]`)
			}
		})
		require.Equal(t, want, strings.Count(out.String(), "refused by the permissions"))
		require.Equal(t, want, strings.Count(out.String(), `"rule":"rule 1 (no)","source":"rules.yaml:1"`))
	}
}
