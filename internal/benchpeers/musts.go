package main

import (
	"fmt"
	"strings"
)

// must is a bound that our server is to keep, and where a row of the table of
// bounds comes from. The bounds were set on one day, with what the floors and the
// best peers did then: on another machine, or another day, they move along with
// what these do now.
type must struct {
	title string
	// cases are the two that the figure is the ratio of, or the one that it is
	// from.
	cases []string
	unit  string
	// read reads the figure of an outcome.
	read func(*outcome) float64
	// most tells that the figure is to be no more than the bounds, else no less.
	most      bool
	must, aim float64
	// floor and peer are what the floor, and the peer that was best then, did on the
	// day of the bounds; zero where there is none, or where the bound is absolute.
	// by is who that peer was.
	floor, peer float64
	by          string
}

func micros(o *outcome) float64    { return usage(&o.Report).MicrosPerOp }
func rate(o *outcome) float64      { return o.Report.Rate }
func p99(o *outcome) float64       { return o.Report.Latency.P99 }
func kilobytes(o *outcome) float64 { return usage(&o.Report).KBPerSession }
func cores(o *outcome) float64     { return usage(&o.Report).Cores }
func megabytes(o *outcome) float64 { return float64(o.RSS) / 1e6 }
func listens(o *outcome) float64   { return o.ListenMillis }

// musts lists the bounds in the order of the report. Where the day's figure was a
// range its middle stands here.
func musts() []must {
	const us, per, ms, kb = "µs CPU", "a second", "ms p99", "KB a session"
	const cometd, faye, centrifuge = "cometd8", "faye", "centrifuge"
	few := func(title, name, unit string, read func(*outcome) float64, must_, aim, floor float64) must {
		return must{title: title, cases: []string{name}, unit: unit, read: read, most: true, must: must_, aim: aim, floor: floor}
	}
	many := func(title, name string, must_, aim float64, by string, peer float64) must {
		return must{title: title, cases: []string{name}, unit: per, read: rate, must: must_, aim: aim, by: by, peer: peer}
	}
	twice := func(title, with, without string) must {
		return must{title: title, cases: []string{with, without}, unit: "× without", read: micros, most: true, must: 2, aim: 1.3}
	}
	return []must{
		few("WebSocket, 1,000 subscribers, 20,000/s", "ws-fanout-20k", us, micros, 13, 11, 9.8),
		many("the same, maximum with p99 < 1 s", "ws-fanout-max", 1e6, 3e6, centrifuge, 720e3),
		few("the same at 80,000/s", "ws-fanout-80k", ms, p99, 15, 11, 10),
		few("10,000 subscribers, 40,000/s", "ws-10k", us, micros, 16, 14, 13),
		few("Long-polling, 1,000 clients, 16,000/s", "lp-fanout-16k", us, micros, 25, 14, 10.6),
		many("the same, maximum", "lp-fanout-max", 100e3, 200e3, faye, 56e3),
		few("100 rooms of 10, 20,000/s", "ws-rooms-20k", us, micros, 16, 14, 12.8),
		many("the same, maximum with p99 < 250 ms", "ws-rooms-max", 500e3, 800e3, centrifuge, 560e3),
		many("CometD's benchmark, maximum", "shape-max", 500e3, 1.5e6, cometd, 125e3),
		{title: "the same at 100,000/s", cases: []string{"shape-100k"}, unit: ms, read: p99, most: true, must: 15, by: cometd, peer: 48},
		few("Idle WebSocket session, of 19,500", "idle-ws", kb, kilobytes, 3, 1.5, 0),
		few("Idle held poll, of 10,000", "idle-lp", kb, kilobytes, 3, 1.5, 0),
		few("19,500 idle sessions", "idle-cpu", "cores", cores, 0.01, 0, 0),
		few("Long-polling, 100 rooms of 10, 12,000/s", "lp-rooms-12k", us, micros, 28, 18, 12),
		many("the same, maximum", "lp-rooms-max", 40e3, 60e3, faye, 14e3),
		many("Long-polling, handshake and disconnect", "lp-churn-max", 25e3, 35e3, cometd, 11.3e3),
		few("the same at 29,000/s", "lp-churn", us, micros, 40, 28, 24.5),
		many("WebSocket, connect, handshake, disconnect", "ws-churn-max", 8e3, 12e3, faye, 2.9e3),
		few("the same at 9,000/s", "ws-churn", us, micros, 120, 85, 60),
		many("Acknowledged publishes, one on its way", "acks-1", 14e3, 16e3, centrifuge, 14e3),
		many("the same, 64 on their way", "acks-64", 300e3, 500e3, centrifuge, 271e3),
		few("Empty server", "empty", "MB resident", megabytes, 15, 10, 0),
		few("the same", "empty", "ms to listen", listens, 50, 20, 0),
		twice("Acknowledged fan-out over WebSocket", "ws-fanout-20k-ack", "ws-fanout-20k"),
		twice("Acknowledged fan-out by long-polling", "lp-fanout-16k-ack", "lp-fanout-16k"),
	}
}

