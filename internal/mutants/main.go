// Program mutants measures whether the conformance suite would notice: it runs
// the suite against servers that have one protocol fault each, of package
// faults, and reports which faults it found. Faults and cases were written
// independently, both from the list of rules alone.
//
//	go run ./internal/mutants -out build/mutants.json -doc docs/MUTATION.md [ID…]
//
// `make conformance-mutants` calls it. It fails if fewer than -least percent of
// the faults are found, or if the suite finds something wrong with a server
// that has none.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/internal/faults"
	"github.com/halleypush/halley/internal/peers/fixtures"
)

// runLimit bounds one run of the suite, which takes less than one on a machine
// with nothing else to do.
const runLimit = 15 * time.Minute

// outcome is what became of a fault.
type outcome struct {
	faults.Description

	Found bool `json:"found"`
	// Cases are those that failed, "BX-CN-09 long-polling"; for a tolerated
	// fault also those that are not strict.
	Cases []string `json:"cases"`
	// Error says why nothing is known.
	Error string `json:"error,omitempty"`
}

// settings are the flags.
type settings struct {
	out, doc, only string
	jobs           int
	least          float64
	keep           bool
	ids            []string
}

func main() {
	var s settings
	flag.StringVar(&s.out, "out", "build/mutants.json", "write the outcomes to this `FILE`")
	flag.StringVar(&s.doc, "doc", "", "write the document to this `FILE`")
	flag.IntVar(&s.jobs, "jobs", 4, "faults side by side")
	flag.Float64Var(&s.least, "least", 95, "`percent` of the faults that must be found")
	flag.BoolVar(&s.keep, "keep", false, "judge the faults that are named anew, and keep what -out has of the others")
	flag.StringVar(&s.only, "cases", "", "run only cases that match this `pattern`")
	flag.Parse()
	s.ids = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, s); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, log io.Writer, s settings) error {
	chosen, err := choose(s.ids)
	if err != nil {
		return err
	}
	sound, err := try(ctx, faults.Fault{}, shortLife, patterns(s.only), nil)
	if err != nil {
		return fmt.Errorf("the server without a fault: %w", err)
	}
	if bad := failing(sound, false); len(bad) > 0 {
		return fmt.Errorf("the suite fails a server without a fault: %v", bad)
	}
	all := make([]outcome, len(chosen))
	turns := make(chan struct{}, s.jobs)
	var wg sync.WaitGroup
	var writing sync.Mutex
	for i, f := range chosen {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			all[i] = judge(ctx, f, s.only, sound)
			writing.Lock()
			defer writing.Unlock()
			_, _ = fmt.Fprintln(log, all[i].line())
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.report(log, all)
}

// join puts outcomes into those of an earlier run.
func join(name string, anew []outcome) ([]outcome, error) {
	text, err := os.ReadFile(name) //nolint:gosec // the caller names it
	if err != nil {
		return nil, err
	}
	var all []outcome
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, o := range anew {
		if i := slices.IndexFunc(all, func(old outcome) bool { return old.ID == o.ID }); i >= 0 {
			all[i] = o
		} else {
			all = append(all, o)
		}
	}
	return all, nil
}

// report writes what came out and tells whether it is enough.
func (s settings) report(log io.Writer, all []outcome) error {
	if s.keep {
		var err error
		if all, err = join(s.out, all); err != nil {
			return err
		}
	}
	if err := writeJSON(s.out, all); err != nil {
		return err
	}
	found := 0
	for _, o := range all {
		if o.Found {
			found++
		}
	}
	score := 100 * float64(found) / float64(len(all))
	_, _ = fmt.Fprintf(log, "%d of %d faults were found: %.1f %%\n", found, len(all), score)
	if s.doc != "" {
		if err := os.WriteFile(s.doc, document(all), 0o644); err != nil { //nolint:gosec // a document
			return err
		}
	}
	if score < s.least {
		return fmt.Errorf("%.1f %% is less than %g %%", score, s.least)
	}
	return nil
}

func choose(ids []string) ([]faults.Fault, error) {
	if len(ids) == 0 {
		return faults.All(), nil
	}
	chosen := make([]faults.Fault, 0, len(ids))
	for _, id := range ids {
		f, ok := faults.Find(id)
		if !ok {
			return nil, fmt.Errorf("there is no fault %q", id)
		}
		chosen = append(chosen, f)
	}
	return chosen, nil
}

// judge runs the suite against a server with a fault, on the transports where
// the fault acts. What fails must fail again, alone, to count.
func judge(ctx context.Context, f faults.Fault, only string, sound *suite.Report) outcome {
	o := outcome{Description: f.Describe()}
	before := failing(sound, f.Tolerated)
	look := func(cases, transports []string) error {
		rep, err := try(ctx, f, shortLife, cases, transports)
		if _, ok := errors.AsType[*conformance.UnreachableError](err); ok {
			// No session can be made at all: that is a finding.
			o.Cases = []string{unusable}
			return nil
		}
		if err != nil {
			return err
		}
		o.Cases = slices.DeleteFunc(failing(rep, f.Tolerated), func(name string) bool { return slices.Contains(before, name) })
		return nil
	}
	on := f.Transports
	err := look(patterns(only), on)
	if err == nil && len(o.Cases) == 0 {
		// Some cases need a second transport beside the one where the fault acts.
		on = nil
		err = look(patterns(only), on)
	}
	if first := o.Cases; err == nil && len(first) > 0 {
		err = look(distinct(first, confirmed), on)
		if len(o.Cases) > 0 && len(first) > confirmed {
			o.Cases = first
		}
	}
	if err != nil {
		o.Cases, o.Error = nil, err.Error()
	}
	o.Found = len(o.Cases) > 0
	return o
}

// unusable stands for the cases where there is no session to run them in.
const unusable = "the server cannot be used"

// confirmed is how many cases run again to see whether they fail again.
const confirmed = 5

// distinct returns the first ids of cases in names of results; nil for all cases.
func distinct(names []string, most int) []string {
	var ids []string
	for _, name := range names {
		id, _, _ := strings.Cut(name, " ")
		if strings.HasPrefix(id, "BX-") && !slices.Contains(ids, id) && len(ids) < most {
			ids = append(ids, id)
		}
	}
	return ids
}

func patterns(only string) []string {
	if only == "" {
		return nil
	}
	return []string{only}
}

// shortLife is how long sessions live without a connect, where hundreds of
// servers are waited for.
const shortLife = 2 * time.Second

// try starts a server with a fault, whose sessions live that long without a
// connect, and runs the suite.
func try(ctx context.Context, f faults.Fault, life time.Duration, only, transports []string) (*suite.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	text, err := os.ReadFile(filepath.Join("conformance", "fixtures", "halley.json"))
	if err != nil {
		return nil, err
	}
	set, err := suite.ParseFixture(text)
	if err != nil {
		return nil, err
	}
	set.Options["maxInterval"], set.Options["sweepPeriod"] = float64(life.Milliseconds()), 300.0 // that of faults.Start
	fix := fixtures.New()
	var wrong error
	url, stop, err := faults.Start(ctx, f, faults.Options{
		MaxInterval: life,
		Config: func(c *server.Config) {
			wrong = fix.Configure(c)
			c.Options["maxLazyTimeout"], c.Options["maxQueue"] = "1000", "500"
		},
		Prepare: func(srv *server.Server) error { return errors.Join(wrong, fix.Install(srv)) },
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	defer fix.Close()
	opts := conformance.Options{URL: url, Profile: "cometd", Fixture: set, Only: only, Transports: transports, Seed: 1}
	return conformance.Run(ctx, opts)
}

// failing names the results that failed; soft takes those that are not strict
// as well. An error of the suite counts: a fault that breaks a case is seen.
func failing(r *suite.Report, soft bool) []string {
	var all []string
	for _, res := range r.Results {
		if res.Verdict == suite.Fail || res.Verdict == suite.Error || soft && res.Verdict == suite.NonStrict {
			all = append(all, res.ID+" "+res.Transport)
		}
	}
	return all
}

func (o outcome) line() string {
	switch {
	case o.Error != "":
		return fmt.Sprintf("%s: error, %s", o.ID, o.Error)
	case o.Found:
		return fmt.Sprintf("%s: found by %d results, %s first", o.ID, len(o.Cases), o.Cases[0])
	default:
		return fmt.Sprintf("%s: NOT FOUND, %s", o.ID, o.Text)
	}
}

func writeJSON(name string, all []outcome) error {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o600)
}
