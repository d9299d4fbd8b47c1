package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/peers"
)

// metric is the figure that decides a case.
type metric int

const (
	cpuMicros     metric = iota // CPU in µs per delivery or operation: less is better
	maxRate                     // deliveries or operations a second: more is better
	latencyP99                  // ms: less is better
	sessionMemory               // KB per session: less is better
	listenTime                  // ms until it listens: less is better
	idleCores                   // processors that sessions at rest use: less is better
)

func (m metric) title() string {
	return [...]string{"CPU µs each", "a second", "p99 ms", "KB a session", "ms to listen", "cores"}[m]
}

// better tells whether a is better than b.
func (m metric) better(a, b float64) bool {
	if m == maxRate {
		return a > b
	}
	return a < b
}

// figure reads the metric from an outcome.
func (m metric) figure(o *outcome) float64 {
	switch m {
	case maxRate:
		return o.Report.Rate
	case latencyP99:
		return o.Report.Latency.P99
	case sessionMemory:
		return usage(&o.Report).KBPerSession
	case listenTime:
		return o.ListenMillis
	case idleCores:
		return usage(&o.Report).Cores
	default:
		return usage(&o.Report).MicrosPerOp
	}
}

// benchCase is one load.
type benchCase struct {
	Name, Title string
	Metric      metric
	// Args are flags of `halley bench`. None: the empty server is looked at.
	Args []string
	// Transport that a subject must have; empty: any.
	Transport string
	// Floor names the subject that is the floor; empty: there is none.
	Floor string
	// Ack needs the acknowledgement extension.
	Ack bool
	// Hold is how long servers that can be told hold a connect; 0 for what each
	// does by itself.
	Hold time.Duration
	// Fresh wants a process of its own that has done nothing before.
	Fresh bool
	// Limit bounds one run.
	Limit time.Duration
	// Only names the subjects that the case is for; none: all that can.
	Only []string
	// Part is the part of the document in which the case stands.
	Part part
}

// part is a part of the document.
type part int

const (
	mainPart  part = iota
	curvePart      // the same load with more and more sessions
	pathPart       // other ways to our server than plain TCP over its engine
)

// find tells whether the case looks for the highest rate.
func (c *benchCase) find() bool { return slices.Contains(c.Args, "--find-max") }

// The subjects that cases name.
const (
	ours      = "halley"
	oursPlain = "halley on net/http"
	oursTLS   = "halley with TLS"
	oursWary  = "halley strict"
	floorWS   = "floor-ws"
	floorMany = "floor-ws-coalesce"
	floorHTTP = "floor-http"

	webSocket   = "websocket"
	longPolling = "long-polling"
)

const (
	runLimit  = 2 * time.Minute
	findLimit = 3 * time.Minute
)

// Times of the loads. A search has many steps, so each is short.
const (
	warmup   = 2 * time.Second
	duration = 6 * time.Second

	findWarmup   = time.Second
	findDuration = 2500 * time.Millisecond
	findSteps    = 11
)

// idleHold is longer than the case idle-cpu takes: no connect is due in it.
const idleHold = 300 * time.Second

// over is a case over a transport; args are separated by spaces.
func over(transport, name, title string, m metric, floor, args string) benchCase {
	return benchCase{
		Name: name, Title: title, Metric: m, Floor: floor, Transport: transport,
		Args: append([]string{"--transport", transport}, strings.Fields(args)...),
	}
}

