package server_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

const wireTypes = `["websocket","long-polling","callback-polling"]`

// wireShake sends a handshake with more fields and returns the whole answer.
func wireShake(r *rig, cookie, more string) *testkit.Reply {
	r.t.Helper()
	return r.Post(cookie, `[{"channel":"/meta/handshake"`+join(more)+`}]`)
}

// Cases 1, 2, 3 and 7: nothing of the request matters but channel and id.
func TestWireHandshakeReply(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		seen := map[string]bool{}
		for _, more := range []string{
			``, // [R-HS-2]
			`"data":{"a":1},"advice":{"timeout":0,"interval":9},"clientId":"zzz","foo":1,"subscription":null`, // [R-HS-2]
			`"version":"0.1"`, `"version":"9","minimumVersion":"9"`, // [R-HS-3]
			`"supportedConnectionTypes":["foo"]`, `"supportedConnectionTypes":[]`, // [R-HS-4]
			`"ext":{"unknown":{"a":1}}`, // [R-HS-6]
		} {
			reply := wireShake(r, "", more)
			m := maps.Clone(reply.Messages[0])
			id := text(m["clientId"])
			require.Regexp(t, `^[0-9a-z]{25,28}$`, id) // [R-HS-13]
			require.False(t, seen[id])
			seen[id] = true
			delete(m, "clientId")
			same(t, `{"channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":`+wireTypes+
				`,"successful":true,"advice":`+wireFull+`}`, m) // [R-HS-1, R-HS-7]
		}
		require.Equal(t, "7", wireShake(r, "", `"id":7`).Messages[0]["id"])
		reply := wireShake(r, "", `"id":"a-b"`)
		same(t, `[{"channel":"/meta/handshake","id":"a-b","successful":false,"error":"405::message_id_invalid"}]`, reply.Messages)
		require.Empty(t, reply.Header.Values("Set-Cookie"))
		require.Len(t, r.srv.Sessions(), len(seen)+1)
	})
}

// [R-HS-5]: the option's order, the same list on each transport.
func TestWireHandshakeTypes(t *testing.T) {
	list := func(r *rig) (long, socket, callback string) {
		s := r.Dial(nil)
		defer s.Cut()
		s.Send(`[{"channel":"/meta/handshake"}]`)
		socket = canon(r.t, s.Next(time.Second).Messages[0]["supportedConnectionTypes"])
		long = canon(r.t, wireShake(r, "", "").Messages[0]["supportedConnectionTypes"])
		reply, err := r.Do(testkit.Request{Method: "GET", Query: "jsonp=f&message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fhandshake%22%7D%5D"})
		require.NoError(r.t, err)
		return long, socket, reply.Body
	}
	for _, c := range []struct{ option, want string }{
		{"", wireTypes},
		{"callback-polling,websocket,long-polling", `["callback-polling","websocket","long-polling"]`},
	} {
		bubble(t, option("allowedTransports", c.option), func(t *testing.T, r *rig) {
			long, socket, callback := list(r)
			require.Equal(t, c.want, long)
			require.Equal(t, c.want, socket)
			require.Contains(t, callback, c.want)
		})
	}
	bubble(t, option("allowedTransports", "long-polling"), func(t *testing.T, r *rig) {
		require.Equal(t, `["long-polling"]`, canon(t, wireShake(r, "", "").Messages[0]["supportedConnectionTypes"]))
		_, err := r.TryDial("/cometd", nil)
		require.Error(t, err)
	})
}

// [R-HS-7]: maxInterval by option, values of the transport that is used.
// Case 10.
func TestWireHandshakeAdvice(t *testing.T) {
	change := option("handshakeReconnect", "true", "long-polling.timeout", "1000", "long-polling.interval", "50", "ws.timeout", "2000")
	bubble(t, change, func(t *testing.T, r *rig) {
		same(t, `{"reconnect":"retry","interval":50,"timeout":1000,"maxInterval":3000}`, wireShake(r, "", "").Messages[0]["advice"])
		s := r.Dial(nil)
		s.Send(`[{"channel":"/meta/handshake"}]`)
		same(t, `{"reconnect":"retry","interval":0,"timeout":2000,"maxInterval":3000}`, s.Next(time.Second).Messages[0]["advice"])
		s.Cut()
	})
}

// [R-HS-8]: the defaults are those of CometD 8.
func TestWireHandshakeDefaults(t *testing.T) {
	bubble(t, func(c *server.Config) { *c = server.Config{} }, func(t *testing.T, r *rig) {
		u := r.hello("")
		same(t, `{"reconnect":"retry","interval":0,"timeout":20000}`, u.first["advice"])
		held := wireHold(u.connect())
		soon(t, 20*time.Second, (<-held).Took)
		time.Sleep(9900 * time.Millisecond)
		require.True(t, wireAlive(u))
		time.Sleep(1100 * time.Millisecond)
		require.False(t, wireAlive(u))
	})
}

