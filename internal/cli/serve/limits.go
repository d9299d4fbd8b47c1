package serve

import (
	"errors"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux/server"
)

// limit is a bound that CometD has no option for, settable by --limit and in
// the file. The others are options: maxQueue, maxSessions and so on.
type limit struct {
	name, def string
	// apply sets the value; its error says what the value should be.
	apply func(l *server.Limits, text string) error
}

// limitTable lists the limits in the order of --print-config. Zero means the
// default and a negative value no limit, as in server.Limits.
func limitTable() []limit {
	return []limit{
		{"batch", "1000", count(func(l *server.Limits) *int { return &l.Messages.Batch })},
		{"depth", "64", count(func(l *server.Limits) *int { return &l.Messages.Depth })},
		{"channelBytes", "1024", count(func(l *server.Limits) *int { return &l.Messages.ChannelBytes })},
		{"channelSegments", "32", count(func(l *server.Limits) *int { return &l.Messages.ChannelSegments })},
		{"handshakesPerSecond", "-1", count(func(l *server.Limits) *int { return &l.HandshakesPerSecond })},
		{"totalQueueBytes", "a quarter of the memory limit", applyTotal},
		{"clientTimeout", "10m", duration(func(l *server.Limits) *time.Duration { return &l.ClientTimeout })},
		{"clientInterval", "1h", duration(func(l *server.Limits) *time.Duration { return &l.ClientInterval })},
	}
}

func limitNames() []string {
	table := limitTable()
	names := make([]string, 0, len(table))
	for _, l := range table {
		names = append(names, l.name)
	}
	return names
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
