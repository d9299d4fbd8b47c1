package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

// repeat runs the suite again and again beside busy processes of low priority,
// one for each processor. The verdicts must be the same each time.
func (s subject) repeat(ctx context.Context, log io.Writer, times int) error {
	stop, err := busy(ctx, runtime.NumCPU())
	if err != nil {
		return err
	}
	defer stop()
	var first map[string]suite.Verdict
	moved := 0
	for i := range times {
		began := time.Now()
		rep, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
		now := verdicts(rep)
		if first == nil {
			first = now
		}
		moves := differences(first, now)
		moved += len(moves)
		_, _ = fmt.Fprintf(log, "%s: run %d of %d, %d results in %.0f s, %d differ from the first run\n",
			rep.Name, i+1, times, len(now), time.Since(began).Seconds(), len(moves))
		for _, m := range moves {
			_, _ = fmt.Fprintf(log, "  %s\n", m)
		}
	}
	if moved > 0 {
		return fmt.Errorf("%d verdicts of %d runs differ", moved, times)
	}
	return nil
}

// verdicts by case and transport.
func verdicts(r *suite.Report) map[string]suite.Verdict {
	all := make(map[string]suite.Verdict, len(r.Results))
	for _, res := range r.Results {
		all[res.ID+" on "+res.Transport] = res.Verdict
	}
	return all
}

// differences tells what has another verdict, or none, in b.
func differences(a, b map[string]suite.Verdict) []string {
	var all []string
	for name, v := range a {
		if b[name] != v {
			all = append(all, fmt.Sprintf("%s: %s, was %s", name, b[name], v))
		}
	}
	for name, v := range b {
		if _, ok := a[name]; !ok {
			all = append(all, fmt.Sprintf("%s: %s, was not there", name, v))
		}
	}
	slices.Sort(all)
	return all
}

// busy keeps n processors busy with what is less urgent than anything else,
// until stop is called or ctx ends.
func busy(ctx context.Context, n int) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var all []*exec.Cmd
	stop = func() {
		cancel()
		for _, c := range all {
			_ = c.Wait() // it was killed
		}
	}
	for range n {
		c := exec.CommandContext(ctx, "nice", "-n", "19", "sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			stop()
			return nil, errors.Join(errors.New("busy processes need nice and sh"), err)
		}
		all = append(all, c)
	}
	return stop, nil
}