// [R-HS-9] and case 16: each handshake makes a session, the old one stays.
func TestWireHandshakeAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		first := r.hello("").connect()
		second := r.helloWith(first.cookie, `"clientId":"`+first.id+`"`).connect()
		require.NotEqual(t, first.id, second.id)
		a, b := first.later(`[{"channel":"/meta/handshake"}]`), first.later(`[{"channel":"/meta/handshake"}]`)
		require.NotEqual(t, (<-a).Messages[0]["clientId"], (<-b).Messages[0]["clientId"])
		for _, u := range []*user{first, second} {
			require.Equal(t, true, u.publish("/a", "1").Messages[0]["successful"])
		}
		require.Len(t, r.srv.Sessions(), 4)
	})
}

// [R-HS-10] and case 9: a refused handshake.
func TestWireHandshakeDenied(t *testing.T) {
	var verdict error
	policy := wirePolicy{handshake: func(bayeux.Session, *bayeux.Message) error { return verdict }}
	bubble(t, wireWith(policy), func(t *testing.T, r *rig) {
		wait := time.Second
		for _, c := range []struct {
			verdict error
			want    string
		}{
			{&bayeux.Error{}, `"error":"403::handshake_denied","advice":{"reconnect":"none"}`},
			{&bayeux.Error{Text: "no", Args: "why"}, `"error":"403:why:no","advice":{"reconnect":"none"}`},
			{
				&bayeux.Error{Advice: &bayeux.Advice{Reconnect: "handshake", Interval: &wait}, Ext: bayeux.Raw(`{"a":1}`)},
				`"error":"403::handshake_denied","advice":{"reconnect":"handshake","interval":1000},"ext":{"a":1}`,
			},
			{context.DeadlineExceeded, `"error":"403::handshake_denied","advice":{"reconnect":"none"}`},
		} {
			verdict = c.verdict
			reply := wireShake(r, "", `"id":"1"`)
			require.Equal(t, 200, reply.Status)
			same(t, `[{"channel":"/meta/handshake","id":"1","successful":false,`+c.want+`}]`, reply.Messages)
			require.Empty(t, reply.Header.Values("Set-Cookie"))
		}
		require.Empty(t, r.srv.Sessions())
	})
}

// [R-HS-12] as decided in WIRE 16, case 8.
func TestWireHandshakeAlone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, body := range []string{
			`[{"channel":"/meta/handshake"},{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`,
			`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"},{"channel":"/meta/handshake"}]`,
			`[{"channel":"/meta/handshake"},{"channel":"/meta/handshake"}]`,
		} {
			require.Equal(t, 400, u.send(body).Status)
		}
		require.Len(t, r.srv.Sessions(), 1)
		require.Zero(t, r.srv.Subscribers("/a"), "nothing of the batch is done")
	})
}

// [R-HS-14] and cases 4, 5: when the cookie is set.
func TestWireCookie(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		set := wireShake(r, "", "").Header.Values("Set-Cookie")
		require.Len(t, set, 1)
		require.Regexp(t, `^BAYEUX_BROWSER=[0-9a-z]{16}; Path=/; HttpOnly$`, set[0])
		require.Len(t, wireShake(r, "OTHER=1", "").Header.Values("Set-Cookie"), 1)

		forged := wireShake(r, "x=1; BAYEUX_BROWSER=abc", "")
		require.Empty(t, forged.Header.Values("Set-Cookie"))
		u := wireAt(r, text(forged.Messages[0]["clientId"]), "BAYEUX_BROWSER=abc").connect()
		reply, err := r.Do(testkit.Request{Body: u.fill(connectNow)}) // without the cookie
		require.NoError(t, err)
		require.Empty(t, reply.Header.Values("Set-Cookie"), "only handshakes set it")
		require.Empty(t, u.publish("/a", "1").Header.Values("Set-Cookie"))
	})
}

