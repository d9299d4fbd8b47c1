// Command benchpeers measures our server beside others and beside what the
// kernel costs (`make bench-peers`):
//
//	go run ./internal/benchpeers [-state build/bench] [-part 9m] [-doc docs/PERFORMANCE.md]
//
// The load comes from `halley bench`, a process of its own on a processor of its
// own. Each run is a file in the folder of the state, so that the work can be
// done in parts: what is there is not measured again. With 150 minutes spent in
// all parts it stops, whatever is missing, and the document says so.
//
// For work on speed it measures some cases of some subjects, always anew, and
// prints the figures; our program and the floors are built first:
//
//	go run ./internal/benchpeers -case ws-fanout-20k -subject halley,floor-ws -runs 1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// total bounds all parts together.
const total = 150 * time.Minute

// maxRuns bounds -runs.
const maxRuns = 100

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// choice are the command line's flags.
type choice struct {
	dir, doc, program string
	profiles          string
	cases, subjects   string
	runs              int
	part              time.Duration
	only, build       bool
}

func parse(args []string, log io.Writer) (c choice, err error) {
	flags := flag.NewFlagSet("benchpeers", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&c.dir, "state", "build/bench", "folder of what has been measured")
	flags.DurationVar(&c.part, "part", total, "end after this time; the next call goes on")
	flags.StringVar(&c.doc, "doc", "", "write the document to this file")
	flags.BoolVar(&c.only, "document", false, "measure nothing")
	flags.StringVar(&c.program, "program", "bin/halley", "program with the command bench")
	flags.StringVar(&c.cases, "case", "", "only these cases, with commas between them; nothing is kept")
	flags.StringVar(&c.subjects, "subject", "", "only these subjects, with commas between them; nothing is kept")
	flags.StringVar(&c.profiles, "profile", "", "with -case and -subject halley: write profiles of the server under that load to this folder, which has a program halley with the tag pprof")
	flags.IntVar(&c.runs, "runs", 0, "with -case or -subject: runs of each case instead of the plan's")
	flags.BoolVar(&c.build, "build", true, "with -case or -subject: build bin/halley and the targets first")
	if err = flags.Parse(args); err != nil {
		return c, err
	}
	if c.profiles != "" && (c.cases == "" || c.subjects != ours) {
		return c, errors.New("-profile: want -case and -subject " + ours)
	}
	if c.runs < 0 || c.runs > maxRuns {
		return c, fmt.Errorf("-runs: want 0 to %d, not %d", maxRuns, c.runs)
	}
	c.program, err = filepath.Abs(c.program)
	return c, err
}

func run(ctx context.Context, args []string, log io.Writer) error {
	c, err := parse(args, log)
	if err != nil {
		return err
	}
	if c.cases != "" || c.subjects != "" {
		return c.some(ctx, log)
	}
	from, have, err := state{c.dir}.open(here(ctx))
	if err != nil {
		return err
	}
	if !c.only {
		r := c.runner(subjects(), cases(), log)
		r.have = have
		if err := r.run(ctx); err != nil && !errors.Is(err, errTime) {
			return err
		} else if err != nil {
			_, _ = fmt.Fprintln(log, err)
		}
	}
	if c.doc == "" {
		return nil
	}
	apart, err := readScaled()
	if err != nil {
		return err
	}
	return os.WriteFile(c.doc, []byte(document(from, subjects(), cases(), have, apart)), 0o644) //nolint:gosec // a document
}

func (c *choice) runner(who []subject, loads []benchCase, log io.Writer) *runner {
	m := machine{program: c.program, serverCPUs: "0", loadCPUs: []int{1}}
	if c.profiles != "" {
		m.profiles = &profiler{dir: c.profiles}
	}
	return &runner{rig: m, state: state{c.dir}, log: log, subjects: who, cases: loads, total: total, part: c.part, have: outcomes{}}
}

// some measures a selection, and leaves no state.
func (c *choice) some(ctx context.Context, log io.Writer) error {
	who, loads, err := c.selection()
	if err != nil {
		return err
	}
	if c.build {
		if err := build(ctx, log); err != nil {
			return err
		}
	}
	if c.profiles != "" {
		if err := os.MkdirAll(c.profiles, 0o755); err != nil { //nolint:gosec // a folder of the source tree
			return err
		}
	}
	dir, err := os.MkdirTemp("", "benchpeers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c.dir = dir
	return c.runner(who, loads, log).run(ctx)
}

// selection returns the subjects and cases that were asked for.
func (c *choice) selection() (who []subject, loads []benchCase, err error) {
	if who, err = pick("subject", c.subjects, subjects(), func(s subject) string { return s.Name }); err != nil {
		return nil, nil, err
	}
	if loads, err = pick("case", c.cases, cases(), func(c benchCase) string { return c.Name }); err != nil {
		return nil, nil, err
	}
	for i := range who {
		if c.runs > 0 {
			who[i].Runs, who[i].Exact = c.runs, true
		}
	}
	if len(pending(who, loads, outcomes{})) == 0 {
		return nil, nil, errors.New("none of these cases is for one of these subjects")
	}
	return who, loads, nil
}

// pick returns those that a list names, all where it is empty.
func pick[T any](what, list string, all []T, name func(T) string) (some []T, err error) {
	if list == "" {
		return all, nil
	}
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = name(v)
	}
	for text := range strings.SplitSeq(list, ",") {
		i := slices.Index(names, text)
		if i < 0 {
			return nil, fmt.Errorf("there is no %s %q; there are %s", what, text, strings.Join(names, ", "))
		}
		some = append(some, all[i])
	}
	return some, nil
}

// build builds what is measured from this tree.
func build(ctx context.Context, log io.Writer) error {
	for _, line := range [][]string{
		{"go", "build", "-trimpath", "-o", "bin/halley", "./cmd/halley"},
		{"make", "-s", "peer-targets"},
	} {
		c := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // constants
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stdout, c.Stderr = log, log
		if err := c.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(line, " "), err)
		}
	}
	return nil
}
