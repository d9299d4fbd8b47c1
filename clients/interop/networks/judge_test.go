package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fine is what a client has that nothing is wrong with, with so many polls of a length, one behind the other.
func fine(name string, n int, lasted time.Duration) figures {
	f := figures{Client: name, Handshakes: 1, Due: 600, Ordered: true, First: time.Second, Lag: time.Second, Transport: "long-polling"}
	var at time.Duration
	for range n {
		at += lasted
		f.Holds = append(f.Holds, held{At: at, Lasted: lasted, OK: true, Quiet: true})
	}
	return f
}

func (f figures) failing(at ...time.Duration) figures {
	f.Failed, f.FailedAt, f.GotAtFailure = len(at), at, make([]int, len(at))
	return f
}

// goodEnds are runs of all scenarios that are just good enough.
func goodEnds() map[string]seen {
	second := time.Second
	page := func(name, transport string, first time.Duration) figures {
		return figures{Client: name, First: first, Transport: transport, Ordered: true}
	}
	hole := seen{Clients: []figures{page("direct", "websocket", second)}}
	for _, h := range holes() {
		hole.Clients = append(hole.Clients, figures{Client: h.first(), First: -1}, page(h.loose(), "long-polling", looseWithin))
		for _, name := range h.later() {
			hole.Clients = append(hole.Clients, page(name, "long-polling", pageWithin))
		}
	}
	cuts := seen{Cuts: map[string]int{}, Clients: []figures{fine("direct", 10, 120*second)}}
	for _, c := range sideBySide() {
		cuts.Cuts[c.name()] = leastCuts
		cuts.Clients = append(cuts.Clients, fine(c.name(), leastLong, scale(c.cut, 0.8)).failing(c.cut, 2*c.cut), fine(c.name()+"-second", 3, second))
	}
	early := fine("truncated", 3, second).failing(1, 2, 3, 4, 5)
	early.GotAtFailure[4] = 60
	up := fine("cut-8-60", 20, 48*second).failing(8*second, 17*second, 400*second, 400*second+probeEvery)
	cut := func(failed ...time.Duration) seen {
		return seen{Cuts: map[string]int{"cut-20": leastCuts}, Clients: []figures{
			fine("cut-20", leastLong, 16*second).failing(failed...), fine("cut-20-second", 5, 16*second), fine("direct", 1, 29*second),
		}}
	}
	return map[string]seen{
		"cut":      cut(20*second, 41*second),
		"faye-cut": cut(20*second, 45*second),
		"cuts":     cuts,
		"moving-down": {Marks: map[string]time.Duration{markChanged: 300 * second}, Clients: []figures{
			fine("cut-20-8", 5, second).failing(20*second, 41*second, 308*second, 317*second), fine("direct", 9, 30*second),
		}},
		"moving-up":    {Marks: map[string]time.Duration{markChanged: 180 * second}, Clients: []figures{up, fine("direct", 9, 120*second)}},
		"cap":          {Clients: []figures{fine("answered-502", 3, second), early, fine("direct", 3, second)}},
		"java-backlog": {Clients: []figures{fine("java", 0, 0)}},
		"blackhole":    hole,
		"store":        {Clients: []figures{fine("stored", 3, second), fine("direct", 1, 30*second)}},
		"noise": {Clients: []figures{
			fine("newcomer", 2, 30*second), fine("newcomer-8", 2, 30*second), fine("beside", 2, 30*second), fine("held", 2, 30*second),
			fine("late", 1, 30*second), fine("direct", 5, 30*second),
		}},
	}
}

func missed(list []finding) []string {
	var some []string
	for _, f := range list {
		if !f.OK {
			some = append(some, f.What)
		}
	}
	return some
}

func TestJudgeGood(t *testing.T) {
	ends := goodEnds()
	for _, sc := range scenarios() {
		findings := sc.judge(ends[sc.name], 1)
		require.NotEmpty(t, findings, sc.name)
		require.Empty(t, missed(findings), sc.name)
	}
}

func TestJudgeNothing(t *testing.T) {
	for _, sc := range scenarios() {
		require.NotEmpty(t, missed(sc.judge(seen{}, 1)), "%s: who saw nothing has not proved anything", sc.name)
		if sc.suffers != nil {
			require.NotEmpty(t, missed(sc.suffers(seen{}, 1)), sc.name)
		}
	}
}

// TestJudgeEachClient spoils one client of each good run after the other: each has a bound.
func TestJudgeEachClient(t *testing.T) {
	for _, sc := range scenarios() {
		for i, f := range goodEnds()[sc.name].Clients {
			if sc.name == "blackhole" && f.First < 0 {
				continue // The first page is told of, and cannot be helped.
			}
			s := goodEnds()[sc.name]
			s.Clients[i] = figures{Client: f.Client, Failed: 100, First: -1}
			require.NotEmpty(t, missed(sc.judge(s, 1)), "%s: %s", sc.name, f.Client)
		}
	}
}