// [R-HS-15]: attributes and their order.
func TestWireCookieOptions(t *testing.T) {
	change := option("browserCookieName", "FOO", "browserCookieDomain", "example.com", "browserCookiePath", "/x",
		"browserCookieMaxAge", "3600", "browserCookieSecure", "true", "browserCookieSameSite", "Lax", "browserCookiePartitioned", "true")
	bubble(t, change, func(t *testing.T, r *rig) {
		reply := wireShake(r, "BAYEUX_BROWSER=abc", "")
		require.Regexp(t, `^FOO=[0-9a-z]{16}; Domain=example.com; Path=/x; Max-Age=3600; HttpOnly; SameSite=Lax; Partitioned$`, reply.Header.Get("Set-Cookie"))
		cookie := reply.Header.Get("Set-Cookie")[:20]
		wireAt(r, text(reply.Messages[0]["clientId"]), cookie).connect()
	})
}

// [R-HS-16] and case 15: all but holding works before the first connect.
func TestWireBeforeConnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		served := 0
		_, err := r.srv.Listen("/service/x", func(context.Context, bayeux.Session, *bayeux.Message) error {
			served++
			return nil
		})
		require.NoError(t, err)
		u := r.hello("").subscribe("/a")
		same(t, `[{"channel":"/a","data":1},{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "1").Messages)
		same(t, `[{"channel":"/service/x","id":"p","successful":true}]`, u.publish("/service/x", "1").Messages)
		require.Equal(t, 1, served)
	})
}

// wireGreeting is a policy that delivers messages during the handshake.
func wireGreeting(t *testing.T) bayeux.Policy {
	return wirePolicy{handshake: func(s bayeux.Session, _ *bayeux.Message) error {
		for _, data := range []string{"one", "two"} {
			require.NoError(t, s.Deliver(context.Background(), "/hi", data))
		}
		return nil
	}}
}

// [R-HS-17] and case 11: messages of the handshake wait for the first answer.
func TestWireMessagesAfterHandshake(t *testing.T) {
	bubble(t, wireWith(wireGreeting(t)), func(t *testing.T, r *rig) {
		u := r.hello("")
		require.NotContains(t, u.first, "x-messages")
		same(t, `[{"channel":"/hi","data":"one"},{"channel":"/hi","data":"two"},{"channel":"/meta/connect","id":"c1","successful":true}]`,
			u.send(connectHold).Messages)
		v := r.hello("")
		same(t, `[{"channel":"/hi","data":"one"},{"channel":"/hi","data":"two"},{"channel":"/a","id":"p","successful":true}]`,
			v.publish("/a", "1").Messages)
	})
}

// [R-HS-18]: by option they come with the handshake reply, which stays first.
func TestWireMessagesDuringHandshake(t *testing.T) {
	quiet := false
	greet := wireGreeting(t)
	policy := wirePolicy{handshake: func(s bayeux.Session, m *bayeux.Message) error {
		if quiet {
			return nil
		}
		return greet.CanHandshake(context.Background(), s, m)
	}}
	change := func(c *server.Config) {
		option("allowMessageDeliveryDuringHandshake", "true")(c)
		c.Policy = policy
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		reply := wireShake(r, "", "")
		require.Len(t, reply.Messages, 3)
		require.Equal(t, "/meta/handshake", reply.Messages[0]["channel"])
		require.InDelta(t, 2, reply.Messages[0]["x-messages"], 0)
		same(t, `[{"channel":"/hi","data":"one"},{"channel":"/hi","data":"two"}]`, reply.Messages[1:])
		u := wireAt(r, text(reply.Messages[0]["clientId"]), reply.Header.Get("Set-Cookie")[:31])
		same(t, wireHeldOK, u.send(connectHold).Messages)

		quiet = true
		reply = wireShake(r, "", "")
		require.Len(t, reply.Messages, 1)
		require.NotContains(t, reply.Messages[0], "x-messages")
	})
}

// [R-HS-19] and case 14: the clock starts when the handshake reply leaves, and
// not before.
func TestWireOrphan(t *testing.T) {
	slow := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/meta/handshake" {
			time.Sleep(5 * time.Second) // longer than maxInterval
		}
		return nil
	}}
	bubble(t, wireWith(nil, slow), func(t *testing.T, r *rig) {
		u := r.hello("")
		time.Sleep(2900 * time.Millisecond)
		require.True(t, wireAlive(u))
		time.Sleep(700 * time.Millisecond)
		require.False(t, wireAlive(u))
		same(t, wireGone, u.send(connectHold).Messages)
		same(t, `[{"channel":"/a","id":"p","successful":false,"error":"402::session_unknown"}]`, u.publish("/a", "1").Messages)
	})
	bubble(t, option("interval", "2000"), func(t *testing.T, r *rig) {
		u := r.hello("") // interval and maxInterval count
		time.Sleep(4900 * time.Millisecond)
		require.True(t, wireAlive(u))
		time.Sleep(700 * time.Millisecond)
		require.False(t, wireAlive(u))
		synctest.Wait()
	})
}
