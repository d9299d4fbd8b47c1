package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/peers"
)

// Each subject has a process for each case, a Java machine one that is warmed
// once; repetitions come last.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	r, f, log := newRunner(t, dir)
	require.NoError(t, r.run(t.Context()))
	warm := warmUps()
	require.Equal(t, []string{
		"start halley", "stop halley", // empty
		"start halley", "load -a", "stop halley",
		"start halley", "load -b", "stop halley",
		"start floor-ws", "load -a", "stop floor-ws",
		"start cometd8", "stop cometd8",
		"start cometd8", "load " + strings.Join(warm[0], " "), "load " + strings.Join(warm[1], " "), "load -a", "load -b", "stop cometd8",
		"start halley", "stop halley",
		"start halley", "load -a", "stop halley",
		"start halley", "load -b", "stop halley",
		// It listens as fast as we do.
		"start cometd8", "stop cometd8",
		"start cometd8", "stop cometd8",
	}, f.notes)
	require.Contains(t, log.String(), "halley/a.2: 10 CPU µs each; 0.00 MB, 20,000/s, p50/p99 0.00/0.00 ms, generator 0 %\n")
	require.Contains(t, log.String(), "cometd8/empty.1: 1000 ms to listen; 12.0 MB resident\n")

	again, g, _ := newRunner(t, dir)
	require.NoError(t, again.run(t.Context()))
	require.Empty(t, g.notes, "nothing is measured twice")
	require.InDelta(t, r.have.seconds(), again.have.seconds(), 1e-9)
	require.InDelta(t, 31, r.have["cometd8/a.1"].Seconds, 1e-9, "a start, two warm-ups and a load")
	require.Equal(t, []string{"-a"}, r.have["cometd8/a.1"].Command)
	require.Equal(t, int64(12e6), again.have["halley/empty.1"].RSS)
	require.InDelta(t, 22, usage(&again.have["cometd8/a.1"].Report).MicrosPerOp, 1e-9)
}

// The parts and their sum are bounded; what is there stays.
func TestRunIsBounded(t *testing.T) {
	dir := t.TempDir()
	r, _, _ := newRunner(t, dir)
	r.part = 12 * time.Second
	require.ErrorIs(t, r.run(t.Context()), errTime)
	require.Len(t, r.have, 2, "1 s, then 11 s")
	r, f, _ := newRunner(t, dir)
	r.total = 20 * time.Second
	require.ErrorContains(t, r.run(t.Context()), "the time is over, ")
	require.Len(t, r.have, 3)
	require.Equal(t, []string{"start halley", "load -b", "stop halley"}, f.notes)
	r, f, _ = newRunner(t, dir)
	r.total = 20 * time.Second
	require.ErrorIs(t, r.run(t.Context()), errTime)
	require.Empty(t, f.notes)
}

// What goes wrong with a server is an outcome, and the next case has a new process.
func TestFailures(t *testing.T) {
	r, f, log := newRunner(t, t.TempDir())
	r.subjects = r.subjects[2:]
	r.cases = append(r.cases[:2], benchCase{Name: "c", Args: []string{"-c"}, Transport: webSocket, Limit: time.Minute})
	loads := 0
	f.after = func() {
		switch loads++; loads {
		case 3: // case a, after the warm-up
			f.fail = errBroken
		case 6: // case b, after another one: it dies behind its figures
			close(f.last.done)
		}
	}
	require.NoError(t, r.run(t.Context()))
	require.Equal(t, "broken", r.have["cometd8/a.1"].Error)
	require.False(t, r.have["cometd8/a.1"].counts())
	require.Contains(t, log.String(), "cometd8/a.1: broken\n")
	require.Empty(t, r.have["cometd8/b.1"].Error)
	starts := 0
	for _, note := range f.notes {
		if note == "start cometd8" {
			starts++
		}
	}
	require.Equal(t, 3, starts)
	require.Equal(t, 9, loads)

	r, f, _ = newRunner(t, t.TempDir())
	f.absent = errBroken
	require.NoError(t, r.run(t.Context()))
	require.Equal(t, "broken", r.have["halley/empty.1"].Error)
	require.Equal(t, "start halley", f.notes[1], "there is nothing to stop")

	r, f, _ = newRunner(t, t.TempDir())
	f.figures[ours] = bench.Result{Problems: []string{"slow"}}
	require.NoError(t, r.run(t.Context()))
	require.False(t, r.have["halley/a.1"].counts())
}

