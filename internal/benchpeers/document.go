package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/halleypush/halley/internal/peers"
)

//go:embed notes.md
var notes string

// document writes docs/PERFORMANCE.md.
func document(from origin, subjects []subject, cases []benchCase, have outcomes, apart scaled) string {
	var b strings.Builder
	b.WriteString("# Performance\n\n<!-- Written by make bench-peers; the figures are in build/bench. -->\n\n")
	fmt.Fprintf(&b, "Measured from %s on at commit `%s`: %s; %s.\n\n", from.Date, from.Commit, from.Machine, strings.Join(from.Tools, "; "))
	if missing := len(pending(subjects, cases, have)); missing > 0 {
		fmt.Fprintf(&b, "**Not complete: %d runs are missing.** ", missing)
	}
	fmt.Fprintf(&b, "All runs took %.0f minutes.\n\n", have.seconds()/60)
	b.WriteString(notes)
	bounds(&b, cases, have, append(curveVerdicts(cases, have), apart.verdicts()...))
	b.WriteString("\n## Who was measured\n\n| subject | version | options | processors |\n|---|---|---|---|\n")
	for i := range subjects {
		s := &subjects[i]
		processors := "one, the generator has another"
		if s.Free {
			processors = "all, shared with the generator"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.Name, peers.Version(s.Peer), optionsOf(s), processors)
	}
	for _, c := range casesIn(cases, mainPart) {
		section(&b, subjects, c, have)
	}
	curveSection(&b, subjects, cases, have)
	apart.sections(&b, idleKB(cases, have))
	pathSection(&b, subjects, cases, have)
	return b.String()
}

// idleKB is what an idle session over WebSocket takes, in KB; 0 if that was not
// measured.
func idleKB(cases []benchCase, have outcomes) float64 {
	if c := caseOf(cases, "idle-ws"); c != nil {
		kb, _ := have.median(&subject{Name: ours}, c)
		return kb
	}
	return 0
}

func optionsOf(s *subject) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s.Options)) {
		if name != "program" {
			list = append(list, "`"+name+"="+s.Options[name]+"`")
		}
	}
	if len(list) == 0 {
		return "defaults"
	}
	return strings.Join(list, " ")
}

// section writes a case.
func section(b *strings.Builder, subjects []subject, c *benchCase, have outcomes) {
	fmt.Fprintf(b, "\n## %s: %s\n\n", c.Name, c.Title)
	if c.Args != nil {
		fmt.Fprintf(b, "`halley bench URL %s`\n\n", strings.Join(c.Args, " "))
	}
	floor, hasFloor := have.median(&subject{Name: c.Floor}, c)
	best, peer := bestPeer(subjects, c, have)
	fmt.Fprintf(b, "| subject | %s | of the floor | of the best peer | others | runs |\n|---|---|---|---|---|---|\n", c.Metric.title())
	for i := range subjects {
		s := &subjects[i]
		if !s.takes(c) {
			continue
		}
		list := have.of(s, c)
		o := have.middle(s, c)
		if o == nil {
			fmt.Fprintf(b, "| %s | – | – | – | %s | %d |\n", s.Name, whyNot(list), len(list))
			continue
		}
		figure := c.Metric.figure(o)
		fmt.Fprintf(b, "| %s | %s%s | %s | %s | %s | %s |\n", s.Name, atLeast(c, o), number(figure),
			ratio(figure, floor, hasFloor), ratio(figure, best, peer != nil && !s.Floor), details(c, o), runsOf(list))
	}
}

// bestPeer returns the best figure of a peer that is bound as we are, and its
// outcome, nil if there is none.
func bestPeer(subjects []subject, c *benchCase, have outcomes) (best float64, by *outcome) {
	for i := range subjects {
		s := &subjects[i]
		if s.Peer == "halley" || s.Floor || s.Free || !s.takes(c) {
			continue
		}
		o := have.middle(s, c)
		if o == nil {
			continue
		}
		if figure := c.Metric.figure(o); by == nil || c.Metric.better(figure, best) {
			best, by = figure, o
		}
	}
	return best, by
}

// atLeast marks a maximum that the generator's limit ended.
func atLeast(c *benchCase, o *outcome) string {
	if c.find() && bounded(&o.Report) {
		return "≥ "
	}
	return ""
}

// whyNot tells why no run counts.
func whyNot(list []*outcome) string {
	if len(list) == 0 {
		return "not measured"
	}
	o := list[len(list)-1]
	switch {
	case o.Error != "":
		line, _, _ := strings.Cut(o.Error, "\n")
		return "failed: " + strings.ReplaceAll(line, "|", `\|`)
	case o.Report.GeneratorBound:
		return fmt.Sprintf("generator-bound (%.0f %% of its processor): counts for nobody", 100*o.Report.GeneratorShare)
	}
	return "did not keep the bounds: " + strings.ReplaceAll(strings.Join(o.Report.Problems, "; "), "|", `\|`)
}

// details are the figures that do not decide.
func details(c *benchCase, o *outcome) string {
	if c.Args == nil {
		return fmt.Sprintf("%s MB resident", number(float64(o.RSS)/1e6))
	}
	u := usage(&o.Report)
	list := []string{fmt.Sprintf("%s MB", number(float64(u.RSSAfter)/1e6))}
	switch c.Metric {
	case sessionMemory:
		return strings.Join(append(list, fmt.Sprintf("%.3f cores", u.Cores)), ", ")
	case idleCores:
		return strings.Join(append(list, number(u.KBPerSession)+" KB a session"), ", ")
	default:
	}
	if c.Metric != cpuMicros {
		list = append(list, number(u.MicrosPerOp)+" µs CPU")
	}
	if c.Metric != maxRate {
		list = append(list, number(o.Report.Rate)+"/s")
	}
	list = append(list, "p50/p99 "+number(o.Report.Latency.P50)+"/"+number(o.Report.Latency.P99)+" ms")
	if o.Report.OtherCores >= disturbed {
		list = append(list, fmt.Sprintf("disturbed: others used %.2f cores", o.Report.OtherCores))
	}
	return strings.Join(list, ", ")
}

// disturbed is how many processors others may use before a run says so.
const disturbed = 0.05

// runsOf says how many runs there are and how many do not count.
func runsOf(list []*outcome) string {
	bad := 0
	for _, o := range list {
		if !o.counts() {
			bad++
		}
	}
	if bad == 0 {
		return fmt.Sprint(len(list))
	}
	return fmt.Sprintf("%d, %d not counted", len(list), bad)
}

func ratio(figure, to float64, ok bool) string {
	if !ok || to == 0 {
		return "–"
	}
	return number(figure/to) + "×"
}

// number writes at least three significant digits, and thousands apart.
func number(v float64) string {
	switch {
	case v >= 1000:
		text := fmt.Sprintf("%.0f", v)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v > 0 && v < 0.1:
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
