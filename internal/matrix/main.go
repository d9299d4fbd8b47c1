// Program matrix runs the conformance suite against Halley and the servers of
// other makers, one after the other, and writes what it found: a page with all
// transcripts, the reports as JSON, and docs/CONFORMANCE.md.
//
//	go run ./internal/matrix -out build/conformance -doc docs/CONFORMANCE.md [NAME…]
//
// `make conformance-peers` calls it. With -repeat it compares the verdicts of
// many runs; `make conformance-repeat` calls that. With -doc and -write the
// document is written
// from the reports of an earlier run.
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/report"
	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/internal/peers"
)

// runLimit bounds the run against one server, its start included.
const runLimit = 10 * time.Minute

// subject is a server and how it is run and judged.
type subject struct {
	key     string // names the report; empty: peer
	peer    string
	name    string // in reports; the version is added
	profile string
	fixture string // in conformance/fixtures; empty for none
	known   string // in conformance/known; empty for none
	options map[string]string
}

// shortLife is how long silent sessions live, in milliseconds.
const shortLife = "3000"

// short are times that make a run quick. They are CometD's names and ours.
func short(more ...string) map[string]string {
	all := map[string]string{"timeout": "4000", "maxInterval": shortLife}
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func subjects() []subject {
	set := func(more ...string) map[string]string {
		return short(append(more, "fixtures", "true", "maxLazyTimeout", "1000", "maxQueue", "500")...)
	}
	return []subject{
		{peer: "halley", name: "Halley", profile: "cometd", fixture: "halley.json", options: set("sweepPeriod", "500")},
		{key: "halley-strict", peer: "halley", name: "Halley, strict", profile: "cometd", fixture: "halley.json", known: "halley-strict.txt", options: strict(set)},
		{peer: "cometd8", name: "CometD", profile: "cometd", fixture: "cometd.json", options: set()},
		{peer: "cometd7", name: "CometD", profile: "cometd", fixture: "cometd.json", options: set()},
		{peer: "cometd-nodejs", name: "cometd-nodejs-server", profile: "cometd", options: short()},
		{peer: "faye", name: "Faye", profile: "faye", fixture: "faye.json", options: map[string]string{"timeout": "4000"}},
		{peer: "axum", name: "axum-cometd", profile: "spec", options: short()},
	}
}

// strict is our server in that posture. One address plays all the clients of
// the suite, and they come at once: what limits the handshakes of an address is
// off. Silent sessions live longer than those that never connect. The fixtures bring a policy that allows what CometD's does.
func strict(set func(more ...string) map[string]string) map[string]string {
	return set("sweepPeriod", "100", "maxInterval", "5000", "posture", "strict", "limits.handshakesPerAddress", "-1", "limits.handshakesPerSecond", "-1")
}

// id names the subject among the others.
func (s subject) id() string { return cmp.Or(s.key, s.peer) }

func main() {
	out := flag.String("out", "build/conformance", "folder for the reports")
	doc := flag.String("doc", "", "write the document to this `FILE`")
	only := flag.Bool("write", false, "run nothing: write the document from the reports that are there")
	times := flag.Int("repeat", 0, "write nothing: run so many times beside busy processes, and compare the verdicts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := func() error { return run(ctx, os.Stdout, *out, *doc, *only, flag.Args()) }
	if *times > 0 {
		work = func() error { return again(ctx, os.Stdout, *times, flag.Args()) }
	}
	if err := work(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "matrix:", err)
		stop()
		os.Exit(1)
	}
}

// again runs the suite against some servers again and again.
func again(ctx context.Context, log io.Writer, times int, names []string) error {
	for _, s := range subjects() {
		if len(names) > 0 && !slices.Contains(names, s.id()) {
			continue
		}
		if err := s.repeat(ctx, log, times); err != nil {
			return fmt.Errorf("%s: %w", s.id(), err)
		}
	}
	return nil
}

func run(ctx context.Context, log io.Writer, out, doc string, only bool, names []string) error {
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	for _, s := range subjects() {
		if only || len(names) > 0 && !slices.Contains(names, s.id()) {
			continue
		}
		rep, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.id(), err)
		}
		if err := report.WriteFile(filepath.Join(out, s.id()+".json"), report.JSON, rep); err != nil {
			return err
		}
		sum := rep.Summary
		_, _ = fmt.Fprintf(log, "%s: %d results, %d pass, %d non-strict, %d fail, %d info, %d skipped, %d error\n",
			rep.Name, sum.Results, sum.Pass, sum.NonStrict, sum.Fail, sum.Info, sum.Skipped, sum.Error)
	}
	reports, err := report.ReadFolder(out, keys())
	if err != nil {
		return err
	}
	if err := report.WriteFile(filepath.Join(out, "matrix.html"), report.HTML, reports...); err != nil {
		return err
	}
	if doc == "" {
		return nil
	}
	return os.WriteFile(doc, document(reports), 0o644) //nolint:gosec // a document
}

// run starts the server and runs the suite.
func (s subject) run(ctx context.Context) (*suite.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	opts := conformance.Options{Name: s.name + " " + peers.Version(s.peer), Profile: s.profile, AppendType: peers.AppendsType(s.peer), Seed: 1}
	if s.peer == "halley" {
		opts.Name = s.name
	}
	if s.fixture != "" {
		text, err := os.ReadFile(filepath.Join("conformance", "fixtures", s.fixture))
		if err != nil {
			return nil, err
		}
		if opts.Fixture, err = suite.ParseFixture(text); err != nil {
			return nil, fmt.Errorf("%s: %w", s.fixture, err)
		}
		if opts.Fixture.Options == nil {
			opts.Fixture.Options = map[string]any{}
		}
		life, err := strconv.ParseFloat(cmp.Or(s.options["maxInterval"], shortLife), 64) // a number, as JSON has it
		if err != nil {
			return nil, err
		}
		opts.Fixture.Options["maxInterval"] = life
	}
	if s.known != "" {
		lines, err := os.ReadFile(filepath.Join("conformance", "known", s.known))
		if err == nil {
			opts.Known, err = suite.ParseKnown(bytes.NewReader(lines))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.known, err)
		}
	}
	p, err := peers.Start(ctx, s.peer, s.options)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	opts.URL = p.URL()
	return conformance.Run(ctx, opts)
}

// keys are the names of the reports, in their order.
func keys() []string {
	them := subjects()
	all := make([]string, 0, len(them))
	for _, s := range them {
		all = append(all, s.id())
	}
	return all
}
