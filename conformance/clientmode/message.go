package clientmode

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/halleypush/halley/conformance/suite"
)

// The meta channels.
const (
	Handshake   = "/meta/handshake"
	Connect     = "/meta/connect"
	Subscribe   = "/meta/subscribe"
	Unsubscribe = "/meta/unsubscribe"
	Disconnect  = "/meta/disconnect"
)

// In is a message of the client. Unit tells which ones came in one request or
// frame.
type In struct {
	*suite.Message

	Nth    int      // on its channel, from 1
	With   int      // how many others came in the same unit
	Via    suite.On // long-polling or WebSocket
	Header http.Header
}

// ClientID returns the clientId, or "".
func (m *In) ClientID() string { return m.Text("clientId") }

// Cookie returns the value of a cookie that came along, or "".
func (m *In) Cookie(name string) string {
	c, err := (&http.Request{Header: m.Header}).Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// now tells whether a connect asks to be answered at once.
func (m *In) now() bool {
	n, ok := m.Number("advice.timeout")
	return ok && n == 0
}

// split reads a body: an array of messages, or one.
func split(body []byte) ([]json.RawMessage, error) {
	var all []json.RawMessage
	err := json.Unmarshal(body, &all)
	if err != nil && json.Valid(body) {
		return []json.RawMessage{body}, nil
	}
	return all, err
}

// merge returns a copy of a message with changes.
func merge(m, changes M) M {
	out := M{}
	maps.Copy(out, m)
	for k, v := range changes {
		if v == suite.Absent {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}