// cases lists the loads in the order of the report.
func cases() []benchCase {
	const (
		ws, lp = webSocket, longPolling

		rooms = "--clients 1000 --rooms 100 --publishers 10 "
		shape = "--clients 1000 --rooms 100 --publishers 10 --subscriptions 10 --batch 10 "
	)
	all := []benchCase{
		{Name: "empty", Title: "Empty server", Metric: listenTime, Fresh: true},
		over(ws, "idle-ws", "19,500 idle WebSocket sessions", sessionMemory, floorWS, "--mode idle --clients 19500 --settle 10s --duration 5s"),
		over(lp, "idle-lp", "10,000 idle held polls", sessionMemory, floorHTTP, "--mode idle --clients 10000 --settle 10s --duration 5s"),
		over(ws, "idle-cpu", "19,500 idle WebSocket sessions, 60 s in which no connect is due", idleCores, floorWS, "--mode idle --clients 19500 --settle 10s --duration 60s"),
		over(ws, "ws-fanout-20k", "WebSocket, 1,000 subscribers, 20,000 deliveries/s", cpuMicros, floorWS, "--clients 1000 --deliveries 20000"),
		over(ws, "ws-fanout-80k", "the same at 80,000/s", latencyP99, floorWS, "--clients 1000 --deliveries 80000"),
		over(ws, "ws-fanout-max", "the same, maximum with p99 < 1 s", maxRate, floorMany, "--clients 1000 --deliveries 80000 --find-max"),
		over(ws, "ws-10k", "WebSocket, 10,000 subscribers, 40,000 deliveries/s", cpuMicros, floorWS, "--clients 10000 --deliveries 40000"),
		over(lp, "lp-fanout-16k", "Long-polling, 1,000 clients, 16,000 deliveries/s", cpuMicros, floorHTTP, "--clients 1000 --deliveries 16000"),
		over(lp, "lp-fanout-max", "the same, maximum with p99 < 1 s", maxRate, floorHTTP, "--clients 1000 --deliveries 16000 --find-max"),
		over(ws, "ws-rooms-20k", "WebSocket, 100 rooms of 10, 10 publishers, 20,000 deliveries/s", cpuMicros, floorWS, rooms+"--deliveries 20000"),
		over(ws, "ws-rooms-max", "the same, maximum with p99 < 250 ms", maxRate, floorMany, rooms+"--deliveries 80000 --p99 250ms --find-max"),
		over(ws, "shape-100k", "CometD's benchmark: 1,000 clients, 100 rooms, 10 each, batches of 10; 100,000 deliveries/s", latencyP99, floorWS, shape+"--deliveries 100000"),
		over(ws, "shape-max", "the same, maximum with p99 < 1 s", maxRate, floorMany, shape+"--deliveries 100000 --find-max"),
		over(lp, "lp-rooms-12k", "Long-polling, 100 rooms of 10, 10 publishers, 12,000 deliveries/s", cpuMicros, floorHTTP, rooms+"--deliveries 12000"),
		over(lp, "lp-rooms-max", "the same, maximum with p99 < 1 s", maxRate, floorHTTP, rooms+"--deliveries 12000 --find-max"),
		over(lp, "lp-churn", "Long-polling, handshake and disconnect, 50 at a time, 29,000 a second", cpuMicros, floorHTTP, "--mode churn --clients 50 --connect-rate 29000"),
		over(lp, "lp-churn-max", "the same, 45,000 a second at most", maxRate, floorHTTP, "--mode churn --clients 50 --connect-rate 45000"),
		over(ws, "ws-churn", "WebSocket, connect, handshake and disconnect, 50 at a time, 9,000 a second", cpuMicros, floorWS, "--mode churn --clients 50 --connect-rate 9000"),
		over(ws, "ws-churn-max", "the same, 12,000 a second at most", maxRate, floorWS, "--mode churn --clients 50 --connect-rate 12000"),
		over(ws, "acks-1", "Publishes over one WebSocket, one on its way", maxRate, floorWS, "--mode acks"),
		over(ws, "acks-64", "the same, 64 on their way", maxRate, floorMany, "--mode acks --window 64"),
		over(ws, "ws-fanout-20k-ack", "WebSocket, 1,000 subscribers, 20,000 deliveries/s, acknowledged", cpuMicros, floorWS, "--clients 1000 --deliveries 20000 --ack"),
		over(lp, "lp-fanout-16k-ack", "Long-polling, 1,000 clients, 16,000 deliveries/s, acknowledged", cpuMicros, "", "--clients 1000 --deliveries 16000 --ack"),
	}
	all = append(append(all, curveCases()...), pathCases()...)
	for i := range all {
		all[i].complete()
	}
	return all
}

// curveSizes are the sessions of the curves: from a few to what one process may
// have here.
func curveSizes() []int { return []int{1000, 2000, 5000, 10_000, 19_500} }

// curveCases lists the loads of the curves: channels of a thousand, at one rate, so
// that nothing but the number of sessions differs.
func curveCases() []benchCase {
	sizes := curveSizes()
	all := make([]benchCase, len(sizes))
	for i, n := range sizes {
		all[i] = over(webSocket, "curve-"+strconv.Itoa(n), number(float64(n))+" subscribers", cpuMicros, floorWS,
			fmt.Sprintf("--clients %d --rooms %d --deliveries 40000 --settle 2s", n, (n+999)/1000))
		all[i].Only, all[i].Part = []string{ours, floorWS}, curvePart
	}
	return all
}

