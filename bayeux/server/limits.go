package server

import (
	"runtime/debug"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Limits bound what peers can make the server keep (DESIGN 7). Zero means the
// posture's default, negative no limit. Options of the same meaning, where set,
// win. Defaults below are those of PostureCometD / PostureStrict, or of both.
type Limits struct {
	// Messages bound one batch: count, JSON depth, channel names. Defaults
	// 1,000 / 100 messages, depth 64, 1,024 / 255 bytes, 32 / 16 segments.
	Messages bayeux.Limits
	// Sessions at one time. Default 1,000,000 / 100,000. Above it handshakes
	// are refused with 429 (WebSocket: close code 1008), as by all limits on
	// sessions and handshakes below.
	Sessions int
	// UnconnectedSessions bounds the sessions that have not sent their first
	// connect: those of clients that may be nobody. Default off / 10,000.
	UnconnectedSessions int
	// UnconnectedTime is how long a session lives without its first connect, if
	// that is less than its maxInterval. Default off / 2 s.
	UnconnectedTime time.Duration
	// HandshakesPerSecond over all clients. Default off / 1,000.
	HandshakesPerSecond int
	// HandshakesPerAddress is that of one address, the whole /64 for IPv6, as
	// trusted proxies name it. Clients without an address, those of Unix
	// sockets, count with nobody. Default off / 50 a second.
	HandshakesPerAddress int
	// SessionsPerAddress at one time. Default off / 5,000: many may share an
	// address.
	SessionsPerAddress int
	// WebSocketsPerAddress are connections at one time. Above it upgrades are
	// refused with 429. Default off / 5,000.
	WebSocketsPerAddress int
	// Subscriptions of one session. Default 10,000 / 1,000.
	Subscriptions int
	// QueueMessages and QueueBytes bound one session's queue, leased and
	// retained messages included. Defaults 10,000 and 16 MiB / 1,000 and 1 MiB.
	QueueMessages int
	QueueBytes    int64
	// TotalQueueBytes bounds all queues together. Default: a quarter of the
	// Go memory limit where one is set, else off. Above it the session with
	// the largest queue is ended first.
	TotalQueueBytes int64
	// ResponseBytes is the most that one poll's messages take; a single
	// larger message goes alone. Default 1,000,000.
	ResponseBytes int
	// ClientTimeout and ClientInterval cap what clients ask for in their
	// advice. Defaults 10 min and 1 h / 1 min and 5 min.
	ClientTimeout  time.Duration
	ClientInterval time.Duration
	// LogsPerSecond bounds the lines of one kind that clients can cause: what
	// is above is counted and told with the next line. Default 100.
	LogsPerSecond int
}

// DefaultLimits returns the limits of a posture.
func DefaultLimits(p Posture) Limits {
	l := Limits{
		Messages:             bayeux.Limits{}.WithDefaults(),
		Sessions:             1_000_000,
		UnconnectedSessions:  -1,
		UnconnectedTime:      -1,
		HandshakesPerSecond:  -1,
		HandshakesPerAddress: -1,
		SessionsPerAddress:   -1,
		WebSocketsPerAddress: -1,
		Subscriptions:        10_000,
		QueueMessages:        10_000,
		QueueBytes:           16 << 20,
		TotalQueueBytes:      -1,
		ResponseBytes:        1_000_000,
		ClientTimeout:        10 * time.Minute,
		ClientInterval:       time.Hour,
		LogsPerSecond:        100,
	}
	if limit := debug.SetMemoryLimit(-1); limit < 1<<60 {
		l.TotalQueueBytes = limit / 4
	}
	if p != PostureStrict {
		return l
	}
	l.Messages.Batch, l.Messages.ChannelBytes, l.Messages.ChannelSegments = 100, 255, 16
	l.Sessions, l.UnconnectedSessions, l.UnconnectedTime = 100_000, 10_000, 2*time.Second
	l.HandshakesPerSecond, l.HandshakesPerAddress = 1_000, 50
	l.SessionsPerAddress, l.WebSocketsPerAddress = 5_000, 5_000
	l.Subscriptions, l.QueueMessages, l.QueueBytes = 1_000, 1_000, 1<<20
	l.ClientTimeout, l.ClientInterval = time.Minute, 5*time.Minute
	return l
}

func (l Limits) withDefaults(p Posture) Limits {
	def := DefaultLimits(p)
	for _, f := range []struct {
		value *int
		def   int
	}{
		{&l.Messages.Batch, def.Messages.Batch},
		{&l.Messages.Depth, def.Messages.Depth},
		{&l.Messages.ChannelBytes, def.Messages.ChannelBytes},
		{&l.Messages.ChannelSegments, def.Messages.ChannelSegments},
		{&l.Sessions, def.Sessions},
		{&l.UnconnectedSessions, def.UnconnectedSessions},
		{&l.HandshakesPerSecond, def.HandshakesPerSecond},
		{&l.HandshakesPerAddress, def.HandshakesPerAddress},
		{&l.SessionsPerAddress, def.SessionsPerAddress},
		{&l.WebSocketsPerAddress, def.WebSocketsPerAddress},
		{&l.Subscriptions, def.Subscriptions},
		{&l.QueueMessages, def.QueueMessages},
		{&l.ResponseBytes, def.ResponseBytes},
		{&l.LogsPerSecond, def.LogsPerSecond},
	} {
		setDefault(f.value, f.def)
	}
	setDefault(&l.QueueBytes, def.QueueBytes)
	setDefault(&l.TotalQueueBytes, def.TotalQueueBytes)
	setDefault(&l.UnconnectedTime, def.UnconnectedTime)
	setDefault(&l.ClientTimeout, def.ClientTimeout)
	setDefault(&l.ClientInterval, def.ClientInterval)
	return l
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
