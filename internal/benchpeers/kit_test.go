package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/bench"
)

// fakeServer is a server of fakeRig.
type fakeServer struct {
	rig  *fakeRig
	name string
	done chan struct{}
}

func (s *fakeServer) URL() string                { return "http://" + s.name }
func (s *fakeServer) PID() int                   { return 7 }
func (s *fakeServer) Done() <-chan struct{}      { return s.done }
func (s *fakeServer) Stop(context.Context) error { s.rig.note("stop " + s.name); return nil }

// fakeRig notes what it is asked and answers by its figures. A start takes a
// second, a load ten.
type fakeRig struct {
	t       *testing.T
	clock   time.Time
	notes   []string
	figures map[string]bench.Result // by subject
	fail    error                   // of the next load
	absent  error                   // of the next start
	last    *fakeServer
	after   func() // each load
}

func (f *fakeRig) note(text string) { f.notes = append(f.notes, text) }

func (f *fakeRig) now() time.Time { return f.clock }

func (f *fakeRig) start(_ context.Context, s *subject, _ *benchCase) (server, error) {
	f.note("start " + s.Name)
	f.clock = f.clock.Add(time.Second)
	if err := f.absent; err != nil {
		f.absent = nil
		return nil, err
	}
	f.last = &fakeServer{f, s.Name, make(chan struct{})}
	return f.last, nil
}

func (f *fakeRig) load(ctx context.Context, s *subject, args []string) ([]byte, error) {
	require.Equal(f.t, []string{"http://" + s.Name, "--pid", "7"}, args[:3])
	_, bounded := ctx.Deadline()
	require.True(f.t, bounded)
	f.note("load " + strings.Join(args[3:], " "))
	f.clock = f.clock.Add(10 * time.Second)
	if f.after != nil {
		f.after()
	}
	if err := f.fail; err != nil {
		f.fail = nil
		return nil, err
	}
	return json.Marshal(f.figures[s.Name])
}

func (f *fakeRig) memory(context.Context, int) (int64, error) { return 12e6, nil }

// cpu is a good report.
func cpu(micros float64) bench.Result {
	return bench.Result{OK: true, Rate: 20_000, Server: &bench.Usage{MicrosPerOp: micros}}
}

// smallPlan is a plan of two subjects, a floor and three cases.
func smallPlan() (who []subject, loads []benchCase) {
	who = []subject{
		{Name: ours, Peer: "halley", Runs: 2},
		{Name: floorWS, Peer: "floor-ws", Runs: 1, Floor: true},
		{Name: "cometd8", Peer: "cometd8", Runs: 1, JVM: true},
	}
	loads = []benchCase{
		{Name: "a", Title: "A", Args: []string{"-a"}, Transport: webSocket, Floor: floorWS, Limit: time.Minute},
		{Name: "b", Title: "B", Args: []string{"-b"}, Transport: longPolling, Limit: time.Minute},
		{Name: "empty", Title: "Empty", Metric: listenTime, Fresh: true},
	}
	return who, loads
}

func newRunner(t *testing.T, dir string) (*runner, *fakeRig, *strings.Builder) {
	t.Helper()
	_, have, err := state{dir}.open(origin{Commit: "c"})
	require.NoError(t, err)
	f := &fakeRig{t: t, clock: time.Unix(0, 0), figures: map[string]bench.Result{ours: cpu(10), floorWS: cpu(8), "cometd8": cpu(22)}}
	log := &strings.Builder{}
	all, loads := smallPlan()
	return &runner{rig: f, state: state{dir}, log: log, subjects: all, cases: loads, total: time.Hour, part: time.Hour, have: have}, f, log
}

var errBroken = errors.New("broken")

// results makes outcomes of a case, one for each report.
func results(all outcomes, subject, name string, reports ...bench.Result) {
	for i, r := range reports {
		raw, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		key := fmt.Sprintf("%s/%s.%d", subject, name, i+1)
		all[key] = &outcome{Key: key, Seconds: 60, Raw: raw, Report: r}
	}
}
