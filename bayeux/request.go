package bayeux

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
)

// Request is the HTTP request that messages came by; for a WebSocket, the
// upgrade. It is read-only.
type Request struct {
	Method string
	URL    string
	Proto  string
	Host   string
	Header http.Header
	// Remote is the client's address, behind trusted proxies only.
	Remote netip.AddrPort
	// ViaProxy tells that the peer of the connection itself is a trusted proxy,
	// so that headers which it sets can be believed.
	ViaProxy bool
	// TLS is nil for plain connections that we terminate; Secure also tells
	// what a trusted proxy said.
	TLS    *tls.ConnectionState
	Secure bool
	// Principal is the authenticated peer, empty if none: whom middleware named
	// (WithPrincipal), else the subject of a verified client certificate.
	Principal string
}

// Cookie returns the value of the first cookie of that name. A nil request has
// none.
func (r *Request) Cookie(name string) (string, bool) {
	if r == nil {
		return "", false
	}
	c, err := (&http.Request{Header: r.Header}).Cookie(name)
	if err != nil {
		return "", false
	}
	return c.Value, true
}

type principalKey struct{}

// WithPrincipal returns a context for a request whose peer middleware in front
// of the server has authenticated: http.Request.WithContext takes it, and
// Request.Principal is then the name, for a WebSocket from its upgrade on.
// Other values of that context reach what handles HTTP requests, but not what
// handles the messages of a WebSocket, which lives on when its upgrade is done.
func WithPrincipal(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, principalKey{}, name)
}

// PrincipalFrom returns the name that WithPrincipal gave, empty if none.
func PrincipalFrom(ctx context.Context) string {
	name, _ := ctx.Value(principalKey{}).(string)
	return name
}

// RequestKey is the key under which a context has its request, a *Request or a
// *SealedRequest, for RequestFrom. It is for carriers whose contexts are types
// of their own; others use WithRequest.
type RequestKey struct{}

// WithRequest returns a context that carries r.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, RequestKey{}, r)
}

// RequestFrom returns the request that the message being processed came by,
// nil for messages of the server itself. Of a WebSocket's upgrade each call
// makes a copy, for connections keep it in fewer bytes.
func RequestFrom(ctx context.Context) *Request {
	switch r := ctx.Value(RequestKey{}).(type) {
	case *Request:
		return r
	case *SealedRequest:
		return r.Open()
	}
	return nil
}
