package serve

import (
	"errors"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux/server"
)

// limitTable lists the bounds that CometD has no option for, settable by --limit
// and in the file, in the order of --print-config. Zero means the default and a
// negative value no limit, as in server.Limits. The others are options:
// maxQueue, maxSessions and so on.
func limitTable() []named[server.Limits] {
	return []named[server.Limits]{
		{"batch", "1000", "messages of one request or WebSocket message", count(func(l *server.Limits) *int { return &l.Messages.Batch })},
		{"depth", "64", "nesting of JSON in a message", count(func(l *server.Limits) *int { return &l.Messages.Depth })},
		{"channelBytes", "1024", "bytes of the name of a channel", count(func(l *server.Limits) *int { return &l.Messages.ChannelBytes })},
		{"channelSegments", "32", "segments of the name of a channel", count(func(l *server.Limits) *int { return &l.Messages.ChannelSegments })},
		{"handshakesPerSecond", "-1", "new sessions of all clients together; what is above waits for a second", count(func(l *server.Limits) *int { return &l.HandshakesPerSecond })},
		{"totalQueueBytes", "a quarter of the memory limit", "bytes of all queues together; above it the session with the largest queue ends", applyTotal},
		{"clientTimeout", "10m", "longest advice.timeout that a client may ask for; more is cut to it", duration(func(l *server.Limits) *time.Duration { return &l.ClientTimeout })},
		{"clientInterval", "1h", "longest advice.interval that a client may ask for; more is cut to it", duration(func(l *server.Limits) *time.Duration { return &l.ClientInterval })},
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
