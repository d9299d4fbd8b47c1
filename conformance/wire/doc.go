// Package wire talks to a server below the protocol: HTTP/1.1 over a recorded
// connection, WebSocket frames, HTTP/2, and event streams. It sends what it is
// told to, malformed or not, and puts every byte with its time on a Tape.
//
// It knows nothing of Bayeux.
package wire
