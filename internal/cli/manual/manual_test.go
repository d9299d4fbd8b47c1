package manual

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/cli/version"
)

// brew is a command with each kind of flag.
type brew struct {
	Pots   []string `arg:"" help:"Pots to fill."`
	Kind   string   `enum:"tea,coffee" default:"tea" help:"What to brew: it's 1:1 [or 2:1]. Not soup."`
	Recipe string   `placeholder:"FILE" help:"How to brew."`
	Set    []string `sep:"none" placeholder:"NAME=VALUE" help:"Set something."`
	Loud   bool     `short:"l" help:"Say so."`
	Secret bool     `hidden:"" help:"Not for all."`
}

func (brew) Help() string {
	return "A first paragraph, with 'quotes' and a \\.\n\n  brew -l 'pot'\n  .dot\n\n.net is no request."
}

// Describe implements Describer.
func (*brew) Describe(flag string) ([]string, string) {
	if flag == "set" {
		return []string{"heat=", "time="}, "BREW_SET"
	}
	return nil, ""
}

func sample(t *testing.T) program {
	t.Helper()
	var all struct {
		Brew  brew     `cmd:"" help:"Brew something. At length."`
		Empty struct{} `cmd:"" help:"Do nothing."`
		Old   struct{} `cmd:"" hidden:"" help:"Gone."`
	}
	parser, err := kong.New(&all, kong.Name("pot"))
	require.NoError(t, err)
	return read(parser.Model)
}

func TestRead(t *testing.T) {
	help := flag{name: "--help", short: "-h", help: "Show context-sensitive help."}
	p := sample(t)
	require.Equal(t, program{
		name: "pot", flags: []flag{help},
		commands: []command{
			{
				name: "brew", help: "Brew something. At length.", detail: brew{}.Help(),
				args: []argument{{name: "pots", help: "Pots to fill.", repeat: true}},
				flags: []flag{
					{name: "--kind", help: "What to brew: it's 1:1 [or 2:1]. Not soup.", placeholder: "KIND", fallback: "tea", values: []string{"tea", "coffee"}},
					{name: "--recipe", help: "How to brew.", placeholder: "FILE", file: true},
					{name: "--set", help: "Set something.", placeholder: "NAME=VALUE", values: []string{"heat=", "time="}, variable: "BREW_SET"},
					{name: "--loud", short: "-l", help: "Say so."},
					help,
				},
			},
			{name: "empty", help: "Do nothing.", flags: []flag{help}},
		},
	}, p)
}

func TestMan(t *testing.T) {
	facts := Facts{About: "A pot.\n\nMore of it.", ExitCodes: []ExitCode{{Code: 3, Meaning: "boiled over"}, {Command: "brew", Code: 4, Meaning: "cold"}}}
	build := version.Build{Version: "v1.2.3", Time: time.Date(2026, 1, 2, 23, 0, 0, 0, time.FixedZone("", -3600))}
	text := man(sample(t), facts, build)
	for _, want := range []string{
		".TH POT 1 \"2026-01-03\" \"pot v1.2.3\" \"User Commands\"\n",
		".SH NAME\npot \\- a pot\n",
		".B pot brew\n.RI [ flags ]\n<pots> ...\n",
		".SH DESCRIPTION\nMore of it.\n",
		".TP\n\\fB\\-\\-kind\\fR \\fIKIND\\fR\nWhat to brew: \\%it\\(aqs \\%1:1 \\%[or \\%2:1]. Not soup. Default tea.\n",
		".TP\n\\fB\\-l\\fR, \\fB\\-\\-loud\\fR\nSay so.\n",
		"Set something. Environment: \\%BREW_SET.\n",
		"A first paragraph, with \\%\\(aqquotes\\(aq and a \\%\\e.\n.PP\n.RS 4\n.EX\nbrew \\-l \\(aqpot\\(aq\n\\&.dot\n.EE\n.RE\n.PP\n\\%.net is no request.\n",
		".SH EXIT STATUS\n.TP\n.B 3\nboiled over\n.TP\n.B 4 (brew)\ncold\n",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "secret")
	require.NotContains(t, text, "Gone")
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, len(line), 80)
	}
	require.Contains(t, man(sample(t), facts, version.Build{Version: "(devel)"}), `.TH POT 1 "" "pot (devel)"`)
}

func TestScripts(t *testing.T) {
	p := sample(t)
	for _, want := range []string{
		"brew:--kind:*) words='tea coffee' ;;\n", "brew:--set:*) words='heat= time=' ;;\n", "'') words='brew empty -h --help' ;;\n",
	} {
		require.Contains(t, bash(p), want)
	}
	for _, want := range []string{
		`'*--kind=[What to brew\: it'\''s 1\:1 \[or 2\:1\]]:KIND:(tea coffee)' \`, `'*--recipe=[How to brew]:FILE:_files' \`,
		`'*--set=[Set something]:NAME=VALUE:{compadd -S "" - heat= time=}' \`, `'*'{-l,--loud}'[Say so]' \`, `'*:pots:' \`, `'brew:Brew something'`,
	} {
		require.Contains(t, zsh(p), want)
	}
	for _, want := range []string{
		`complete -c pot -n '__fish_seen_subcommand_from brew' -l kind -x -a 'tea coffee' -d 'What to brew: it\'s 1:1 [or 2:1]'`,
		`complete -c pot -n '__fish_seen_subcommand_from brew' -l recipe -r -F -d 'How to brew'`,
		`complete -c pot -n __fish_use_subcommand -a empty -d 'Do nothing'`,
	} {
		require.Contains(t, fish(p), want)
	}
}
