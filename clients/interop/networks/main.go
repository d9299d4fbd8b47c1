package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/halleypush/halley/internal/peers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "networks:", err)
		os.Exit(1)
	}
}

// config is the command line.
type config struct {
	servers   []string
	scenarios []*scenario
	done      string
	off       string
	program   string
	results   string
	seed      uint64
	scale     float64
	jobs      int
	unadapted bool
	table     bool
	from      []string // files of earlier runs: nothing is measured
}

func parse(args []string, log io.Writer) (*config, error) {
	var c config
	flags := flag.NewFlagSet("networks", flag.ContinueOnError)
	flags.SetOutput(log)
	servers := flags.String("servers", ours, "servers to measure, with commas between them: halley, cometd8, cometd-nodejs, faye")
	names := flags.String("scenarios", "", "scenarios, with commas between them; moving is moving-up and moving-down; empty: all")
	flags.StringVar(&c.done, "done", "", "judge this server by the bounds, and end with 1 where one is missed")
	flags.BoolVar(&c.unadapted, "unadapted", false, "have Halley learn nothing of networks; the schedules must then harm it")
	flags.StringVar(&c.off, "off", switchOff, "with -unadapted: the option that switches learning off; empty: Halley as it is")
	flags.StringVar(&c.program, "program", "", "Halley's program; empty: it is built")
	flags.StringVar(&c.results, "json", "", "write all that was seen to this file")
	flags.Uint64Var(&c.seed, "seed", 1, "of schedules and noise")
	flags.Float64Var(&c.scale, "scale", 1, "multiplies all times, for trials: 0.02 to 1")
	flags.IntVar(&c.jobs, "jobs", 3, "scenarios at a time, of those that mostly wait")
	flags.BoolVar(&c.table, "table", false, "print the table for the document; with files that -json has written, of those, and nothing is measured")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if c.from = flags.Args(); len(c.from) > 0 && !c.table {
		return nil, errors.New("files are for -table")
	}
	if c.scale < 0.02 || c.scale > 1 || c.jobs < 1 {
		return nil, errors.New("want a -scale of 0.02 to 1 and a -jobs above 0")
	}
	c.servers = strings.Split(*servers, ",")
	for _, name := range c.servers {
		if !slices.Contains(peers.Names(), name) {
			return nil, fmt.Errorf("there is no server %q; there are %s", name, strings.Join(peers.Names(), ", "))
		}
	}
	if c.done != "" && (!slices.Contains(c.servers, c.done) || c.unadapted) {
		return nil, errors.New("-done: want one of -servers, and no -unadapted")
	}
	var err error
	if c.scenarios, err = pick(*names); err != nil {
		return nil, err
	}
	if c.program != "" {
		c.program, err = filepath.Abs(c.program)
	}
	return &c, err
}

