package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/scale"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func made() origin {
	return origin{Commit: "0123456789ab", Machine: "Linux 6.18, 2 processors", Tools: []string{"go1.26", "Java 17", "Node 20"}, Date: "2026-11-26"}
}

// everything is a state with each kind of outcome.
func everything() ([]subject, []benchCase, outcomes) {
	all := []subject{
		{Name: ours, Peer: "halley", Options: map[string]string{"program": "bin/halley"}, Runs: 2},
		{Name: oursTLS, Peer: "halley", Options: map[string]string{"tls": "true"}, Runs: 1, Aside: true},
		{Name: floorWS, Peer: "floor-ws", Runs: 1, Floor: true},
		{Name: floorMany, Peer: "floor-ws", Options: map[string]string{"coalesce": "true"}, Runs: 1, Floor: true},
		{Name: "cometd8", Peer: "cometd8", Options: map[string]string{"jvm": "benchmark"}, Runs: 1, JVM: true},
		{Name: "cometd8 on all processors", Peer: "cometd8", Runs: 1, JVM: true, Free: true},
		{Name: "faye", Peer: "faye", Runs: 1},
		{Name: "gws", Peer: "gws", Runs: 1},
	}
	loads := []benchCase{
		{Name: "empty", Title: "Empty server", Metric: listenTime, Fresh: true},
		{Name: "fan", Title: "Fan-out", Args: []string{"--clients", "1000"}, Transport: webSocket, Floor: floorWS},
		{Name: "max", Title: "Maximum", Metric: maxRate, Args: []string{"--find-max"}, Transport: webSocket, Floor: floorMany},
		{Name: "idle", Title: "Idle", Metric: sessionMemory, Args: []string{"--mode", "idle"}, Transport: webSocket, Floor: floorWS},
		{Name: "ws-fanout-20k", Title: "Bounded", Args: []string{"--clients", "1000"}, Transport: webSocket, Floor: floorWS},
		{Name: "curve-1000", Title: "1,000 subscribers", Args: []string{"--clients", "1000"}, Transport: webSocket, Floor: floorWS, Only: []string{ours, floorWS}, Part: curvePart},
		{Name: "path-ws", Title: "WebSocket", Args: []string{"--clients", "1000"}, Transport: webSocket, Only: []string{ours, oursTLS}, Part: pathPart},
		{Name: "path-idle-ws", Title: "Idle", Metric: sessionMemory, Args: []string{"--mode", "idle"}, Transport: webSocket, Only: []string{ours, oursTLS}, Part: pathPart},
		{Name: "p99", Title: "Latency", Metric: latencyP99, Args: []string{"--deliveries", "80000"}, Transport: webSocket},
	}
	have := outcomes{}
	for name, ms := range map[string]float64{ours: 18.4, "cometd8": 1041, "gws": 2} {
		have[name+"/empty.1"] = &outcome{Key: name + "/empty.1", Seconds: 3, ListenMillis: ms, RSS: 16_123_456}
	}
	with := func(r bench.Result, p50, p99 float64) bench.Result {
		r.Latency.P50, r.Latency.P99 = p50, p99
		r.Server.RSSAfter = 35_000_000
		return r
	}
	disturbed := with(cpu(11), 5.1, 10)
	disturbed.OtherCores = 0.31
	results(have, ours, "fan", disturbed, with(cpu(10.5), 5, 10))
	results(have, floorWS, "fan", with(cpu(9.812), 4.9, 9))
	results(have, "cometd8", "fan", with(cpu(22.8), 11, 25))
	results(have, "cometd8 on all processors", "fan", with(cpu(8), 11, 25))
	results(have, "faye", "fan", bench.Result{Problems: []string{"p99 2 s | over 1 s", "lost 10"}})
	results(have, "gws", "fan", bench.Result{OK: true, GeneratorBound: true, GeneratorShare: 0.93})
	bound := with(cpu(0.1), 19, 69)
	bound.Rate = 5_123_456
	bound.Steps = append(bound.Steps, bench.Step{GeneratorBound: true})
	results(have, floorMany, "max", bound)
	half := with(cpu(1), 20, 70)
	half.Rate = 2_561_728
	results(have, ours, "max", half, bench.Result{Problems: []string{"slow"}})
	have["cometd8/max.1"] = &outcome{Key: "cometd8/max.1", Error: errors.Join(errBroken, errBroken).Error(), Seconds: 1}
	results(have, ours, "idle", bench.Result{OK: true, Server: &bench.Usage{KBPerSession: 2.345, RSSAfter: 61e6, Cores: 0.004}})
	results(have, ours, "p99", with(cpu(9), 5, 12))
	results(have, "gws", "p99", with(cpu(10), 6, 16))
	results(have, ours, "ws-fanout-20k", with(cpu(11), 5, 12))
	results(have, floorWS, "ws-fanout-20k", with(cpu(8.5), 5, 12))
	results(have, ours, "path-ws", with(cpu(9), 5, 12))
	results(have, oursTLS, "path-ws", bench.Result{Problems: []string{"p99 2 s"}})
	results(have, oursTLS, "path-idle-ws", bench.Result{OK: true, Server: &bench.Usage{KBPerSession: 28.1}})
	return all, loads, have
}

