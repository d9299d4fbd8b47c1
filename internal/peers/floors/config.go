package floors

import "time"

// The protocols of a floor, by the name of the transport in a handshake.
const (
	WebSocket   = "websocket"
	LongPolling = "long-polling"
)

// Bounds of a connection, in bytes: what is read and not complete, and what
// waits to be sent. A connection that exceeds one is closed. MaxQueue also
// bounds what waits for the next poll; what does not fit is dropped.
const (
	MaxInput = 1 << 20
	MaxQueue = 8 << 20
)

// MaxSessions bounds the sessions of [LongPolling]; a handshake beyond is closed.
const MaxSessions = 1 << 20

// DefaultHold is how long a connect is held unless told otherwise.
const DefaultHold = 30 * time.Second

// Config tells what a floor does.
type Config struct {
	// Protocol is WebSocket or LongPolling.
	Protocol string
	// Port of 127.0.0.1; 0 is any free one.
	Port int
	// Coalesce gathers what is there to be sent to a client after one wake-up
	// into one write. Without it each publication is written to each subscriber
	// by itself.
	Coalesce bool
	// Hold is how long a connect is held; 0 means DefaultHold.
	Hold time.Duration
}
