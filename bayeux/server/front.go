package server

import (
	"context"
	"net"
	"net/http"

	"github.com/halleypush/halley/bayeux/internal/front"
)

// Front serves the listeners of an http.Server, so that over plain TCP on Linux
// a held poll, an idle WebSocket and a connection between two polls cost
// neither a goroutine nor a buffer. It takes ordinary requests for one path,
// that of a Server, and has the http.Server's own handler serve them, within its
// limits and time-outs; all other requests, listeners and systems are net/http's
// alone. What changes where it takes a request:
//
//   - Middleware sees the handler return when a poll is held, without an answer;
//     the headers that it has set before are sent. Behind a ResponseWriter that
//     middleware has wrapped a goroutine waits for the answer, as ever.
//   - Outgoing extensions of a held answer get a context with the principal
//     (bayeux.WithPrincipal) and without other values of the request's.
//   - The net.Conn of a hijacked connection is not a *net.TCPConn.
//
// An http.Server with BaseContext, ConnContext or ConnState is served by net/http
// alone. SetKeepAlivesEnabled is not seen. It is safe for concurrent use.
type Front struct{ engine *front.Server }

// NewFront returns a Front for requests for a path and what is below it. Shutdown
// or Close is to be called to end its goroutines.
func NewFront(hs *http.Server, path string) *Front { return &Front{front.New(hs, path)} }

// Serve serves a listener as http.Server.Serve does.
func (f *Front) Serve(l net.Listener) error { return f.engine.Serve(l) }

// Shutdown calls http.Server.Shutdown and waits for requests as that does.
// Server.Shutdown comes before: it answers the polls that are held, and ends the
// WebSockets.
func (f *Front) Shutdown(ctx context.Context) error { return f.engine.Shutdown(ctx) }

// Close calls http.Server.Close and closes what that closes: all but hijacked
// connections.
func (f *Front) Close() error { return f.engine.Close() }
