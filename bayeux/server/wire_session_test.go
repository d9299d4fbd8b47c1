package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// [R-ID-1], [R-ID-2] and cases 23, 24: whom a message may speak for.
func TestWireWhoSpeaks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		other := r.helloWith(u.cookie, "").connect() // a session of the same browser
		refused := func(channel, id string) string {
			return `{"channel":"` + channel + `","id":"` + id + `","successful":false,"error":"402::session_unknown"}`
		}
		wireCases(t, u, []wireCase{
			{
				"the first message names the session, others are refused one by one",
				`[{"channel":"/a","clientId":"$","id":"1"},{"channel":"/a","id":"2"},{"channel":"/a","clientId":"` + other.id +
					`","id":"3"},{"channel":"/a","clientId":"zzz","id":"4"},{"channel":"/a","clientId":"$","id":"5"}]`,
				`[{"channel":"/a","id":"1","successful":true},` + refused("/a", "2") + `,` + refused("/a", "3") + `,` +
					refused("/a", "4") + `,{"channel":"/a","id":"5","successful":true}]`,
			},
			{
				"an unknown first one refuses all",
				`[{"channel":"/a","clientId":"zzz","id":"1"},{"channel":"/a","clientId":"$","id":"2"}]`,
				`[` + refused("/a", "1") + `,` + refused("/a", "2") + `]`,
			},
			{
				"a missing first one too",
				`[{"channel":"/a","id":"1"},{"channel":"/a","clientId":"$","id":"2"}]`,
				`[` + refused("/a", "1") + `,` + refused("/a", "2") + `]`,
			},
			{"publish without clientId", `{"channel":"/a","id":"1"}`, `[` + refused("/a", "1") + `]`},
			{
				"connect without clientId",
				`{"channel":"/meta/connect","id":"c1","connectionType":"long-polling"}`, wireGone,
			},
		})
	})
}

// [R-ERR-1], [R-ERR-2], [R-ERR-3]: an unknown session is no HTTP error; only
// connects are told what to do.
func TestWireUnknownSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := wireAt(r, "bogus", "BAYEUX_BROWSER=abc")
		for _, channel := range []string{"/meta/disconnect", "/meta/subscribe", "/meta/unsubscribe", "/a", "/service/x"} {
			reply := u.send(`[{"channel":"` + channel + `","clientId":"$","id":"5","subscription":"/a"}]`)
			require.Equal(t, 200, reply.Status)
			same(t, `[{"channel":"`+channel+`","id":"5","subscription":"/a","successful":false,"error":"402::session_unknown"}]`, reply.Messages)
		}
		same(t, wireGone, u.send(connectHold).Messages)
		same(t, wireGone, u.send(`[{"channel":"/meta/connect","clientId":"$","id":"c1","advice":{"timeout":0,"interval":7}}]`).Messages)
	})
}

// [R-ID-3] and cases 17, 18: the browser's cookie must fit.
func TestWireCookieBindsSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, thief := r.hello("").connect().subscribe("/a"), r.hello("").connect()
		require.NotEqual(t, u.cookie, thief.cookie)
		for name, cookie := range map[string]string{
			"none": "", "another browser's": thief.cookie, "forged": "BAYEUX_BROWSER=abc", "empty": "BAYEUX_BROWSER=",
			"a longer one": u.cookie + "x", "the wrong one first": "BAYEUX_BROWSER=abc; " + u.cookie, "another name": "X" + u.cookie,
		} {
			same(t, wireGone, r.Post(cookie, u.fill(connectHold)).Messages)
			m := r.Post(cookie, u.fill(`[{"channel":"/meta/disconnect","clientId":"$"}]`)).Messages[0]
			require.Equal(t, "402::session_unknown", m["error"], name)
		}
		// The right one among others, and first of two, will do.
		for _, cookie := range []string{"a=b; " + u.cookie + "; c=d", u.cookie + "; BAYEUX_BROWSER=abc"} {
			require.Equal(t, true, r.Post(cookie, u.fill(connectNow)).Messages[0]["successful"])
		}
		thief.publish("/a", "1")
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, u.send(connectHold).Messages)
	})
}

// [R-ID-4] and case 21: by option the clientId suffices.
func TestWireTrustClientSession(t *testing.T) {
	bubble(t, option("trustClientSession", "true"), func(t *testing.T, r *rig) {
		u := r.hello("")
		for _, cookie := range []string{"", "BAYEUX_BROWSER=abc"} {
			require.Equal(t, true, wireAt(r, u.id, cookie).publish("/a", "1").Messages[0]["successful"])
		}
		bare := wireAt(r, u.id, "").connect()
		soon(t, 4*time.Second, (<-wireHold(bare)).Took)
		// A session of a WebSocket goes on over long-polling (WIRE 17).
		s := r.Dial(nil)
		s.Send(`[{"channel":"/meta/handshake"}]`)
		moved := wireAt(r, text(s.Next(time.Second).Messages[0]["clientId"]), "").connect().subscribe("/b")
		held := wireHold(moved)
		bare.publish("/b", "1")
		require.Len(t, wireAnswered(t, held).Messages, 2)
		s.Cut()
	})
}

