package server

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

type channelAttrs = router.Attrs

// Stats is a snapshot of the server's counters. Gauges say how things stand,
// all others count from the start.
type Stats struct {
	// Gauges.
	Sessions      int64
	Channels      int64
	Subscriptions int64
	Holds         int64 // held connects
	WebSockets    int64 // open connections
	QueuedBytes   int64 // all queues together, shared messages once
	Browsers      int64 // browsers with a held connect
	Draining      bool

	// Counters.
	MessagesIn        uint64 // messages received, of every kind
	MessagesOut       uint64 // messages that left, replies apart
	Published         uint64 // broadcasts
	Delivered         uint64 // messages queued for sessions
	Handshakes        uint64 // sessions that began
	HandshakesRefused uint64
	UnknownSessions   uint64 // messages answered with 402
	Denied            uint64 // refusals of the policy
	HoldsAborted      uint64 // held connects whose client went away
	BytesIn           uint64
	BytesOut          uint64
	// Requests by transport: HTTP requests, WebSocket messages.
	Requests map[string]uint64
	// Refused counts messages refused before anything else, by error text.
	Refused map[string]uint64
	// Limits counts what was refused or cut for a limit, by limit.
	Limits map[string]uint64
	// Events counts what carriers saw, by name.
	Events map[string]uint64
	// Ended counts sessions' ends by reason.
	Ended map[string]uint64
	// Slow is what the slow-consumer policies did.
	Slow []SlowCount
	// Paths is what is known of the networks that clients come through; zeros
	// where nothing is learned.
	Paths PathStats
}

// PathStats is what is known of networks. Known to UpgradesRefused are gauges.
type PathStats struct {
	Known           int // networks that are remembered
	ShortHolds      int // of those, where polls are cut and holds are shorter for newcomers
	SmallResponses  int // where responses are kept small
	UpgradesRefused int // where WebSockets are refused
	ShortPolls      int // where nothing is held
	// Learned counts what was learned, by name.
	Learned map[string]uint64
}

// counters are the live counters.
type counters struct {
	holds, sockets                           atomic.Int64
	messagesIn, messagesOut                  atomic.Uint64
	published, delivered                     atomic.Uint64
	handshakes, handshakesRefused            atomic.Uint64
	unknown, denied, holdsAborted            atomic.Uint64
	bytesIn, bytesOut                        atomic.Uint64
	requestsWS, requestsLP, requestsCallback atomic.Uint64

	mu sync.Mutex
	// Guarded by mu; the keys are constants of the program.
	refusals, limits, events, ended, learned map[string]uint64
}

func (c *counters) bump(m *map[string]uint64, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *m == nil {
		*m = make(map[string]uint64)
	}
	(*m)[key]++
}

func (c *counters) limit(name string)       { c.bump(&c.limits, name) }
func (c *counters) end(reason string)       { c.bump(&c.ended, reason) }
func (c *counters) refused(e *bayeux.Error) { c.bump(&c.refusals, e.Text) }

func (c *counters) request(name string) {
	switch name {
	case transport.WebSocket:
		c.requestsWS.Add(1)
	case transport.LongPolling:
		c.requestsLP.Add(1)
	default:
		c.requestsCallback.Add(1)
	}
}

// Count implements transport.Observer.
func (c *counters) Count(event string) { c.bump(&c.events, event) }

// Limit implements transport.Observer.
func (c *counters) Limit(name string) { c.limit(name) }

// Bytes implements transport.Observer.
func (c *counters) Bytes(in, out int) {
	if in > 0 {
		c.bytesIn.Add(uint64(in))
	}
	if out > 0 {
		c.bytesOut.Add(uint64(out))
	}
}

// Stats returns a snapshot.
func (srv *Server) Stats() Stats {
	c := &srv.stats
	nodes, subscriptions := srv.router.Stats()
	out := Stats{
		Sessions: srv.registry.count.Load(), Channels: int64(nodes), Subscriptions: int64(subscriptions),
		Holds: c.holds.Load(), WebSockets: c.sockets.Load(), QueuedBytes: srv.total.Bytes(),
		Browsers: int64(srv.browsers.size()), Draining: srv.draining.Load(),
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(),
		Published: c.published.Load(), Delivered: c.delivered.Load(),
		Handshakes: c.handshakes.Load(), HandshakesRefused: c.handshakesRefused.Load(),
		UnknownSessions: c.unknown.Load(), Denied: c.denied.Load(), HoldsAborted: c.holdsAborted.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Requests: map[string]uint64{
			transport.WebSocket:       c.requestsWS.Load(),
			transport.LongPolling:     c.requestsLP.Load(),
			transport.CallbackPolling: c.requestsCallback.Load(),
		},
	}
	out.Slow = srv.slow.all()
	if srv.paths != nil {
		out.Paths = pathStats(srv.paths.Stats(srv.moment()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out.Refused, out.Limits = maps.Clone(c.refusals), maps.Clone(c.limits)
	if out.Limits == nil {
		out.Limits = make(map[string]uint64)
	}
	addLimits(out.Limits, out.Slow)
	out.Events, out.Ended = maps.Clone(c.events), maps.Clone(c.ended)
	out.Paths.Learned = maps.Clone(c.learned)
	return out
}
