package auth

import (
	"context"

	"github.com/halleypush/halley/bayeux"
)

// Method judges credentials. It is used by many goroutines and may block until
// ctx ends.
type Method interface {
	// Authenticate returns whom the credentials are of. Nil without an error
	// means that there is nothing in them for this method, and the next is
	// asked; a *RefusedError refuses; any other error means that nobody could judge,
	// and refuses as well.
	Authenticate(ctx context.Context, c *Credentials) (*bayeux.Subject, error)
}

// Credentials are what a client has brought.
type Credentials struct {
	// Token was found in one of the places of Config.Places, or stood in a
	// refresh; empty if there is none.
	Token string
	// Request is the request that the handshake or refresh came by.
	Request *bayeux.Request
	// Refresh tells that a session wants to go on with this token. Methods that
	// judge something else than the token have nothing to say then.
	Refresh bool
}
