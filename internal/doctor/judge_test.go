package doctor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tries are holds of so many seconds, of which those above the cut fail.
func tries(cut float64, how Outcome, asked ...float64) []Try {
	all := make([]Try, 0, len(asked))
	for _, a := range asked {
		t := Try{Outcome: OK, Asked: Seconds(a), Took: Seconds(a)}
		if a > cut {
			t.Outcome, t.Took = how, Seconds(cut)
			if how == Late {
				t.Took = Seconds(a + 4)
			}
		}
		all = append(all, t)
	}
	return all
}

func TestCutOf(t *testing.T) {
	ladder := []float64{2, 3, 4, 6, 8, 12, 16, 24, 32, 50, 50}
	for _, tt := range []struct {
		name     string
		tries    []Try
		at       float64 // 0: none
		unsteady bool
	}{
		{"nothing", nil, 0, false},
		{"clean", tries(100, Cut, ladder...), 0, false},
		{"cut at 7", tries(7, Cut, ladder...), 7, false},
		{"cut at 49", tries(49, Cut, ladder...), 49, false},
		{"lost beyond 7", tries(7, Late, ladder...), 6.9, false},
		{"all lost", tries(0, Late, ladder...), 1.4, false},
		{"one accident", append(tries(100, Cut, ladder...), Try{Outcome: Cut, Asked: 12, Took: 5}), 0, false},
		{"two accidents", append(tries(100, Cut, ladder...), Try{Outcome: Cut, Asked: 12, Took: 5}, Try{Outcome: Cut, Asked: 24, Took: 5}), 5, true},
		{"no room at once", append(tries(100, Cut, ladder...), Try{Outcome: Refused, Status: 503, Asked: 12}, Try{Outcome: Cut, Asked: 24}), 0, false},
		{"all at once", tries(0.1, Cut, ladder...), 0.1, false},
		{"answered early", []Try{{Outcome: OK, Asked: 10, Took: 10}, {Outcome: Early, Asked: 50, Took: 20}, {Outcome: Early, Asked: 50, Took: 20}}, 0, false},
		{"the server's end", append(tries(100, Cut, ladder...), Try{Outcome: Skipped, Asked: 50}, Try{Outcome: Skipped, Asked: 50}), 0, false},
	} {
		e, found := cutOf(tt.tries)
		require.Equal(t, tt.at != 0, found, tt.name)
		require.InDelta(t, tt.at, e.at, 0.1, tt.name)
		require.Equal(t, tt.unsteady, e.unsteady, tt.name)
	}
}

