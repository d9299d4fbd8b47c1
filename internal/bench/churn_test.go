package bench

import (
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// TestChurnAnswers gives a session that comes and goes what servers answer, in the
// shape that is taken without decoding and in others: what follows is the same.
func TestChurnAnswers(t *testing.T) {
	const goes = `"channel":"/meta/disconnect","id":"2","clientId":"`
	for _, tt := range []struct {
		name, in  string
		at        stage
		out, fail string
		done      int64
	}{
		{name: "usual", in: `[{"channel":"/meta/handshake","clientId":"a1","successful":true}]`, out: goes + `a1"`},
		{name: "escapes", in: `[{"channel":"/meta/handshake","clientId":"\u00611","successful":true}]`, out: goes + `a1"`},
		{name: "spaces", in: `[{"channel": "/meta/handshake", "clientId": "a1", "successful": true}]`, out: goes + `a1"`},
		{name: "without an id", in: `[{"channel":"/meta/handshake","successful":true}]`, fail: `client id ""`},
		{name: "refused", in: `[{"channel":"/meta/handshake","successful":false,"error":"403::no"}]`, fail: "/meta/handshake: 403::no"},
		{name: "another", in: `[{"channel":"/meta/connect","clientId":"a1","successful":true}]`},
		{name: "left", at: leaving, in: `[{"channel":"/meta/disconnect","successful":true}]`, fail: "done", done: 1},
		{name: "left, spaces", at: leaving, in: `[{"channel": "/meta/disconnect", "successful": true}]`, fail: "done", done: 1},
		{name: "refused to leave", at: leaving, in: `[{"channel":"/meta/disconnect","successful":false,"error":"402::who"}]`, fail: "402::who"},
		{name: "no answer to that", at: leaving, in: `[{"channel":"/meta/connect","successful":true}]`},
		{name: "no Bayeux", in: `["successful"]`, fail: "no Bayeux"},
	} {
		w := livingWire(t, WebSocket)
		w.c.eng.cfg.Mode, w.c.stage, w.c.id, w.c.subs = Churn, tt.at, nil, nil
		out, err := w.c.take(w, []byte(tt.in), 1, nil)
		if tt.fail == "" {
			require.NoError(t, err, tt.name)
		} else {
			require.ErrorContains(t, err, tt.fail, tt.name)
		}
		require.Equal(t, tt.done, w.c.tally.counts.done, tt.name)
		if tt.out == "" {
			require.Empty(t, out, tt.name)
			continue
		}
		require.Contains(t, string(unmasked(out)), tt.out, tt.name)
		require.Equal(t, leaving, w.c.stage, tt.name)
		require.Equal(t, "a1", string(w.c.id), tt.name)
	}
}

// unmasked returns the payload of a short frame of a client.
func unmasked(frame []byte) []byte {
	key := maskKey()
	payload := frame[2+len(key):]
	ws.Cipher(payload, key, 0)
	return payload
}