func TestDocument(t *testing.T) {
	all, loads, have := everything()
	golden(t, "testdata/performance.md", document(made(), all, loads, have, apart(t)))
}

// With nothing measured it says so, and a complete state has no such words.
func TestDocumentOfNothing(t *testing.T) {
	got := document(made(), subjects(), cases(), outcomes{}, scaled{})
	require.Contains(t, got, "**Not complete: ")
	require.NotContains(t, got, "NaN")
	require.Equal(t, len(casesIn(cases(), mainPart)), strings.Count(got, "\n| subject | ")-1)
	require.Equal(t, len(musts())+4, strings.Count(got, "| not measured |\n"))
	require.Equal(t, 3, strings.Count(got, "Not measured: `make "))
	all, loads := []subject{{Name: ours, Peer: "halley", Runs: 1}}, []benchCase{{Name: "fan", Args: []string{"-x"}, Transport: webSocket}}
	have := outcomes{}
	results(have, ours, "fan", cpu(1))
	require.NotContains(t, document(made(), all, loads, have, scaled{}), "Not complete")
}

// apart is what was measured apart from the cases.
func apart(t *testing.T) scaled {
	t.Helper()
	routes, err := readRoutes("testdata/routing.txt")
	require.NoError(t, err)
	return scaled{
		million: &scale.Million{
			System: "linux/amd64 go1.26", Processors: 2, Sessions: 1_000_000, Channels: 100_001, MakeSeconds: 80,
			Live: 1028, Objects: 8.31, Resident: 2808, Least: 1325, RoomMicros: 17, ConnectMicros: 12,
			ToAll: scale.Spread{Seconds: 2.07, Micros: 1.26}, Collector: scale.Collector{Seconds: 0.84, CPU: 1.7, PauseMicros: 1311, ShareMake: 0.15, ShareConnect: 0.04},
			SweepMillis: 0.359, LookMillis: 300, Due: scale.Spread{Seconds: 4, Micros: 4.5}, Expiry: scale.Spread{Seconds: 5, Micros: 5.5},
			Close: scale.Spread{Seconds: 1.2, Micros: 0.9}, LiveAfter: 130, ResidentAfter: 700, RestSeconds: 240, LeastAfter: 330,
		},
		show: &scale.Show{
			Servers: 6, Sessions: 96_000, Subscriptions: 192_000, MakeSeconds: 31, Resident: 2600, Single: 2500,
			Delivered: 96_000, Expected: 96_000, ToAllSeconds: 1.1,
		},
		routes: routes,
	}
}

// Files that are missing are nothing that was measured; those that cannot be read
// are errors.
func TestReadScaled(t *testing.T) {
	want := apart(t).million
	t.Chdir(t.TempDir())
	got, err := readScaled()
	require.NoError(t, err)
	require.Equal(t, scaled{}, got)
	require.NoError(t, scale.Write(scale.MillionFile, want))
	got, err = readScaled()
	require.NoError(t, err)
	require.Equal(t, scaled{million: want}, got)
	require.NoError(t, os.WriteFile(scale.ShowFile, []byte("{"), 0o600))
	_, err = readScaled()
	require.ErrorContains(t, err, scale.ShowFile)
}

