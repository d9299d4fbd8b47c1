package serve

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// The screen of whoever has not chosen a posture: what, why, two commands to
// copy, where to read more.
func TestPostureScreen(t *testing.T) {
	_, err := parse(t, "--listen", "0.0.0.0:8080").Load(lookup())
	require.Error(t, err)
	golden(t, "posture.golden", []byte("halley: "+err.Error()+"\n"))
}

// The commands to copy are the one that was typed: whatever was set stays.
func TestPostureScreenCommand(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  []string
		want string
	}{
		{"a flag", []string{"--listen", ":80"}, nil, "halley serve --listen :80"},
		{"quotes", []string{"--listen", "tcp://:80?tls=off&proxy=v2", "--trusted-proxies", "10.0.0.0/8,::1"}, nil, "halley serve --listen 'tcp://:80?tls=off&proxy=v2' --trusted-proxies 10.0.0.0/8,::1"},
		{"maps", []string{"--listen", ":80", "--set", "browserCookieName=it's", "--limit", "batch=7", "--set", "ws.timeout=1"}, nil, `halley serve --listen :80 --set ws.timeout=1 --set 'browserCookieName=it'\''s' --limit batch=7`},
		{"the environment stays there", []string{"--path", "/x"}, []string{"HALLEY_LISTEN", ":80"}, "halley serve --path /x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.args...).Load(lookup(tt.env...))
			require.ErrorContains(t, err, "\n  "+tt.want+" --posture strict\n")
			require.ErrorContains(t, err, "\n  "+tt.want+" --posture cometd\n")
		})
	}
	path := file(t, "listen: ':80'\n")
	_, err := parse(t, "--config", path).Load(lookup())
	require.ErrorContains(t, err, "halley serve --config "+path+" --posture strict\n")
}

// What is printed are the defaults in force, those of the posture included; a
// setting of one's own wins over the posture.
func TestPrintConfigOfPosture(t *testing.T) {
	s, err := parse(t, "--posture", "strict", "--set", "browserCookieSameSite=None", "--limit", "sessionsPerAddress=-1").Load(lookup())
	require.NoError(t, err)
	shownOf := map[string]shown{}
	for _, line := range s.shown {
		shownOf[line.Name] = line
	}
	require.Equal(t, shown{"options.browserCookieSameSite", "None", "Lax", "flag --set"}, shownOf["options.browserCookieSameSite"])
	require.Equal(t, shown{"limits.sessionsPerAddress", "-1", "5000", "flag --limit"}, shownOf["limits.sessionsPerAddress"])
	for _, d := range server.PostureTable() {
		line, ok := shownOf["options."+d.Name]
		if !ok {
			line, ok = shownOf["limits."+d.Name]
		}
		require.True(t, ok || d.Name == "policy", d.Name)
		if ok {
			require.Equal(t, d.Strict, line.Default, d.Name)
		}
	}
	// What the table says brings CometD's value back, each alone.
	for _, d := range server.PostureTable() {
		flag, pair, ok := strings.Cut(d.Program, " ")
		if d.Name == "policy" {
			continue
		}
		require.True(t, ok)
		name, value, _ := strings.Cut(pair, "=")
		s, err := parse(t, "--posture", "strict", flag, pair).Load(lookup())
		require.NoError(t, err, d.Name)
		i := slices.IndexFunc(s.shown, func(l shown) bool { return l.Source == "flag "+flag })
		require.Equal(t, name, strings.TrimPrefix(strings.TrimPrefix(s.shown[i].Name, "options."), "limits."))
		require.Equal(t, value, s.shown[i].Value)
		cometd, _, _ := strings.Cut(d.CometD, ";")
		if cometd == "off" {
			cometd = "-1"
		}
		require.Equal(t, cometd, value, d.Name)
	}
	var out bytes.Buffer
	require.NoError(t, s.print(&out, "text"))
	require.Regexp(t, `options.checkOrigin +true +true +default`, out.String())
}