// verdict is a row of the table of bounds.
type verdict struct {
	title, unit               string
	measured                  float64
	known                     bool
	atLeast                   bool
	against                   string  // what the bounds are scaled by, with figures
	must, aim                 float64 // scaled
	hasMust, hasAim, most     bool
	unscaledMust, unscaledAim float64
}

// of measures the bound by the outcomes.
func (m *must) of(cases []benchCase, have outcomes) verdict {
	v := verdict{title: m.title, unit: m.unit, most: m.most, unscaledMust: m.must, unscaledAim: m.aim}
	first := caseOf(cases, m.cases[0])
	if first == nil {
		return v
	}
	var o *outcome
	if o = have.middle(&subject{Name: ours}, first); o != nil {
		v.measured, v.known = m.read(o), true
		v.atLeast = atLeast(first, o) != ""
	}
	if len(m.cases) > 1 {
		base := have.middle(&subject{Name: ours}, caseOf(cases, m.cases[1]))
		if v.known = v.known && base != nil && m.read(base) > 0; v.known {
			v.measured /= m.read(base)
		}
	}
	scale, ok := 1.0, true
	switch {
	case m.floor > 0:
		scale, ok = m.ratio(have.middle(&subject{Name: first.Floor}, first), m.floor)
		v.against = reference("floor", scale*m.floor, m.floor, ok)
	case m.peer > 0:
		scale, ok = m.ratio(have.middle(&subject{Name: m.by}, first), m.peer)
		v.against = reference(m.by, scale*m.peer, m.peer, ok)
	}
	v.hasMust, v.hasAim = ok, ok && (m.aim > 0 || m.unit == "cores")
	v.must, v.aim = scale*m.must, scale*m.aim
	return v
}

func caseOf(cases []benchCase, name string) *benchCase {
	for i := range cases {
		if cases[i].Name == name {
			return &cases[i]
		}
	}
	return nil
}

// ratio is how what a bound goes by did now, against then.
func (m *must) ratio(o *outcome, then float64) (float64, bool) {
	if o == nil || m.read(o) <= 0 {
		return 1, false
	}
	return m.read(o) / then, true
}

func reference(what string, now, then float64, ok bool) string {
	if !ok {
		return fmt.Sprintf("%s not measured; %s then", what, number(then))
	}
	return fmt.Sprintf("%s %s; %s then", what, number(now), number(then))
}

// met tells whether the figure keeps a bound.
func (v *verdict) met(bound float64) bool {
	if v.most {
		return v.measured <= bound
	}
	return v.measured >= bound
}

// word says how the figure stands to the scaled bounds.
func (v *verdict) word() string {
	switch {
	case !v.known || !v.hasMust:
		return "not measured"
	case v.hasAim && v.met(v.aim):
		return "**met**, and the aim"
	case v.met(v.must):
		return "**met**"
	case v.atLeast:
		return "open: the generator can no more"
	}
	return "**not met**"
}

// bounds writes the table of bounds.
func bounds(b *strings.Builder, cases []benchCase, have outcomes, more []verdict) {
	b.WriteString("\n## What had to be reached\n\n" + boundsText +
		"\n| case | unit | must | aim | goes by | must now | measured | |\n|---|---|---|---|---|---|---|---|\n")
	all := musts()
	rows := make([]verdict, 0, len(all)+len(more))
	for i := range all {
		rows = append(rows, all[i].of(cases, have))
	}
	for _, v := range append(rows, more...) {
		sign, measured, now, aim := "≥ ", "–", "–", "–"
		if v.most {
			sign = "≤ "
		}
		if v.known {
			measured = number(v.measured)
			if v.atLeast {
				measured = "≥ " + measured
			}
		}
		if v.hasMust {
			now = sign + number(v.must)
		}
		if v.unscaledAim > 0 || v.unit == "cores" {
			aim = sign + number(v.unscaledAim)
		}
		against := v.against
		if against == "" {
			against = "itself"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n",
			v.title, v.unit, sign+number(v.unscaledMust), aim, against, now, measured, v.word())
	}
}

const boundsText = `The bounds were set before the work began, on one day, with the floors and the peers measured then. What counts is
the ratio within one run, so bounds of CPU and latency move with their floor, those of a maximum with the peer that was best then, as
these are measured here; memory, idle processors and times to listen are absolute. *Must* was required, *aim* hoped for.
`
