package floors

import (
	"bytes"
	"strconv"
	"time"
)

// kind tells what is to be done with a message.
type kind int

const (
	publish kind = iota
	handshake
	connect
	subscribe
	unsubscribe
	disconnect
)

func (m *message) kind() kind {
	switch string(m.channel) {
	case `"/meta/handshake"`:
		return handshake
	case `"/meta/connect"`:
		return connect
	case `"/meta/subscribe"`:
		return subscribe
	case `"/meta/unsubscribe"`:
		return unsubscribe
	case `"/meta/disconnect"`:
		return disconnect
	}
	return publish
}

// atOnce tells whether a connect asks not to be held.
func (m *message) atOnce() bool {
	return bytes.Contains(m.advice, []byte(`"timeout":0`))
}

// appendReply appends the answer to a message, and a comma to what is before.
func appendReply(b []byte, m *message, transport string, clientID []byte, hold time.Duration) []byte {
	b = comma(b)
	b = append(append(b, `{"channel":`...), m.channel...)
	if m.id != nil {
		b = append(append(b, `,"id":`...), m.id...)
	}
	switch m.kind() {
	case handshake:
		b = append(append(b, `,"clientId":`...), clientID...)
		b = append(b, `,"version":"1.0","supportedConnectionTypes":["`+transport+`"]`...)
		b = appendAdvice(b, hold)
	case connect:
		b = appendAdvice(b, hold)
	case subscribe, unsubscribe:
		b = append(append(b, `,"subscription":`...), m.subscription...)
	default:
	}
	return append(b, `,"successful":true}`...)
}

func appendAdvice(b []byte, hold time.Duration) []byte {
	b = append(b, `,"advice":{"reconnect":"retry","interval":0,"timeout":`...)
	return append(strconv.AppendInt(b, hold.Milliseconds(), 10), '}')
}

// appendUnknown answers a message of a session that is not known.
func appendUnknown(b []byte, m *message) []byte {
	b = append(append(comma(b), `{"channel":`...), m.channel...)
	if m.id != nil {
		b = append(append(b, `,"id":`...), m.id...)
	}
	return append(b, `,"successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake"}}`...)
}

// appendDelivery appends a publication as its subscribers get it.
func appendDelivery(b []byte, m *message) []byte {
	b = append(append(comma(b), `{"channel":`...), m.channel...)
	if m.data != nil {
		b = append(append(b, `,"data":`...), m.data...)
	}
	return append(b, '}')
}

// comma separates objects; b is empty or ends with one.
func comma(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] == '}' {
		return append(b, ',')
	}
	return b
}
