package floors

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	input := `[{"channel":"/a","data":{"b":[1,"}\"",{"id":2}]},"id":"7","clientId":"x"}, {"advice" : {"timeout":0},"channel":"/meta/connect"},{"subscription":"/s","n":12,"channel":"/meta/subscribe"}]`
	first, rest, ok := scan([]byte(input))
	require.True(t, ok)
	require.Equal(t, `"/a"`, string(first.channel))
	require.Equal(t, `{"b":[1,"}\"",{"id":2}]}`, string(first.data))
	require.Equal(t, `"7"`, string(first.id))
	require.Equal(t, `"x"`, string(first.clientID))
	require.Equal(t, publish, first.kind())

	second, rest, ok := scan(rest)
	require.True(t, ok)
	require.Equal(t, connect, second.kind())
	require.True(t, second.atOnce())
	require.Nil(t, second.id)

	third, rest, ok := scan(rest)
	require.True(t, ok)
	require.Equal(t, subscribe, third.kind())
	require.Equal(t, `"/s"`, string(third.subscription))
	_, _, ok = scan(rest)
	require.False(t, ok)
}

// Input that is cut off or no JSON ends the scan.
func TestScanNonsense(t *testing.T) {
	const whole = `[{"channel":"/a\\","data":{"b":[1,"x"]},"id":7}]`
	for n := range len(whole) - 2 {
		_, _, ok := scan([]byte(whole[:n]))
		require.False(t, ok, whole[:n])
	}
	for _, text := range []string{"", "]", "{", `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":"\`, `{]}`, `{"a":}`, "\x00\xff"} {
		require.NotPanics(t, func() { scan([]byte(text)) }, text)
	}
}

func TestReplies(t *testing.T) {
	m, _, _ := scan([]byte(`{"channel":"/meta/handshake","id":"1"}`))
	b := appendReply(nil, &m, WebSocket, []byte(`"c"`), DefaultHold)
	require.JSONEq(t, `{"channel":"/meta/handshake","id":"1","clientId":"c","version":"1.0","supportedConnectionTypes":["websocket"],
		"advice":{"reconnect":"retry","interval":0,"timeout":30000},"successful":true}`, string(b))
	m, _, _ = scan([]byte(`{"channel":"/a","data":[1]}`))
	b = appendReply(appendDelivery(nil, &m), &m, WebSocket, nil, 0)
	require.JSONEq(t, `[{"channel":"/a","data":[1]},{"channel":"/a","successful":true}]`, "["+string(b)+"]")
	b = appendUnknown(nil, &m)
	require.Contains(t, string(b), "402::session_unknown")
}
