// Command release builds what users install: the programs of all platforms in
// archives with their manual page, completions, units, notices and bill of
// materials, and the checksums of it all.
//
//	go run ./internal/release -out dist          build from the last commit
//	go run ./internal/release -out dist -check   build a second time and compare
//
// It builds from a clone of its own, so that nothing can slip in which is not
// committed. The same commit gives the same bytes with the same release of Go,
// wherever and whenever it is built: -check builds once more in another folder,
// with an empty build cache, another time zone and another umask, and compares.
// See CONTRIBUTING.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	out := flag.String("out", "dist", "folder for the release; it is emptied first")
	again := flag.Bool("check", false, "build a second time in other surroundings and compare")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *again); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1) //nolint:gocritic // stop has nothing left to do
	}
}

func run(ctx context.Context, out string, again bool) (err error) {
	source, err := os.Getwd()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "halley-release")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	first := surroundings{dir: filepath.Join(work, "source")}
	r, err := build(ctx, source, first, out)
	if err != nil {
		return err
	}
	fmt.Printf("%s of %s is in %s\n", r.version, r.at.Format(time.RFC3339), out) //nolint:forbidigo // the answer of the program
	if changes, err := (shell{dir: source}).output(ctx, "git", "status", "--porcelain"); err != nil || changes != "" {
		fmt.Fprintln(os.Stderr, "release: what is not committed is not in it")
	}
	if !again {
		return nil
	}
	second := surroundings{
		dir:   filepath.Join(work, "a second", "place"),
		cache: filepath.Join(work, "cache"), zone: "Pacific/Chatham", umask: 0o077,
	}
	other := filepath.Join(work, "dist")
	if _, err := build(ctx, source, second, other); err != nil {
		return err
	}
	if err := compare(out, other); err != nil {
		return err
	}
	fmt.Println("built twice, in different surroundings: no byte differs") //nolint:forbidigo // the answer of the program
	return nil
}
