// Package ack is the acknowledged-messages extension (WIRE 9a): messages stay
// with the server until the client has acknowledged them, so that none is lost
// when a response is. It only translates ext.ack of handshakes and connects;
// the retained delivery itself is the core's (bayeux.Delivery).
//
// A client asks for it with ext {"ack": true} in its handshake; a client that
// does not ask never notices the extension.
package ack

import (
	"context"
	"strconv"

	"github.com/halleypush/halley/bayeux"
)

// Name is the member of ext that the extension uses.
const Name = "ack"

// Extension is the server's side of the acknowledged-messages extension. It
// has no state of its own and serves any number of sessions.
type Extension struct{}

var (
	_ bayeux.Extension = (*Extension)(nil)
	_ bayeux.Selective = (*Extension)(nil)
	_ bayeux.Prompt    = (*Extension)(nil)
)

// New returns the extension.
func New() *Extension { return &Extension{} }

// Concerns implements bayeux.Selective.
func (*Extension) Concerns(channel string) bool {
	return channel == "/meta/handshake" || channel == "/meta/connect"
}

// Prompt implements bayeux.Prompt.
func (*Extension) Prompt() {}

// Incoming implements bayeux.Extension.
func (*Extension) Incoming(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
	d, ok := from.(bayeux.Delivery)
	if !ok {
		return nil
	}
	switch m.Channel {
	case "/meta/handshake":
		if asked(m) {
			d.Retain() // [R-ACK-1, R-ACK-2]
		}
	case "/meta/connect":
		acknowledge(d, m)
	}
	return nil
}

// asked tells whether the handshake has ext {"ack": true}: the boolean, and
// nothing that merely resembles it ([R-ACK-1]).
func asked(m *bayeux.Message) bool {
	v, ok := m.ExtMember(Name)
	return ok && string(v) == "true"
}

// acknowledge hands the number of a connect to the core. What is no number is
// ignored ([R-ACK-8]); without one nothing is acknowledged ([R-ACK-9]).
func acknowledge(d bayeux.Delivery, m *bayeux.Message) {
	if !d.Retaining() {
		return
	}
	v, ok := m.ExtMember(Name)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return
	}
	if d.Acknowledge(n) {
		// Messages are missing at the client: answer at once, as if it had
		// asked so, with full advice ([R-ACK-7]).
		m.SetAdviceTimeout(0)
	}
}

// Outgoing implements bayeux.Extension.
func (*Extension) Outgoing(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
	if !m.OK() || m.Channel != "/meta/handshake" && m.Channel != "/meta/connect" {
		return nil
	}
	d, ok := to.(bayeux.Delivery)
	if !ok || !d.Retaining() {
		return nil
	}
	n := d.CloseBatch(m)
	switch {
	case m.Channel == "/meta/connect":
		var digits [20]byte
		m.SetExt(Name, strconv.AppendInt(digits[:0], n, 10)) // [R-ACK-3]
	case n > 0:
		m.SetExt(Name, []byte(`{"enabled":true,"batch":`+strconv.FormatInt(n, 10)+`}`)) // [R-ACK-1]
	default:
		m.SetExt(Name, []byte("true"))
	}
	return nil
}
