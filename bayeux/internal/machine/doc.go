// Package machine is the protocol state of one session: what a handshake, a
// connect, a subscription, a disconnect and the passing of time do to it, and
// what has to be done about it.
//
// It is pure. Time is an argument, verdicts of policies are data, and what is to
// be done comes back as Effects, whose fields are in the order in which the
// caller carries them out. There is no lock, no goroutine, no timer and no
// callback; a mistake of the client is a reply, never an error.
//
// The states and their changes ([R-CN-3]); nothing else happens:
//
//	created      → handshaken disconnected
//	handshaken   → connected disconnected expired
//	connected    → disconnected expired
//	disconnected →
//	expired      →
//
// At most one connect is held. While it is, no clock runs; its end is the
// session's only deadline. The reply of a connect or handshake has to be
// reported by Written, also if it failed: from then on the session has interval
// plus maxInterval to live, until the next connect. Until Written it has
// MaxProcessing, or a generous bound of its own. So a session that is alive
// always has a deadline.
//
// The queue of messages, the carrier, the browser's other sessions and the
// sweep period are not here; Input brings what the machine needs to know of
// them.
package machine
