// Package timestamp is the timestamp extension (WIRE 9c): each message and
// reply leaves with the field "timestamp", the server's time when it was sent.
//
// It acts on all clients, whether they ask or not, so it is off unless the
// server is configured with it.
package timestamp

import (
	"context"
	"net/http"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Field is the message's field that the extension sets.
const Field = "timestamp"

// Formats for Config, as layouts of package time.
const (
	// CometD is what CometD's extension writes unless told otherwise:
	// "Mon Nov 23 03:31:44 UTC 2026".
	CometD = "Mon Jan 02 15:04:05 MST 2006"
	// ISO8601 is what the Bayeux specification asks for:
	// "2026-11-23T03:31:44.123Z".
	ISO8601 = "2006-01-02T15:04:05.000Z07:00"
	// HTTP is what CometD's clients put into their own messages:
	// "Mon, 23 Nov 2026 03:31:44 GMT", whatever the Location.
	HTTP = http.TimeFormat
)

// Config configures the extension. The zero value is CometD's.
type Config struct {
	// Format is a layout of package time. Empty means CometD.
	Format string
	// Location is the time zone. Nil means time.Local, as with CometD.
	Location *time.Location
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Extension sets the field. It serves any number of sessions and is safe for
// concurrent use.
type Extension struct{ config Config }

var _ bayeux.Extension = (*Extension)(nil)

// New returns the extension.
func New(c Config) *Extension {
	if c.Format == "" {
		c.Format = CometD
	}
	if c.Location == nil {
		c.Location = time.Local
	}
	if c.Format == HTTP {
		c.Location = time.UTC
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Extension{c}
}

// Incoming implements bayeux.Extension; it lets all pass.
func (*Extension) Incoming(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

// Outgoing implements bayeux.Extension. What a client has put into the field is
// overwritten ([R-TM-1]).
func (x *Extension) Outgoing(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	text := x.config.Now().In(x.config.Location).Format(x.config.Format)
	m.Edit().SetField(Field, bayeux.AppendString(nil, text))
	return nil
}