// [R-ID-5], [R-ID-6] and case 22, 123: a socket remembers its session.
func TestWireSocketSession(t *testing.T) {
	answer := func(s *testkit.Socket, id string) any {
		s.Send(`[{"channel":"/a","clientId":"` + id + `"}]`)
		return s.Next(time.Second).Messages[0]["successful"]
	}
	bubble(t, nil, func(t *testing.T, r *rig) {
		other := r.hello("")
		s := r.Dial(nil)
		defer s.Cut()
		s.Send(`[{"channel":"/meta/handshake"}]`)
		own := text(s.Next(time.Second).Messages[0]["clientId"])
		require.Equal(t, true, answer(s, own))
		require.Equal(t, false, answer(s, other.id))
		require.Equal(t, false, answer(s, ""))
		require.Equal(t, true, answer(s, own))
		fresh := r.Dial(nil)
		defer fresh.Cut()
		require.Equal(t, true, answer(fresh, other.id)) // without its cookie
		require.Equal(t, false, answer(fresh, own))
	})
	bubble(t, option("ws.requireHandshakePerConnection", "true"), func(t *testing.T, r *rig) {
		s := r.Dial(nil)
		defer s.Cut()
		require.Equal(t, false, answer(s, r.hello("").id))
	})
}

// With ws.requireBrowserCookie a fresh socket needs the cookie that the session's
// handshake had; one that had none is free as ever ([R-ID-5]).
func TestWireBoundToBrowser(t *testing.T) {
	dial := func(r *rig, cookie string) *testkit.Socket { return r.Dial(http.Header{"Cookie": {cookie}}) }
	may := func(r *rig, cookie, id string) any {
		s := dial(r, cookie)
		defer s.Cut()
		s.Send(strings.ReplaceAll(connectNow, "$", id))
		return s.Next(time.Second).Messages[0]["successful"]
	}
	bubble(t, option("ws.requireBrowserCookie", "true"), func(t *testing.T, r *rig) {
		for cookie, free := range map[string]bool{"BAYEUX_BROWSER=abc": false, "other=1": true} {
			s := dial(r, cookie)
			s.Send(`[{"channel":"/meta/handshake"}]`)
			id := text(s.Next(time.Second).Messages[0]["clientId"])
			s.Send(strings.ReplaceAll(connectNow, "$", id))
			require.Equal(t, true, s.Next(time.Second).Messages[0]["successful"])
			require.Equal(t, true, may(r, cookie, id))
			require.Equal(t, free, may(r, "BAYEUX_BROWSER=ab", id))
			require.Equal(t, free, may(r, "", id))
			s.Cut()
		}
		u := r.hello("").connect()
		require.Equal(t, false, may(r, "BAYEUX_BROWSER=other", u.id))
		require.Equal(t, true, may(r, u.cookie, u.id))
	})
}

// [R-ID-7]: a WebSocket session has no cookie, so long-polling does not know
// it; the way to the WebSocket is open.
func TestWireTransportChange(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.Dial(http.Header{"Cookie": {"BAYEUX_BROWSER=abc"}})
		defer s.Cut()
		s.Send(`[{"channel":"/meta/handshake"}]`)
		u := wireAt(r, text(s.Next(time.Second).Messages[0]["clientId"]), "BAYEUX_BROWSER=abc")
		same(t, wireGone, u.send(connectHold).Messages)
		require.True(t, wireAlive(u))

		v := r.hello("").connect()
		fresh := r.Dial(nil)
		defer fresh.Cut()
		fresh.Send(v.fill(connectNow))
		require.Equal(t, true, fresh.Next(time.Second).Messages[0]["successful"])
	})
}

// [R-ERR-4] and case 43: a connect that meets the disconnect of its session is
// told not to come back; the next one to handshake.
func TestWireConnectMeetsDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		reply := u.send(`[{"channel":"/a","clientId":"$","id":"1","data":1},{"channel":"/meta/disconnect","clientId":"$","id":"2"},` +
			`{"channel":"/a","clientId":"$","id":"3","data":2},{"channel":"/meta/connect","clientId":"$","id":"4"}]`)
		same(t, `[{"channel":"/a","data":1},{"channel":"/a","id":"1","successful":true},{"channel":"/meta/disconnect","id":"2","successful":true},`+
			`{"channel":"/a","id":"3","successful":false,"error":"402::session_unknown"},`+
			`{"channel":"/meta/connect","id":"4","successful":false,"error":"402::session_unknown","advice":{"reconnect":"none","interval":0}}]`,
			reply.Messages) // [R-DC-3]
		same(t, wireGone, u.send(connectHold).Messages)
	})
}

// [R-ERR-5] and case 53: who has expired may come back.
func TestWireExpiredMayReturn(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		time.Sleep(5 * time.Second)
		same(t, wireGone, u.send(connectHold).Messages)
		same(t, wireGone, u.send(connectHold).Messages)
	})
}
