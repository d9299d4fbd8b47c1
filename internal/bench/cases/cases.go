// Package cases lists what is measured to compare servers, as data: each case
// is a load and the figures that it is about. Whoever runs them chooses the
// server, its process and the repetitions.
package cases

import (
	"time"

	"github.com/halleypush/halley/internal/bench"
)

// Metric is a figure of a Result.
type Metric string

// Metrics.
const (
	MicrosPerOp  Metric = "server CPU, µs per operation"
	Rate         Metric = "operations a second"
	P99          Metric = "p99, ms"
	KBPerSession Metric = "resident KB per session"
	IdleCores    Metric = "cores of a server at rest"
)

// Case is a load. Its Config lacks URL and PID.
type Case struct {
	// ID is short and stays.
	ID string
	// Title is for tables.
	Title string
	// Config is the load. Of a search it is the first step.
	Config bench.Config
	// FindMax makes it a search for the highest rate.
	FindMax bool
	// Metrics are what the case is about, the main one first.
	Metrics []Metric
}

// Quick shortens a case to see that it works; its figures mean nothing.
func (c Case) Quick() Case {
	c.Config.Warmup, c.Config.Duration = 300*time.Millisecond, time.Second
	c.Config.Clients = min(c.Config.Clients, 200)
	if c.Config.Settle > time.Second {
		c.Config.Settle = time.Second
	}
	return c
}

// Of reads the metric from a result.
func (m Metric) Of(r *bench.Result) (v float64, ok bool) {
	switch {
	case m == Rate:
		return r.Rate, true
	case m == P99:
		return r.Latency.P99, true
	case r.Server == nil:
		return 0, false
	case m == MicrosPerOp:
		return r.Server.MicrosPerOp, true
	case m == KBPerSession:
		return r.Server.KBPerSession, true
	case m == IdleCores:
		return r.Server.Cores, true
	default:
		return 0, false
	}
}

// base are the times of a load with a rate.
func base(transport string, clients int, deliveries float64) bench.Config {
	return bench.Config{
		Transport: transport, Clients: clients, Deliveries: deliveries,
		Warmup: 5 * time.Second, Duration: 15 * time.Second, Settle: 2 * time.Second,
	}
}

func rooms(c bench.Config) bench.Config {
	c.Rooms, c.Publishers = 100, 10
	return c
}

func acked(c bench.Config) bench.Config {
	c.Ack = true
	return c
}

func within(c bench.Config, p99 time.Duration) bench.Config {
	c.P99 = p99
	return c
}

// shape is that of CometD's own benchmark.
func shape(c bench.Config) bench.Config {
	c = rooms(c)
	c.Subscriptions, c.Batch = 10, 10
	return c
}

// idle holds sessions still. The pause before it lets the set-up's garbage go.
func idle(transport string, clients int) bench.Config {
	return bench.Config{
		Mode: bench.Idle, Transport: transport, Clients: clients,
		Settle: 10 * time.Second, Duration: 15 * time.Second,
	}
}

// other is a load of the modes churn and acks.
func other(mode, transport string, clients, window int) bench.Config {
	return bench.Config{
		Mode: mode, Transport: transport, Clients: clients, Window: window,
		Warmup: 5 * time.Second, Duration: 15 * time.Second,
	}
}

// All are the cases, in the order of the tables.
func All() []Case {
	const ws, lp = bench.WebSocket, bench.LongPolling
	cpu, latency := []Metric{MicrosPerOp, P99}, []Metric{P99, MicrosPerOp}
	most := []Metric{Rate, MicrosPerOp, P99}
	quarter := 250 * time.Millisecond
	return []Case{
		{ID: "ws-20k", Title: "WebSocket, 1,000 subscribers, 20,000 deliveries/s", Config: base(ws, 1000, 20_000), Metrics: cpu},
		{ID: "ws-80k", Title: "WebSocket, 1,000 subscribers, 80,000 deliveries/s", Config: base(ws, 1000, 80_000), Metrics: latency},
		{ID: "ws-max", Title: "WebSocket, 1,000 subscribers, maximum", Config: base(ws, 1000, 80_000), FindMax: true, Metrics: most},
		{ID: "ws-10k", Title: "WebSocket, 10,000 subscribers, 40,000 deliveries/s", Config: base(ws, 10_000, 40_000), Metrics: cpu},
		{ID: "lp-16k", Title: "long-polling, 1,000 subscribers, 16,000 deliveries/s", Config: base(lp, 1000, 16_000), Metrics: cpu},
		{ID: "lp-max", Title: "long-polling, 1,000 subscribers, maximum", Config: base(lp, 1000, 16_000), FindMax: true, Metrics: most},
		{ID: "rooms-20k", Title: "WebSocket, 100 rooms of 10, 20,000 deliveries/s", Config: rooms(base(ws, 1000, 20_000)), Metrics: cpu},
		{ID: "rooms-max", Title: "WebSocket, 100 rooms of 10, maximum within 250 ms", Config: within(rooms(base(ws, 1000, 80_000)), quarter), FindMax: true, Metrics: most},
		{ID: "shape-100k", Title: "CometD's benchmark shape, 100,000 deliveries/s", Config: shape(base(ws, 1000, 100_000)), Metrics: latency},
		{ID: "shape-max", Title: "CometD's benchmark shape, maximum", Config: shape(base(ws, 1000, 100_000)), FindMax: true, Metrics: most},
		{ID: "idle-ws", Title: "19,500 idle WebSocket sessions", Config: idle(ws, 19_500), Metrics: []Metric{KBPerSession, IdleCores}},
		{ID: "idle-lp", Title: "10,000 held polls", Config: idle(lp, 10_000), Metrics: []Metric{KBPerSession, IdleCores}},
		{ID: "lp-rooms-12k", Title: "long-polling, 100 rooms of 10, 12,000 deliveries/s", Config: rooms(base(lp, 1000, 12_000)), Metrics: cpu},
		{ID: "lp-rooms-max", Title: "long-polling, 100 rooms of 10, maximum", Config: rooms(base(lp, 1000, 12_000)), FindMax: true, Metrics: most},
		{ID: "lp-churn", Title: "long-polling, handshake and disconnect, 50 at a time", Config: other(bench.Churn, lp, 50, 1), Metrics: most},
		{ID: "ws-churn", Title: "WebSocket, connect, handshake, disconnect, 50 at a time", Config: other(bench.Churn, ws, 50, 1), Metrics: most},
		{ID: "acks-1", Title: "acknowledged publishes, window 1", Config: other(bench.Acks, ws, 1, 1), Metrics: most},
		{ID: "acks-64", Title: "acknowledged publishes, window 64", Config: other(bench.Acks, ws, 1, 64), Metrics: most},
		{ID: "ack-ws-20k", Title: "WebSocket with the ack extension, 1,000 subscribers, 20,000 deliveries/s", Config: acked(base(ws, 1000, 20_000)), Metrics: cpu},
		{ID: "ack-lp-16k", Title: "long-polling with the ack extension, 1,000 subscribers, 16,000 deliveries/s", Config: acked(base(lp, 1000, 16_000)), Metrics: cpu},
	}
}
