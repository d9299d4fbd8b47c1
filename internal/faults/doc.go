// Package faults makes Bayeux servers that are wrong in exactly one way. A
// conformance suite that is run against each of them shows what it detects:
// the share of faults it notices is its mutation score.
//
// Start runs a Halley server in this process behind a reverse proxy that
// understands Bayeux on long-polling, callback-polling and WebSocket. A Fault
// is a small function over the traffic that the proxy has decoded, or, where a
// proxy cannot make it, a change of the server's own options, policy or
// extensions. Whatever a fault does not touch passes byte for byte.
//
// The faults were written from the list of rules alone, without a look at any
// suite. Describe lists them; Untestable lists the rules that no fault of this
// kind can break, each with its reason.
package faults
