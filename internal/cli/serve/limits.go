package serve

import (
	"errors"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux/server"
)

// limitTable lists the bounds that CometD has no option for, settable by --limit
// and in the file, in the order of --print-config, with the defaults of a
// posture. Zero means the default and a negative value no limit, as in
// server.Limits. The others are options: maxQueue, maxSessions and so on.
func limitTable(p server.Posture) []named[server.Limits] {
	def := server.DefaultLimits(p)
	number := func(name, help string, field func(*server.Limits) *int) named[server.Limits] {
		return named[server.Limits]{name, strconv.Itoa(*field(&def)), help, count(field)}
	}
	span := func(name, help string, field func(*server.Limits) *time.Duration) named[server.Limits] {
		return named[server.Limits]{name, server.SpanText(*field(&def)), help, duration(field)}
	}
	return []named[server.Limits]{
		number("batch", "messages of one request or WebSocket message", func(l *server.Limits) *int { return &l.Messages.Batch }),
		number("depth", "nesting of JSON in a message", func(l *server.Limits) *int { return &l.Messages.Depth }),
		number("channelBytes", "bytes of the name of a channel", func(l *server.Limits) *int { return &l.Messages.ChannelBytes }),
		number("channelSegments", "segments of the name of a channel", func(l *server.Limits) *int { return &l.Messages.ChannelSegments }),
		number("handshakesPerSecond", "new sessions of all clients together; what is above is refused with 429, over WebSocket with close code 1008, as by the limits that follow", func(l *server.Limits) *int { return &l.HandshakesPerSecond }),
		number("handshakesPerAddress", "new sessions a second from one address, the /64 for IPv6", func(l *server.Limits) *int { return &l.HandshakesPerAddress }),
		number("sessionsPerAddress", "sessions of one address at one time", func(l *server.Limits) *int { return &l.SessionsPerAddress }),
		number("unconnectedSessions", "sessions that have not sent their first /meta/connect", func(l *server.Limits) *int { return &l.UnconnectedSessions }),
		span("unconnectedTime", "how long a session lives without its first /meta/connect, where that is less than maxInterval", func(l *server.Limits) *time.Duration { return &l.UnconnectedTime }),
		number("webSocketsPerAddress", "WebSockets of one address at one time; further upgrades are refused with 429", func(l *server.Limits) *int { return &l.WebSocketsPerAddress }),
		{"totalQueueBytes", "a quarter of the memory limit", "bytes of all queues together; above it the session with the largest queue ends", applyTotal},
		span("clientTimeout", "longest advice.timeout that a client may ask for; more is cut to it", func(l *server.Limits) *time.Duration { return &l.ClientTimeout }),
		span("clientInterval", "longest advice.interval that a client may ask for; more is cut to it", func(l *server.Limits) *time.Duration { return &l.ClientInterval }),
		number("logsPerSecond", "lines of one kind in the log that clients can cause; what is above is counted and told with the next", func(l *server.Limits) *int { return &l.LogsPerSecond }),
	}
}

func count(field func(*server.Limits) *int) func(*server.Limits, string) error {
	return func(l *server.Limits, text string) error {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return errors.New("want a whole number below 2^31; -1: no limit")
		}
		*field(l) = int(n)
		return nil
	}
}

func duration(field func(*server.Limits) *time.Duration) func(*server.Limits, string) error {
	return func(l *server.Limits, text string) error {
		if text == "-1" {
			*field(l) = -1
			return nil
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("want a duration such as 10m; -1: no limit")
		}
		*field(l) = d
		return nil
	}
}

func applyTotal(l *server.Limits, text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errors.New("want a whole number of bytes; -1: no limit")
	}
	l.TotalQueueBytes = n
	return nil
}
