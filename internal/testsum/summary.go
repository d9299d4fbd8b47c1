package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json; see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// summary counts tests and keeps their output until it is known whether it
// matters.
type summary struct {
	out                     io.Writer
	passed, failed, skipped int
	packages                int
	// broken counts packages that failed, builds included.
	broken int
	// output by package and test; the empty test is the package itself.
	output map[[2]string]*strings.Builder
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[[2]string]*strings.Builder{}}
}

// read takes events until the input ends. Lines that are none are printed.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				_, _ = io.WriteString(s.out, line)
			} else {
				s.add(e)
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func (s *summary) add(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		_, _ = io.WriteString(s.out, e.Output)
	case "output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
	}
}

func (s *summary) endTest(e event, key [2]string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
	default:
		s.failed++
		s.print(key, false)
	}
	delete(s.output, key)
}

// endPackage prints the line of the package, of a failed one all that it wrote,
// and what belongs to tests that never ended.
func (s *summary) endPackage(e event, key [2]string) {
	s.packages++
	failed := e.Action == "fail"
	if failed {
		s.broken++
		for k := range s.output {
			if k[0] == e.Package && k[1] != "" {
				s.failed++
				s.print(k, false)
				delete(s.output, k)
			}
		}
	}
	s.print(key, !failed)
	delete(s.output, key)
}

// print writes kept output; brief keeps the one line that says how it went.
func (s *summary) print(key [2]string, brief bool) {
	kept := s.output[key]
	if kept == nil {
		return
	}
	for line := range strings.Lines(kept.String()) {
		if brief && !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "? ") {
			continue
		}
		_, _ = io.WriteString(s.out, line)
	}
}

// finish prints the numbers and tells whether all went well.
func (s *summary) finish() bool {
	ok := s.failed == 0 && s.broken == 0 && s.packages > 0
	if !ok {
		_, _ = fmt.Fprintf(s.out, "FAIL: %d of %d packages\n", s.broken, s.packages)
	}
	_, _ = fmt.Fprintf(s.out, "%d passed, %d failed", s.passed, s.failed)
	if s.skipped > 0 {
		_, _ = fmt.Fprintf(s.out, ", %d skipped", s.skipped)
	}
	_, _ = fmt.Fprintln(s.out)
	return ok
}
