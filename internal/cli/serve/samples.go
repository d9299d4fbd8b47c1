package serve

import (
	"maps"
	"slices"

	"github.com/halleypush/halley/bayeux/server"
)

// samplesOf names the server's figures. docs/OPERATIONS.md lists them; a test
// compares.
func samplesOf(s server.Stats) []Sample {
	draining := 0.0
	if s.Draining {
		draining = 1
	}
	all := []Sample{
		gauge("sessions", "Sessions that live.", float64(s.Sessions)),
		gauge("channels", "Channels that exist.", float64(s.Channels)),
		gauge("subscriptions", "Subscriptions of all sessions.", float64(s.Subscriptions)),
		gauge("held_connects", "Connects that are held.", float64(s.Holds)),
		gauge("websocket_connections", "WebSocket connections that are open.", float64(s.WebSockets)),
		gauge("queued_bytes", "Bytes of all queues; a shared message counts once.", float64(s.QueuedBytes)),
		gauge("browsers", "Browsers with a held connect.", float64(s.Browsers)),
		gauge("draining", "1 while the server stops.", draining),
		counter("messages_received_total", "Messages received, of every kind.", s.MessagesIn),
		counter("messages_sent_total", "Messages that left, replies apart.", s.MessagesOut),
		counter("messages_published_total", "Messages broadcast to channels.", s.Published),
		counter("messages_delivered_total", "Messages queued for sessions.", s.Delivered),
		counter("handshakes_total", "Sessions that began.", s.Handshakes),
		counter("handshakes_refused_total", "Handshakes that were refused.", s.HandshakesRefused),
		counter("unknown_sessions_total", "Messages answered with 402.", s.UnknownSessions),
		counter("denied_total", "Refusals of the policy.", s.Denied),
		counter("aborted_connects_total", "Held connects whose client went away.", s.HoldsAborted),
		counter("received_bytes_total", "Bytes of bodies and WebSocket messages received.", s.BytesIn),
		counter("sent_bytes_total", "Bytes of bodies and WebSocket messages sent.", s.BytesOut),
	}
	all = append(all, each("requests_total", "HTTP requests and WebSocket messages by transport.", "transport", s.Requests)...)
	all = append(all, each("refused_total", "Messages refused before anything else, by error.", "error", s.Refused)...)
	all = append(all, each("limits_total", "What was refused or cut for a limit, by limit.", "limit", s.Limits)...)
	for _, c := range s.Slow {
		one := counter("slow_consumer_total", slowHelp, c.Count)
		one.Labels = []label{{"policy", c.Policy}, {"limit", c.Limit}, {"action", c.Action}}
		all = append(all, one)
	}
	for _, p := range []struct {
		state string
		count int
	}{
		{"known", s.Paths.Known},
		{"short_holds", s.Paths.ShortHolds},
		{"small_responses", s.Paths.SmallResponses},
		{"upgrades_refused", s.Paths.UpgradesRefused},
		{"short_polls", s.Paths.ShortPolls},
	} {
		one := gauge("paths", pathsHelp, float64(p.count))
		one.Labels = []label{{"state", p.state}}
		all = append(all, one)
	}
	all = append(all, each("paths_learned_total", "What was learned of the networks that clients come through.", "what", s.Paths.Learned)...)
	all = append(all, each("events_total", "What the carriers saw, by event.", "event", s.Events)...)
	return append(all, each("sessions_ended_total", "Ends of sessions by reason.", "reason", s.Ended)...)
}

const pathsHelp = "Networks that clients come through: all that are remembered, and those where something is done otherwise for newcomers."

const slowHelp = "What was done for full queues, by slow-consumer policy, limit and action: messages dropped, messages replaced by newer ones of their channel, sessions ended."

func gauge(name, help string, value float64) Sample {
	return Sample{Name: name, Help: help, Value: value}
}

func counter(name, help string, value uint64) Sample {
	return Sample{Name: name, Help: help, Counter: true, Value: float64(value)}
}

// each makes a sample of each entry, in the order of the keys.
func each(metric, help, name string, values map[string]uint64) []Sample {
	all := make([]Sample, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		s := counter(metric, help, values[key])
		s.Labels = []label{{name, key}}
		all = append(all, s)
	}
	return all
}
