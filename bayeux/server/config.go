package server

import (
	"fmt"
	"net/netip"
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
	// PostureStrict refuses what is not allowed: without a Policy clients can
	// do nothing but handshake and connect, requests of foreign pages are
	// refused, and one address cannot take all there is. PostureTable lists
	// each default that differs; what is set explicitly wins over it.
	PostureStrict Posture = "strict"
)

// Config configures a Server. The zero value works; New copies it, applies the
// defaults to the copy and validates that.
type Config struct {
	// Logger receives all logs. The zero value discards them.
	Logger zerolog.Logger
	// Posture chooses defaults. Zero means PostureCometD.
	Posture Posture
	// Policy decides what sessions may do. Nil means bayeux.DefaultPolicy, in
	// PostureStrict bayeux.ClosedPolicy.
	Policy bayeux.Policy
	// Extensions are server-wide, in order of registration.
	Extensions []bayeux.Extension
	// Options are CometD's options and ours, by name, values as in web.xml:
	// {"timeout": "20000", "ws.timeout": "60000"}. See OptionTable for names,
	// defaults and units, and for the prefixes that set them for one transport.
	Options Options
	// Limits bound what clients can make the server keep. Zeros mean the
	// posture's defaults (DESIGN 7).
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

func (c Config) withDefaults() Config {
	if c.Posture == "" {
		c.Posture = PostureCometD
	}
	if c.Policy == nil {
		c.Policy = defaultPolicy(c.Posture)
	}
	if c.ExtensionTimeout == 0 {
		c.ExtensionTimeout = 10 * time.Second
	}
	c.Limits = c.Limits.withDefaults(c.Posture)
	return c
}

func (c Config) validate() error {
	switch c.Posture {
	case PostureCometD, PostureStrict:
	default:
		return fmt.Errorf("posture %q is unknown; there are %q and %q", c.Posture, PostureCometD, PostureStrict)
	}
	if len(c.NodePrefix) > 8 || c.NodePrefix != "" && !bayeux.ValidID(c.NodePrefix) {
		return fmt.Errorf("NodePrefix %q: at most 8 letters and digits", c.NodePrefix)
	}
	return nil
}
