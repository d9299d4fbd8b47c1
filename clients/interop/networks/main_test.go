package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	c, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{ours}, c.servers)
	require.Len(t, c.scenarios, len(scenarios()))
	require.InDelta(t, 1, c.scale, 0)

	c, err = parse([]string{"-servers", "halley,faye", "-scenarios", "moving,cut", "-scale", "0.1", "-done", "halley", "-seed", "7"}, io.Discard)
	require.NoError(t, err)
	var names []string
	for _, sc := range c.scenarios {
		names = append(names, sc.name)
	}
	require.Equal(t, []string{"moving-up", "moving-down", "cut"}, names, "cuts is another one")
	require.Equal(t, "halley", c.done)
	require.EqualValues(t, 7, c.seed)

	for _, args := range [][]string{
		{"-servers", "nobody"},
		{"-scenarios", "rain"},
		{"-scale", "0"},
		{"-scale", "2"},
		{"-jobs", "0"},
		{"-done", "faye"},
		{"-done", "halley", "-unadapted"},
		{"-what"},
		{"a.json"},
	} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
	}
}

func TestScenarios(t *testing.T) {
	names := map[string]bool{}
	for _, sc := range scenarios() {
		require.False(t, names[sc.name], sc.name)
		names[sc.name] = true
		require.NotEmpty(t, sc.about, sc.name)
		require.Positive(t, sc.hold, sc.name)
		require.NotNil(t, sc.run, sc.name)
		require.NotNil(t, sc.judge, sc.name)
		require.True(t, sc.can("cometd8"), sc.name)
		require.Equal(t, !sc.sockets, sc.can("cometd-nodejs"), sc.name)
	}
}

func TestOptions(t *testing.T) {
	sc := &scenario{hold: 30 * time.Second, expiry: 2 * time.Minute, probe: time.Minute, ours: map[string]string{"maxQueueBytes": "5"}}
	c := &config{scale: 0.5, off: switchOff}
	require.Equal(t, map[string]string{"timeout": "15000"}, c.options("faye", sc))
	require.Equal(t, map[string]string{"timeout": "15000", "maxInterval": "60000"}, c.options("cometd8", sc))
	require.Equal(t, map[string]string{"timeout": "15000", "maxInterval": "60000", "maxQueueBytes": "5", "paths": "learn", "pathProbe": "30000"}, c.options(ours, sc))
	c.unadapted = true
	require.Equal(t, map[string]string{"timeout": "15000", "maxInterval": "60000", "maxQueueBytes": "5", "paths": "off"}, c.options(ours, sc))
	c.off = ""
	require.Equal(t, "learn", c.options(ours, sc)["paths"])
}

func TestFindings(t *testing.T) {
	sc := &scenario{
		judge:   func(seen, float64) []finding { return []finding{{"judged", true}} },
		suffers: func(seen, float64) []finding { return []finding{{"suffered", false}} },
	}
	says := func(c *config, server string) string {
		for _, f := range c.findings(server, sc, seen{}) {
			return f.What
		}
		return ""
	}
	require.Empty(t, says(&config{}, ours), "measured only")
	require.Equal(t, "judged", says(&config{done: ours}, ours))
	require.Empty(t, says(&config{done: ours}, "faye"))
	require.Equal(t, "suffered", says(&config{unadapted: true}, ours))
	require.Empty(t, says(&config{unadapted: true}, "faye"))
	sc.suffers = nil
	require.Empty(t, says(&config{unadapted: true}, ours))
	require.Equal(t, 2, outcome{Findings: []finding{{"a", true}, {"b", false}}, Error: "c"}.missed())
}

func TestTable(t *testing.T) {
	s := goodEnds()["cap"]
	s.Clients = s.Clients[1:2]
	s.Clients[0].Lost = 600
	got := table([]outcome{
		{Server: ours, Version: "this tree", Scenario: "cap", Scale: 1, Unadapted: true, seen: s},
		{Server: "cometd8", Version: "8.0.10", Scenario: "cap", Scale: 1, Error: "it ended:\nso"},
		{Server: "faye", Version: "1.4.3", Scenario: "store", Scale: 0.5, seen: seen{Clients: []figures{{Client: "stored", Due: 3, First: -1}}}},
	})
	require.Equal(t, `### cap: responses of at most 64 KiB, the rest cut off or answered by 502; a backlog of 5 MB in 1,250 messages, ack on

| server | client | failed connects | handshakes | lost | doubled | in order | longest hold | first message |
|---|---|---|---|---|---|---|---|---|
| Halley, learning switched off | truncated | 5 | 1 | 600 of 600 | 0 | – | 1.00 s | 1.00 s |
| CometD 8.0.10 | – | it failed: it ended: so |||||||

### store: a proxy keeps each response until it is whole; hold 30 s

| server | client | failed connects | handshakes | lost | doubled | in order | longest hold | first message |
|---|---|---|---|---|---|---|---|---|
| Faye 1.4.3 | stored | 0 | 0 | 0 of 3 | 0 | no | – | none |

All times were multiplied by 0.5.
`, got)
}

// What runs have written makes one table.
func TestFromFiles(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i, server := range []string{ours, "faye"} {
		o := outcome{Server: server, Version: "1.2", Scenario: "store", Scale: 1, seen: seen{Clients: []figures{{Client: "stored", Due: 3, Failed: i, Ordered: true}}}}
		text, err := json.Marshal([]outcome{o})
		require.NoError(t, err)
		files = append(files, filepath.Join(dir, server+".json"))
		require.NoError(t, os.WriteFile(files[i], text, 0o600))
	}
	var out strings.Builder
	require.NoError(t, run(t.Context(), append([]string{"-table"}, files...), &out, io.Discard))
	require.Contains(t, out.String(), "### store")
	require.Contains(t, out.String(), "| Halley | stored | 0 | 0 | 0 of 3 |")
	require.Contains(t, out.String(), "| Faye 1.2 | stored | 1 | 0 | 0 of 3 |")
	require.Error(t, run(t.Context(), []string{"-table", files[0] + "x"}, &out, io.Discard))
}
