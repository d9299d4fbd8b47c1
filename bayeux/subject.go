package bayeux

import (
	"context"
	"time"

	"github.com/halleypush/halley/channels"
)

// Subject is whom a session acts for, as found out by whoever authenticated
// it: extensions/auth, or an application's policy. It is immutable once it was
// given to a session; what changes is a new Subject.
type Subject struct {
	// User is the id of the user; empty: nobody.
	User string `json:"user,omitempty"`
	// Groups are those that the user is in.
	Groups []string `json:"groups,omitempty"`
	// Claims are what was verified of the user, as encoding/json decodes it.
	Claims map[string]any `json:"claims,omitempty"`
	// Subscribe, Publish and Create are the channels, wildcards and templates
	// such as /user/{sub}/** that the credentials themselves grant.
	Subscribe []string `json:"subscribe,omitempty"`
	Publish   []string `json:"publish,omitempty"`
	Create    []string `json:"create,omitempty"`
	// Expires is when the credentials do; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	// Issued is when the credentials were made, or were found to be good by
	// whoever was asked; zero: unknown. Revoking a user takes back what was
	// issued before.
	Issued time.Time `json:"issued,omitzero"`
	// Token names the credentials, for their revocation; empty if they have no
	// name. It is no secret.
	Token string `json:"token,omitempty"`
}

// Authentication keeps the Subject of a session. SetSubject also sets the user,
// as Identity.SetUser does; nil makes the session anonymous. What policies
// concluded of the Subject before is void with a new one.
type Authentication interface {
	Subject() *Subject
	SetSubject(s *Subject)
}

// SubjectOf returns the Subject of a session, nil if it has none: it is
// anonymous, of the server itself, or nil.
func SubjectOf(s Session) *Subject {
	if a, ok := s.(Authentication); ok {
		return a.Subject()
	}
	return nil
}

// Ending ends a session for a reason that its client is told. A held connect
// is answered with the error at once, whichever its transport; whatever else
// the client sends is answered with it too, instead of 402, for at least a
// minute and as long as the server remembers (the last 65,536 such sessions).
// What was queued is dropped. Advice of the error goes along with replies to
// connects and handshakes; without it these say reconnect none. A session that
// has ended stays as it is.
type Ending interface {
	End(ctx context.Context, err *Error)
}

// Reviewing asks the policy anew whether the session may have its
// subscriptions, and ends those that it may not have any more; it returns them.
// The policy sees a /meta/subscribe made for the occasion. Whoever changes a
// Subject or a policy to the worse calls it.
type Reviewing interface {
	Review(ctx context.Context) (ended []channels.Name)
}
