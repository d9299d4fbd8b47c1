package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/halleypush/halley/internal/bench"
)

// usage is what a server used; zero where it was not sampled.
func usage(r *bench.Result) bench.Usage {
	if r.Server == nil {
		return bench.Usage{}
	}
	return *r.Server
}

// bounded tells whether a search ended at the generator's limit.
func bounded(r *bench.Result) bool {
	return r.GeneratorBound || slices.ContainsFunc(r.Steps, func(s bench.Step) bool { return s.GeneratorBound })
}

// outcome is what a step gave: a file of the state.
type outcome struct {
	// Key is that of the step, Command what the generator was told.
	Key     string   `json:"key"`
	Command []string `json:"command"`
	// Seconds that the step took, with the start and the warm-up of the server
	// where it was the first on it.
	Seconds float64 `json:"seconds"`
	// Error is why there is no report.
	Error string `json:"error,omitempty"`
	// ListenMillis is how long the server took to listen, RSS its memory 2 s
	// later, in bytes: of the case "empty".
	ListenMillis float64 `json:"listenMillis,omitempty"`
	RSS          int64   `json:"rss,omitempty"`
	// Raw is the JSON of the generator.
	Raw json.RawMessage `json:"report,omitempty"`

	Report bench.Result `json:"-"`
}

// counts tells whether the outcome is a measurement of the server.
func (o *outcome) counts() bool {
	if o.Error != "" {
		return false
	}
	return o.Raw == nil && o.ListenMillis > 0 || o.Report.OK && !o.Report.GeneratorBound
}

// outcomes are by the key of their step.
type outcomes map[string]*outcome

// of returns the outcomes of a case in the order of their runs.
func (all outcomes) of(s *subject, c *benchCase) []*outcome {
	var list []*outcome
	for run := 1; ; run++ {
		o := all[step{s, c, run}.key()]
		if o == nil {
			return list
		}
		list = append(list, o)
	}
}

// middle returns the outcome with the median of the deciding figure among
// those that count, the worse of two in the middle; nil if none counts.
func (all outcomes) middle(s *subject, c *benchCase) *outcome {
	list := slices.DeleteFunc(all.of(s, c), func(o *outcome) bool { return !o.counts() })
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b *outcome) int {
		x, y := c.Metric.figure(a), c.Metric.figure(b)
		return compareBool(c.Metric.better(y, x), c.Metric.better(x, y))
	})
	return list[len(list)/2]
}

func (all outcomes) median(s *subject, c *benchCase) (float64, bool) {
	o := all.middle(s, c)
	if o == nil {
		return 0, false
	}
	return c.Metric.figure(o), true
}

// seconds is what all took.
func (all outcomes) seconds() (sum float64) {
	for _, o := range all {
		sum += o.Seconds
	}
	return sum
}

// origin says of what the outcomes in a folder are.
type origin struct {
	// Commit of the source tree, "+" at its end if it had changes.
	Commit string `json:"commit"`
	// Machine is its kernel, processors and memory; Tools the versions of what
	// runs the peers.
	Machine string   `json:"machine"`
	Tools   []string `json:"tools"`
	// Date of the first step, YYYY-MM-DD.
	Date string `json:"date"`
}

// state is a folder with outcomes.
type state struct{ dir string }

const originFile = "origin.json"

// open reads the state, or begins one. What was measured on another commit or
// machine must not stand beside it.
func (s state) open(now origin) (origin, outcomes, error) {
	var was origin
	switch err := readJSON(filepath.Join(s.dir, originFile), &was); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(s.dir, 0o750); err != nil {
			return now, nil, err
		}
		return now, outcomes{}, writeJSON(filepath.Join(s.dir, originFile), now)
	case err != nil:
		return now, nil, err
	}
	if was.Commit != now.Commit || was.Machine != now.Machine {
		return now, nil, fmt.Errorf("%s has results of commit %s on %s, this is %s on %s: remove it to begin anew",
			s.dir, was.Commit, was.Machine, now.Commit, now.Machine)
	}
	all, err := s.read()
	return was, all, err
}

// read reads the outcomes.
func (s state) read() (outcomes, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "*.*.json"))
	if err != nil {
		return nil, err
	}
	all := outcomes{}
	for _, name := range names {
		o := &outcome{}
		if err := readJSON(name, o); err != nil {
			return nil, err
		}
		if o.Raw != nil {
			if err := json.Unmarshal(o.Raw, &o.Report); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		all[o.Key] = o
	}
	return all, nil
}

// save writes an outcome.
func (s state) save(o *outcome) error {
	name := strings.NewReplacer("/", "_", " ", "_").Replace(o.Key) + ".json"
	return writeJSON(filepath.Join(s.dir, name), o)
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name) //nolint:gosec // a file of the state
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// writeJSON writes a file whole or not at all.
func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
