package transport

import (
	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/lifetime"
)

// wsContext is the context of what is done for a connection: it has the
// upgrade's request, and ends with the connection.
type wsContext struct {
	lifetime.Context

	request bayeux.SealedRequest
}

// Value implements context.Context.
func (c *wsContext) Value(key any) any {
	if _, ok := key.(bayeux.RequestKey); ok {
		return &c.request
	}
	return c.Context.Value(key)
}
