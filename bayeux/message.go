package bayeux

import (
	"encoding/json"
	"slices"
)

// Raw is one JSON value, byte for byte as it came.
type Raw = json.RawMessage

// Field is a field of a message that the server has no name for.
type Field struct {
	Name  string
	Value Raw
}

// Message is one Bayeux message. Values of data, ext and unknown fields are
// kept as the bytes that came and go out unchanged; the order of the envelope
// is free (WIRE 16).
//
// An incoming message belongs to the goroutine that processes it. A message
// that is being broadcast is shared and read-only; Edit gives a copy.
type Message struct {
	// Channel is the name as the sender spelt it; empty when missing.
	Channel string
	// ID correlates replies. Numbers are kept as their digits ([R-MSG-6]).
	ID string
	// ClientID is the session's id; empty when missing.
	ClientID string
	// Data is the payload; nil when missing ([R-PB-5]). A null is kept, for
	// CometD passes it on.
	Data Raw
	// Ext is the extension object; nil when missing or null.
	Ext Raw
	// Advice is the advice object; nil when missing or null.
	Advice Raw
	// Subscription is the value of that field; nil when missing or null.
	Subscription Raw
	// Successful is nil when missing. In a client's message one that is no
	// boolean is among the Fields, and so is an Error that is no string.
	Successful *bool
	// Error is the error string of a reply; empty when missing.
	Error string
	// Fields are all others, in their order, each name once.
	Fields []Field

	// Fault is set by Decode when a known field has the wrong JSON type: the
	// message is answered with it and goes no further ([R-MSG-11]).
	Fault *Error

	// HasChannel tells an empty channel, which is invalid ([R-MSG-8]), from a
	// missing or null one ([R-MSG-7]). A message made by hand need not set it.
	HasChannel bool
	// HasID tells an empty id from a missing (or null) one. A message made by
	// hand need not set it unless its id is empty.
	HasID bool
	// Lazy marks a message that need not leave at once. It is set by server
	// code only; a field "lazy" from a client is just a field ([R-DL-5]).
	Lazy   bool
	shared bool
	reply  *Message
	notes  *note
	batch  int64
	edited *Message
	memory *memory // nil: of its own
}

// memory is what a message and its reply take, made at once by Decode. It serves
// these two, and no copies of them.
type memory struct {
	message, reply Message
	yes, said      bool // what the reply's Successful points to, once
	list           [1]*Message
	field          [1]Field // a connect has one
}

// late is a reply that is made when its request has long gone.
type late struct {
	reply Message
	yes   bool
}

// LateReply returns a successful reply to a request on channel of which nothing is
// left but its id, if it had one. Used by the server for connects that waited.
func LateReply(channel, id string, hasID bool) *Message {
	l := &late{reply: Message{Channel: channel, HasChannel: true, ID: id, HasID: hasID}, yes: true}
	l.reply.Successful = &l.yes
	return &l.reply
}

// Reply returns the reply to this message, made at the first call with the
// base fields of [R-MSG-4]: channel, id and subscription.
func (m *Message) Reply() *Message {
	if m.reply == nil {
		if mem := m.memory; mem != nil && m == &mem.message {
			m.reply = &mem.reply
			m.reply.memory = mem
		} else {
			m.reply = new(Message)
		}
		// The request's ext does not come back [R-HS-6].
		r := m.reply
		r.Channel, r.HasChannel, r.Subscription = m.Channel, m.HasChannel, m.Subscription
		r.ID, r.HasID = m.ID, m.HasID // [R-MSG-5]
	}
	return m.reply
}

// Succeed marks the message, a reply, as successful or not.
func (m *Message) Succeed(ok bool) *Message {
	if mem := m.memory; mem != nil && m == &mem.reply && !mem.said {
		mem.said, mem.yes = true, ok
		m.Successful = &mem.yes
	} else {
		m.Successful = &ok
	}
	return m
}

