package server

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
)

// Posture chooses a set of defaults (DESIGN 4.10).
type Posture string

// The postures. The zero value is PostureCometD.
const (
	// PostureCometD serves every well-behaved client as CometD does: anonymous
	// publish, wildcards for everybody, callback-polling on.
	PostureCometD Posture = "cometd"
	// PostureStrict is refused by New for now: it comes with the security
	// features that make it true.
	PostureStrict Posture = "strict"
)

// Config configures a Server. The zero value works; New copies it, applies the
// defaults to the copy and validates that.
type Config struct {
	// Logger receives all logs. The zero value discards them.
	Logger zerolog.Logger
	// Posture chooses defaults. Zero means PostureCometD.
	Posture Posture
	// Policy decides what sessions may do. Nil means bayeux.DefaultPolicy.
	Policy bayeux.Policy
	// Extensions are server-wide, in order of registration.
	Extensions []bayeux.Extension
	// Options are CometD's options and ours, by name, values as in web.xml:
	// {"timeout": "20000", "ws.timeout": "60000"}. See OptionTable for names,
	// defaults and units, and for the prefixes that set them for one transport.
	Options Options
	// Limits bound what clients can make the server keep. Zeros mean the
	// defaults of DESIGN 7.
	Limits Limits
	// Channels are configured before the first client comes, by name or pattern.
	// They are persistent, whatever their options say.
	Channels map[string]ChannelOptions
	// TrustedProxies are the networks whose Forwarded and X-Forwarded-*
	// headers are believed, read from right to left. Empty: none.
	TrustedProxies []netip.Prefix
	// ExtensionTimeout bounds each call of an extension, policy or listener
	// through its context. A life-cycle listener, or a channel's initialiser,
	// that takes longer is not waited for. Zero means 10 s, negative none.
	ExtensionTimeout time.Duration
	// Park lets idle WebSockets over plain TCP wait without a goroutine and a
	// buffer, where the platform can (Linux). They are hijacked connections in
	// any case: middleware, http.Server.ConnState and http.Server.Shutdown do
	// not see them; Server.Shutdown closes them.
	Park bool
	// Broker joins this node to others. Nil: a single node.
	Broker Broker
	// NodePrefix begins each session id, so that ids can tell their owner in a
	// cluster. Letters and digits only, at most 8. Default empty.
	NodePrefix string
}

// Limits bound what peers can make the server keep (DESIGN 7). Zero means the
// default, negative no limit. Options of the same meaning, where set, win.
type Limits struct {
	// Messages bound one batch: count, JSON depth, channel names.
	Messages bayeux.Limits
	// Sessions at one time. Default 1,000,000. Above it handshakes are refused
	// with 429 (WebSocket: close code 1008).
	Sessions int
	// HandshakesPerSecond over all clients. Default off.
	HandshakesPerSecond int
	// Subscriptions of one session. Default 10,000.
	Subscriptions int
	// QueueMessages and QueueBytes bound one session's queue, leased and
	// retained messages included. Defaults 10,000 and 16 MiB.
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
	// advice. Defaults 10 min and 1 h.
	ClientTimeout  time.Duration
	ClientInterval time.Duration
}

func (c Config) withDefaults() Config {
	if c.Posture == "" {
		c.Posture = PostureCometD
	}
	if c.Policy == nil {
		c.Policy = bayeux.DefaultPolicy{}
	}
	if c.ExtensionTimeout == 0 {
		c.ExtensionTimeout = 10 * time.Second
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

func (l Limits) withDefaults() Limits {
	l.Messages = l.Messages.WithDefaults()
	setDefault(&l.Sessions, 1_000_000)
	setDefault(&l.HandshakesPerSecond, -1)
	setDefault(&l.Subscriptions, 10_000)
	setDefault(&l.QueueMessages, 10_000)
	setDefault(&l.QueueBytes, 16<<20)
	setDefault(&l.ResponseBytes, 1_000_000)
	setDefault(&l.ClientTimeout, 10*time.Minute)
	setDefault(&l.ClientInterval, time.Hour)
	if l.TotalQueueBytes == 0 {
		l.TotalQueueBytes = -1
		if limit := debug.SetMemoryLimit(-1); limit < 1<<60 {
			l.TotalQueueBytes = limit / 4
		}
	}
	return l
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c Config) validate() error {
	switch c.Posture {
	case PostureCometD:
	case PostureStrict:
		return fmt.Errorf("posture %q is not built yet; the one there is: %q", c.Posture, PostureCometD)
	default:
		return fmt.Errorf("posture %q is unknown; there are %q and %q", c.Posture, PostureCometD, PostureStrict)
	}
	if len(c.NodePrefix) > 8 || c.NodePrefix != "" && !bayeux.ValidID(c.NodePrefix) {
		return fmt.Errorf("NodePrefix %q: at most 8 letters and digits", c.NodePrefix)
	}
	return nil
}
