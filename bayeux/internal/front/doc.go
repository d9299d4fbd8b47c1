// Package front serves the plain TCP connections of an http.Server with an
// engine of its own. A connection that waits, for a request, for the answer to
// a held one, or as a WebSocket for a frame, has neither a goroutine nor a
// buffer.
//
// The engine takes a request only if all that it has read of the connection is
// exactly that one request, in the plainest form that HTTP/1.1 knows (parse.go).
// Whatever else a client sends goes to net/http, with the bytes that were read,
// and the connection stays there.
package front
