package bayeux

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Session is a client's session as extensions, policies and listeners see it.
// It is safe for concurrent use and stays usable, without effect, after the
// session has ended. Rarer abilities are interfaces of their own that a
// session of the server also has: Delivery, Timing, Identity, Batching.
type Session interface {
	// ID returns the clientId.
	ID() string
	// User returns the user id that Identity.SetUser gave; empty if none.
	User() string
	// Transport returns the name of the transport that the session last used.
	Transport() string
	// Attributes returns the session's attributes.
	Attributes() *Attributes
	// Deliver queues a message for this session alone, whatever it is
	// subscribed to. data is Raw, a Content, or anything that encoding/json
	// marshals.
	Deliver(ctx context.Context, channel string, data any) error
	// Disconnect ends the session and tells the client where a connect is
	// held or a socket is open ([R-CN-16]).
	Disconnect(ctx context.Context) error
}

// Delivery reaches the retained delivery of a session: what was sent stays
// until the client has acknowledged it. It is the core's; the ack extension
// translates ext.ack to these calls.
type Delivery interface {
	// Retain turns retained delivery on, and with it connect-only delivery
	// ([R-ACK-2]). It cannot be turned off.
	Retain()
	// Retaining tells whether Retain was called.
	Retaining() bool
	// SetConnectOnly makes messages leave with connect replies only ([R-DL-4]).
	SetConnectOnly(on bool)
	// CloseBatch returns the number of the batch that leaves with this connect
	// or handshake reply: from 1, one more with each ([R-ACK-3]).
	CloseBatch(reply *Message) int64
	// Acknowledge forgets what left in batches up to n and reports whether
	// messages that left before and are not lazy are still unacknowledged; they
	// leave again with the next connect reply ([R-ACK-5], [R-ACK-7]).
	Acknowledge(n int64) (missing bool)
}

// Timing sets a session's own times. A negative value returns to the
// transport's. A hold in progress is not shortened; the next connect reply
// tells the client ([R-AD-4], [R-EX-6]).
type Timing interface {
	SetTimeout(d time.Duration)
	SetInterval(d time.Duration)
	SetMaxInterval(d time.Duration)
}

// Identity names the user of a session. Policies and extensions do it during
// the handshake, services at any time. The server knows the sessions of a user
// by it. The empty id means nobody.
type Identity interface {
	SetUser(id string)
}

// Batching holds back what is queued for a session. What f queues, or others
// meanwhile, leaves when f has returned: in one response, or in frames that
// follow one another ([R-DL-2]). Batches nest, and a request of the session is
// one too. The session does not expire in a batch.
type Batching interface {
	Batch(f func())
}

// Attributes are values that server code keeps with a session. The zero value
// is ready; it is safe for concurrent use.
type Attributes struct {
	mu     sync.RWMutex
	values map[string]any
}

// Get returns the value, nil when there is none.
func (a *Attributes) Get(name string) any {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.values[name]
}

// Set stores a value; nil removes it.
func (a *Attributes) Set(name string, value any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if value == nil {
		delete(a.values, name)
		return
	}
	if a.values == nil {
		a.values = make(map[string]any)
	}
	a.values[name] = value
}

// All returns a copy.
func (a *Attributes) All() map[string]any {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make(map[string]any, len(a.values))
	maps.Copy(out, a.values)
	return out
}
