package serve

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/auth"
	"github.com/halleypush/halley/internal/certs"
	"github.com/halleypush/halley/internal/probe"
	"github.com/halleypush/halley/internal/testkit"
)

// TestOperationsTables compares the tables of docs/OPERATIONS.md with what
// the program has; -update writes them.
func TestOperationsTables(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "OPERATIONS.md")
	testkit.Tables(t, path, *update, "run make docs", map[string]string{
		"flags": flagsTable(t), "options": optionsTable(), "limits": namedTable("limit", limitTable("")), "extensions": namedTable("setting", extensionTable()), "channels": namedTable("property", channelTable()), "auth": namedTable("setting", authTable()), "metrics": metricsTable(),
		"labels": labelsTable(t), "reasons": reasonsTable(t), "bounds": boundsTable(), "probe bounds": probeBoundsTable(),
	})
}

func probeBoundsTable() string {
	return "| what | bound |\n|---|---|\n" +
		row("a hold, a silence, the life of a WebSocket", probe.MaxTime.String()) +
		row("a body", fmt.Sprintf("%d MiB", probe.MaxBytes>>20)) +
		row("a frame", fmt.Sprintf("%d KiB", probe.MaxFrame>>10)) +
		row("probes at a time", fmt.Sprint(probe.MaxAtOnce)) +
		row("probes begun", fmt.Sprintf("%d at once, then %d a second", probe.Burst, probe.PerSecond)) +
		row("bytes asked for", fmt.Sprintf("%d MiB at once, then %d MiB a second", probe.BytesBurst>>20, probe.BytesPerSecond>>20)) +
		row("wrong tokens that get an answer", fmt.Sprintf("%d at once, then %d a second", probe.WrongBurst, probe.WrongPerSecond))
}

// TestSecurityTable compares the table of postures with what the server does.
func TestSecurityTable(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "SECURITY.md")
	testkit.Tables(t, path, *update, "run make docs", map[string]string{"postures": posturesTable()})
}

func posturesTable() string {
	code := func(text string) string {
		switch text {
		case "", "off":
			return cmp.Or(text, "none")
		}
		return "`" + text + "`"
	}
	text := "| what | `cometd` | `strict` | the threat that strict answers | in a program | `halley serve` |\n|---|---|---|---|---|---|\n"
	for _, d := range server.PostureTable() {
		cometd, strict := code(d.CometD), code(d.Strict)
		if d.Name == "policy" { // words, not values
			cometd, strict = d.CometD, d.Strict
		}
		text += row("`"+d.Name+"`", cometd, strict, d.Threat, "`"+d.Library+"`", "`"+d.Program+"`")
	}
	text += row("`hsts`", "off", code(server.SpanText(strictHSTS)), "a network that keeps browsers from TLS; where the server ends TLS itself", "a handler of yours", "`--hsts off`")
	return text
}

// TestTLSTables does the same for docs/TLS.md.
func TestTLSTables(t *testing.T) {
	bounds := "| what | bound |\n|---|---|\n" +
		row("time for a handshake", certs.HandshakeTimeout.String()) +
		row("handshakes in progress, all listeners together", fmt.Sprint(certs.MaxHandshakes)) +
		row("time for the first word of a peer when all places are taken", certs.QuietPatience.String()) +
		row("time for a handshake when all places are taken", certs.Patience.String()) +
		row("certificates by file", fmt.Sprint(certs.MaxPairs)) +
		row("names by ACME", fmt.Sprint(certs.MaxDomains))
	reasons := "| reason | what |\n|---|---|\n"
	n := 0
	for _, c := range constants(sourceOf(t, "../internal/certs")) {
		if strings.HasPrefix(c.name, "Reason") {
			require.NotEmpty(t, c.what, c.name)
			reasons += row("`"+c.value+"`", c.what)
			n++
		}
	}
	require.Greater(t, n, 10)
	path := filepath.Join("..", "..", "..", "docs", "TLS.md")
	testkit.Tables(t, path, *update, "run make docs", map[string]string{"tls bounds": bounds, "tls reasons": reasons})
}

func row(cells ...string) string { return testkit.Row(cells...) }

