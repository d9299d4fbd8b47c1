package bayeux

import "context"

// Extension sees each message on its way in and out.
//
// Incoming runs in order of registration, server-wide extensions first, then
// the session's own; Outgoing in reverse ([R-SV-4]). A nil error goes on; Drop,
// Handled and *Error end the message (see there); any other error counts as
// Drop and is logged.
//
// Calls may block: they run outside locks, one in flight for each WebSocket
// connection and each HTTP request, and ctx ends with the session or after
// the server's ExtensionTimeout. An extension is used by many goroutines.
//
// Incoming: from is the session that sends, also of a handshake that is not
// accepted yet; nil when the message names no session that may use it.
//
// Outgoing: for a broadcast, server-wide extensions run once with to nil,
// before the message is encoded; then the extensions of each receiver's
// session run with to that session, and m is shared and read-only: m.Edit()
// gives a copy. For replies, Outgoing runs when the reply leaves; what Incoming
// knows of the request is handed over by Message.SetNote on its Reply.
type Extension interface {
	Incoming(ctx context.Context, from Session, m *Message) error
	Outgoing(ctx context.Context, to Session, m *Message) error
}

// Selective is an add-on of a server-wide Extension, found once when the server
// is made: messages of channels that do not concern it pass it by, which saves
// the call. Concerns must always say the same of a channel. It is asked with the
// name as the sender spelt it, of a reply with that of its request.
type Selective interface {
	Concerns(channel string) bool
}

// Prompt is an add-on of a server-wide Extension, found once when the server is
// made, for one that always returns at once and makes nothing of its context but
// RequestFrom: it gets the context of the request itself, which does not end with
// the session or after ExtensionTimeout, and costs no more than the call. What
// Prompt does is nothing.
type Prompt interface {
	Prompt()
}

// SessionExtension is an add-on of Extension, found once when the server is
// made: NewSession is called for each new session and may return nil, or an
// extension for that session alone.
type SessionExtension interface {
	NewSession(s Session) Extension
}

// Snapshotter is an add-on of a session's extension whose state moves with the
// session to another server. Key names the state; it must be stable.
type Snapshotter interface {
	Key() string
	Snapshot() (Raw, error)
	Restore(state Raw) error
}

// Funcs makes an Extension of two functions; a nil one lets all pass.
type Funcs struct {
	In  func(ctx context.Context, from Session, m *Message) error
	Out func(ctx context.Context, to Session, m *Message) error
}

// Incoming implements Extension.
func (f Funcs) Incoming(ctx context.Context, from Session, m *Message) error {
	if f.In == nil {
		return nil
	}
	return f.In(ctx, from, m)
}

// Outgoing implements Extension.
func (f Funcs) Outgoing(ctx context.Context, to Session, m *Message) error {
	if f.Out == nil {
		return nil
	}
	return f.Out(ctx, to, m)
}

// Listener is called with each message published to the channels it listens
// to, after the policy and before the fan-out. from is the publisher, nil for
// the server itself. Drop or an *Error refuses the message ([R-PB-4]); any
// other error is logged and the message goes on. Calls may block; see
// Extension.
type Listener func(ctx context.Context, from Session, m *Message) error
