package bayeux

import (
	"strconv"
	"time"
)

// AppendMessage appends the JSON object of m to dst, without blanks
// ([R-OUT-1]). Raw values go out as they are and have to be JSON; empty ones
// are left out. The id is always a string ([R-MSG-6]).
func AppendMessage(dst []byte, m *Message) []byte {
	if dst == nil {
		dst = make([]byte, 0, m.size())
	}
	o := object{dst: append(dst, '{')}
	if m.HasChannel || m.Channel != "" {
		o.text(fieldChannel, m.Channel)
	}
	if m.HasID || m.ID != "" {
		o.text(fieldID, m.ID)
	}
	if m.ClientID != "" {
		o.text(fieldClientID, m.ClientID)
	}
	o.raw(fieldSubscription, m.Subscription)
	if m.Successful != nil {
		o.key(fieldSuccessful)
		o.dst = strconv.AppendBool(o.dst, *m.Successful)
	}
	if m.Error != "" {
		o.text(fieldError, m.Error)
	}
	o.raw(fieldAdvice, m.Advice)
	o.raw(fieldExt, m.Ext)
	for i := range m.Fields {
		o.named(m.Fields[i].Name, m.Fields[i].Value)
	}
	o.raw(fieldData, m.Data)
	return append(o.dst, '}')
}

// AppendBatch appends the JSON array of the messages to dst, without blanks
// ([R-OUT-1]).
func AppendBatch(dst []byte, msgs []*Message) []byte {
	dst = append(dst, '[')
	for i, m := range msgs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendMessage(dst, m)
	}
	return append(dst, ']')
}

// size is about the length of the encoded message: enough unless there is
// something to escape.
func (m *Message) size() int {
	const keys = 32 // {"channel":"","data":} and a little
	n := keys + len(m.Channel) + len(m.Data)
	for _, more := range [...]int{
		len(m.ID), len(m.ClientID), len(m.Error), len(m.Ext), len(m.Advice), len(m.Subscription),
	} {
		if more > 0 {
			n += more + 20
		}
	}
	for i := range m.Fields {
		n += len(m.Fields[i].Name) + len(m.Fields[i].Value) + 4
	}
	return n
}

// object appends the members of a JSON object.
type object struct {
	dst  []byte
	more bool
}

func (o *object) comma() {
	if o.more {
		o.dst = append(o.dst, ',')
	}
	o.more = true
}

// key appends a name of ours, in which there is nothing to escape.
func (o *object) key(name string) {
	o.comma()
	o.dst = append(append(append(o.dst, '"'), name...), '"', ':')
}

// copied appends a member as it stands.
func (o *object) copied(text []byte) {
	o.comma()
	o.dst = append(o.dst, text...)
}

func (o *object) text(name, value string) {
	o.key(name)
	o.dst = AppendString(o.dst, value)
}

// millis appends a time in whole milliseconds; nil is left out.
func (o *object) millis(name string, value *time.Duration) {
	if value != nil {
		o.key(name)
		o.dst = strconv.AppendInt(o.dst, value.Milliseconds(), 10)
	}
}

func (o *object) raw(name string, value Raw) {
	if len(value) > 0 {
		o.key(name)
		o.dst = append(o.dst, value...)
	}
}

// named is raw of a name that is not ours.
func (o *object) named(name string, value Raw) {
	if len(value) > 0 {
		o.comma()
		o.dst = append(append(AppendString(o.dst, name), ':'), value...)
	}
}
