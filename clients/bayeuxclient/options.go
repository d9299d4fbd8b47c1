package bayeuxclient

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Names of the transports of this client.
const (
	WebSocket   = "websocket"
	LongPolling = "long-polling"
)

// Defaults of Options.
const (
	DefaultMaxNetworkDelay = 10 * time.Second
	DefaultBackoff         = time.Second
	DefaultMaxBackoff      = time.Minute
	DefaultJitter          = 0.2
	DefaultMaxMessageBytes = 4 << 20
	DefaultQueueLength     = 1024
	DefaultStallTimeout    = time.Minute
)

// Options say how a Client behaves. The zero value is a good client.
type Options struct {
	// Transports are tried in this order at the handshake; WebSocket and
	// LongPolling. Default both, WebSocket first. A WebSocket that fails before
	// one ever worked is not tried again.
	Transports []string
	// HTTPClient makes all requests, the WebSocket's too. It is copied; its
	// Timeout is ignored, for it would cut held polls. Without a Jar it gets one
	// of its own, which carries the BAYEUX_BROWSER cookie; clients that share a
	// jar count as one browser. Default: a client with a transport of its own.
	HTTPClient *http.Client
	// TLS configures the default HTTP client's connections. It must be nil when
	// HTTPClient has a Transport.
	TLS *tls.Config
	// Header is added to each HTTP request and to the WebSocket's upgrade.
	Header http.Header
	// HandshakeExt is the ext object of each handshake: credentials, mostly. To
	// compute it anew each time use an extension. Default none.
	HandshakeExt bayeux.Raw
	// Ack asks for acknowledged messages; see the package comment. Without
	// effect where the server does not offer them.
	Ack bool
	// Extensions see all messages, meta messages too. Outgoing runs in reverse
	// order before a message is sent, and an error makes the call fail with it.
	// Incoming runs in order for what arrives; any error drops the message. The
	// session they get is nil.
	Extensions []bayeux.Extension
	// OnState is told each change of state and its reason; see State. Default
	// none.
	OnState func(s State, reason error)
	// RetryStart makes Start go on trying until its context ends. Otherwise the
	// first failed attempt, all transports tried, is Start's error.
	RetryStart bool
	// MaxNetworkDelay is how long a reply may take, on top of the time that the
	// server holds a connect. Default 10 s.
	MaxNetworkDelay time.Duration
	// Backoff is the pause after the first failure in a row; each further one
	// adds it again, up to MaxBackoff. Defaults 1 s and 60 s.
	Backoff    time.Duration
	MaxBackoff time.Duration
	// Jitter is the part of such a pause that is random, so that the clients of
	// a restarted server spread: 0.2 shortens it by up to 20 %. Default 0.2;
	// negative means none.
	Jitter float64
	// MaxMessageBytes bounds one response and one WebSocket message. A larger
	// one breaks the connection. Default 4 MiB.
	MaxMessageBytes int64
	// QueueLength bounds the messages and states that wait for callbacks.
	// Default 1,024.
	QueueLength int
	// StallTimeout is how long that queue may stay full before the client ends
	// with ErrStalled. Default 1 min.
	StallTimeout time.Duration
	// Compress offers permessage-deflate. Default off.
	Compress bool
}

// withDefaults returns a copy with zeros replaced.
func (o Options) withDefaults() Options {
	if len(o.Transports) == 0 {
		o.Transports = []string{WebSocket, LongPolling}
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&o.MaxNetworkDelay, DefaultMaxNetworkDelay},
		{&o.Backoff, DefaultBackoff},
		{&o.MaxBackoff, DefaultMaxBackoff},
		{&o.StallTimeout, DefaultStallTimeout},
	} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if o.Jitter == 0 {
		o.Jitter = DefaultJitter
	}
	o.Jitter = min(max(o.Jitter, 0), 1)
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if o.QueueLength <= 0 {
		o.QueueLength = DefaultQueueLength
	}
	o.Transports = slices.Clone(o.Transports)
	o.Extensions = slices.Clone(o.Extensions)
	o.Header = o.Header.Clone()
	return o
}

// validate tells what in the options cannot be.
func (o *Options) validate() error {
	for i, name := range o.Transports {
		if name != WebSocket && name != LongPolling {
			return fmt.Errorf("bayeuxclient: unknown transport %q", name)
		}
		if slices.Contains(o.Transports[:i], name) {
			return fmt.Errorf("bayeuxclient: transport %q is listed twice", name)
		}
	}
	if o.TLS != nil && o.HTTPClient != nil && o.HTTPClient.Transport != nil {
		return errors.New("bayeuxclient: TLS and HTTPClient.Transport exclude each other")
	}
	if o.HandshakeExt != nil {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(o.HandshakeExt, &object); err != nil || object == nil {
			return errors.New("bayeuxclient: HandshakeExt is not a JSON object")
		}
	}
	return nil
}

// endpoint parses a server's address; ws and wss stand for http and https.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("bayeuxclient: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return "", fmt.Errorf("bayeuxclient: %q is not an http, https, ws or wss address", raw)
	}
	if u.Host == "" {
		return "", fmt.Errorf("bayeuxclient: %q has no host", raw)
	}
	u.Fragment = ""
	return u.String(), nil
}

// httpClient returns the HTTP client to use, and what to close at the end.
func (o *Options) httpClient() (client *http.Client, own *http.Transport, err error) {
	client = new(http.Client)
	if o.HTTPClient != nil {
		*client = *o.HTTPClient
	}
	client.Timeout = 0
	if client.Jar == nil {
		// A jar per client, so that no two of them count as one browser, and so
		// that hosts named by address get their cookie back ([R-ID-3]).
		if client.Jar, err = cookiejar.New(nil); err != nil {
			return nil, nil, fmt.Errorf("bayeuxclient: %w", err)
		}
	}
	if client.Transport == nil {
		own = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSClientConfig:       o.TLS.Clone(),
			TLSHandshakeTimeout:   o.MaxNetworkDelay,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   4,
			IdleConnTimeout:       90 * time.Second,
			ExpectContinueTimeout: time.Second,
		}
		client.Transport = own
	}
	return client, own, nil
}
