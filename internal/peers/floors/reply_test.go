package floors

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/peers/envelope"
)

func TestReplies(t *testing.T) {
	m, _, _ := envelope.Next([]byte(`{"channel":"/meta/handshake","id":"1"}`))
	b := appendReply(nil, &m, WebSocket, []byte(`"c"`), DefaultHold, nil)
	require.JSONEq(t, `{"channel":"/meta/handshake","id":"1","clientId":"c","version":"1.0","supportedConnectionTypes":["websocket"],
		"advice":{"reconnect":"retry","interval":0,"timeout":30000},"successful":true}`, string(b))
	m, _, _ = envelope.Next([]byte(`{"channel":"/a","data":[1]}`))
	b = appendReply(appendDelivery(nil, &m), &m, WebSocket, nil, 0, nil)
	require.JSONEq(t, `[{"channel":"/a","data":[1]},{"channel":"/a","successful":true}]`, "["+string(b)+"]")
	b = appendUnknown(nil, &m)
	require.Contains(t, string(b), "402::session_unknown")
}
