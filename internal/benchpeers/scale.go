package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/halleypush/halley/internal/scale"
)

// routingFile is what `make routing` leaves: lines of Go's benchmarks.
const routingFile = "bin/bench/routing.txt"

// scaled is what was measured apart from the cases; what is missing is nil.
type scaled struct {
	million *scale.Million
	show    *scale.Show
	routes  []route
}

// route is how much CPU the router took for a publish, in each run.
type route struct {
	channels    int
	wildcards   bool
	nanoseconds []float64
}

// median is that of the runs, the worse of two in the middle.
func (r *route) median() float64 {
	sorted := slices.Sorted(slices.Values(r.nanoseconds))
	return sorted[len(sorted)/2]
}

// readScaled reads what is there.
func readScaled() (s scaled, err error) {
	if s.million, err = optional(scale.Read[scale.Million](scale.MillionFile)); err != nil {
		return s, err
	}
	if s.show, err = optional(scale.Read[scale.Show](scale.ShowFile)); err != nil {
		return s, err
	}
	s.routes, err = readRoutes(routingFile)
	return s, err
}

func optional[T any](v *T, err error) (*T, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it was not measured
	}
	return v, err
}

// readRoutes reads the lines of BenchmarkRoute.
func readRoutes(name string) ([]route, error) {
	f, err := os.Open(name) //nolint:gosec // a constant, or a test's
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	line := regexp.MustCompile(`^BenchmarkRoute/channels=(\d+)/wildcards=(true|false)(?:-\d+)?\s+\d+\s.*?\s([\d.]+) cpu-ns/op`)
	var all []route
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1])              // digits, by the expression
		took, _ := strconv.ParseFloat(m[3], 64) // the same
		all = noteRoute(all, n, m[2] == "true", took)
	}
	return all, lines.Err()
}

func noteRoute(all []route, n int, wildcards bool, took float64) []route {
	for i := range all {
		if all[i].channels == n && all[i].wildcards == wildcards {
			all[i].nanoseconds = append(all[i].nanoseconds, took)
			return all
		}
	}
	return append(all, route{n, wildcards, []float64{took}})
}

// The bounds of what is measured apart from the cases.
const (
	routeMust = 2000 // ns a publish
	showMust  = scale.ShowMost
)

// verdicts are the bounds of what is measured apart.
func (s *scaled) verdicts() []verdict {
	routing := verdict{title: "Routing a publish, up to 1,000,000 channels", unit: "µs", most: true, unscaledMust: routeMust / 1000, must: routeMust / 1000}
	for _, r := range s.routes {
		routing.measured = max(routing.measured, r.median()/1000)
		routing.known, routing.hasMust = true, true
	}
	show := verdict{title: "Memory a session, 96,000 in six processes against one alone", unit: "×", most: true, unscaledMust: showMust, must: showMust}
	if s.show != nil && s.show.Single > 0 {
		show.known, show.hasMust, show.measured = true, true, s.show.Resident/s.show.Single
	}
	return []verdict{routing, show}
}

func (s *scaled) sections(b *strings.Builder, idle float64) {
	s.routingSection(b)
	s.millionSection(b, idle)
	s.showSection(b)
}

