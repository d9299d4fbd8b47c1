package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// settings are the options of one transport, resolved: its own prefix first,
// then the bare name, then the default (WIRE 11).
type settings struct {
	srv  *Server
	name string
	via  machine.Via // of all messages that come by the transport

	maxLazy         time.Duration
	deliverOnly     bool
	maxQueue        int
	maxQueueBytes   int64
	slow            bayeux.SlowConsumer
	maxMessageSize  int
	duringHandshake bool

	// HTTP only.
	perBrowser      int
	perBrowserHTTP2 int
	multiInterval   time.Duration
	trustClient     bool
	duplicateStatus int

	// WebSocket only.
	ownHandshake bool
	needsCookie  bool // to go on with a session of HTTP
	idle         time.Duration
}

// lookup resolves options for one transport.
type lookup struct {
	options   Options
	posture   Options // its defaults, where they differ from CometD's
	transport string
}

func (l lookup) text(name, def string) string {
	for _, options := range []Options{l.options, l.posture} {
		for _, p := range prefixes(l.transport) {
			if v, ok := options[p+name]; ok {
				return strings.TrimSpace(v)
			}
		}
		if v, ok := options[name]; ok {
			return strings.TrimSpace(v)
		}
	}
	return def
}

func (l lookup) millis(name string, def time.Duration) time.Duration {
	d, err := parseMillis(l.text(name, ""))
	if err != nil {
		return def
	}
	return d
}

func (l lookup) number(name string, def int) int {
	n, err := strconv.Atoi(l.text(name, ""))
	if err != nil {
		return def
	}
	return n
}

func (l lookup) flag(name string, def bool) bool {
	return l.text(name, strconv.FormatBool(def)) == "true"
}

// queueLimits are the bounds of a new session's queue.
func (s *settings) queueLimits() queue.Limits {
	return queue.Limits{Messages: s.maxQueue, Bytes: s.maxQueueBytes}
}

// resolve reads the options of one transport; they have been checked.
func resolve(c Config, name string) *settings {
	l := c.lookup(name)
	s := &settings{
		name: name,
		via: machine.Via{
			Transport: name,
			Times: machine.Times{ // defaults of CometD 8 [R-HS-8]
				Timeout:       max(0, l.millis("timeout", 20*time.Second)),
				Interval:      max(0, l.millis("interval", 0)),
				MaxInterval:   max(0, l.millis("maxInterval", 10*time.Second)),
				Unconnected:   c.Limits.UnconnectedTime,
				MaxProcessing: l.millis("maxProcessing", -1),
			},
			HandshakeReconnect: l.flag("handshakeReconnect", false),
			MaxTimeout:         c.Limits.ClientTimeout,
			MaxInterval:        c.Limits.ClientInterval,
		},
		maxLazy:         l.millis("maxLazyTimeout", 5*time.Second),
		deliverOnly:     l.flag("metaConnectDeliverOnly", false),
		maxQueue:        l.number("maxQueue", c.Limits.QueueMessages),
		maxQueueBytes:   int64(l.number("maxQueueBytes", int(c.Limits.QueueBytes))),
		maxMessageSize:  l.number("maxMessageSize", 1_000_000),
		duringHandshake: l.flag("allowMessageDeliveryDuringHandshake", false),
		perBrowser:      l.number("maxSessionsPerBrowser", 1),
		perBrowserHTTP2: l.number("http2MaxSessionsPerBrowser", -1),
		multiInterval:   l.millis("multiSessionInterval", 2*time.Second),
		trustClient:     l.flag("trustClientSession", false),
		duplicateStatus: l.number("duplicateMetaConnectHttpResponseCode", 500),
	}
	s.slow, _ = bayeux.ParseSlowConsumer(strings.ToLower(l.text("slowConsumer", bayeux.SlowDisconnect.String())))
	switch name {
	case transport.WebSocket:
		s.via.Push = true
		s.maxMessageSize = l.number("maxMessageSize", 64<<10)
		s.ownHandshake = l.flag("requireHandshakePerConnection", false)
		s.needsCookie = l.flag("requireBrowserCookie", false)
		s.idle = l.millis("idleTimeout", 0)
	case transport.CallbackPolling:
		s.deliverOnly = true // [R-JP-5]
	case TransportLocal:
		s.via.Push, s.deliverOnly, s.duringHandshake = true, false, false
	}
	return s
}
