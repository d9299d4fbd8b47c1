package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

// Text writes what a person wants to know on a terminal: what failed and why,
// what is not strict, what was skipped, and the sums.
func Text(w io.Writer, reports ...*suite.Report) error {
	var b strings.Builder
	for i, r := range reports {
		if i > 0 {
			b.WriteString("\n")
		}
		text(&b, r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func text(b *strings.Builder, r *suite.Report) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(b, format+"\n", args...) }
	line("%s, profile %s, seed %d", r.Name, r.Profile, r.Seed)
	if r.Mode != suite.ModeClient {
		facts(line, r.Facts)
	}
	for _, v := range []suite.Verdict{suite.Fail, suite.Error, suite.NonStrict} {
		list(line, r, v)
	}
	skipped(line, r)
	for _, k := range r.KnownErrors {
		line("known failures, %s", k)
	}
	s := r.Summary
	line("")
	line("%d cases, %d results in %v: %d pass, %d non-strict, %d fail, %d info, %d skipped, %d error; %d of the failures are known",
		s.Cases, s.Results, time.Duration(r.DurationMs*float64(time.Millisecond)).Round(100*time.Millisecond),
		s.Pass, s.NonStrict, s.Fail, s.Info, s.Skipped, s.Error, s.Known)
	if r.Passed() {
		line("passed")
	} else {
		line("FAILED")
	}
}

func facts(line func(string, ...any), f *suite.Facts) {
	line("learned: transports %s", strings.Join(f.Transports, ", "))
	times := []string{"hold not learned", "life of a silent session not learned"}
	if f.HoldMs > 0 {
		times[0] = fmt.Sprintf("hold %.1f s", f.HoldMs/1000)
	}
	if f.GoneMs > 0 {
		times[1] = fmt.Sprintf("a silent session lives %.1f s to %.1f s", f.AliveMs/1000, f.GoneMs/1000)
	}
	line("learned: %s, interval %g ms", strings.Join(times, ", "), f.IntervalMs)
	var can []string
	for _, c := range []struct {
		has  bool
		name string
	}{
		{f.CookieNeeded, "cookie " + f.Cookie + " is needed"},
		{f.BareObjects, "bare objects"},
		{f.Delivery, "anybody may publish"},
		{f.Ack, "ack"},
		{f.Timesync, "timesync"},
	} {
		if c.has {
			can = append(can, c.name)
		}
	}
	line("learned: %s", strings.Join(can, ", "))
}

func list(line func(string, ...any), r *suite.Report, v suite.Verdict) {
	first := true
	for _, res := range r.Results {
		if res.Verdict != v {
			continue
		}
		if first {
			line("\n%s:", v)
			first = false
		}
		line("  %s %s %s: %s", res.ID, res.Level, res.Transport, res.Title)
		if res.Known != "" {
			line("      known: %s", res.Known)
		}
		for _, n := range res.Notes {
			line("      %s: %s", n.Kind, strings.ReplaceAll(n.Text, "\n", "\n        "))
		}
	}
}

// skipped groups what was skipped by the reason.
func skipped(line func(string, ...any), r *suite.Report) {
	var order []string
	by := map[string][]string{}
	for _, res := range r.Results {
		if res.Verdict != suite.Skipped {
			continue
		}
		why := "skipped"
		for _, n := range res.Notes {
			if n.Kind == suite.NoteSkip {
				why = n.Text
			}
		}
		if by[why] == nil {
			order = append(order, why)
		}
		by[why] = append(by[why], res.ID)
	}
	if len(order) > 0 {
		line("\nskipped:")
	}
	for _, why := range order {
		line("  %d: %s", len(by[why]), why)
	}
}
