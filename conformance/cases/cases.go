// Package cases holds the cases of the conformance suite, a file or two for
// each section. To add one, write it into its section's function:
// CONTRIBUTING.md shows how.
package cases

import "github.com/halleypush/halley/conformance/suite"

// Short names for what every case uses.
type (
	// T is a running case.
	T = suite.T
	// Case is one behaviour.
	Case = suite.Case
	// M is a message, or a part of one.
	M = suite.M
	// Need is what a case cannot do without.
	Need = suite.Need
)

// The levels.
const (
	MUST   = suite.MUST
	SHOULD = suite.SHOULD
	MAY    = suite.MAY
	COMETD = suite.COMETD
	INFO   = suite.INFO
)

// The carriers.
const (
	LP    = suite.LP
	CP    = suite.CP
	WS    = suite.WS
	ES    = suite.ES
	H2    = suite.H2
	Any   = suite.Any
	Polls = suite.Polls
	Every = suite.Every
)

// Absent removes a field from a message.
const Absent = suite.Absent

// needs is a list of needs.
func needs(n ...Need) []Need { return n }

// rules is a list of references.
func rules(r ...string) []string { return r }

// Sections returns all sections, in the order of the report.
func Sections() []suite.Section {
	return []suite.Section{
		{Code: "HS", Name: "handshake", Title: "Handshake", Cases: handshake()},
		{Code: "MS", Name: "messages", Title: "Messages and replies", Cases: messages()},
		{Code: "CN", Name: "connect", Title: "Connect", Cases: connect()},
		{Code: "AD", Name: "advice", Title: "Advice", Cases: advice()},
		{Code: "SB", Name: "subscribe", Title: "Subscribe and unsubscribe", Cases: subscribe()},
		{Code: "PB", Name: "publish", Title: "Publish", Cases: publish()},
		{Code: "DL", Name: "delivery", Title: "Delivery and output order", Cases: deliver()},
		{Code: "BT", Name: "batching", Title: "Arrays of messages", Cases: batch()},
		{Code: "DC", Name: "disconnect", Title: "Disconnect", Cases: disconnect()},
		{Code: "SV", Name: "services", Title: "Services and remote calls", Cases: services()},
		{Code: "ID", Name: "identity", Title: "Client ids, cookies and unknown sessions", Cases: identity()},
		{Code: "EX", Name: "expiry", Title: "The end of silent sessions", Cases: expiry()},
		{Code: "MC", Name: "browsers", Title: "Several sessions of one browser", Cases: browsers()},
		{Code: "AK", Name: "ack", Title: "Acknowledged messages", Cases: ack()},
		{Code: "TS", Name: "timesync", Title: "Clocks", Cases: clocks()},
		{Code: "BI", Name: "binary", Title: "Binary data", Cases: binary()},
		{Code: "HT", Name: "http", Title: "Over HTTP", Cases: overHTTP()},
		{Code: "JP", Name: "callback", Title: "Callback-polling", Cases: callbackPolling()},
		{Code: "WS", Name: "websocket", Title: "WebSocket", Cases: webSocket()},
		{Code: "ES", Name: "eventsource", Title: "EventSource", Cases: eventSource()},
		{Code: "RB", Name: "robustness", Title: "Robustness", Cases: robust()},
		{Code: "SE", Name: "security", Title: "Security", Cases: secure()},
	}
}
