package transport

import (
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Events of an Observer that come from WebSockets. A closed connection is
// counted as EventWSClosed followed by its close code, ours or the peer's, 1006
// without any.
const (
	EventWSOpened = "websocket_opened"
	EventWSClosed = "websocket_closed_"
	// EventWSPathRefused is an upgrade from where WebSockets carried nothing lately.
	EventWSPathRefused = "websocket_path_refused"
	// EventWSDead is a WebSocket that was cut because nothing came through.
	EventWSDead = "websocket_dead"
)

// Name of the limit on a WebSocket message for Observer.Limit.
const wsLimitSize = "ws.maxMessageSize"

// WSOptions are the settings of the WebSocket carrier. The zero value works.
type WSOptions struct {
	// Protocol is the subprotocol that clients must offer (ws.protocol). Empty:
	// offers are ignored and none is echoed ([R-WS-2]).
	Protocol string
	// MaxMessageSize bounds one WebSocket message in bytes, counted over its
	// fragments, before and after decompression. 0: 64 KiB; negative: no bound
	// ([R-WS-9]).
	MaxMessageSize int
	// MessagesPerFrame is the number of queued messages in one frame. 0: 1, as
	// in CometD; negative: all that leave together ([R-WS-10]).
	MessagesPerFrame int
	// IdleTimeout is how long a connection may be without a frame from its
	// peer. 0: Port.Idle decides, anew after each frame; negative: for ever
	// ([R-WS-17]).
	IdleTimeout time.Duration
	// Deflate negotiates permessage-deflate with clients that offer it
	// ([R-WS-3]). False: it is declined.
	Deflate bool
	// ExtensionsDisabled are names of extensions to decline even so
	// (ws.enableExtension.<name>=false). Only permessage-deflate exists here;
	// other names have no effect.
	ExtensionsDisabled []string
	// AckMessageLimit bounds, in bytes of Bayeux messages, what is taken at a
	// time, and so a WebSocket message of retained delivery (WIRE 16).
	// 0: 60,000. Not used with AckFramesSeparate.
	AckMessageLimit int
	// AckFramesSeparate sends the messages of retained delivery and their
	// connect reply in frames of their own, as CometD does
	// (ws.ackFrames=separate).
	AckFramesSeparate bool
	// MaxTake bounds, in bytes of messages, what is taken at a time with
	// AckFramesSeparate. 0: 1,000,000.
	MaxTake int
	// WriteTimeout is how long the peer may take to make room for one write of
	// at most 256 KiB, before the connection is cut. 0: 30 s ([R-WS-24]).
	WriteTimeout time.Duration
	// HandshakeTimeout bounds the write of the answer to the upgrade. 0: 10 s.
	HandshakeTimeout time.Duration
	// CloseTimeout is how long the peer's close frame is waited for after ours.
	// 0: 2 s.
	CloseTimeout time.Duration
	// PingInterval sends a ping each time it has passed. 0: none.
	PingInterval time.Duration
	// Silence is how long a new connection may bring nothing before it is asked for
	// a sign of life by a ping, and how long that may take then: at first, and once
	// more when the first of its messages have been answered. One that gives none is
	// cut without a close frame, which could not come through either. A connection
	// that has brought a sign is left in peace, without timer or ping. 0: off.
	Silence time.Duration
	// Paths is told what became of connections, and says from where they are
	// welcome. Nil: nobody, from everywhere. Without Silence it is only asked.
	Paths Paths
	// Limits bound what one batch may hold.
	Limits bayeux.Limits
	// Poller keeps idle connections. Nil: a goroutine for each connection.
	Poller Poller
	// Admit takes a place for one more connection, which leave gives back, or
	// refuses the upgrade. Nil: there is always room.
	Admit func(from *bayeux.Request) (leave func(), refused *StatusError)
	// Observer is told what happens, for counters. Nil: nobody.
	Observer Observer
}

// withDefaults returns a copy with zeros replaced by the defaults.
func (o WSOptions) withDefaults() WSOptions {
	for _, f := range []struct {
		value *int
		def   int
	}{
		{&o.MaxMessageSize, 64 << 10},
		{&o.MessagesPerFrame, 1},
		{&o.AckMessageLimit, 60_000},
		{&o.MaxTake, 1_000_000},
	} {
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	for _, f := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&o.WriteTimeout, 30 * time.Second},
		{&o.HandshakeTimeout, 10 * time.Second},
		{&o.CloseTimeout, 2 * time.Second},
	} {
		if *f.value <= 0 {
			*f.value = f.def
		}
	}
	for _, name := range o.ExtensionsDisabled {
		if name == wsDeflateName {
			o.Deflate = false // [R-WS-3]
		}
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	o.Limits = o.Limits.WithDefaults()
	return o
}

// takeLimit returns the limit of one Port.Take. What leaves joined has to fit
// one WebSocket message, and whether it does is known only afterwards, so the
// smaller limit holds for all; it is about the size of one write anyway.
func (o *WSOptions) takeLimit() int {
	if o.AckFramesSeparate {
		return o.MaxTake
	}
	return o.AckMessageLimit
}
