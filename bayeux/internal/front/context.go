package front

import (
	"net/http"

	"github.com/halleypush/halley/bayeux/internal/lifetime"
)

// requestContext is the context of a request, as net/http's server makes it: it
// ends with the request, or when the client leaves.
type requestContext struct {
	lifetime.Context

	c *Conn
}

// Value implements context.Context.
func (x *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return x.c.s.hs
	case http.LocalAddrContextKey:
		return x.c.LocalAddr()
	}
	return x.Context.Value(key)
}
