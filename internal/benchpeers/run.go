package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/halleypush/halley/internal/peers"
)

// server is a subject that runs; *peers.Peer is one.
type server interface {
	URL() string
	PID() int
	Done() <-chan struct{}
	Stop(ctx context.Context) error
}

// rig is what the runner needs of the world.
type rig interface {
	// start starts a subject for a case and waits until it listens.
	start(ctx context.Context, s *subject, c *benchCase) (server, error)
	// load runs the generator and returns its JSON, be the run good or not.
	load(ctx context.Context, s *subject, args []string) ([]byte, error)
	// memory is what a process has in memory, in bytes, when it has been left
	// alone for a moment.
	memory(ctx context.Context, pid int) (int64, error)
	now() time.Time
}

// runner makes the steps that are missing.
type runner struct {
	rig
	state    state
	log      io.Writer
	subjects []subject
	cases    []benchCase
	// total bounds all parts together, part this one.
	total, part time.Duration

	have    outcomes
	running server
	of      *subject
	took    time.Duration // the last start
}

// errTime says that a bound of time ended the run.
var errTime = errors.New("the time is over")

// run makes steps until none is missing or the time is over. What it has
// measured is in the state, also when it returns an error.
func (r *runner) run(ctx context.Context) error {
	defer r.stop(ctx)
	begin := r.now()
	for {
		steps := pending(r.subjects, r.cases, r.have)
		if len(steps) == 0 {
			return nil
		}
		left := min(r.total-time.Duration(r.have.seconds()*float64(time.Second)), r.part-r.now().Sub(begin))
		if left <= 0 {
			return fmt.Errorf("%w, %d runs are missing", errTime, len(steps))
		}
		if err := r.step(ctx, steps[0]); err != nil {
			return err
		}
	}
}

// step makes a step and keeps its outcome. Errors are the end of ctx, a peer that
// is not installed and a state that cannot be written: what a server fails at is
// an outcome.
func (r *runner) step(ctx context.Context, s step) error {
	_, _ = fmt.Fprintf(r.log, "%s: ", s.key())
	begin := r.now()
	o := &outcome{Key: s.key()}
	err := r.measure(ctx, s, o)
	if ctx.Err() != nil {
		return context.Cause(ctx) // it says nothing about the server
	}
	if errors.Is(err, peers.ErrNotInstalled) {
		return err // nor does that
	}
	if err != nil {
		o.Error = err.Error()
		r.stop(ctx) // who knows what state it is in
	}
	o.Seconds = r.now().Sub(begin).Seconds()
	r.have[o.Key] = o
	_, _ = fmt.Fprintln(r.log, summary(s.c, o))
	return r.state.save(o)
}

func summary(c *benchCase, o *outcome) string {
	if o.Error != "" {
		return o.Error
	}
	text := fmt.Sprintf("%s%.4g %s; %s", atLeast(c, o), c.Metric.figure(o), c.Metric.title(), details(c, o))
	if c.Args != nil {
		text += fmt.Sprintf(", generator %.0f %%", 100*o.Report.GeneratorShare)
	}
	if !o.counts() {
		text += "; does not count: " + whyNot([]*outcome{o})
	}
	return text
}

func (r *runner) measure(ctx context.Context, s step, o *outcome) error {
	started, err := r.serve(ctx, s)
	if err != nil {
		return err
	}
	if s.c.Args == nil {
		o.ListenMillis = float64(r.took.Microseconds()) / 1000
		o.RSS, err = r.memory(ctx, r.running.PID())
		return err
	}
	if started && s.subject.JVM && !s.c.Fresh {
		for _, args := range warmUps() {
			if _, err := r.generate(ctx, s.subject, runLimit, args); err != nil {
				return fmt.Errorf("warm up: %w", err)
			}
		}
	}
	o.Command = s.c.Args
	if o.Raw, err = r.generate(ctx, s.subject, s.c.Limit, s.c.Args); err != nil {
		return err
	}
	if err := json.Unmarshal(o.Raw, &o.Report); err != nil {
		o.Raw = nil
		return fmt.Errorf("read the generator's report: %w", err)
	}
	return nil
}

func (r *runner) generate(ctx context.Context, s *subject, limit time.Duration, args []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args = append([]string{r.running.URL(), "--pid", fmt.Sprint(r.running.PID())}, args...)
	if wire := peers.Protocol(s.Peer); wire != "bayeux" {
		args = append(args, "--wire", wire)
	}
	if s.Insecure {
		args = append(args, "--insecure")
	}
	return r.load(ctx, s, args)
}

// serve has the subject run, in a process of its own unless it is a Java
// machine and the case may follow others.
func (r *runner) serve(ctx context.Context, s step) (started bool, err error) {
	if r.running != nil && s.subject.JVM && r.of.Name == s.subject.Name && !s.c.Fresh && alive(r.running) {
		return false, nil
	}
	r.stop(ctx)
	begin := r.now()
	if r.running, err = r.start(ctx, s.subject, s.c); err != nil {
		r.running = nil
		return false, err
	}
	r.took = r.now().Sub(begin)
	r.of = s.subject
	if s.c.Fresh {
		r.of = &subject{} // nothing follows on it
	}
	return true, nil
}

func alive(s server) bool {
	select {
	case <-s.Done():
		return false
	default:
		return true
	}
}

// stop stops what runs, also when ctx has ended.
func (r *runner) stop(ctx context.Context) {
	if r.running == nil {
		return
	}
	if err := r.running.Stop(context.WithoutCancel(ctx)); err != nil {
		_, _ = fmt.Fprintln(r.log, err)
	}
	r.running, r.of = nil, nil
}
