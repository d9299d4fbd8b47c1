// Package transport has the carriers of Bayeux messages over net/http:
// long-polling, callback-polling and WebSocket (WIRE 7 and 8).
//
// A carrier knows bytes, limits, cookies and connections, and nothing of
// Bayeux beyond "a batch of messages of this sender". What it needs of the
// server it declares as Hub, Exchange and Port. Connections that have nothing
// to say wait behind a Poller.
package transport
