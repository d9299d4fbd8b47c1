// Command baselines compares the Go benchmarks with stored figures.
//
//	baselines -check     allocations of each operation; fails if there are more
//	baselines -compare   times too, by benchstat; fails for nothing
//	baselines -renew     measures anew and stores
//
// The stored file is what `go test -bench` has printed. A check takes seconds:
// allocations are the same on each machine, apart from what pools lose to the
// garbage collector. It has to be without the race detector, under which pools
// lose a quarter.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
)

// stored is the file of the baselines, fresh that of a comparison.
const (
	stored = "internal/baselines/baselines.txt"
	fresh  = "build/bench-go.txt"
)

// packages have the benchmarks: codec, channel tree, queue, fan-out and the cycles
// of polls and acknowledged messages.
func packages() []string {
	return []string{"./bayeux", "./bayeux/internal/machine", "./bayeux/internal/queue", "./bayeux/internal/router", "./bayeux/internal/transport", "./bayeux/server"}
}

// leftOut are benchmarks that need much time or memory; some have targets of their
// own.
const leftOut = "^Benchmark(Million|Session|Sweep|WebSocketIdle|ListAdd|RouteParallel|Offer)$|^BenchmarkRoute$/=1000000|^BenchmarkCollect(Exact|Merged)$/100000"

// times is how often each operation is done: always the same, so that what only the
// first ones make has the same part in it.
const times = "1000x"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "baselines:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("baselines", flag.ContinueOnError)
	check := flags.Bool("check", false, "compare allocations")
	compare := flags.Bool("compare", false, "compare times too")
	renew := flags.Bool("renew", false, "store what is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *check:
		return checked(ctx, out)
	case *compare:
		if err := measure(ctx, fresh); err != nil {
			return err
		}
		c := exec.CommandContext(ctx, "go", "tool", "-modfile=internal/tools/go.mod", "benchstat", stored, fresh)
		c.Stdout, c.Stderr = out, os.Stderr
		return c.Run()
	case *renew:
		return measure(ctx, stored)
	}
	return errors.New("one of -check, -compare and -renew is needed")
}

// checked runs each benchmark shortly.
func checked(ctx context.Context, out io.Writer) error {
	old, err := os.ReadFile(stored)
	if err != nil {
		return err
	}
	now, err := bench(ctx, 1)
	if err != nil {
		return err
	}
	found, text := judge(parse(old), parse(now))
	_, _ = io.WriteString(out, text)
	if found {
		return fmt.Errorf("operations make more garbage than is stored in %s; if that is meant: make bench-baseline", stored)
	}
	return nil
}

func measure(ctx context.Context, to string) error {
	text, err := bench(ctx, 8)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a folder of the source tree
		return err
	}
	return os.WriteFile(to, text, 0o644) //nolint:gosec // no secret
}

// bench returns what the benchmarks have printed.
func bench(ctx context.Context, count int) ([]byte, error) {
	args := append([]string{"test", "-run", "^$", "-bench", ".", "-skip", leftOut, "-benchmem", "-count", strconv.Itoa(count), "-benchtime", times, "-cpu", "2"}, packages()...)
	var text bytes.Buffer
	c := exec.CommandContext(ctx, "go", args...) //nolint:gosec // constants
	c.Stdout, c.Stderr = &text, os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text.Bytes())
	}
	return text.Bytes(), nil
}

// garbage is what an operation makes.
type garbage struct{ bytes, allocs float64 }

// parse reads the greatest of each benchmark, by package and name.
func parse(text []byte) map[string]garbage {
	all := map[string]garbage{}
	pkg := ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "pkg:":
			pkg = f[1]
		case len(f) > 2 && strings.HasPrefix(f[0], "Benchmark"):
			g := all[pkg+" "+f[0]]
			for i := 3; i < len(f); i += 2 {
				value, _ := strconv.ParseFloat(f[i-1], 64)
				switch f[i] {
				case "B/op":
					g.bytes = max(g.bytes, value)
				case "allocs/op":
					g.allocs = max(g.allocs, value)
				}
			}
			all[pkg+" "+f[0]] = g
		}
	}
	return all
}

// What may be more: a pool that was emptied meanwhile makes some things anew, and a
// map has another shape each time.
const (
	moreAllocs = 1.05
	moreBytes  = 1.10
	slackBytes = 64
)

// judge compares, and tells whether there is more of anything than is stored.
func judge(old, now map[string]garbage) (more bool, text string) {
	var b strings.Builder
	for name, was := range old {
		is, there := now[name]
		switch {
		case !there:
			fmt.Fprintf(&b, "%s: stored, but there is no such benchmark\n", name)
		case is.allocs > float64(int(was.allocs*moreAllocs)):
			fmt.Fprintf(&b, "%s: %g allocations each, %g are stored\n", name, is.allocs, was.allocs)
		case is.bytes > was.bytes*moreBytes+slackBytes:
			fmt.Fprintf(&b, "%s: %g bytes of garbage each, %g are stored\n", name, is.bytes, was.bytes)
		default:
			continue
		}
		more = true
	}
	for name := range now {
		if _, there := old[name]; !there {
			more = true
			fmt.Fprintf(&b, "%s: not stored yet\n", name)
		}
	}
	if !more {
		fmt.Fprintf(&b, "%d benchmarks make no more garbage than is stored\n", len(old))
	}
	return more, b.String()
}
