// Package binary is the binary extension (WIRE 9e): bytes in the data of
// messages, which JSON has no place for.
//
// On the wire such a message has ext {"binary": {}} and data
// {"data": "<Z85>", "last": true, "meta": {…}}: the bytes as Z85 text, whether
// they are the last part of several, and what the application says about them.
// Clients with the extension see bytes.
//
// A server passes such messages on as they are, without looking into them, so
// that nothing needs to be turned on ([R-BI-1]). This package is for code on the
// server that handles bytes itself: From reads them from a message, and Data is
// what Publish and Deliver send.
package binary

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/halleypush/halley/bayeux"
)

// Name is the member of ext that marks binary data.
const Name = "binary"

// ErrNone says that a message is not marked as binary.
var ErrNone = errors.New("no binary data")

// Data are bytes in a message. It is a bayeux.Content, so that
// Deliver(ctx, channel, Data{…}) and Publish(ctx, channel, Data{…}) make a
// message that clients understand. The JSON of it is that of the message's data,
// without the mark in ext.
type Data struct {
	// Bytes are the bytes, or one part of them. Mind the receivers' limits: a
	// part takes five quarters of its length, and CometD's clients take 64 KiB
	// in a WebSocket message.
	Bytes []byte
	// Last tells that no other part follows.
	Last bool
	// Meta is what the application says about the bytes, a JSON object such as
	// {"fileName": "a.png"}; nil for nothing.
	Meta bayeux.Raw
}

var (
	_ bayeux.Content   = Data{}
	_ json.Marshaler   = Data{}
	_ json.Unmarshaler = (*Data)(nil)
)

// Is tells whether a message is marked as binary.
func Is(m *bayeux.Message) bool {
	mark, ok := m.ExtMember(Name)
	return ok && string(mark) != "null" && string(mark) != "false"
}

// From returns the binary data of a message, which stays as it is. The error is
// ErrNone for a message that is not marked as binary; any other says what is
// wrong with one that is.
func From(m *bayeux.Message) (Data, error) {
	if !Is(m) {
		return Data{}, ErrNone
	}
	var d Data
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return Data{}, fmt.Errorf("binary data of %q: %w", m.Channel, err)
	}
	return d, nil
}

// Fill implements bayeux.Content: it sets the data of a message and the mark in
// its ext. It is also for messages that server code makes itself, for
// PublishMessage for instance.
func (d Data) Fill(m *bayeux.Message) error {
	raw, err := d.MarshalJSON()
	if err != nil {
		return err
	}
	m.Data = raw
	m.SetExt(Name, bayeux.Raw(`{}`))
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d Data) MarshalJSON() ([]byte, error) {
	const keys = len(`{"data":"","last":false,"meta":}`)
	raw := make([]byte, 0, keys+len(d.Bytes)/group*chars+chars+len(d.Meta))
	raw = append(AppendZ85(append(raw, `{"data":"`...), d.Bytes), `","last":`...)
	raw = fmt.Append(raw, d.Last)
	if len(d.Meta) > 0 {
		if !json.Valid(d.Meta) {
			return nil, errors.New("meta of binary data is not JSON")
		}
		raw = append(append(raw, `,"meta":`...), d.Meta...)
	}
	return append(raw, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler. Without last, as some clients send
// it, the part is not the last.
func (d *Data) UnmarshalJSON(raw []byte) error {
	var fields struct {
		Data *string    `json:"data"`
		Last bool       `json:"last"`
		Meta bayeux.Raw `json:"meta"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	if fields.Data == nil {
		return errors.New("there is no data")
	}
	b, err := DecodeZ85(*fields.Data)
	if err != nil {
		return err
	}
	if string(fields.Meta) == "null" {
		fields.Meta = nil
	}
	*d = Data{b, fields.Last, fields.Meta}
	return nil
}