// pathCases lists the loads that our server gets on its other ways too.
func pathCases() []benchCase {
	all := []benchCase{
		over(webSocket, "path-ws", "WebSocket, 1,000 subscribers, 10,000 deliveries/s", cpuMicros, "", "--clients 1000 --deliveries 10000"),
		over(longPolling, "path-lp", "Long-polling, 1,000 clients, 5,000 deliveries/s", cpuMicros, "", "--clients 1000 --deliveries 5000"),
		over(webSocket, "path-idle-ws", "4,000 idle WebSocket sessions", sessionMemory, "", "--mode idle --clients 4000 --settle 5s --duration 2s"),
		over(longPolling, "path-idle-lp", "4,000 idle held polls", sessionMemory, "", "--mode idle --clients 4000 --settle 5s --duration 2s"),
	}
	for i := range all {
		all[i].Only, all[i].Part = []string{ours, oursPlain, oursTLS, oursWary}, pathPart
	}
	return all
}

// complete fills in what follows from the rest.
func (c *benchCase) complete() {
	c.Ack = slices.Contains(c.Args, "--ack")
	c.Limit = runLimit
	switch {
	case c.Metric == idleCores:
		c.Fresh, c.Hold = true, idleHold
	case c.Metric == sessionMemory:
		c.Fresh = true
	case c.find():
		c.Limit = findLimit
		c.Args = append(c.Args, "--max-steps", strconv.Itoa(findSteps), "--warmup", findWarmup.String(), "--duration", findDuration.String())
	case c.Args != nil:
		c.Args = append(c.Args, "--warmup", warmup.String(), "--duration", duration.String())
	}
}

// subject is a server as it is started.
type subject struct {
	Name string
	// Peer and Options are for peers.Start.
	Peer    string
	Options map[string]string
	// Runs is how often each case is measured at least.
	Runs int
	// Floor is no server: it is what others are compared with.
	Floor bool
	// Free runs on all processors, as does the generator then.
	Free bool
	// JVM keeps its process for all cases that are not Fresh, and is warmed.
	JVM bool
	// Ack has the acknowledgement extension.
	Ack bool
	// Holds can be told how long it holds a connect, by the option timeout.
	Holds bool
	// Exact measures no oftener than Runs.
	Exact bool
	// Insecure has a certificate that nobody knows.
	Insecure bool
	// Aside has only the cases that name it.
	Aside bool
}

// options are those for a case; the map is the caller's.
func (s *subject) options(c *benchCase) map[string]string {
	options := map[string]string{}
	maps.Copy(options, s.Options)
	if s.Holds && c.Hold > 0 {
		options["timeout"] = strconv.FormatInt(c.Hold.Milliseconds(), 10)
	}
	return options
}

// subjects lists who is measured.
func subjects() []subject {
	jvm := map[string]string{"jvm": "benchmark", "ws.idleTimeout": "600000"}
	return []subject{
		{Name: ours, Peer: "halley", Options: ourOptions(nil), Runs: 3, Ack: true, Holds: true},
		{Name: oursPlain, Peer: "halley", Options: ourOptions(map[string]string{"park": "false"}), Runs: 2, Exact: true, Aside: true},
		{Name: oursTLS, Peer: "halley", Options: ourOptions(map[string]string{"tls": "true"}), Runs: 2, Exact: true, Aside: true, Insecure: true},
		{Name: oursWary, Peer: "halley", Options: strictOptions(), Runs: 2, Exact: true, Aside: true},
		{Name: floorWS, Peer: "floor-ws", Runs: 3, Floor: true, Holds: true, Ack: true},
		{Name: floorMany, Peer: "floor-ws", Options: map[string]string{"coalesce": "true"}, Runs: 3, Floor: true, Holds: true},
		{Name: floorHTTP, Peer: "floor-http", Runs: 3, Floor: true, Holds: true},
		{Name: "cometd8", Peer: "cometd8", Options: jvm, Runs: 1, JVM: true, Ack: true, Holds: true},
		{Name: "cometd8 on all processors", Peer: "cometd8", Options: jvm, Runs: 1, JVM: true, Ack: true, Free: true, Holds: true},
		{Name: "faye", Peer: "faye", Runs: 1, Holds: true},
		{Name: "cometd-nodejs", Peer: "cometd-nodejs", Runs: 1, Ack: true},
		{Name: "gws", Peer: "gws", Runs: 1},
		{Name: "centrifuge", Peer: "centrifuge", Runs: 1},
	}
}

// ourOptions are those of our program, and others.
func ourOptions(others map[string]string) map[string]string {
	options := map[string]string{"program": "bin/halley"}
	maps.Copy(options, others)
	return options
}