// A bound moves with what it goes by, and is kept or not.
func TestVerdicts(t *testing.T) {
	loads := cases()
	c := func(v float64) bench.Result {
		r := cpu(v)
		r.Latency.P99 = v
		return r
	}
	fast := func(rate float64, bound bool) bench.Result {
		r := cpu(1)
		r.Rate = rate
		r.Steps = []bench.Step{{GeneratorBound: bound}}
		return r
	}
	for name, tt := range map[string]struct {
		row  string
		have map[string]bench.Result
		want string
		must float64
	}{
		"met by the floor": {"ws-fanout-20k", map[string]bench.Result{ours: c(25), floorWS: c(19.6)}, "**met**", 26},
		"the aim":          {"ws-fanout-20k", map[string]bench.Result{ours: c(21), floorWS: c(19.6)}, "**met**, and the aim", 26},
		"not met":          {"ws-fanout-20k", map[string]bench.Result{ours: c(12), floorWS: c(4.9)}, "**not met**", 6.5},
		"no floor":         {"ws-fanout-20k", map[string]bench.Result{ours: c(12)}, "not measured", 13},
		"not ours":         {"ws-fanout-20k", map[string]bench.Result{floorWS: c(4.9)}, "not measured", 6.5},
		"by the peer":      {"shape-100k", map[string]bench.Result{ours: c(8), "cometd8": c(24), "gws": c(3)}, "not met", 7.5},
		"the maximum":      {"ws-rooms-max", map[string]bench.Result{ours: fast(600e3, false), "centrifuge": fast(560e3, false)}, "**met**", 500e3},
		"generator-bound":  {"ws-rooms-max", map[string]bench.Result{ours: fast(400e3, true), "centrifuge": fast(560e3, false)}, "open: ", 500e3},
		"absolute":         {"idle-ws", map[string]bench.Result{ours: {OK: true, Server: &bench.Usage{KBPerSession: 3.1}}}, "**not met**", 3},
	} {
		t.Run(name, func(t *testing.T) {
			have := outcomes{}
			for subject, r := range tt.have {
				results(have, subject, tt.row, r)
			}
			all := musts()
			i := slices.IndexFunc(all, func(m must) bool { return m.cases[0] == tt.row })
			v := all[i].of(loads, have)
			require.Contains(t, v.word(), tt.want)
			require.InDelta(t, tt.must, v.must, 1e-6)
		})
	}
}

// Each bound names cases that there are.
func TestMusts(t *testing.T) {
	for _, m := range musts() {
		for _, name := range m.cases {
			require.NotNil(t, caseOf(cases(), name), name)
		}
		require.Equal(t, m.peer > 0, m.by != "", m.title)
		if m.by != "" {
			_, err := pick("peer", m.by, subjects(), func(s subject) string { return s.Name })
			require.NoError(t, err)
		}
		if m.floor > 0 {
			require.NotEmpty(t, caseOf(cases(), m.cases[0]).Floor, m.title)
		}
	}
}

// With acknowledgements: the ratio to the case without.
func TestRatioVerdict(t *testing.T) {
	have := outcomes{}
	results(have, ours, "ws-fanout-20k", cpu(10))
	all := musts()
	m := all[slices.IndexFunc(all, func(m must) bool { return m.cases[0] == "ws-fanout-20k-ack" })]
	v := m.of(cases(), have)
	require.Equal(t, "not measured", v.word())
	results(have, ours, "ws-fanout-20k-ack", cpu(19))
	v = m.of(cases(), have)
	require.Equal(t, "**met**", v.word())
	require.InDelta(t, 1.9, v.measured, 1e-9)
}

// The curves: CPU against the floor's rise, memory against itself.
func TestCurves(t *testing.T) {
	have := outcomes{}
	point := func(micros, kb float64) bench.Result {
		r := cpu(micros)
		r.Server.KBPerSession = kb
		return r
	}
	for i, n := range curveSizes() {
		name := fmt.Sprintf("curve-%d", n)
		results(have, floorWS, name, point(10+float64(i), 0.2))
		if n != 5000 {
			results(have, ours, name, point(11+1.5*float64(i), 3-0.1*float64(i)))
		}
	}
	for _, v := range curveVerdicts(cases(), have) {
		require.Equal(t, "not measured", v.word(), v.title)
	}
	results(have, ours, "curve-5000", point(14, 2.8))
	got := curveVerdicts(cases(), have)
	require.InDelta(t, 17./11, got[0].measured, 1e-9)
	require.InDelta(t, 1.4*1.15, got[0].must, 1e-9)
	require.Equal(t, "**met**", got[0].word())
	require.Equal(t, "**met**", got[1].word())
	results(have, ours, "curve-19500", point(18, 3.5))
	for _, v := range curveVerdicts(cases(), have) {
		require.Equal(t, "**not met**", v.word(), v.title)
	}
	text := document(made(), subjects(), cases(), have, scaled{})
	require.Contains(t, text, "  x-axis \"sessions\" [1000, 2000, 5000, 10000, 19500]\n  y-axis \"µs\" 0 --> 22\n"+
		"  bar [10.00, 11.00, 12.00, 13.00, 14.00]\n  line [11.00, 12.50, 14.00, 15.50, 18.00]\n")
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{"0.00": 0, "1.23": 1.234, "12.3": 12.34, "123": 123.4, "1,234": 1234, "1,234,567": 1234567} {
		require.Equal(t, want, number(v))
	}
}
