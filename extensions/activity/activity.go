// Package activity is the activity extension (WIRE 9d): it ends sessions that
// stay connected without doing anything, such as a page that somebody left
// open.
//
// An inactive session is found when its next /meta/connect arrives. The client
// is then told by a pushed /meta/disconnect and a failed connect with the advice
// not to come back, in one response; CometD's clients disconnect for good. A
// client whose connects stop altogether expires as any other does.
//
// It acts on all clients, whether they ask or not, so it is off unless the
// server is configured with it.
package activity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux"
)

const connect = "/meta/connect"

// Mode says whose messages count as activity ([R-AC-2]).
type Mode uint8

const (
	// Client counts what the client sends, except connects.
	Client Mode = iota
	// ClientServer counts what is sent to the client too, except replies to
	// connects.
	ClientServer
)

// String returns client or client-server.
func (m Mode) String() string {
	switch m {
	case Client:
		return "client"
	case ClientServer:
		return "client-server"
	}
	return fmt.Sprintf("Mode(%d)", m)
}

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler for what String returns.
func (m *Mode) UnmarshalText(text []byte) error {
	for _, known := range []Mode{Client, ClientServer} {
		if string(text) == known.String() {
			*m = known
			return nil
		}
	}
	return fmt.Errorf("activity mode %q: want client or client-server", text)
}

// Rule says when a session is inactive.
type Rule struct {
	// Mode says whose messages count. Zero means Client.
	Mode Mode `json:"mode"`
	// Period is how long a session may be without activity. Zero and less mean
	// for ever.
	Period time.Duration `json:"period"`
}

// Config configures the extension.
type Config struct {
	// Rule is for all sessions that Set has not given one of their own. Its
	// zero value lets them be.
	Rule Rule
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Extension watches sessions. It is safe for concurrent use.
type Extension struct{ config Config }

var (
	_ bayeux.Extension        = (*Extension)(nil)
	_ bayeux.SessionExtension = (*Extension)(nil)
)

// New returns the extension.
func New(c Config) *Extension {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Extension{c}
}

// Incoming implements bayeux.Extension; the sessions' own extensions do the
// work.
func (*Extension) Incoming(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

// Outgoing implements bayeux.Extension; see Incoming.
func (*Extension) Outgoing(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

// NewSession implements bayeux.SessionExtension.
func (x *Extension) NewSession(bayeux.Session) bayeux.Extension {
	return &watch{rule: x.config.Rule, now: x.config.Now, born: x.config.Now()}
}

// attribute is where a session's own rule is kept.
const attribute = "activity"

// Set gives a session a rule of its own, such as an administrator's, which takes
// the place of the server's from now on and moves with the session's attributes
// in a snapshot. Policies call it in CanHandshake, for instance. It has no
// effect on a server without the extension.
func Set(s bayeux.Session, r Rule) { s.Attributes().Set(attribute, r) }

// watch is the extension of one session. Times are nanoseconds since born.
type watch struct {
	rule Rule
	now  func() time.Time
	born time.Time

	client, server atomic.Int64 // when each was active last
}

var (
	_ bayeux.Extension   = (*watch)(nil)
	_ bayeux.Snapshotter = (*watch)(nil)
)

// Incoming implements bayeux.Extension. The connect goes on, as that of a
// session that has ended ([R-AC-1]).
func (w *watch) Incoming(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	switch {
	case m.Channel != connect:
		w.client.Store(w.time())
	case w.inactive(w.ruleOf(from)):
		return from.Disconnect(ctx)
	}
	return nil
}

// Outgoing implements bayeux.Extension.
func (w *watch) Outgoing(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	if m.Channel != connect {
		w.server.Store(w.time()) // [R-AC-2]
	}
	return nil
}

func (w *watch) time() int64 { return int64(w.now().Sub(w.born)) }

func (w *watch) inactive(r Rule) bool {
	last := w.client.Load()
	if r.Mode == ClientServer {
		last = max(last, w.server.Load())
	}
	return r.Period > 0 && w.time()-last > int64(r.Period)
}

// ruleOf returns the session's own rule, the server's if it has none.
func (w *watch) ruleOf(s bayeux.Session) Rule {
	switch own := s.Attributes().Get(attribute).(type) {
	case Rule:
		return own
	case json.RawMessage: // from a snapshot
		var r Rule
		if json.Unmarshal(own, &r) == nil {
			Set(s, r)
			return r
		}
	}
	return w.rule
}

// state is how long each side has been inactive, in a snapshot.
type state struct {
	Client time.Duration `json:"client"`
	Server time.Duration `json:"server"`
}

// Key implements bayeux.Snapshotter.
func (*watch) Key() string { return "activity" }

// Snapshot implements bayeux.Snapshotter.
func (w *watch) Snapshot() (bayeux.Raw, error) {
	now := w.time()
	return json.Marshal(state{time.Duration(now - w.client.Load()), time.Duration(now - w.server.Load())})
}

// Restore implements bayeux.Snapshotter.
func (w *watch) Restore(raw bayeux.Raw) error {
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if s.Client < 0 || s.Server < 0 {
		return errors.New("a time of inactivity is negative")
	}
	now := w.time()
	w.client.Store(now - int64(s.Client))
	w.server.Store(now - int64(s.Server))
	return nil
}
