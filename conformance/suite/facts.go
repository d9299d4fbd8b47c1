package suite

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Facts is what was learned of a server. Nothing here is assumed: each was
// seen on the wire, and the report has the transcripts.
type Facts struct {
	Transports      []string        `json:"transports"`                // those that a handshake succeeded on
	ConnectionTypes []string        `json:"connectionTypes,omitempty"` // as the server lists them
	Advice          json.RawMessage `json:"advice,omitempty"`          // of the handshake
	ContentType     string          `json:"contentType,omitempty"`     // of a long-polling response
	Server          string          `json:"server,omitempty"`          // the HTTP header
	CallbackParam   string          `json:"callbackParameter,omitempty"`
	Cookie          string          `json:"cookie,omitempty"` // which one is set at the handshake
	CookieNeeded    bool            `json:"cookieNeeded"`     // a session without its cookie is unknown
	BareObjects     bool            `json:"bareObjects"`
	Delivery        bool            `json:"delivery"`
	Ack             bool            `json:"ack"`
	Timesync        bool            `json:"timesync"`
	HoldMs          float64         `json:"holdMs,omitempty"`        // how long a connect was held
	IntervalMs      float64         `json:"intervalMs"`              // advised
	MaxIntervalMs   float64         `json:"maxIntervalMs,omitempty"` // advised, if it is
	AliveMs         float64         `json:"aliveMs,omitempty"`       // a silent session surely lives so long
	GoneMs          float64         `json:"goneMs,omitempty"`        // and is surely gone after that

	carriers On
	timeout  time.Duration // advised
	hold     *later[time.Duration]
	expiry   *later[Lifetime]
}

// Lifetime is how long silent sessions live.
type Lifetime struct {
	Alive time.Duration // surely alive
	Gone  time.Duration // surely gone
}

func newFacts() *Facts {
	return &Facts{hold: newLater[time.Duration](), expiry: newLater[Lifetime]()}
}

// Carriers returns the transports on which a handshake succeeded.
func (f *Facts) Carriers() On { return f.carriers }

// Callback returns the name of the callback parameter.
func (f *Facts) Callback() string {
	if f.CallbackParam == "" {
		return "jsonp"
	}
	return f.CallbackParam
}

// holdHint returns how long a connect is held, or, while that is not known,
// how long it seems to be.
func (f *Facts) holdHint() time.Duration {
	if d, ok := f.hold.now(); ok {
		return d
	}
	if f.timeout > 0 {
		return f.timeout
	}
	return time.Minute
}

// likely returns how long a connect is held if that was measured: the advised
// time where load alone may have made it longer, else what was measured.
func (f *Facts) likely(measured time.Duration) time.Duration {
	if f.timeout > 0 && measured >= f.timeout && measured <= f.timeout*3/2 {
		return f.timeout
	}
	return measured
}

// advise takes the numbers out of a handshake's advice.
func (f *Facts) advise(m *Message) {
	f.Advice, _ = m.Get("advice")
	f.ConnectionTypes = m.Strings("supportedConnectionTypes")
	if n, ok := m.Number("advice.timeout"); ok && n > 0 {
		f.timeout = time.Duration(n) * time.Millisecond
	}
	f.IntervalMs, _ = m.Number("advice.interval")
	f.MaxIntervalMs, _ = m.Number("advice.maxInterval")
}

// later is a value that becomes known during the run, or the reason why not.
type later[V any] struct {
	known chan struct{}
	once  sync.Once
	value V
	why   string
}

func newLater[V any]() *later[V] { return &later[V]{known: make(chan struct{})} }

// set makes the value known; a reason says that it never will be.
func (l *later[V]) set(v V, why string) {
	l.once.Do(func() {
		l.value, l.why = v, why
		close(l.known)
	})
}

// get waits for the value; why is empty if it is there.
func (l *later[V]) get(ctx context.Context) (v V, why string) {
	select {
	case <-l.known:
		return l.value, l.why
	case <-ctx.Done():
		return v, "the run ended before it was known"
	}
}

func (l *later[V]) now() (v V, ok bool) {
	select {
	case <-l.known:
		return l.value, l.why == ""
	default:
		return v, false
	}
}