// Fail fills in the message, a reply, with the error and what it carries.
func (m *Message) Fail(e *Error) *Message {
	m.Succeed(false)
	m.Error = e.Error()
	if e.Advice != nil {
		m.Advice = e.Advice.Raw()
	}
	if e.Ext != nil {
		m.Ext = e.Ext
	}
	return m
}

// Bare tells whether the message, a reply, is just as Reply has made it, for a
// request without a subscription: it has a channel and perhaps an id, and no
// notes. Used by the server, which keeps such a reply in fewer bytes.
func (m *Message) Bare() bool {
	return m.ClientID == "" && m.Data == nil && m.Ext == nil && m.Advice == nil && m.Subscription == nil &&
		m.Successful == nil && m.Error == "" && len(m.Fields) == 0 && !m.Lazy && m.Fault == nil &&
		m.reply == nil && m.notes == nil && m.batch == 0 && !m.shared && m.edited == nil
}

// Detached returns a copy of a reply that keeps nothing of its request alive but
// what it has in common with it. Used by the server for replies that wait.
func (m *Message) Detached() *Message {
	c := *m
	c.memory = nil
	c.Subscription = slices.Clone(m.Subscription)
	return &c
}

// OK tells whether the message is a successful reply.
func (m *Message) OK() bool { return m.Successful != nil && *m.Successful }

// Field returns the value of an unknown field, nil when missing.
func (m *Message) Field(name string) Raw {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			return m.Fields[i].Value
		}
	}
	return nil
}

// SetField sets or replaces an unknown field; a nil value removes it.
func (m *Message) SetField(name string, value Raw) {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			if value == nil {
				m.Fields = slices.Concat(m.Fields[:i], m.Fields[i+1:])
			} else {
				m.Fields[i].Value = value
			}
			return
		}
	}
	if value != nil {
		m.Fields = append(m.Fields, Field{Name: name, Value: value})
	}
}

// Broadcast returns the message that subscribers get of one that a client has
// published: without id and clientId, and without advice, successful and error
// unless relayReplyFields is true. All else passes, raw values byte for byte
// ([R-PB-6]), binary data among them ([R-BI-1]). The copy shares the raw values with m, not the list of Fields.
func (m *Message) Broadcast(relayReplyFields bool) *Message {
	c := &Message{
		Channel: m.Channel, HasChannel: m.HasChannel,
		Data: m.Data, Ext: m.Ext, Subscription: m.Subscription,
		Fields: slices.Clone(m.Fields), Lazy: m.Lazy,
	}
	if relayReplyFields {
		c.Advice, c.Successful, c.Error = m.Advice, m.Successful, m.Error
		return c
	}
	if len(c.Fields) == 0 {
		return c
	}
	c.Fields = slices.DeleteFunc(c.Fields, func(f Field) bool {
		return f.Name == fieldSuccessful || f.Name == fieldError
	})
	return c
}

// Edit returns a copy that the caller may change. Called by a session's
// Outgoing extension on a shared broadcast, it gives that session its own
// version, encoded apart; further calls return the same copy. On a message
// that is not shared it returns the message itself.
func (m *Message) Edit() *Message {
	if !m.shared {
		return m
	}
	if m.edited == nil {
		c := *m
		c.shared, c.edited, c.reply, c.memory = false, nil, nil, nil
		c.Fields = slices.Clone(m.Fields)
		m.edited = &c
	}
	return m.edited
}

// Share returns a read-only view of m for one receiver's extensions: its Edit
// copies on the first call. Used by the server; the view is for one goroutine.
func (m *Message) Share() *Message {
	v := *m
	v.shared, v.edited, v.memory = true, nil, nil
	return &v
}

// Edited returns the copy that Edit made of this view, nil if none.
func (m *Message) Edited() *Message { return m.edited }

// SetBatch records the number of the retained batch that leaves with this
// reply; see Delivery.
func (m *Message) SetBatch(n int64) { m.batch = n }

// Batch returns what SetBatch recorded, 0 if nothing.
func (m *Message) Batch() int64 { return m.batch }