// TestJudgeKeepsApart looks at what is alike and has other remedies.
func TestJudgeKeepsApart(t *testing.T) {
	no, yes := false, true
	ladder := []float64{2, 3, 4, 6, 8, 12, 16, 24, 32, 50, 50}
	flow := func(d Drip) *Drip { return &d }
	for _, tt := range []struct {
		name string
		o    Observations
		want []string
	}{
		{"nothing at all", Observations{}, []string{}},
		{"silence", Observations{Holds: tries(10, Cut, ladder...), Flow: flow(Drip{Try: Try{Outcome: OK, Asked: 50, Took: 50}})}, []string{IdleCut}},
		{"all", Observations{Holds: tries(10, Cut, ladder...), Flow: flow(Drip{Try: Try{Outcome: Cut, Took: 10, Count: 10}})}, []string{MaxDuration}},
		{"flows lost without a word", Observations{Holds: tries(10, Late, ladder...), Flow: flow(Drip{Try: Try{Outcome: Late, Took: 54, Last: 9}})}, []string{MaxDuration}},
		{"flow unknown", Observations{Holds: tries(10, Cut, ladder...), Flow: flow(Drip{Try: Try{Outcome: Skipped}})}, []string{IdleCut}},
		{"only what flows", Observations{Holds: tries(100, Cut, ladder...), Flow: flow(Drip{Try: Try{Outcome: Cut, Took: 30, Count: 30}})}, []string{MaxDuration}},
		{"few connections", Observations{Holds: append(tries(100, Cut, ladder...), Try{Outcome: Refused, Status: 503, Asked: 12}, Try{Outcome: OK, Asked: 24, Took: 36})}, []string{Connections}},
		{"one body that failed once", Observations{Bodies: []Body{{Outcome: Cut, Asked: 2000}, {Outcome: OK, Asked: 2000}}}, []string{}},
		{"altered", Observations{Bodies: []Body{{Outcome: Altered, Asked: 2000}, {Outcome: Altered, Asked: 2000}, {Outcome: Altered, Asked: 1000}}}, []string{ResponseAltered}},
		{"clock within its error", Observations{Clock: &Clock{Offset: 2.4, Error: 0.5}}, []string{}},
		{"clock behind", Observations{Clock: &Clock{Offset: -30, Error: 0.5}}, []string{ClockOffset}},
		{"the worst first", Observations{Clock: &Clock{Offset: 30}, Encoding: "gzip", Cookies: Cookies{Sent: &no, Set: &yes}}, []string{CookieStripped, ClockOffset, Compression}},
		{"answers of HTTP/1.0", Observations{Proto: "HTTP/1.0", ServerProto: "HTTP/1.1"}, []string{HTTP10}},
		{"frames too large", Observations{Socket: &Socket{Opened: Try{Outcome: OK}, Echoed: Try{Outcome: OK}, Frames: []Body{{Outcome: Cut, Asked: 60000}, {Outcome: Cut, Asked: 60000}}}}, []string{WebSocketFrameCap}},
		{"a socket that failed once", Observations{Socket: &Socket{Opened: Try{Outcome: Cut}, Again: &Try{Outcome: OK}}}, []string{}},
		{"an upgrade without an answer", Observations{Socket: &Socket{Opened: Try{Outcome: Late}, Again: &Try{Outcome: Late}}}, []string{UpgradeBlackHole}},
		{"an upgrade refused", Observations{Socket: &Socket{Opened: Try{Outcome: Refused, Status: 403}, Again: &Try{Outcome: Refused}}}, []string{UpgradeRefused}},
		{"a slow machine", Observations{Drips: []Drip{{Try: Try{Outcome: OK, Asked: 0.9}, Every: 0.3, Bytes: 64, Sent: []Seconds{0, 0.3, 0.6, 0.9}, Came: []Seconds{0.15, 0.3, 0.7, 0.9}}}}, []string{}},
	} {
		found := Judge(tt.o)
		require.Equal(t, tt.want, ids(found), tt.name)
		for _, f := range found {
			require.NotEmpty(t, f.What, tt.name)
			require.NotEmpty(t, f.Remedies, tt.name)
			for _, r := range f.Remedies {
				require.NotEmpty(t, r.For+r.Set, tt.name)
			}
		}
	}
}

func TestWeigh(t *testing.T) {
	for _, tt := range []struct {
		cut, advised float64
		want         Severity
	}{{10, 0, Problem}, {24, 0, Problem}, {26, 0, Warning}, {24, 20, Problem}, {30, 20, Note}, {30, 28, Problem}, {40, 110, Problem}, {5, 1, Note}} {
		f := Finding{Severity: Warning, Value: tt.cut}
		Observations{Advised: Seconds(tt.advised)}.weigh(&f)
		require.Equal(t, tt.want, f.Severity, tt)
	}
}

func TestLadders(t *testing.T) {
	for name, p := range map[string]Plan{"quick": Quick(), "thorough": Thorough()} {
		for _, all := range [][]Seconds{spans(p.Holds), spans(p.Silences)} {
			require.InDelta(t, float64(all[len(all)-1]), float64(all[len(all)-2]), 0, name)
			for i := 1; i < len(all)-1; i++ {
				// Half a step is what a cut without a word is told within.
				require.LessOrEqual(t, float64(all[i]/all[i-1]), 1.44, name)
			}
		}
		last := p.Holds[len(p.Holds)-1]
		require.Less(t, last+2*p.Patience, p.Limit, name)
	}
}

func TestWords(t *testing.T) {
	require.Equal(t, []string{"20 s", "4.8 s", "0.1 s"}, []string{times(20.1), times(4.8), times(0.1)})
	require.Equal(t, []string{"512 B", "64 KiB", "1.5 MiB"}, []string{sizes(512), sizes(64 << 10), sizes(1.5 * (1 << 20))})
}

func spans(all []time.Duration) []Seconds {
	s := make([]Seconds, len(all))
	for i, d := range all {
		s[i] = seconds(d)
	}
	return s
}
