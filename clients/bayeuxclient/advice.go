package bayeuxclient

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/halleypush/halley/bayeux"
)

const (
	// maxAdvised bounds what a server can make the client wait.
	maxAdvised = time.Hour
	// assumedHold is the hold of a server that advises none.
	assumedHold = time.Minute
)

// parseAdvice reads an advice object, nil when there is none. Values of a wrong
// type are ignored, negative times are 0.
func parseAdvice(raw bayeux.Raw) *bayeux.Advice {
	var fields map[string]json.RawMessage
	if raw == nil || json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil
	}
	a := new(bayeux.Advice)
	read(fields["reconnect"], &a.Reconnect)
	read(fields["multiple-clients"], &a.MultipleClients)
	for name, to := range map[string]**time.Duration{
		"interval": &a.Interval, "timeout": &a.Timeout, "maxInterval": &a.MaxInterval,
	} {
		var ms *float64
		read(fields[name], &ms)
		if ms != nil {
			// The comparison comes before the conversion, which could overflow.
			d := time.Duration(min(max(*ms, 0), float64(maxAdvised.Milliseconds()))) * time.Millisecond
			*to = &d
		}
	}
	return a
}

func read[T any](raw json.RawMessage, to *T) {
	var v T
	if raw != nil && json.Unmarshal(raw, &v) == nil {
		*to = v
	}
}

// rhythm is when to send the next connect: the server's advice and the pauses
// after failures. The zero value, with its options, is that of a new client.
type rhythm struct {
	step, top time.Duration
	jitter    float64

	interval time.Duration
	hold     *time.Duration
	once     *time.Duration
	failures int
}

// learn merges an advice, which may be partial or nil, into what is known.
func (r *rhythm) learn(a *bayeux.Advice) {
	if a == nil {
		return
	}
	switch {
	case a.Interval == nil:
	case a.MultipleClients:
		// The server repeats this one for as long as it matters, and does not
		// take it back ([R-MC-2], [R-MC-5]): it holds for one pause.
		r.once = a.Interval
	default:
		r.interval = *a.Interval
	}
	if a.Timeout != nil {
		r.hold = a.Timeout
	}
}

// held returns how long the server may hold a connect.
func (r *rhythm) held() time.Duration {
	if r.hold == nil {
		return assumedHold
	}
	return *r.hold
}

// pause returns the wait before the next connect ([R-AD-7]).
func (r *rhythm) pause() time.Duration {
	if r.once != nil {
		d := *r.once
		r.once = nil
		return d
	}
	return r.interval
}

// backoff counts a failure and returns the wait after it.
func (r *rhythm) backoff(reason error) time.Duration {
	r.failures++
	d := min(time.Duration(min(r.failures, 1<<20))*r.step, r.top)
	d -= time.Duration(rand.Float64() * r.jitter * float64(d)) //nolint:gosec // spreads clients, guards nothing
	if e, ok := errors.AsType[*HTTPError](reason); ok {
		d = max(d, e.RetryAfter)
	}
	return d + r.pause()
}
