package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A handshake over HTTP/1.0, and over HTTP/2 with prior knowledge ([R-HT-12],
// case 103).
func TestHandshakeOverOtherHTTP(t *testing.T) {
	const handshake = `[{"channel":"/meta/handshake"}]`
	bubble(t, nil, func(t *testing.T, r *rig) {
		got := responses(t, r, fmt.Sprintf("POST /cometd HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(handshake), handshake))
		require.Len(t, got, 1)
		require.Contains(t, got[0], `"successful":true`)

		p := new(http.Protocols)
		p.SetUnencryptedHTTP2(true)
		l, stop := wireListen(&http.Server{Protocols: p}, r.srv)
		defer stop()
		client := wireClient(l, p)
		defer client.CloseIdleConnections()
		resp, err := client.Post("http://memory/cometd", "application/json", strings.NewReader(handshake))
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, 2, resp.ProtoMajor)
		require.Contains(t, string(body), `"successful":true`)
		require.Len(t, r.srv.Sessions(), 2)
	})
}

// Fields that nobody knows do not matter, wherever they are ([R-MSG-15],
// case 104).
func TestUnknownFields(t *testing.T) {
	const odd = `"ext":{"odd":{"deep":[null,{"x":1}]}},"odd":{"advice":{"timeout":9}},"zzz":[[[]]],"":"empty"`
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello(odd)
		for _, body := range []string{
			`{"channel":"/meta/connect","clientId":"$","id":"c1","advice":{"timeout":0,"odd":true},` + odd + `}`,
			`{"channel":"/meta/subscribe","clientId":"$","id":"s","subscription":"/a",` + odd + `}`,
			`{"channel":"/b","clientId":"$","id":"p","data":{},` + odd + `}`,
			`{"channel":"/meta/unsubscribe","clientId":"$","id":"s","subscription":"/a",` + odd + `}`,
			`{"channel":"/meta/disconnect","clientId":"$","id":"d",` + odd + `}`,
		} {
			reply := u.send("[" + body + "]")
			require.Len(t, reply.Messages, 1, body)
			require.Equal(t, true, reply.Messages[0]["successful"], reply.Body)
			require.NotContains(t, reply.Messages[0], "odd")
		}
	})
}

// A connection that is cut right after the first connect, with messages on
// their way, does not keep its session for ever ([R-CN-22], [R-WS-18], case 122).
func TestCutAfterFirstConnect(t *testing.T) {
	for _, ext := range []string{"", `"ext":{"ack":true}`} {
		t.Run(ext, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.surf(ext).connected().subscribed("/a")
				r.publish("/a", 1)
				u.Cut()
				r.publish("/a", 2)
				time.Sleep(2900 * time.Millisecond)
				require.Len(t, r.srv.Sessions(), 1)
				time.Sleep(time.Second)
				require.Empty(t, r.srv.Sessions())
				require.Zero(t, r.stats().QueuedBytes)
			})
		})
	}
}

// A session that began on a WebSocket has no browser, so that nobody can use it
// by long-polling ([R-ID-7], case 126).
func TestSocketSessionByPoll(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		for _, cookie := range []string{"", "BAYEUX_BROWSER=x"} {
			poll := &user{r: r, id: u.id, cookie: cookie}
			same(t, unknown, poll.send(connectHold).Messages)
			require.Contains(t, poll.publish("/a", "1").Body, "402::session_unknown")
		}
		u.say(`[{"channel":"/x","clientId":"$","id":"p"}]`)
		same(t, `[{"channel":"/x","id":"p","successful":true}]`, u.get())
	})
}

// A client with ack whose session is gone, after a restart for example, is told
// to handshake, and numbers begin at 1 again ([R-ACK-13], case 144).
func TestAckAfterRestart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := &user{r: r, id: "gone", cookie: "BAYEUX_BROWSER=kept"}
		same(t, unknown, u.send(acking("17", "")).Messages)
		next := r.helloWith(u.cookie, `"ext":{"ack":true}`)
		next.expect(acking("0", ackNow), "", 1)
		next.subscribe("/a")
		r.publish("/a", 1)
		next.expect(acking("1", ""), "1", 2)
	})
}