// strictOptions are those of our program in the strict posture: rules that let the
// load in, and no limits where it exceeds them.
func strictOptions() map[string]string {
	return ourOptions(map[string]string{
		"posture": "strict", "permissions": "internal/benchpeers/permissions.yaml",
		"limits.handshakesPerSecond": "-1", "limits.handshakesPerAddress": "-1", "limits.unconnectedTime": "1m",
	})
}

// takes tells whether a case is for the subject. Of the two WebSocket floors
// each has the cases of which it is the floor.
func (s *subject) takes(c *benchCase) bool {
	if named := slices.Contains(c.Only, s.Name); named || s.Aside || c.Only != nil {
		return named
	}
	if c.Args == nil {
		return !s.Floor
	}
	if (s.Name == floorMany) != (c.Floor == floorMany) && (s.Name == floorMany || s.Name == floorWS) {
		return false
	}
	return (!c.Ack || s.Ack) && slices.Contains(peers.Transports(s.Peer), c.Transport)
}

// warmUps are the loads that a Java machine gets first, half a minute each.
func warmUps() [][]string {
	load := []string{"--clients", "1000", "--rooms", "100", "--publishers", "10", "--warmup", "0s", "--duration", "30s"}
	return [][]string{
		append(slices.Clone(load), "--transport", webSocket, "--deliveries", "20000"),
		append(slices.Clone(load), "--transport", longPolling, "--deliveries", "4000"),
	}
}

// step is one run of a case against a subject.
type step struct {
	subject *subject
	c       *benchCase
	run     int // from 1
}

func (s step) key() string { return s.subject.Name + "/" + s.c.Name + "." + strconv.Itoa(s.run) }

// closeBy is how near a peer must be to us to be measured as often.
const closeBy = 0.20

// pending lists the steps that have no outcome, in the order in which they are
// best made: what fails to fit the time is a repetition, not a row. A
// subject's Fresh cases come first, then those that share a process.
func pending(subjects []subject, cases []benchCase, have outcomes) []step {
	var all []step
	for i := range subjects {
		for j := range cases {
			s, c := &subjects[i], &cases[j]
			if !s.takes(c) {
				continue
			}
			for run := 1; run <= wanted(s, c, have); run++ {
				if next := (step{s, c, run}); have[next.key()] == nil {
					all = append(all, next)
				}
			}
		}
	}
	index := func(s *subject) int {
		return slices.IndexFunc(subjects, func(o subject) bool { return o.Name == s.Name })
	}
	slices.SortStableFunc(all, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(index(a.subject), index(b.subject)), -compareBool(a.c.Fresh, b.c.Fresh))
	})
	return all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// wanted tells how often a case is to be measured: a peer as often as we are
// where it is near us, or ahead.
func wanted(s *subject, c *benchCase, have outcomes) int {
	if s.Name == ours || s.Floor || s.Exact {
		return s.Runs
	}
	theirs, ok := have.median(s, c)
	mine, known := have.median(&subject{Name: ours}, c)
	if !ok || !known {
		return s.Runs
	}
	limit := mine * (1 + closeBy)
	if c.Metric == maxRate {
		limit = mine * (1 - closeBy)
	}
	if c.Metric.better(theirs, limit) {
		return max(s.Runs, 3)
	}
	return s.Runs
}

// What a run takes beside its load, about: starting and stopping, and per
// client to connect.
const (
	aroundRun     = 3 * time.Second
	perClient     = 300 * time.Microsecond
	aroundStep    = time.Second
	warmUpJVM     = 62 * time.Second
	defaultSettle = 500 * time.Millisecond
)

// takes is about how long a run takes.
func (c *benchCase) takes() time.Duration {
	if c.Args == nil {
		return aroundRun + calm
	}
	value := func(name string) string {
		i := slices.Index(c.Args, name)
		if i < 0 {
			return ""
		}
		return c.Args[i+1]
	}
	span := func(name string, otherwise time.Duration) time.Duration {
		if d, err := time.ParseDuration(value(name)); err == nil {
			return d
		}
		return otherwise
	}
	clients, _ := strconv.Atoi(value("--clients"))
	d := aroundRun + time.Duration(clients)*perClient + span("--settle", defaultSettle)
	load := span("--warmup", warmup) + span("--duration", duration)
	if c.find() {
		return d + findSteps*(load+aroundStep)
	}
	return d + load
}

// estimate is about how long the steps take, each subject's in a row.
func estimate(steps []step) (sum time.Duration) {
	warm := ""
	for _, s := range steps {
		if s.subject.JVM && !s.c.Fresh && warm != s.subject.Name {
			warm = s.subject.Name
			sum += warmUpJVM
		}
		sum += s.c.takes()
	}
	return sum
}
