package main

import (
	"cmp"
	"slices"
	"strconv"
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
)

func (m metric) title() string {
	return [...]string{"CPU µs each", "a second", "p99 ms", "KB a session", "ms to listen"}[m]
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
		return o.Report.server().KBPerSession
	case listenTime:
		return o.ListenMillis
	default:
		return o.Report.server().MicrosPerOp
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
	// Fresh wants a process of its own that has done nothing before.
	Fresh bool
	// Limit bounds one run.
	Limit time.Duration
}

// find tells whether the case looks for the highest rate.
func (c *benchCase) find() bool { return slices.Contains(c.Args, "--find-max") }

// The subjects that cases name.
const (
	ours      = "halley"
	floorWS   = "floor-ws"
	floorMany = "floor-ws-coalesce"
	floorHTTP = "floor-http"

	webSocket   = "websocket"
	longPolling = "long-polling"
)

const (
	runLimit  = 2 * time.Minute
	findLimit = 6 * time.Minute
)

// cases lists the loads in the order of the report.
func cases() []benchCase {
	ws := func(name, title string, m metric, floor string, args ...string) benchCase {
		return benchCase{Name: name, Title: title, Metric: m, Floor: floor, Transport: webSocket, Args: args, Limit: runLimit}
	}
	lp := func(name, title string, m metric, floor string, args ...string) benchCase {
		c := ws(name, title, m, floor, append([]string{"--transport", longPolling}, args...)...)
		c.Transport = longPolling
		return c
	}
	all := []benchCase{
		{Name: "empty", Title: "Empty server", Metric: listenTime, Fresh: true, Limit: runLimit},
		ws("idle-ws", "19,500 idle WebSocket sessions", sessionMemory, floorWS, "--mode", "idle", "--clients", "19500", "--settle", "10s", "--duration", "60s"),
		lp("idle-lp", "10,000 idle held polls", sessionMemory, floorHTTP, "--mode", "idle", "--clients", "10000", "--settle", "10s", "--duration", "20s"),
		ws("ws-20k", "WebSocket, 1,000 subscribers, 20,000 deliveries/s", cpuMicros, floorWS, "--clients", "1000", "--deliveries", "20000"),
		ws("ws-80k", "the same at 80,000/s", latencyP99, floorWS, "--clients", "1000", "--deliveries", "80000"),
		ws("ws-max", "the same, maximum with p99 < 1 s", maxRate, floorMany, "--clients", "1000", "--deliveries", "20000", "--find-max"),
		ws("ws10k-40k", "WebSocket, 10,000 subscribers, 40,000 deliveries/s", cpuMicros, floorWS, "--clients", "10000", "--deliveries", "40000"),
		lp("lp-16k", "Long-polling, 1,000 clients, 16,000 deliveries/s", cpuMicros, floorHTTP, "--clients", "1000", "--deliveries", "16000"),
		lp("lp-max", "the same, maximum with p99 < 1 s", maxRate, floorHTTP, "--clients", "1000", "--deliveries", "8000", "--find-max"),
		ws("rooms-20k", "WebSocket, 100 rooms of 10, 10 publishers, 20,000 deliveries/s", cpuMicros, floorWS, "--clients", "1000", "--rooms", "100", "--publishers", "10", "--deliveries", "20000"),
		ws("rooms-max", "the same, maximum with p99 < 250 ms", maxRate, floorMany, "--clients", "1000", "--rooms", "100", "--publishers", "10", "--deliveries", "20000", "--p99", "250ms", "--find-max"),
		ws("shape-100k", "CometD's benchmark: 1,000 clients, 100 rooms, 10 each, batches of 10; 100,000 deliveries/s", latencyP99, floorWS, "--clients", "1000", "--rooms", "100", "--subscriptions", "10", "--batch", "10", "--deliveries", "100000"),
		ws("shape-max", "the same, maximum with p99 < 1 s", maxRate, floorMany, "--clients", "1000", "--rooms", "100", "--subscriptions", "10", "--batch", "10", "--deliveries", "25000", "--find-max"),
		lp("lprooms-12k", "Long-polling, 100 rooms of 10, 10 publishers, 12,000 deliveries/s", cpuMicros, floorHTTP, "--clients", "1000", "--rooms", "100", "--publishers", "10", "--deliveries", "12000"),
		lp("lprooms-max", "the same, maximum with p99 < 1 s", maxRate, floorHTTP, "--clients", "1000", "--rooms", "100", "--publishers", "10", "--deliveries", "4000", "--find-max"),
		lp("churn-lp", "Long-polling, handshake and disconnect, 50 at a time", maxRate, floorHTTP, "--mode", "churn", "--clients", "50"),
		ws("churn-ws", "WebSocket, connect, handshake and disconnect, 50 at a time", maxRate, floorWS, "--mode", "churn", "--clients", "50"),
		ws("acks-1", "Publishes over one WebSocket, one on its way", maxRate, floorWS, "--mode", "acks"),
		ws("acks-64", "the same, 64 on their way", maxRate, floorMany, "--mode", "acks", "--window", "64"),
		ws("ws-20k-ack", "WebSocket, 1,000 subscribers, 20,000 deliveries/s, acknowledged", cpuMicros, "", "--clients", "1000", "--deliveries", "20000", "--ack"),
		lp("lp-16k-ack", "Long-polling, 1,000 clients, 16,000 deliveries/s, acknowledged", cpuMicros, "", "--clients", "1000", "--deliveries", "16000", "--ack"),
	}
	for i := range all {
		c := &all[i]
		c.Ack = slices.Contains(c.Args, "--ack")
		if c.Metric == sessionMemory {
			c.Fresh = true
		} else if c.Args != nil {
			c.Args = append(c.Args, "--duration", "6s")
		}
		if c.find() {
			c.Limit = findLimit
		}
	}
	return all
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
}

// subjects lists who is measured. A peer whose protocol the generator does not
// speak is not among them.
func subjects() []subject {
	jvm := map[string]string{"jvm": "benchmark", "ws.idleTimeout": "120000"}
	return []subject{
		{Name: ours, Peer: "halley", Options: map[string]string{"program": "bin/halley"}, Runs: 3, Ack: true},
		{Name: floorWS, Peer: "floor-ws", Runs: 3, Floor: true},
		{Name: floorMany, Peer: "floor-ws", Options: map[string]string{"coalesce": "true"}, Runs: 3, Floor: true},
		{Name: floorHTTP, Peer: "floor-http", Runs: 3, Floor: true},
		{Name: "cometd8", Peer: "cometd8", Options: jvm, Runs: 1, JVM: true, Ack: true},
		{Name: "cometd8 on all processors", Peer: "cometd8", Options: jvm, Runs: 1, JVM: true, Ack: true, Free: true},
		{Name: "faye", Peer: "faye", Runs: 1},
		{Name: "cometd-nodejs", Peer: "cometd-nodejs", Runs: 1, Ack: true},
		{Name: "gws", Peer: "gws", Runs: 1},
	}
}

// takes tells whether a case is for the subject. The floors that gather differ
// from the plain one only where messages can be gathered.
func (s *subject) takes(c *benchCase) bool {
	if c.Args == nil {
		return !s.Floor
	}
	if s.Name == floorMany && c.Floor != floorMany {
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
	if s.Name == ours || s.Floor {
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
