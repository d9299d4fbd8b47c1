package transport

import (
	"math"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Options configure the carriers over HTTP. The zero value works; NewHandler
// applies the defaults to a copy.
type Options struct {
	// Cookie is the browser cookie of handshakes over long-polling.
	Cookie Cookie
	// CallbackCookie is that of callback-polling. Nil: the same.
	CallbackCookie *Cookie
	// LongPolling and CallbackPolling bound what these carriers read and write.
	LongPolling     Bounds
	CallbackPolling Bounds
	// MaxLimits bound a batch of messages. Zeros mean the defaults of
	// bayeux.Limits.
	MaxLimits bayeux.Limits
	// Allowed lists the transports that are served, by name. Requests of
	// others get 400 ([R-HT-2], [R-WS-4]). Empty: all.
	Allowed []string
	// CallbackParameter is the query parameter that names the callback.
	// Default "jsonp".
	CallbackParameter string
	// CallbackMaxLength is the longest callback name in bytes. Zero means 64,
	// negative no limit.
	CallbackMaxLength int
	// JSONPPrefix puts an empty comment in front of the callback, so that the
	// first bytes of a response are not the client's choice ([R-JP-6]).
	JSONPPrefix bool
	// CallbackIdentifier asks for callbacks that are JavaScript identifiers,
	// joined by dots.
	CallbackIdentifier bool
	// Guard refuses requests of pages of other origins. Nil: none are.
	Guard *Guard
	// WebSocketCookie reads the browser cookie of upgrades too.
	WebSocketCookie bool
	// CheckContentType refuses a POST that says neither JSON nor form, with 415.
	CheckContentType bool
	// BodyTimeout is how long reading a request body may take. Zero means
	// 30 s, negative no limit. It ends with the body: held polls are not cut.
	BodyTimeout time.Duration
	// WriteTimeout is how long writing may go without progress, counted anew
	// for each 64 KiB. Zero means 30 s, negative no limit.
	WriteTimeout time.Duration
	// Trusted are the networks of proxies whose Forwarded, X-Forwarded-For and
	// X-Forwarded-Proto headers are believed. Empty: none.
	Trusted []netip.Prefix
	// WebSocket serves upgrade requests: it must answer them. Nil: they get
	// 400, as if the transport was not allowed.
	WebSocket func(w http.ResponseWriter, r *http.Request, from Origin)
	// Observer is told what happens, for counters. Nil: nobody.
	Observer Observer
}

// Bounds bound one carrier over HTTP, in bytes.
type Bounds struct {
	// MaxMessageSize is the largest request body, or the sum of the message
	// parameters of a GET. Zero means 1,000,000, negative no limit. Larger
	// ones get 413.
	MaxMessageSize int
	// ResponseBytes is how much one response takes of the queued messages; a
	// single larger one goes alone. Zero means 1,000,000, negative no limit.
	ResponseBytes int
}

// Observer counts what carriers see. Its methods are called on the goroutines
// of requests, must not block and are safe for concurrent use.
type Observer interface {
	// Count counts one of the events below.
	Count(event string)
	// Limit tells that a peer met the limit of that option name.
	Limit(name string)
	// Bytes counts bytes of bodies read and written.
	Bytes(in, out int)
}

// Events of an Observer.
const (
	// EventRequest is an HTTP request whose messages went to the Hub.
	EventRequest = "request"
	// EventHeld is a request whose answer had to wait.
	EventHeld = "held"
	// EventTrickled is a held request whose client was sent blanks meanwhile.
	EventTrickled = "trickled"
	// EventOriginRefused is a request of a page of another origin, answered 403.
	EventOriginRefused = "origin_refused"
	// EventTypeRefused is a POST whose Content-Type is not served, answered 415.
	EventTypeRefused = "content_type_refused"
	// EventAborted is a request whose client left before its answer.
	EventAborted = "aborted"
	// EventRefused is an answer with a status of 400 or more.
	EventRefused = "refused"
	// EventWriteFailed is an answer that could not be written whole.
	EventWriteFailed = "write_failed"
)

// Names of limits for Observer.Limit.
const (
	limitBody        = "maxMessageSize"
	limitBatch       = "batch"
	limitDepth       = "depth"
	limitBodyTimeout = "bodyTimeout"
)

type nobody struct{}

func (nobody) Count(string)   {}
func (nobody) Limit(string)   {}
func (nobody) Bytes(int, int) {}

func (o Options) withDefaults() Options {
	o.Cookie = o.Cookie.withDefaults()
	callback := o.Cookie
	if o.CallbackCookie != nil {
		callback = o.CallbackCookie.withDefaults()
	}
	o.CallbackCookie = &callback
	o.LongPolling = o.LongPolling.withDefaults()
	o.CallbackPolling = o.CallbackPolling.withDefaults()
	o.MaxLimits = o.MaxLimits.WithDefaults()
	o.Allowed = slices.Clone(o.Allowed)
	o.Trusted = slices.Clone(o.Trusted)
	if o.CallbackParameter == "" {
		o.CallbackParameter = "jsonp"
	}
	o.CallbackMaxLength = bound(o.CallbackMaxLength, 64)
	if o.BodyTimeout == 0 {
		o.BodyTimeout = 30 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}

func (b Bounds) withDefaults() Bounds {
	return Bounds{
		MaxMessageSize: bound(b.MaxMessageSize, 1_000_000),
		ResponseBytes:  bound(b.ResponseBytes, 1_000_000),
	}
}

// bound resolves a limit whose zero means the default and whose negatives mean
// none: none becomes the number that nothing reaches.
func bound(v, def int) int {
	switch {
	case v == 0:
		return def
	case v < 0:
		return math.MaxInt
	}
	return v
}

// cookie returns the browser cookie of a transport.
func (o *Options) cookie(transport string) *Cookie {
	if transport == CallbackPolling {
		return o.CallbackCookie
	}
	return &o.Cookie
}

// allows tells whether a transport is served.
func (o *Options) allows(transport string) bool {
	return len(o.Allowed) == 0 || slices.Contains(o.Allowed, transport)
}