// outcome is what became of a scenario on a server.
type outcome struct {
	Server    string  `json:"server"`
	Version   string  `json:"version"`
	Scenario  string  `json:"scenario"`
	Seed      uint64  `json:"seed"`
	Scale     float64 `json:"scale"`
	Unadapted bool    `json:"unadapted,omitempty"`
	seen
	Findings []finding `json:"findings,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// missed says how much was not as it had to be.
func (o outcome) missed() int {
	n := 0
	for _, f := range o.Findings {
		if !f.OK {
			n++
		}
	}
	if o.Error != "" {
		n++
	}
	return n
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	c, err := parse(args, log)
	if err != nil {
		return err
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	r := &runner{conf: c, root: root, log: log}
	for _, file := range c.from {
		if err := r.read(file); err != nil {
			return err
		}
	}
	if len(c.from) == 0 {
		for _, server := range c.servers {
			r.all(ctx, server)
		}
	}
	if c.table {
		if _, err := io.WriteString(out, table(r.outcomes)); err != nil {
			return err
		}
	}
	if c.results != "" {
		text, err := json.MarshalIndent(r.outcomes, "", "\t")
		if err == nil {
			err = os.WriteFile(c.results, append(text, '\n'), 0o644) //nolint:gosec // figures
		}
		if err != nil {
			return err
		}
	}
	missed := 0
	for _, o := range r.outcomes {
		missed += o.missed()
	}
	if missed > 0 {
		return fmt.Errorf("%d bounds missed or scenarios failed", missed)
	}
	return ctx.Err()
}

// findRoot returns the folder of the source tree that the working directory is in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "clients", "interop", "js", "networks.mjs")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("it must run in the source tree, where the clients' drivers are")
		}
	}
}

// runner runs scenarios and keeps what came of them.
type runner struct {
	conf *config
	root string

	mu       sync.Mutex
	log      io.Writer
	outcomes []outcome
}

// read takes what an earlier run has written.
func (r *runner) read(file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // whose name was given
	if err != nil {
		return err
	}
	var all []outcome
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r.outcomes = append(r.outcomes, all...)
	return nil
}

// all runs the scenarios on a server: first those that need the machine, one after the other.
func (r *runner) all(ctx context.Context, server string) {
	for _, sc := range r.conf.scenarios {
		if sc.alone && sc.can(server) && ctx.Err() == nil {
			r.keep(r.one(ctx, server, sc))
		}
	}
	places := make(chan struct{}, r.conf.jobs)
	var wg sync.WaitGroup
	for _, sc := range r.conf.scenarios {
		if sc.alone || !sc.can(server) {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if ctx.Err() == nil {
				r.keep(r.one(ctx, server, sc))
			}
		})
	}
	wg.Wait()
}

// one runs a scenario on a server of its own.
func (r *runner) one(ctx context.Context, server string, sc *scenario) outcome {
	c := r.conf
	o := outcome{Server: server, Version: peers.Version(server), Scenario: sc.name, Seed: c.seed, Scale: c.scale, Unadapted: c.unadapted && server == ours}
	name := fnv.New64a()
	_, _ = io.WriteString(name, sc.name) // Each scenario has its schedule, the same on all servers.
	s := &stage{
		conf: c, server: server, root: r.root, rng: rand.New(rand.NewPCG(c.seed, name.Sum64())), //nolint:gosec // to be repeated
		sent: map[string][]sending{}, marks: map[string]time.Duration{}, cuts: map[string]int{},
	}
	r.say("%s on %s begins\n", sc.name, server)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.close()
	err := s.open(ctx, sc)
	if err == nil {
		err = sc.run(ctx, s)
	}
	if err != nil {
		o.Error = err.Error()
	}
	o.seen = s.seen()
	o.Findings = c.findings(server, sc, o.seen)
	return o
}

// seen is what there is to judge, as of now.
func (s *stage) seen() seen {
	all := seen{Marks: s.marks, Cuts: s.cuts}
	for _, c := range s.all() {
		if !c.noisy {
			all.Clients = append(all.Clients, s.figures(c))
		}
	}
	return all
}

// findings judges a server that is to be judged.
func (c *config) findings(server string, sc *scenario, s seen) []finding {
	judge := sc.judge
	switch {
	case c.unadapted && server == ours:
		judge = sc.suffers
	case c.done != server:
		return nil
	}
	if judge == nil {
		return nil
	}
	return judge(s, c.scale)
}

// keep notes an outcome and tells it.
func (r *runner) keep(o outcome) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s on %s %s\n", o.Scenario, o.Server, o.Version)
	if o.Error != "" {
		fmt.Fprintf(&text, "  FAILED  %s\n", o.Error)
	}
	for _, f := range o.Clients {
		fmt.Fprintf(&text, "  %s\n", f)
		for _, e := range f.Errors {
			fmt.Fprintf(&text, "    %s\n", e)
		}
	}
	for _, f := range o.Findings {
		fmt.Fprintf(&text, "  %s\n", f)
	}
	r.mu.Lock()
	r.outcomes = append(r.outcomes, o)
	r.mu.Unlock()
	r.say("%s", text.String())
}

func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.log, time.Now().UTC().Format("15:04:05 ")+format, args...)
}
