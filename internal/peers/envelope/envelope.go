// Package envelope reads as much of Bayeux as targets of benchmarks need. It is
// not a parser: input that is not JSON gives nonsense.
package envelope

import "bytes"

// Message is what is read of a message: parts of the input, strings with their
// quotes; nil for what is not there.
type Message struct {
	Channel, ClientID, ID, Subscription, Data, Advice, Ext []byte
}

// Kind tells what is to be done with a message.
type Kind int

// Kinds, by the channel; Publish is any other than those of the rest.
const (
	Publish Kind = iota
	Handshake
	Connect
	Subscribe
	Unsubscribe
	Disconnect
)

// Kind returns the kind of the message.
func (m *Message) Kind() Kind {
	switch string(m.Channel) {
	case `"/meta/handshake"`:
		return Handshake
	case `"/meta/connect"`:
		return Connect
	case `"/meta/subscribe"`:
		return Subscribe
	case `"/meta/unsubscribe"`:
		return Unsubscribe
	case `"/meta/disconnect"`:
		return Disconnect
	}
	return Publish
}

// AtOnce tells whether a connect asks not to be held.
func (m *Message) AtOnce() bool {
	return bytes.Contains(m.Advice, []byte(`"timeout":0`))
}

// Acknowledges tells whether a handshake asks for acknowledged messages.
func (m *Message) Acknowledges() bool {
	return bytes.Contains(m.Ext, []byte(`"ack":true`))
}

// Next returns the first object of b and what follows it; ok is false where
// there is none that is whole.
func Next(b []byte) (m Message, rest []byte, ok bool) {
	i := 0
	for i < len(b) && b[i] != '{' {
		i++
	}
	for i++; i < len(b); {
		switch b[i] {
		case '}':
			return m, b[i+1:], true
		case '"':
			key := value(b[i:])
			i += len(key)
			for i < len(b) && (b[i] == ':' || b[i] == ' ') {
				i++
			}
			v := value(b[min(i, len(b)):])
			if len(v) == 0 {
				return m, nil, false
			}
			m.set(key, v)
			i += len(v)
		default:
			i++
		}
	}
	return m, nil, false
}

func (m *Message) set(key, v []byte) {
	switch string(key) {
	case `"channel"`:
		m.Channel = v
	case `"clientId"`:
		m.ClientID = v
	case `"id"`:
		m.ID = v
	case `"subscription"`:
		m.Subscription = v
	case `"data"`:
		m.Data = v
	case `"advice"`:
		m.Advice = v
	case `"ext"`:
		m.Ext = v
	}
}

// value returns the JSON value that b begins with, all of b if it has no end.
func value(b []byte) []byte {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += quoted(b[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return b[:i]
			}
			depth--
		case ',':
			if depth == 0 {
				return b[:i]
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return b[:i+1]
		}
	}
	return b
}

// quoted returns the length of the string that b begins with.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
