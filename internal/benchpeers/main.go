// Command benchpeers measures our server beside others and beside what the
// kernel costs (`make bench-peers`):
//
//	go run ./internal/benchpeers [-state build/bench] [-part 9m] [-doc docs/PERFORMANCE.md]
//
// The load comes from `halley bench`, a process of its own on a processor of its
// own. Each run is a file in the folder of the state, so that the work can be
// done in parts: what is there is not measured again. With 150 minutes spent in
// all parts it stops, whatever is missing, and the document says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// total bounds all parts together.
const total = 150 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("benchpeers", flag.ContinueOnError)
	flags.SetOutput(log)
	dir := flags.String("state", "build/bench", "folder of what has been measured")
	part := flags.Duration("part", total, "end after this time; the next call goes on")
	doc := flags.String("doc", "", "write the document to this file")
	only := flags.Bool("document", false, "measure nothing")
	program := flags.String("program", "bin/halley", "program with the command bench")
	if err := flags.Parse(args); err != nil {
		return err
	}
	full, err := filepath.Abs(*program)
	if err != nil {
		return err
	}
	from, have, err := state{*dir}.open(here(ctx))
	if err != nil {
		return err
	}
	if !*only {
		r := &runner{
			rig: machine{program: full, serverCPUs: "0", loadCPUs: []int{1}}, state: state{*dir}, log: log,
			subjects: subjects(), cases: cases(), total: total, part: *part, have: have,
		}
		if err := r.run(ctx); err != nil && !errors.Is(err, errTime) {
			return err
		} else if err != nil {
			_, _ = fmt.Fprintln(log, err)
		}
	}
	if *doc == "" {
		return nil
	}
	return os.WriteFile(*doc, []byte(document(from, subjects(), cases(), have)), 0o644) //nolint:gosec // a document
}
