package serve

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// The labels of the metrics are words of the server's source, which this
// package may not import: they are read from it.

// word is a constant of the source, and what its comment says.
type word struct{ name, value, what string }

// parse reads the files of a folder below bayeux, tests apart.
func sourceOf(t *testing.T, dir string) []*ast.File {
	t.Helper()
	dir = filepath.Join("..", "..", "..", "bayeux", filepath.FromSlash(dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []*ast.File
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
			require.NoError(t, err)
			all = append(all, f)
		}
	}
	return all
}

// constants returns the texts among the constants.
func constants(files []*ast.File) []word {
	var all []word
	for _, f := range files {
		for _, d := range f.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, s := range group.Specs {
				v := s.(*ast.ValueSpec)
				if len(v.Values) != 1 {
					continue
				}
				if text, ok := literal(v.Values[0]); ok {
					name := v.Names[0].Name
					what := strings.Join(strings.Fields(cmp.Or(v.Doc.Text(), v.Comment.Text())), " ")
					all = append(all, word{name, text, strings.TrimSuffix(strings.TrimPrefix(what, name+" is "), ".")})
				}
			}
		}
	}
	return all
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// limitWords are the limits that are counted: the texts and constants that
// are given to the functions that count.
func limitWords(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{"server", "internal/transport"} {
		files := sourceOf(t, dir)
		named := map[string]string{}
		for _, c := range constants(files) {
			named[c.name] = c.value
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				at := map[string]int{"limit": 1, "Limit": 1}[f.Sel.Name] - 1
				if at < 0 || at >= len(call.Args) {
					return true
				}
				if text, ok := literal(call.Args[at]); ok {
					all = append(all, text)
				} else if name, ok := call.Args[at].(*ast.Ident); ok && named[name.Name] != "" {
					all = append(all, named[name.Name])
				}
				return true
			})
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// limitHelp is what the option or the limit of that name says.
func limitHelp(name string) string {
	if o, ok := server.LookupOption(name); ok {
		return o.Help
	}
	for _, l := range limitTable("") {
		if l.name == name {
			return l.help
		}
	}
	return map[string]string{
		"advice.interval": "a client's advice.interval was cut to clientInterval",
		"advice.timeout":  "a client's advice.timeout was cut to clientTimeout",
		"bodyTimeout":     "a request's body did not come in time",
		"channel":         "a name that was to be subscribed to is beyond channelBytes or channelSegments",
		"channels":        "a channel was not made: there are too many",
		"handshakes":      "handshakesPerSecond",
		"queue":           "maxQueue or maxQueueBytes: messages that were dropped, sessions that ended",
		"sessions":        "maxSessions",
		"path":            "a message that its client's network does not carry, see `paths`",
		"subscriptions":   "maxSubscriptions",
		"totalQueue":      "totalQueueBytes; the session with the largest queue ends",
	}[name]
}

// labelsTable lists the values of the labels of the metrics.
func labelsTable(t *testing.T) string {
	t.Helper()
	text := "| label | value | what |\n|---|---|---|\n"
	for name := range strings.SplitSeq(optionDefault("allowedTransports"), ",") {
		text += row("transport", "`"+name+"`", "")
	}
	for _, name := range limitWords(t) {
		text += row("limit", "`"+name+"`", limitHelp(name))
	}
	for _, c := range constants(sourceOf(t, "internal/transport")) {
		if !strings.HasPrefix(c.name, "Event") {
			continue
		}
		if value, open := strings.CutSuffix(c.value, "_closed_"); open {
			text += row("event", "`"+value+"_closed_CODE`", "a WebSocket that was closed with that code, by either side; 1006 for none")
			continue
		}
		text += row("event", "`"+c.value+"`", cmp.Or(c.what, "a connection of that kind"))
	}
	for _, name := range bayeux.SlowConsumerNames() {
		text += row("policy", "`"+name+"`", "see [SLOW_CONSUMERS](SLOW_CONSUMERS.md)")
	}
	text += row("action", "`dropped`", "messages") +
		row("action", "`replaced`", "messages, by newer ones of their channel") + row("action", "`ended`", "sessions")
	text += row("limit", "`maxQueue`, `maxQueueBytes`, `totalQueueBytes`", "of `halley_slow_consumer_total`: which bound had no room")
	text += row("error", "`channel_missing`, `channel_invalid`, `message_id_invalid`", "the text of the error that the message was answered with")
	return text + row("error", "`channel`, `clientId`, `ext`, `advice`", "the field that has the wrong type") +
		row("reason", "", "see [Ends of sessions](#ends-of-sessions)")
}

func optionDefault(name string) string {
	o, _ := server.LookupOption(name)
	return o.Default
}

// reasonsTable lists why sessions end.
func reasonsTable(t *testing.T) string {
	t.Helper()
	text := "| reason | what ended the session |\n|---|---|\n"
	n := 0
	for _, c := range constants(sourceOf(t, "internal/machine")) {
		if strings.HasPrefix(c.name, "Reason") {
			require.NotEmpty(t, c.what, c.name)
			text += row("`"+c.value+"`", c.what)
			n++
		}
	}
	require.NotZero(t, n)
	return text
}

// TestLabels checks that what a server counts is in the tables.
func TestLabels(t *testing.T) {
	table := labelsTable(t)
	for _, want := range []string{"`websocket`", "`maxMessageSize`", "`ws.maxMessageSize`", "`totalQueue`", "`held`", "`websocket_opened`", "`websocket_closed_CODE`"} {
		require.Contains(t, table, want)
	}
	require.Contains(t, reasonsTable(t), "| `expired` | silence for longer than interval and maxInterval |\n")
}
