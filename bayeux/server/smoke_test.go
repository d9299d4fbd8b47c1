package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A dialogue over long-polling with two users, from handshake to disconnect.
func TestLongPollingDialogue(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		alice, bob := r.hello("").connect().subscribe("/chat/*"), r.hello("").connect()

		held := alice.later(connectHold)
		synctest.Wait()
		reply := bob.publish("/chat/demo", `{"n":1.50}`)
		same(t, `[{"channel":"/chat/demo","id":"p","successful":true}]`, reply.Messages)

		got := <-held
		require.Equal(t, 200, got.Status)
		require.Contains(t, got.Body, `{"n":1.50}`)
		same(t, `[{"channel":"/chat/demo","data":{"n":1.5}},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)

		held = alice.later(connectHold)
		synctest.Wait()
		got = <-held
		soon(t, 4*time.Second, got.Took) // [R-CN-8]
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)

		reply = alice.send(`[{"channel":"/meta/disconnect","clientId":"$","id":"9"}]`)
		same(t, `[{"channel":"/meta/disconnect","id":"9","successful":true}]`, reply.Messages)
		reply = alice.send(connectHold)
		require.Equal(t, 200, reply.Status) // [R-HT-6, R-HT-10]
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0}}]`, reply.Messages)
	})
}

// The same over a WebSocket: pushes do not end the held connect.
func TestWebSocketDialogue(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.Dial(nil)
		s.Send(`[{"channel":"/meta/handshake","id":"1"}]`)
		id := text(s.Next(time.Second).Messages[0]["clientId"])
		require.NotEmpty(t, id)
		alice := &user{r: r, id: id}
		s.Send(alice.fill(connectNow))
		require.Equal(t, true, s.Next(time.Second).Messages[0]["successful"])
		s.Send(alice.fill(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a","id":"2"}]`))
		same(t, `[{"channel":"/meta/subscribe","subscription":"/a","successful":true,"id":"2"}]`, s.Next(time.Second).Messages)
		s.Send(alice.fill(connectHold))
		bob := r.hello("")
		bob.publish("/a", `"x"`)
		same(t, `[{"channel":"/a","data":"x"}]`, s.Next(time.Second).Messages) // [R-WS-11]
		s.Quiet(3 * time.Second)
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true}]`, s.Next(2*time.Second).Messages)
		s.Send(alice.fill(`[{"channel":"/meta/disconnect","clientId":"$","id":"3"}]`))
		same(t, `[{"channel":"/meta/disconnect","id":"3","successful":true}]`, s.Next(time.Second).Messages)
		s.Cut()
	})
}

// A session without a connect is gone after maxInterval, at the next sweep
// ([R-EX-1], [R-HS-19]).
func TestExpiry(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("")
		time.Sleep(2900 * time.Millisecond)
		require.Len(t, r.srv.Sessions(), 1)
		time.Sleep(700 * time.Millisecond)
		require.Empty(t, r.srv.Sessions())
		reply := u.publish("/a", "1")
		same(t, `[{"channel":"/a","id":"p","successful":false,"error":"402::session_unknown"}]`, reply.Messages)
	})
}
