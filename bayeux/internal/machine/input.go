package machine

import (
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Times are the times of a transport. See Session.SetTimeout and its like for
// those of one session.
type Times struct {
	// Timeout is how long a connect is held; 0 never holds.
	Timeout time.Duration
	// Interval is the pause that clients make between connects.
	Interval time.Duration
	// MaxInterval is how long a session lives beyond Interval without a
	// connect.
	MaxInterval time.Duration
	// Unconnected is how long a session lives without its first connect, if
	// that is less than MaxInterval. Zero and negative values: MaxInterval.
	Unconnected time.Duration
	// MaxProcessing is how long the writing of a connect's reply may take
	// before the session is given up. Time in which a connect is held does not
	// count ([R-CN-23], WIRE 16). Zero and negative values turn it off.
	MaxProcessing time.Duration
}

// Via is how a message came, and what its transport grants. It is the same for
// all messages of a transport and shared by its sessions: read-only.
type Via struct {
	// Transport is the name of the transport.
	Transport string
	// Times are those of the transport.
	Times Times
	// Push tells that queued messages leave without ending a hold: WebSocket
	// ([R-WS-11]).
	Push bool
	// Supported is the JSON array of the transports listed in a handshake reply,
	// an empty one if nil ([R-HS-4], [R-HS-5]).
	Supported bayeux.Raw
	// HandshakeReconnect puts maxInterval into full advice ([R-HS-7]).
	HandshakeReconnect bool
	// MaxTimeout and MaxInterval cap what a client asks for in its advice
	// (DESIGN 7); zero and negative values do not.
	MaxTimeout  time.Duration
	MaxInterval time.Duration
}

// Browser is the verdict on the number of held connects of one browser.
type Browser uint8

// The verdicts. The zero value is BrowserFree.
const (
	// BrowserFree lets the connect be held.
	BrowserFree Browser = iota
	// BrowserPoll answers at once and asks for polls at MultiInterval
	// ([R-MC-2]).
	BrowserPoll
	// BrowserRefuse answers unsuccessfully ([R-MC-3]).
	BrowserRefuse
)

// Input is a message with what the caller found out about it. Verdicts were
// asked for without the session's lock, so Step looks at the state again.
type Input struct {
	// Message is the message; its Reply is filled in and returned.
	Message *bayeux.Message
	// Via is how it came. It may be nil for what is neither a handshake nor a
	// connect.
	Via *Via
	// Alone tells that it is the only message of its HTTP request; always true
	// on a WebSocket ([R-CN-4], [R-CN-12], [R-WS-13]).
	Alone bool
	// Pending tells that what is queued forbids holding ([R-CN-11]).
	Pending bool
	// Most bounds how long the connect is held, for what lies between here and the
	// client carries no more; 0 does not. The client is not told: its next connect
	// comes as after any other answer.
	Most time.Duration
	// Pause, where not 0, has the connect answered at once and the client come
	// again after that time: nothing long gets through to it.
	Pause time.Duration
	// Refused is the reason to refuse the message as a whole: of a handshake,
	// the policy's; of a subscription, that its channels do not parse.
	Refused *bayeux.Error
	// Browser is the verdict on the browser's connects; HTTP only.
	Browser Browser
	// MultiInterval is the interval to ask for with BrowserPoll.
	MultiInterval time.Duration
	// Names are the channels of a subscribe or unsubscribe, normalised.
	Names []channels.Name
	// Refusals belong to Names; nil allows. They may be fewer: the asking
	// stopped at the first refusal ([R-SB-3]). Their texts are complete.
	Refusals []*bayeux.Error
	// Silent tells that server code subscribes or unsubscribes: it says nothing
	// of whether the client is there.
	Silent bool
	// MaxSubscriptions bounds the subscriptions of the session; zero and
	// negative values do not.
	MaxSubscriptions int
}
