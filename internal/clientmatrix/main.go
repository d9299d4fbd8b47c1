// Program clientmatrix runs the client mode of the conformance suite on the
// published clients and ours, one after the other, and writes what it found: a
// page with all transcripts, the reports as JSON, and
// docs/CONFORMANCE_CLIENTS.md.
//
//	go run ./internal/clientmatrix -out build/conformance-clients -doc docs/CONFORMANCE_CLIENTS.md [NAME…]
//
// `make conformance-clients` calls it; what the clients need is installed by
// `make deps`. With -write the document is written from the reports of an
// earlier run.
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

	"github.com/halleypush/halley/conformance/clientcases"
	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/report"
	"github.com/halleypush/halley/conformance/suite"
)

// runLimit bounds the run of one client, its start included.
const runLimit = 10 * time.Minute

// subject is a client and how it is run.
type subject struct {
	key    string
	own    bool // ours, which must not fail
	build  string
	driver clientmode.Program
	host   string
	jobs   int
}

// subjects lists the clients; out is the folder for what must be built.
func subjects(out string) []subject {
	const interop = "clients/interop/"
	node := func(args ...string) clientmode.Program {
		return clientmode.Program{Dir: interop + "js", Args: append([]string{"node", "conform.mjs"}, args...)}
	}
	faye := node("faye")
	faye.Shared = true
	own := filepath.Join(out, "goclient")
	java := "cometd8/target/classes" + string(os.PathListSeparator) + "cometd8/target/lib/*"
	const few = 16 // processes side by side
	return []subject{
		{key: "halley", own: true, build: "./" + interop + "conform", driver: clientmode.Program{Args: []string{own}, Shared: true}},
		{key: "cometd9", driver: node("cometd9"), jobs: few},
		{key: "cometd3", driver: node("cometd3"), jobs: few},
		{key: "java8", driver: clientmode.Program{
			Dir: interop + "java", Shared: true,
			Args: []string{"java", "-Xmx512m", "-Xshare:auto", "-XX:+UseSerialGC", "-cp", java, "interop.Conform8"},
		}},
		{key: "faye", driver: faye},
		{key: "aiocometd", host: "localhost", driver: clientmode.Program{
			Dir: interop + "python", Shared: true, Args: []string{".venv/bin/python", "conform.py"},
		}},
	}
}

func main() {
	out := flag.String("out", "build/conformance-clients", "folder for the reports")
	doc := flag.String("doc", "", "write the document to this `FILE`")
	only := flag.Bool("write", false, "run nothing: write the document from the reports that are there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *out, *doc, *only, flag.Args()); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "clientmatrix:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, log io.Writer, out, doc string, only bool, names []string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	var failed error
	for _, s := range subjects(out) {
		if only || len(names) > 0 && !slices.Contains(names, s.key) {
			continue
		}
		rep, err := s.run(ctx, out)
		if err != nil {
			return fmt.Errorf("%s: %w", s.key, err)
		}
		if err := report.WriteFile(filepath.Join(out, s.key+".json"), report.JSON, rep); err != nil {
			return err
		}
		sum := rep.Summary
		_, _ = fmt.Fprintf(log, "%s: %d results, %d pass, %d non-strict, %d fail, %d info, %d skipped, %d error\n",
			rep.Name, sum.Results, sum.Pass, sum.NonStrict, sum.Fail, sum.Info, sum.Skipped, sum.Error)
		if s.own && sum.Fail+sum.NonStrict+sum.Error > 0 {
			failed = fmt.Errorf("%s: our own client must pass", rep.Name)
		}
	}
	return errors.Join(failed, writeAll(out, doc))
}

// writeAll writes the page, and the document if it has a name, from the reports
// that are there.
func writeAll(out, doc string) error {
	reports, err := report.ReadFolder(out, keys(out))
	if err != nil {
		return err
	}
	if err := report.WriteFile(filepath.Join(out, "matrix.html"), report.HTML, reports...); err != nil || doc == "" {
		return err
	}
	text, err := document(reports)
	if err != nil {
		return err
	}
	return os.WriteFile(doc, text, 0o644) //nolint:gosec // a document
}

// run starts the driver and runs the cases.
func (s subject) run(ctx context.Context, out string) (*suite.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	if s.build != "" {
		build := exec.CommandContext(ctx, "go", "build", "-o", s.driver.Args[0], s.build) //nolint:gosec // a package of ours
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("go build %s: %w", s.build, err)
		}
	}
	// What the clients say of broken connections is a lot, and expected.
	said, err := os.Create(filepath.Join(out, s.key+".log")) //nolint:gosec // the caller names the folder
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }()
	s.driver.Stderr = said
	client, about, closed, err := s.driver.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w (is it installed? see make deps, and %s)", err, said.Name())
	}
	defer closed()
	name := about.Client
	if !s.own {
		name = strings.TrimSpace(name + " " + about.Version)
	}
	return clientmode.Run(ctx, clientcases.Sections(), clientmode.Options{Client: client, Name: name, Profile: "cometd", Host: s.host, Jobs: s.jobs})
}

// keys are the names of the reports, in their order.
func keys(folder string) []string {
	them := subjects(folder)
	all := make([]string, 0, len(them))
	for _, s := range them {
		all = append(all, s.key)
	}
	return all
}
