package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Outcome says why credentials were refused. Clients see of it what docs/AUTH.md
// lists; metrics count it.
type Outcome string

// Outcomes of handshakes and refreshes.
const (
	Accepted    Outcome = "accepted"
	Anonymous   Outcome = "anonymous"
	Missing     Outcome = "missing"     // nothing was presented, and it is required
	Invalid     Outcome = "invalid"     // not ours, not valid, not to be believed
	Expired     Outcome = "expired"     // ours, and over
	Revoked     Outcome = "revoked"     // ours, and taken back
	Unavailable Outcome = "unavailable" // nobody there who could judge; fails closed
	Limited     Outcome = "limited"     // refreshed too often
)

// RefusedError says why a Method refuses. The reason is for the log and must not hold
// the token.
type RefusedError struct {
	Outcome Outcome
	Reason  string
}

// Error returns outcome and reason.
func (f *RefusedError) Error() string { return string(f.Outcome) + ": " + f.Reason }

// Refuse returns a *RefusedError for Methods of other packages.
func Refuse(o Outcome, format string, args ...any) error {
	return &RefusedError{o, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error { return Refuse(Invalid, format, args...) }

// failureOf is what an error says; one that is no *RefusedError is a fault of the
// method, so that nobody has judged.
func failureOf(err error) *RefusedError {
	if f, ok := errors.AsType[*RefusedError](err); ok {
		return f
	}
	return &RefusedError{Unavailable, err.Error()}
}

// unavailableRetry is how long clients wait when nobody could judge them.
const unavailableRetry = 10 * time.Second

const unauthorized = 401

// refusal is what a client sees of an outcome. A token that was revoked looks
// like any other that is not valid.
func refusal(o Outcome) *bayeux.Error {
	e := &bayeux.Error{Code: unauthorized, Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectNone}}
	switch o {
	case Missing:
		e.Text = "token_missing"
	case Expired:
		e.Text = "token_expired"
	case Limited:
		e.Text = "token_refresh_limit"
	case Unavailable:
		wait := unavailableRetry
		e.Text, e.Advice = "token_unavailable", &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake, Interval: &wait}
	default:
		e.Text = "token_invalid"
	}
	return e
}

// refreshRefusal is refusal for a publish: advice would tell the client what to
// do with its session, which goes on.
func refreshRefusal(o Outcome) *bayeux.Error {
	e := refusal(o)
	e.Advice = nil
	return e
}

// expired and revoked end sessions.
func expired() *bayeux.Error {
	return &bayeux.Error{Code: unauthorized, Text: "token_expired", Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake}}
}

func revoked() *bayeux.Error {
	return &bayeux.Error{Code: unauthorized, Text: "session_revoked", Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectNone}}
}
