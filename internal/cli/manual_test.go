package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// definitions are the commands as kong reads them.
func definitions(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(new(commands))
	require.NoError(t, err)
	return parser.Model
}

// script is what `halley completion` prints, or the manual page.
func script(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, nil, args...)
	require.Zero(t, code, stderr)
	return stdout
}

// TestAllIsTold finds each command, flag and argument in the manual page and in
// each completion.
func TestAllIsTold(t *testing.T) {
	page := strings.NewReplacer(`\-`, "-", `\%`, "").Replace(script(t, "man"))
	shells := map[string]string{}
	for _, name := range []string{"bash", "zsh", "fish"} {
		shells[name] = script(t, "completion", name)
	}
	app := definitions(t)
	require.NotEmpty(t, app.Children)
	for _, c := range app.Children {
		_, section, ok := strings.Cut(page, "\n.SS halley "+c.Name+"\n")
		require.True(t, ok, c.Name)
		section, _, _ = strings.Cut(section, "\n.SS ")
		require.Contains(t, page, ".B halley "+c.Name+"\n")
		require.Contains(t, shells["zsh"], "'"+c.Name+":")
		require.Contains(t, shells["fish"], " -a "+c.Name+" -d ")
		for _, f := range c.Flags {
			name := "--" + f.Name
			require.Contains(t, section, `\fB`+name+`\fR`, c.Name)
			require.Contains(t, words(t, shells["bash"], c.Name), name)
			require.Regexp(t, regexp.QuoteMeta(name)+"[=}[]", shells["zsh"])
			require.Contains(t, shells["fish"], "'__fish_seen_subcommand_from "+c.Name+"' -l "+f.Name+" ")
		}
		for _, a := range c.Positional {
			require.Contains(t, section, ".I "+a.Name+"\n", c.Name)
		}
	}
	require.Contains(t, page, ".SH EXIT STATUS\n.TP\n.B 0\ndone\n.TP\n.B 1\nfailed\n.TP\n.B 2\ncalled or configured wrongly\n")
	require.Contains(t, page, "HALLEY_TRUSTED_PROXIES")
}

// words are those that the bash completion has for a command.
func words(t *testing.T, text, command string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n\t\t"+command+") words='")
	require.True(t, ok, command)
	list, _, _ := strings.Cut(rest, "'")
	return strings.Fields(list)
}

// TestBashCompletes asks a real bash. The words are as it splits them.
func TestBashCompletes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halley.bash")
	require.NoError(t, os.WriteFile(path, []byte(script(t, "completion", "bash")), 0o600))
	app := definitions(t)
	names := make([]string, 0, len(app.Children)+2)
	for _, c := range app.Children {
		names = append(names, c.Name)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "my file.yaml"), nil, 0o600))
	for _, tt := range []struct {
		line string // words separated by |; the last is under the cursor
		want string // answers separated by |
	}{
		{"halley|s", "serve|sub"},
		{"halley|", strings.Join(append(names, "-h", "--help"), "|")},
		{"halley|-", "-h|--help"},
		{"halley|serve|--log-l", "--log-level"},
		{"halley|serve|--log-level|", "debug|info|warn|error"},
		{"halley|serve|--log-level|=", "debug|info|warn|error"},
		{"halley|serve|--log-level|=|de", "debug"},
		{"halley|serve|--demo|--po", "--posture"},
		{"halley|serve|--print-config|=|j", "json"},
		{"halley|serve|--print-config|j", ""},
		{"halley|serve|--set|maxSessionsP", "maxSessionsPerBrowser="},
		{"halley|serve|--set|ws.ack", "ws.ackMessageLimit=|ws.ackFrames="},
		{"halley|serve|--set|maxQueue|=", ""},
		{"halley|serve|--limit|b", "batch="},
		{"halley|serve|--listen|", ""},
		{"halley|serve|--config|" + dir + "/m", dir + "/my file.yaml"},
		{"halley|sub|--transport|w", "websocket"},
		{"halley|sub|--messages|=", "full|data"},
		{"halley|sub|--park", ""},
		{"halley|completion|z", "zsh"},
		{"halley|nothing|--l", ""},
	} {
		args := append([]string{"--norc", "-c", `. "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _halley; printf '%s\n' "${COMPREPLY[@]}"`, path}, strings.Split(tt.line, "|")...)
		out, err := exec.CommandContext(t.Context(), "bash", args...).CombinedOutput()
		require.NoError(t, err, "%s: %s", tt.line, out)
		require.Equal(t, strings.ReplaceAll(tt.want, "|", "\n")+"\n", string(out), tt.line)
	}
}