// What says nothing about a server is no outcome.
func TestInterrupted(t *testing.T) {
	r, f, _ := newRunner(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	f.after = cancel
	require.ErrorIs(t, r.run(ctx), context.Canceled)
	require.Len(t, r.have, 1)
	require.Equal(t, "stop halley", f.notes[len(f.notes)-1])

	r, f, _ = newRunner(t, t.TempDir())
	f.absent = peers.ErrNotInstalled
	require.ErrorIs(t, r.run(t.Context()), peers.ErrNotInstalled)
	require.Empty(t, r.have)
}

func TestState(t *testing.T) {
	s := state{t.TempDir()}
	was, _, err := s.open(origin{Commit: "a", Machine: "m", Date: "2026-01-01"})
	require.NoError(t, err)
	now, _, err := s.open(origin{Commit: "a", Machine: "m", Date: "2026-01-02"})
	require.NoError(t, err)
	require.Equal(t, was, now)
	_, _, err = s.open(origin{Commit: "b", Machine: "m"})
	require.ErrorContains(t, err, "has results of commit a on m, this is b on m: remove it")
	require.NoError(t, s.save(&outcome{Key: "x y/c.1", Raw: []byte(`[]`)}))
	_, err = s.read()
	require.ErrorContains(t, err, "x_y_c.1.json")
}

// The plan itself: names are unique, floors and subjects exist, each case has
// someone to run it, and the worst of one round fits no matter what.
func TestPlan(t *testing.T) {
	all, loads := subjects(), cases()
	names := map[string]bool{}
	for i := range all {
		require.False(t, names[all[i].Name], all[i].Name)
		names[all[i].Name] = true
		require.NotEmpty(t, peers.Version(all[i].Peer), all[i].Name)
	}
	seen := map[string]bool{}
	for i := range loads {
		c := &loads[i]
		require.False(t, seen[c.Name], c.Name)
		seen[c.Name] = true
		require.Positive(t, c.Limit)
		require.True(t, c.Floor == "" || names[c.Floor], c.Floor)
		require.True(t, slices.ContainsFunc(all, func(s subject) bool { return s.Name == ours && s.takes(c) }), c.Name)
		require.True(t, c.Floor == "" || slices.ContainsFunc(all, func(s subject) bool { return s.Name == c.Floor && s.takes(c) }), c.Name)
	}
	first := pending(all, loads, outcomes{})
	require.Equal(t, ours, first[0].subject.Name)
	require.Less(t, estimate(first), total-15*time.Minute, "some peers are measured three times")
	require.True(t, slices.IsSortedFunc(first, func(a, b step) int { return a.run - b.run }), "repetitions last")
}

// A peer near us, or ahead, is measured as often as we are.
func TestWanted(t *testing.T) {
	peer, c := &subject{Name: "faye", Runs: 1}, &benchCase{Name: "x"}
	for _, tt := range []struct {
		theirs float64
		m      metric
		want   int
	}{
		{22, cpuMicros, 1},
		{11.9, cpuMicros, 3},
		{5, cpuMicros, 3},
		{11.9, latencyP99, 1}, // its p99 is 0, and so is ours: no nearer than 20 % of nothing
	} {
		have := outcomes{}
		c.Metric = tt.m
		results(have, ours, "x", cpu(10), cpu(30), cpu(9))
		results(have, "faye", "x", cpu(tt.theirs))
		require.Equal(t, tt.want, wanted(peer, c, have), "%v", tt)
	}
	have := outcomes{}
	require.Equal(t, 1, wanted(peer, c, have))
	c.Metric = maxRate
	results(have, ours, "x", bench.Result{OK: true, Rate: 100})
	for rate, want := range map[float64]int{79: 1, 81: 3, 500: 3} {
		results(have, "faye", "x", bench.Result{OK: true, Rate: rate})
		require.Equal(t, want, wanted(peer, c, have), rate)
	}
}

// The median is that of runs that count, the worse of two.
func TestMiddle(t *testing.T) {
	have, s, c := outcomes{}, &subject{Name: "s"}, &benchCase{Name: "x"}
	require.Nil(t, have.middle(s, c))
	results(have, "s", "x", bench.Result{Problems: []string{"slow"}}, bench.Result{OK: true, GeneratorBound: true})
	require.Nil(t, have.middle(s, c))
	bad := cpu(1)
	bad.GeneratorBound = true
	results(have, "s", "x", cpu(9), bad, cpu(12), cpu(10))
	v, ok := have.median(s, c)
	require.True(t, ok)
	require.InDelta(t, 10, v, 1e-9)
	results(have, "s", "x", cpu(9), bad, cpu(12), bad)
	v, _ = have.median(s, c)
	require.InDelta(t, 12, v, 1e-9)
}

// Selections of the command line.
func TestSelection(t *testing.T) {
	who, loads, err := (&choice{subjects: "floor-ws,halley", cases: "ws-fanout-20k,idle-cpu", runs: 2}).selection()
	require.NoError(t, err)
	var keys []string
	for _, s := range pending(who, loads, outcomes{}) {
		keys = append(keys, s.key())
	}
	require.Equal(t, []string{
		"floor-ws/idle-cpu.1", "floor-ws/ws-fanout-20k.1", "halley/idle-cpu.1", "halley/ws-fanout-20k.1",
		"floor-ws/idle-cpu.2", "floor-ws/ws-fanout-20k.2", "halley/idle-cpu.2", "halley/ws-fanout-20k.2",
	}, keys)
	require.Equal(t, "300000", who[1].options(&loads[1])["timeout"])
	require.NotContains(t, who[1].options(&loads[0]), "timeout")
	require.NotContains(t, who[1].Options, "timeout")
	for want, c := range map[string]choice{
		`no subject "x"; there are halley, `: {subjects: "x"},
		`no case "y"; there are empty, `:     {cases: "y"},
		"none of these":                      {subjects: "faye", cases: "ws-fanout-20k-ack"},
	} {
		_, _, err := c.selection()
		require.ErrorContains(t, err, want)
	}
}

// A generator is told what to speak.
func TestWire(t *testing.T) {
	r, f, _ := newRunner(t, t.TempDir())
	r.subjects = []subject{{Name: "centrifuge", Peer: "centrifuge", Runs: 1}}
	r.cases = r.cases[:1]
	f.figures["centrifuge"] = cpu(9)
	require.NoError(t, r.run(t.Context()))
	require.Contains(t, f.notes, "load -a --wire centrifuge")
}
