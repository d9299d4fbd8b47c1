package floors

import (
	"strconv"
	"time"

	"github.com/halleypush/halley/internal/peers/envelope"
)

// acks is what a client with acknowledged messages has besides.
type acks struct {
	batch   int64  // the number of the last reply to a connect
	waiting []byte // deliveries that came while no connect was held
}

// appendReply appends the answer to a message, and a comma to what is before; a is nil
// without acknowledged messages.
func appendReply(b []byte, m *envelope.Message, transport string, clientID []byte, hold time.Duration, a *acks) []byte {
	b = appendHead(b, m)
	switch m.Kind() {
	case envelope.Handshake:
		b = append(append(b, `,"clientId":`...), clientID...)
		b = append(b, `,"version":"1.0","supportedConnectionTypes":["`+transport+`"]`...)
		b = appendAdvice(b, hold)
		if a != nil {
			b = append(b, `,"ext":{"ack":true}`...)
		}
	case envelope.Connect:
		if a == nil {
			b = appendAdvice(b, hold)
			break
		}
		a.batch++
		b = append(strconv.AppendInt(append(b, `,"ext":{"ack":`...), a.batch, 10), '}')
	case envelope.Subscribe, envelope.Unsubscribe:
		b = append(append(b, `,"subscription":`...), m.Subscription...)
	default:
	}
	return append(b, `,"successful":true}`...)
}

// appendHead appends what each answer begins with.
func appendHead(b []byte, m *envelope.Message) []byte {
	b = append(append(comma(b), `{"channel":`...), m.Channel...)
	if m.ID != nil {
		b = append(append(b, `,"id":`...), m.ID...)
	}
	return b
}

func appendAdvice(b []byte, hold time.Duration) []byte {
	b = append(b, `,"advice":{"reconnect":"retry","interval":0,"timeout":`...)
	return append(strconv.AppendInt(b, hold.Milliseconds(), 10), '}')
}

// appendUnknown answers a message of a session that is not known.
func appendUnknown(b []byte, m *envelope.Message) []byte {
	b = appendHead(b, m)
	return append(b, `,"successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake"}}`...)
}

// appendDelivery appends a publication as its subscribers get it.
func appendDelivery(b []byte, m *envelope.Message) []byte {
	b = append(append(comma(b), `{"channel":`...), m.Channel...)
	if m.Data != nil {
		b = append(append(b, `,"data":`...), m.Data...)
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
