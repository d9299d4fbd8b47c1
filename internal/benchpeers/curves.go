package main

import (
	"fmt"
	"slices"
	"strings"
)

// rise is how much CPU or memory of a session may rise from the fewest to the
// most sessions, over the floor's own rise.
const rise = 1.15

// curve is a figure at each number of sessions, of us and of the floor.
type curve struct{ ours, floor []float64 }

// whole tells whether all is there.
func (c *curve) whole() bool {
	return len(c.ours) == len(curveSizes()) && len(c.floor) == len(c.ours)
}

// rises returns by what the figure of each rises, from the first to the last.
func (c *curve) rises() (us, floor float64) {
	last := len(c.ours) - 1
	return c.ours[last] / c.ours[0], c.floor[last] / c.floor[0]
}

// curvesOf reads CPU and memory. Where a point is missing the curve ends.
func curvesOf(cases []benchCase, have outcomes) (cpu, memory curve) {
	for i := range cases {
		c := &cases[i]
		if c.Part != curvePart {
			continue
		}
		us, floor := have.middle(&subject{Name: ours}, c), have.middle(&subject{Name: c.Floor}, c)
		if us == nil || floor == nil {
			break
		}
		cpu.ours, cpu.floor = append(cpu.ours, micros(us)), append(cpu.floor, micros(floor))
		memory.ours, memory.floor = append(memory.ours, kilobytes(us)), append(memory.floor, kilobytes(floor))
	}
	return cpu, memory
}

// curveVerdicts are the bounds of the curves.
func curveVerdicts(cases []benchCase, have outcomes) []verdict {
	cpu, memory := curvesOf(cases, have)
	of := func(title string) verdict {
		return verdict{title: title, unit: "× of 1,000", most: true, unscaledMust: rise}
	}
	first, second := of("CPU a delivery, 19,500 sessions against 1,000"), of("Memory a session, 19,500 against 1,000")
	if cpu.whole() {
		us, floor := cpu.rises()
		first.known, first.hasMust, first.measured = true, true, us
		first.must = floor * rise
		first.against = "floor " + number(floor)
	}
	if memory.whole() {
		second.known, second.hasMust, second.must = true, true, rise
		second.measured, _ = memory.rises()
	}
	return []verdict{first, second}
}

// curveSection writes the table and the charts of the curves.
func curveSection(b *strings.Builder, subjects []subject, cases []benchCase, have outcomes) {
	b.WriteString("\n## From 1,000 to 19,500 sessions\n\n" + curveText + "\n")
	some := casesIn(cases, curvePart)
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "`halley bench URL %s`, and so on:\n", strings.Join(some[0].Args, " "))
	matrix(b, subjects, some, have, []column{
		{"CPU µs a delivery", micros, []metric{cpuMicros}},
		{"KB a session", kilobytes, []metric{cpuMicros}},
		{"p99 ms", p99, []metric{cpuMicros}},
	})
	cpu, memory := curvesOf(cases, have)
	if !cpu.whole() {
		b.WriteString("\nNot all of it has been measured: there is no chart yet.\n")
		return
	}
	chart(b, "CPU a delivery", "µs", cpu)
	chart(b, "Resident memory a session", "KB", memory)
	b.WriteString("\nLines are Halley, bars the floor.\n")
}

const curveText = `Channels of a thousand clients, 40,000 deliveries a second, more and more clients. Memory is what the process grew by from
before the first connection, two seconds after the last, over the sessions: with few of them the first buffers and stacks count too.
`

// chart draws a curve: a line for us, bars for the floor.
func chart(b *strings.Builder, title, unit string, c curve) {
	top := 0.0
	list := func(values []float64) string {
		text := make([]string, len(values))
		for i, v := range values {
			text[i] = fmt.Sprintf("%.2f", v)
			top = max(top, v)
		}
		return strings.Join(text, ", ")
	}
	labels := make([]string, len(curveSizes()))
	for i, n := range curveSizes() {
		labels[i] = fmt.Sprint(n)
	}
	bars, line := list(c.floor), list(c.ours)
	fmt.Fprintf(b, "\n```mermaid\nxychart-beta\n  title %q\n  x-axis \"sessions\" [%s]\n  y-axis %q 0 --> %.0f\n  bar [%s]\n  line [%s]\n```\n",
		title, strings.Join(labels, ", "), unit, top*1.2+0.5, bars, line)
}

// pathSection writes the table of our server's other ways.
func pathSection(b *strings.Builder, subjects []subject, cases []benchCase, have outcomes) {
	b.WriteString("\n## Other ways to our server\n\n" + pathText + "\n")
	some := casesIn(cases, pathPart)
	for _, c := range some {
		fmt.Fprintf(b, "- %s: `halley bench URL %s`\n", c.Title, strings.Join(c.Args, " "))
	}
	matrix(b, subjects, some, have, []column{
		{"CPU µs a delivery", micros, []metric{cpuMicros}},
		{"KB a session", kilobytes, []metric{sessionMemory}},
		{"p99 ms", p99, []metric{cpuMicros}},
	})
}

const pathText = `All other tables are of plain TCP over the server's own engine, the default of ` + "`halley serve`" + ` on Linux. Here it
stands beside Go's HTTP server, which serves whoever embeds the library in an ` + "`http.Server`" + `, and where ` + "`--park=false`" + ` is
given or the system is another one; beside TLS; and beside the strict posture with all its checks, the default of the
program. The generator does not speak HTTP/2: TLS is WebSocket, and HTTP/1.1.
`

// column is one of a matrix: a figure of the cases with these metrics.
type column struct {
	title   string
	read    func(*outcome) float64
	metrics []metric
}

func casesIn(cases []benchCase, p part) []*benchCase {
	var some []*benchCase
	for i := range cases {
		if cases[i].Part == p {
			some = append(some, &cases[i])
		}
	}
	return some
}

// matrix writes a table with a row for each case and subject.
func matrix(b *strings.Builder, subjects []subject, cases []*benchCase, have outcomes, columns []column) {
	b.WriteString("\n| case | subject |")
	for _, col := range columns {
		b.WriteString(" " + col.title + " |")
	}
	b.WriteString(" runs |\n|---|---|" + strings.Repeat("---|", len(columns)) + "---|\n")
	for _, c := range cases {
		for i := range subjects {
			s := &subjects[i]
			if !s.takes(c) {
				continue
			}
			list, o := have.of(s, c), have.middle(s, c)
			fmt.Fprintf(b, "| %s | %s |", c.Title, s.Name)
			for k, col := range columns {
				cell := "–"
				switch {
				case o == nil && k == 0:
					cell = whyNot(list)
				case o != nil && slices.Contains(col.metrics, c.Metric):
					cell = number(col.read(o))
				}
				b.WriteString(" " + cell + " |")
			}
			fmt.Fprintf(b, " %s |\n", runsOf(list))
		}
	}
}