func TestJudgeOneWrong(t *testing.T) {
	second := time.Second
	for name, c := range map[string]struct {
		scenario, client string
		spoil            func(*figures)
		says             string
	}{
		"a third failure":          {"cut", "cut-20", func(f *figures) { *f = f.failing(1, 2, 3) }, "failed connects 3, at most 2"},
		"a lost message":           {"cut", "cut-20", func(f *figures) { f.Lost = 1 }, "1 lost"},
		"a message twice":          {"cut", "cut-20-second", func(f *figures) { f.Doubled = 1 }, "1 doubled"},
		"out of order":             {"cut", "cut-20", func(f *figures) { f.Ordered = false }, "in order false"},
		"a second handshake":       {"cut", "cut-20", func(f *figures) { f.Handshakes = 2 }, "one handshake (2"},
		"short polling":            {"cut", "cut-20", func(f *figures) { f.Holds = f.Holds[1:] }, "11 polls held longer than 12.00 s"},
		"the second one fails":     {"cut", "cut-20-second", func(f *figures) { *f = f.failing(1) }, "failed connects 1, at most 0"},
		"the direct one is cut":    {"cut", "direct", func(f *figures) { *f = f.failing(1) }, "failed connects 1, at most 0"},
		"the direct one shortened": {"cut", "direct", func(f *figures) { f.Holds[0].Lasted = 28 * second }, "the shortest lasted 28.00 s of 30.00 s"},
		"three after the change":   {"moving-down", "cut-20-8", func(f *figures) { *f = f.failing(301*second, 309*second, 318*second) }, "failed connects 3 since it is 8 s"},
		"too many before":          {"moving-up", "cut-8-60", func(f *figures) { *f = f.failing(8*second, 17*second, 140*second, 170*second) }, "failed connects 4 while the cut is 8 s, at most 3"},
		"never longer":             {"moving-up", "cut-8-60", func(f *figures) { f.Holds = fine("", 50, 20*second).Holds }, "a hold longer than 20.00 s after none"},
		"longer too late":          {"moving-up", "cut-8-60", func(f *figures) { f.Holds = []held{{At: 1081 * second, Lasted: 48 * second, OK: true}} }, "after 901.00 s"},
		"two failures a probe":     {"moving-up", "cut-8-60", func(f *figures) { *f = f.failing(400*second, 460*second) }, "the nearest two 60.00 s apart"},
		"a sixth try":              {"cap", "truncated", func(f *figures) { *f = f.failing(1, 2, 3, 4, 5, 6) }, "failed connects 6, at most 5"},
		"a try in the middle":      {"cap", "answered-502", func(f *figures) { *f = f.failing(1); f.GotAtFailure[0] = 300 }, "the last with 300 of 600"},
		"the Java client fails":    {"java-backlog", "java", func(f *figures) { *f = f.failing(1) }, "failed connects 1"},
		"a slow page":              {"blackhole", "at-101-3", func(f *figures) { f.First = pageWithin + 1 }, "at-101-3: the first message after 2.00 s"},
		"a page on a WebSocket":    {"blackhole", "after-reply-2", func(f *figures) { f.Transport = "websocket" }, `by "websocket"`},
		"the loose page":           {"blackhole", "at-101-loose", func(f *figures) { f.First = looseWithin + 1 }, "at-101-loose"},
		"late by more than a hold": {"store", "stored", func(f *figures) { f.Lag = 31 * second }, "after 31.00 s"},
		"a newcomer shortened":     {"noise", "newcomer", func(f *figures) { f.Holds[1].Lasted = 6 * second }, "newcomer: 2 polls held in full"},
		"a neighbour shortened":    {"noise", "beside", func(f *figures) { f.Holds[0].Lasted = 6 * second }, "beside: 2 polls held in full"},
		"never in full again":      {"noise", "late", func(f *figures) { f.Holds[0].Lasted = 20 * second }, "late: the longest hold is 20.00 s"},
	} {
		t.Run(name, func(t *testing.T) {
			s := goodEnds()[c.scenario]
			i := slices.IndexFunc(s.Clients, func(f figures) bool { return f.Client == c.client })
			require.GreaterOrEqual(t, i, 0)
			c.spoil(&s.Clients[i])
			all := scenarios()
			sc := all[slices.IndexFunc(all, func(sc scenario) bool { return sc.name == c.scenario })]
			wrong := missed(sc.judge(s, 1))
			require.Len(t, wrong, 1)
			require.Contains(t, wrong[0], c.says)
		})
	}
}

func TestJudgeWeakSchedule(t *testing.T) {
	s := goodEnds()["cut"]
	s.Cuts["cut-20"] = leastCuts - 1
	require.Equal(t, []string{"cut-20: the schedule cuts an unadapted server 7 times, at least 8"}, missed(judgeCut(s, 1)))
}

func TestSuffers(t *testing.T) {
	s := goodEnds()["cut"]
	require.NotEmpty(t, missed(suffersCut(s, 1)), "it adapted")
	s.Clients[0] = fine("cut-20", 0, 0).failing(make([]time.Duration, leastCuts)...)
	require.Empty(t, missed(suffersCut(s, 1)))

	s = goodEnds()["cap"]
	require.Len(t, missed(suffersCap(s, 1)), 2)
	for i := range s.Clients {
		s.Clients[i].Lost = s.Clients[i].Due
	}
	require.Empty(t, missed(suffersCap(s, 1)))
}

func TestSpaced(t *testing.T) {
	at := []time.Duration{1, 2, 10, 40, 55}
	require.Equal(t, time.Duration(1), spaced(at, 0))
	require.Equal(t, time.Duration(15), spaced(at, 2))
	require.Negative(t, spaced(at, 40), "one is not apart from anything")
	require.Negative(t, spaced(nil, 0))
}

func TestJudgeScaled(t *testing.T) {
	s := goodEnds()["cut"]
	require.NotEmpty(t, missed(judgeCut(seen{Cuts: s.Cuts, Clients: []figures{s.of("cut-20"), s.of("cut-20-second"), fine("direct", 1, 2*time.Second)}}, 0.1)))
	s.Clients[0].Holds, s.Clients[2] = fine("", leastLong, 1300*time.Millisecond).Holds, fine("direct", 1, 3*time.Second)
	require.Empty(t, missed(judgeCut(s, 0.1)))
}
