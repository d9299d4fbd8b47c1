package bayeux

import "time"

// Reconnect values of an advice ([R-AD-6]).
const (
	ReconnectRetry     = "retry"
	ReconnectHandshake = "handshake"
	ReconnectNone      = "none"
)

// Advice tells a client how to go on. Durations are whole milliseconds on the
// wire; a nil one is absent.
type Advice struct {
	Reconnect       string
	Interval        *time.Duration
	Timeout         *time.Duration
	MaxInterval     *time.Duration
	MultipleClients bool
}

// Append appends the JSON object to dst. It never has hosts nor objects for
// single transports ([R-AD-8]).
func (a *Advice) Append(dst []byte) []byte {
	o := object{dst: append(dst, '{')}
	if a.MultipleClients {
		o.key("multiple-clients")
		o.dst = append(o.dst, "true"...)
	}
	if a.Reconnect != "" {
		o.text("reconnect", a.Reconnect)
	}
	o.millis("interval", a.Interval)
	o.millis("timeout", a.Timeout)
	o.millis("maxInterval", a.MaxInterval)
	return append(o.dst, '}')
}

// Raw returns the JSON object.
func (a *Advice) Raw() Raw { return a.Append(make([]byte, 0, adviceSize)) }

// adviceSize is enough for most.
const adviceSize = 96