func flagsTable(t *testing.T) string {
	t.Helper()
	parser, err := kong.New(&Command{})
	require.NoError(t, err)
	text := "| flag | environment | what |\n|---|---|---|\n"
	for _, f := range parser.Model.Flags {
		env := "`" + envName(f.Name) + "`"
		switch f.Name {
		case "help":
			continue
		case "check-config", "print-config":
			env = ""
		}
		text += row("`--"+f.Name+"`", env, f.Help)
	}
	return text
}

func optionsTable() string {
	text := "| option | kind | default | scope | what |\n|---|---|---|---|---|\n"
	for _, o := range server.OptionTable() {
		def := ""
		if o.Default != "" {
			def = "`" + o.Default + "`"
		}
		text += row("`"+o.Name+"`", o.Kind, def, o.Scope, o.Help)
	}
	return text
}

func namedTable[T any](what string, table []named[T]) string {
	text := "| " + what + " | default | what |\n|---|---|---|\n"
	for _, n := range table {
		text += row("`"+n.name+"`", n.def, n.help)
	}
	return text
}

func metricsTable() string {
	one := map[string]uint64{"x": 1}
	all := samplesOf(server.Stats{Requests: one, Refused: one, Limits: one, Events: one, Ended: one, Slow: []server.SlowCount{{Count: 1}}, Paths: server.PathStats{Learned: one}})
	all = append(all, authSamples(auth.Stats{Handshakes: one, Refreshes: one, Ended: one})...)
	all = append(all, Sample{Name: "ready", Help: readyHelp})
	all = append(all, tlsSamples(certs.Stats{HandshakesFailed: one, Expiry: []certs.Expiry{{}}})...)
	text := "| metric | kind | labels | what |\n|---|---|---|---|\n"
	told := map[string]bool{}
	for _, s := range all {
		if told[s.Name] {
			continue // Its other labels are told of.
		}
		told[s.Name] = true
		kind := "gauge"
		if s.Counter {
			kind = "counter"
		}
		names := make([]string, 0, len(s.Labels))
		for _, l := range s.Labels {
			names = append(names, l.name)
		}
		text += row(fmt.Sprintf("`halley_%s`", s.Name), kind, strings.Join(names, ", "), s.Help)
	}
	return text
}

func boundsTable() string {
	return "| what | bound |\n|---|---|\n" +
		row("time for the header of a request", readHeaderTimeout.String()) +
		row("size of the header", fmt.Sprintf("%d KiB", maxHeaderBytes>>10)) +
		row("idle time between two requests", idleTimeout.String()) +
		row("time for a PROXY header", proxyHeaderTimeout.String())
}

func TestSamples(t *testing.T) {
	samples := samplesOf(server.Stats{Sessions: 2, Draining: true, MessagesIn: 7, Ended: map[string]uint64{"b": 2, "a": 1}})
	require.Contains(t, samples, Sample{Name: "sessions", Help: "Sessions that live.", Value: 2})
	require.Contains(t, samples, Sample{Name: "draining", Help: "1 while the server stops.", Value: 1})
	require.Contains(t, samples, Sample{Name: "messages_received_total", Help: "Messages received, of every kind.", Counter: true, Value: 7})
	n := len(samples)
	require.Equal(t, "a", samples[n-2].Labels[0].value)
	require.Equal(t, "b", samples[n-1].Labels[0].value)
	require.InDelta(t, 2, samples[n-1].Value, 0)
}

func TestMetricsText(t *testing.T) {
	var out strings.Builder
	writeSamples(&out, []Sample{
		{Name: "sessions", Help: "Sessions\nthat \\ \"live\".", Value: 2.5},
		{Name: "ended_total", Help: "Ended.", Counter: true, Labels: []label{{"reason", "a \"b\" \\ \n"}, {"le", "\xff"}}, Value: 1e9},
		{Name: "ended_total", Help: "Ended.", Counter: true, Labels: []label{{"reason", "gone"}}},
	})
	require.Equal(t, `# HELP halley_sessions Sessions\nthat \\ "live".
# TYPE halley_sessions gauge
halley_sessions 2.5
# HELP halley_ended_total Ended.
# TYPE halley_ended_total counter
halley_ended_total{le="\uFFFD",reason="a \"b\" \\ \n"} 1e+09
halley_ended_total{reason="gone"} 0
`, strings.ReplaceAll(out.String(), "\uFFFD", `\uFFFD`))
}