func (s *scaled) routingSection(b *strings.Builder) {
	b.WriteString("\n## Routing\n\n" + routingText)
	if s.routes == nil {
		b.WriteString("\nNot measured: `make routing`.\n")
		return
	}
	b.WriteString("\n| channels | wildcards beside | µs CPU a publish |\n|---|---|---|\n")
	for _, r := range s.routes {
		beside := "none"
		if r.wildcards {
			beside = "four that are looked up, one has a subscriber"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", count(r.channels), beside, number(r.median()/1000))
	}
}

// count writes a whole number.
func count(n int) string { return strings.TrimSuffix(number(float64(n)), ".00") }

const routingText = `What the router does for one publish, alone: look whether the channel exists, note that it is used, collect its one
subscriber (` + "`make routing`" + `, CPU, the median of three runs). Each publish is to another of all channels, in no order, so with many
of them nothing is in the processor's caches.
`

// Of a host with 24 GiB, what is left to sessions; and what the kernel keeps for
// an idle connection: socket, file, entry of epoll.
const (
	hostBytes   = 24 << 30 * 9 / 10
	kernelBytes = 4 << 10
	holdSeconds = 30 // the default of the option timeout
)

func (s *scaled) millionSection(b *strings.Builder, idle float64) {
	b.WriteString("\n## A million sessions in one process\n\n" + millionText)
	m := s.million
	if m == nil {
		b.WriteString("\nNot measured: `make million`.\n")
		return
	}
	fmt.Fprintf(b, "\nMeasured on %s, %d processors.\n\n| what | figure |\n|---|---|\n", m.System, m.Processors)
	row := func(what, format string, args ...any) { fmt.Fprintf(b, "| "+what+" | "+format+" |\n", args...) }
	row("sessions; channels", "%s; %s", number(float64(m.Sessions)), number(float64(m.Channels)))
	row("until all had come, one after the other", "%s s, %s µs each", number(m.MakeSeconds), number(m.MakeSeconds*1e6/float64(m.Sessions)))
	row("what lives of a session", "%s bytes in %s objects", number(m.Live), number(m.Objects))
	row("resident, 10 s after the last, no forced collection", "%s bytes each", number(m.Resident))
	row("resident, all free memory given back", "%s bytes each", number(m.Least))
	row("one message to all, until the last has it", "%s s; %s µs CPU each", number(m.ToAll.Seconds), number(m.ToAll.Micros))
	row("one message to ten of them, until they have it", "%s µs", number(m.RoomMicros))
	row("a cycle of the garbage collector, nothing else done", "%s s; %s s CPU", number(m.Collector.Seconds), number(m.Collector.CPU))
	row("its share of the CPU while sessions come; while connects do", "%s %%; %s %%", number(100*m.Collector.ShareMake), number(100*m.Collector.ShareConnect))
	row("longest stop of the world", "%s µs", number(m.Collector.PauseMicros))
	row("a sweep of the router, nothing unused", "%s ms", number(m.SweepMillis))
	row("a look at each session, as for the sum of all queues", "%s ms", number(m.LookMillis))
	row("a connect answered and the next one held, with the client's part", "%s µs", number(m.ConnectMicros))
	row("all held connects end at one moment", "%s s; %s µs CPU each", number(m.Due.Seconds), number(m.Due.Micros))
	row("all sessions expire at about one moment", "%s s; %s µs CPU each", number(m.Expiry.Seconds), number(m.Expiry.Micros))
	row("all connections end", "%s s; %s µs CPU each", number(m.Close.Seconds), number(m.Close.Micros))
	row("what is left of a session when all have gone: lives", "%s bytes", number(m.LiveAfter))
	row("resident "+number(m.RestSeconds)+" s later; all free memory given back", "%s; %s bytes", number(m.ResidentAfter), number(m.LeastAfter))
	own := max(m.Resident, 1000*idle)
	fmt.Fprintf(b, "\nFor a host of 24 GiB, a tenth of it left to the system: a session takes %s bytes here, and the kernel keeps some\n"+
		"%s for its connection, so there is room for %s million idle sessions. Each sends a connect every %d s by\n"+
		"default; at %s µs a million of them keep %s processors busy, before what the kernel takes for the packets.\n",
		number(own), number(kernelBytes), number(hostBytes/(own+kernelBytes)/1e6), holdSeconds,
		number(m.ConnectMicros), number(1e6/holdSeconds*m.ConnectMicros/1e6))
}

const millionText = `The server's own registry, router, queues, timers and WebSocket carrier, over a poller whose connections are in memory:
a client is a counter, and no goroutine (` + "`make million`" + `). Each session has two subscriptions, one of them to a channel of all,
one to a channel of ten, and a held connect. Sizes are without the clients' ends; sockets and what the engine keeps for a
connection come on top: ` + "`idle-ws`" + ` above has them.
`

func (s *scaled) showSection(b *strings.Builder) {
	b.WriteString("\n## Many real sessions\n\n" + showText)
	m := s.show
	if m == nil {
		b.WriteString("\nNot measured: `make scale`.\n")
		return
	}
	fmt.Fprintf(b, "\n| what | figure |\n|---|---|\n| sessions; server processes | %s; %d |\n", number(float64(m.Sessions)), m.Servers)
	fmt.Fprintf(b, "| subscriptions | %s |\n", number(float64(m.Subscriptions)))
	fmt.Fprintf(b, "| until all had come | %s s |\n", number(m.MakeSeconds))
	fmt.Fprintf(b, "| resident, 10 s after the last | %s bytes each |\n", number(m.Resident))
	fmt.Fprintf(b, "| the same in one process alone | %s bytes each |\n", number(m.Single))
	fmt.Fprintf(b, "| one message to all | %s of %s arrived, in %s s |\n", number(float64(m.Delivered)), number(float64(m.Expected)), number(m.ToAllSeconds))
}

const showText = `One process may have 20,000 descriptors on this machine, so many sessions over real sockets are several server
processes, with a client process each (` + "`make scale`" + `).
`
