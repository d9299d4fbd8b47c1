// Command measure starts a Halley for each case of package cases, runs the
// case against it, and writes the figures.
//
//	measure -server PATH [-out DIR] [-only ID,ID] [-quick]
//
// A case whose files are there already is not run again.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/bench/cases"
)

// startTime bounds how long a server takes to listen.
const startTime = 20 * time.Second

type plan struct {
	server, out string
	only        []string
	quick       bool
	to          io.Writer
}

func main() {
	p := plan{to: os.Stdout}
	flag.StringVar(&p.server, "server", "bin/halley", "the program to measure")
	flag.StringVar(&p.out, "out", "build/bench", "directory of the figures")
	only := flag.String("only", "", "run only these cases, with commas between them")
	flag.BoolVar(&p.quick, "quick", false, "short runs, to see that all works; the figures mean nothing")
	flag.Parse()
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := p.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func (p *plan) run(ctx context.Context) error {
	runtime.GOMAXPROCS(runtime.NumCPU() + 2) // some wait in the kernel
	if err := os.MkdirAll(p.out, 0o750); err != nil {
		return err
	}
	all := cases.All()
	for _, id := range p.only {
		if !slices.ContainsFunc(all, func(c cases.Case) bool { return c.ID == id }) {
			return fmt.Errorf("there is no case %q", id)
		}
	}
	for _, c := range all {
		if p.only != nil && !slices.Contains(p.only, c.ID) {
			continue
		}
		if err := p.one(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	return nil
}

// one runs a case, unless it was run before.
func (p *plan) one(ctx context.Context, c cases.Case) error {
	path := filepath.Join(p.out, c.ID)
	if _, err := os.Stat(path + ".json"); err == nil {
		_, _ = fmt.Fprintf(p.to, "%-13s is there\n", c.ID)
		return nil
	}
	if p.quick {
		c = c.Quick()
	}
	url, pid, stop, err := p.start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	c.Config.URL, c.Config.PID = url, pid
	var r *bench.Result
	if c.FindMax {
		find := bench.Find{}
		if p.quick {
			find.Steps = 2
		}
		if r, err = find.Max(ctx, c.Config); errors.Is(err, bench.ErrNoRate) {
			err = nil
		}
	} else {
		r, err = bench.Run(ctx, c.Config)
	}
	if err != nil {
		return err
	}
	var line strings.Builder
	for _, m := range c.Metrics {
		if v, ok := m.Of(r); ok {
			_, _ = fmt.Fprintf(&line, "  %s %.4g", m, v)
		}
	}
	if !r.OK {
		line.WriteString("  NOT OK: " + strings.Join(r.Problems, "; "))
	}
	if r.GeneratorBound {
		line.WriteString("  GENERATOR-BOUND")
	}
	_, _ = fmt.Fprintf(p.to, "%-13s%s\n", c.ID, line.String())
	return errors.Join(save(path+".html", r.WriteHTML), save(path+".json", r.WriteJSON))
}

func save(name string, write func(io.Writer) error) error {
	f, err := os.Create(name) //nolint:gosec // in the directory of -out
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// start runs a server on a free port and reads its address from its log.
func (p *plan) start(ctx context.Context) (url string, pid int, stop func(), err error) {
	//nolint:gosec // the user names the program
	cmd := exec.CommandContext(ctx, p.server, "serve", "--posture", "cometd", "--listen", "127.0.0.1:0", "--log-level", "info")
	r, w, err := os.Pipe()
	if err != nil {
		return "", 0, nil, err
	}
	cmd.Stderr = w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return "", 0, nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	found := make(chan string, 1)
	go listening(r, found) // ends with the server
	late := time.NewTimer(startTime)
	defer late.Stop()
	select {
	case url = <-found:
		return url, cmd.Process.Pid, stop, nil
	case <-late.C:
	case <-ctx.Done():
	}
	stop()
	return "", 0, nil, errors.New("the server did not say its address")
}

// listening finds the address in a server's log, and then drains it.
func listening(r io.ReadCloser, found chan<- string) {
	defer func() { _ = r.Close() }()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var entry struct{ Message, Address, Path string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Message == "listening" {
			select {
			case found <- "http://" + entry.Address + entry.Path:
			default:
			}
		}
	}
}
