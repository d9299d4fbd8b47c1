package main

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/bench"
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
	return all, loads, have
}

func TestDocument(t *testing.T) {
	all, loads, have := everything()
	golden(t, "testdata/performance.md", document(made(), all, loads, have))
}

// With nothing measured it says so, and a complete state has no such words.
func TestDocumentOfNothing(t *testing.T) {
	got := document(made(), subjects(), cases(), outcomes{})
	require.Contains(t, got, "**Not complete: ")
	require.NotContains(t, got, "NaN")
	require.Equal(t, len(cases()), strings.Count(got, "| subject | ")-1)
	all, loads := []subject{{Name: ours, Peer: "halley", Runs: 1}}, []benchCase{{Name: "fan", Args: []string{"-x"}, Transport: webSocket}}
	have := outcomes{}
	results(have, ours, "fan", cpu(1))
	require.NotContains(t, document(made(), all, loads, have), "Not complete")
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{"0.00": 0, "1.23": 1.234, "12.3": 12.34, "123": 123.4, "1,234": 1234, "1,234,567": 1234567} {
		require.Equal(t, want, number(v))
	}
}
