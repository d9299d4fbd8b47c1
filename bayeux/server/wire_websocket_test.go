package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// surfer is a session over a WebSocket, frame by frame.
type surfer struct {
	*testkit.Socket
	r     *rig
	id    string
	first testkit.Msg // the handshake reply
}

// surf makes a session over a WebSocket of its own; more goes into the
// handshake.
func (r *rig) surf(more string) *surfer {
	r.t.Helper()
	return (&surfer{Socket: r.Dial(nil), r: r}).handshake(more)
}

// handshake makes a session, on a socket that may have had one before.
func (u *surfer) handshake(more string) *surfer {
	u.r.t.Helper()
	u.Send(`[{"channel":"/meta/handshake","id":"h"` + join(more) + `}]`)
	u.first = u.get()[0]
	require.Equal(u.r.t, "/meta/handshake", u.first["channel"])
	require.Equal(u.r.t, true, u.first["successful"])
	u.id = text(u.first["clientId"])
	return u
}

// again is the same session on a fresh socket.
func (u *surfer) again() *surfer { return &surfer{Socket: u.r.Dial(nil), r: u.r, id: u.id} }

// say sends a WebSocket message; $ stands for the session's id.
func (u *surfer) say(body string) {
	u.r.t.Helper()
	u.Send(strings.ReplaceAll(body, "$", u.id))
}

// get returns the messages of the next frame, which must come at once.
func (u *surfer) get() []testkit.Msg {
	u.r.t.Helper()
	f := u.Next(50 * time.Millisecond)
	require.Zero(u.r.t, f.Close, f.Reason)
	require.NotEmpty(u.r.t, f.Messages, f.Text)
	return f.Messages
}

// connected makes the first connect, which is answered at once.
func (u *surfer) connected() *surfer {
	u.r.t.Helper()
	u.say(connectNow)
	reply := u.get()[0]
	require.Equal(u.r.t, "c0", reply["id"])
	require.Equal(u.r.t, true, reply["successful"])
	return u
}

func (u *surfer) subscribed(ch string) *surfer {
	u.r.t.Helper()
	u.say(subscribing("subscribe", `"`+ch+`"`))
	same(u.r.t, answered("subscribe", `"`+ch+`"`, ""), u.get())
	return u
}

// publish publishes from the server.
func (r *rig) publish(ch string, data any) {
	r.t.Helper()
	require.NoError(r.t, r.srv.Publish(r.t.Context(), ch, data))
}

const (
	connectOK   = `{"channel":"/meta/connect","id":"c1","successful":true}`
	connectNone = `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":{"reconnect":"none"}}]`
	goodbye     = `[{"channel":"/meta/disconnect","successful":true}]`
	leave       = `[{"channel":"/meta/disconnect","clientId":"$","id":"d"}]`
	leaveOK     = `[{"channel":"/meta/disconnect","id":"d","successful":true}]`
	unknown     = `[{"channel":"/meta/connect","id":"c1","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0}}]`
)

// The first connect is answered at once, the next is held ([R-WS-13]); pushes
// neither end it ([R-WS-11]) nor need one ([R-WS-12]), and it ends at its time.
// Case 110.
func TestSocketHolds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		r.publish("/a", 0)
		same(t, `[{"channel":"/a","data":0}]`, u.get())
		start := time.Now()
		u.say(connectHold)
		for i := range 3 {
			time.Sleep(time.Second)
			r.publish("/a", i)
			same(t, fmt.Sprintf(`[{"channel":"/a","data":%d}]`, i), u.get())
		}
		f := u.Next(4 * time.Second)
		soon(t, 4*time.Second, f.At.Sub(start))
		same(t, "["+connectOK+"]", f.Messages)
	})
}

// Nothing is pushed between the handshake's reply and the first other message;
// what was queued goes ahead of its reply ([R-WS-12], [R-OUT-2]).
func TestSocketPushStarts(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("")
		s, _ := r.srv.Session(u.id)
		require.NoError(t, s.Deliver(t.Context(), "/x", 1))
		u.Quiet(time.Second)
		u.say(subscribing("subscribe", `"/a"`))
		same(t, `[{"channel":"/x","data":1}]`, u.get())
		same(t, answered("subscribe", `"/a"`, ""), u.get())
	})
}

// Queued messages leave one a frame, then all replies of the incoming frame
// leave in one, in their order ([R-WS-10]). Cases 111 and 112.
func TestSocketFrames(t *testing.T) {
	const batch = `[{"channel":"/a","clientId":"$","data":1,"id":"1"},{"channel":"/a","clientId":"$","data":2,"id":"2"},{"channel":"/a","clientId":"$","data":3,"id":"3"}]`
	const replies = `[{"channel":"/a","id":"1","successful":true},{"channel":"/a","id":"2","successful":true},{"channel":"/a","id":"3","successful":true}]`
	one, two, three := `{"channel":"/a","data":1}`, `{"channel":"/a","data":2}`, `{"channel":"/a","data":3}`
	for value, frames := range map[string][]string{
		"1":  {"[" + one + "]", "[" + two + "]", "[" + three + "]"},
		"2":  {"[" + one + "," + two + "]", "[" + three + "]"},
		"0":  {"[" + one + "," + two + "," + three + "]"},
		"-1": {"[" + one + "," + two + "," + three + "]"},
	} {
		t.Run("messagesPerFrame "+value, func(t *testing.T) {
			bubble(t, option("ws.messagesPerFrame", value), func(t *testing.T, r *rig) {
				u := r.surf("").connected().subscribed("/a")
				u.say(batch)
				for _, want := range frames {
					same(t, want, u.get())
				}
				same(t, replies, u.get())
			})
		})
	}
}

// The others in the array of a held connect are answered at once ([R-WS-14] by
// WIRE 16), and a connect need not be alone to be held ([R-WS-13]). Case 132.
func TestSocketHoldsAmongOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		u.say(`[{"channel":"/meta/connect","clientId":"$","id":"c1"},{"channel":"/a","clientId":"$","id":"p","data":1}]`)
		same(t, `[{"channel":"/a","id":"p","successful":true}]`, u.get())
		u.Quiet(3900 * time.Millisecond)
		same(t, "["+connectOK+"]", u.Next(time.Second).Messages)
	})
}

// Messages of one socket are processed one after the other ([R-WS-7]): a slow
// extension keeps the next waiting, a hold does not.
func TestSocketOrder(t *testing.T) {
	slow := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/slow" {
			time.Sleep(2 * time.Second)
		}
		return nil
	}}
	bubble(t, func(c *server.Config) { c.Extensions = append(c.Extensions, slow) }, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		start := time.Now()
		u.say(connectHold)
		u.say(`[{"channel":"/slow","clientId":"$","id":"1"}]`)
		u.say(`[{"channel":"/fast","clientId":"$","id":"2"}]`)
		f := u.Next(3 * time.Second)
		soon(t, 2*time.Second, f.At.Sub(start))
		same(t, `[{"channel":"/slow","id":"1","successful":true}]`, f.Messages)
		same(t, `[{"channel":"/fast","id":"2","successful":true}]`, u.get())
	})
}

// What a client sends too large, unreadable or not as text, and what becomes
// of its session: nothing ([R-WS-6], [R-WS-8], [R-WS-9], [R-HS-12]).
// Cases 114, 115 and 116.
func TestSocketBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		code ws.StatusCode
	}{
		"no JSON":          {"hello", 1011},
		"empty":            {"", 1011},
		"null":             {"null", 1011},
		"number":           {"[5]", 1011},
		"handshake, other": {`[{"channel":"/meta/handshake"},{"channel":"/a"}]`, 1011},
		"too large":        {`[{"channel":"/a","clientId":"$","data":"` + strings.Repeat("x", 66_000) + `"}]`, 1009},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.surf("").connected()
				_ = u.TrySend(c.text) // what the server says of it counts
				f := u.Next(time.Second)
				require.Equal(t, c.code, f.Close, "%+v", f)
				require.NotEmpty(t, f.Reason)
				u.again().connected().Cut()
			})
		})
	}
	t.Run("harmless", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := r.surf("").connected()
			u.say("[]")
			require.NoError(t, wsutil.WriteClientBinary(u.Conn(), []byte("hello")))
			u.Quiet(time.Second)
			u.say("[{}]")
			same(t, `[{"successful":false,"error":"400::channel_missing"}]`, u.get())
			u.say(strings.TrimSuffix(strings.TrimPrefix(connectHold, "["), "]")) // a bare object
			u.Quiet(time.Second)
			same(t, "["+connectOK+"]", u.Next(4*time.Second).Messages)
			u.say(`[{"channel":"/a","clientId":"$","id":"p","data":"` + strings.Repeat("x", 60_000) + `"}]`)
			same(t, `[{"channel":"/a","id":"p","successful":true}]`, u.get())
		})
	})
}

// The URL, the sub-protocol and the cookie of the upgrade ([R-WS-1], [R-WS-2],
// [R-WS-5]), and what is not offered ([R-WS-4]). Cases 117, 118 and 131.
func TestSocketUpgrade(t *testing.T) {
	t.Run("urls", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			for _, path := range []string{"/cometd", "/cometd/", "/cometd/handshake", "/cometd?x=y"} {
				s, err := r.TryDial(path, nil)
				require.NoError(t, err, path)
				s.Cut()
			}
		})
	})
	t.Run("request of the upgrade", func(t *testing.T) {
		seen := make(chan *bayeux.Request, 1)
		p := policyFuncs{handshake: func(ctx context.Context) error {
			seen <- bayeux.RequestFrom(ctx)
			return nil
		}}
		bubble(t, func(c *server.Config) { c.Policy = p }, func(t *testing.T, r *rig) {
			u := &surfer{Socket: r.Dial(http.Header{"X-Token": {"abc"}}), r: r}
			u.handshake("")
			require.Equal(t, "abc", (<-seen).Header.Get("X-Token"))
		})
	})
	t.Run("sub-protocol", func(t *testing.T) {
		bubble(t, option("ws.protocol", "bayeux"), func(t *testing.T, r *rig) {
			_, err := r.TryDial("/cometd", nil)
			require.Error(t, err)
			_, err = r.TryDial("/cometd", http.Header{"Sec-WebSocket-Protocol": {"other"}})
			require.Error(t, err)
			answer := r.upgrade("bayeux")
			require.Contains(t, answer, "101 ")
			require.Contains(t, strings.ToLower(answer), "sec-websocket-protocol: bayeux\r\n")
		})
		bubble(t, nil, func(t *testing.T, r *rig) { // none configured: none echoed
			answer := r.upgrade("bayeux")
			require.Contains(t, answer, "101 ")
			require.NotContains(t, strings.ToLower(answer), "sec-websocket-protocol")
		})
	})
	t.Run("not offered", func(t *testing.T) {
		bubble(t, option("allowedTransports", "long-polling"), func(t *testing.T, r *rig) {
			require.Contains(t, r.upgrade(""), "400 ")
			require.Equal(t, []any{"long-polling"}, r.hello("").first["supportedConnectionTypes"])
		})
	})
}

// With metaConnectDeliverOnly messages leave ahead of connect replies alone, in
// frames of their own ([R-WS-15]).
func TestSocketConnectOnly(t *testing.T) {
	bubble(t, option("ws.metaConnectDeliverOnly", "true"), func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		r.publish("/a", 1)
		u.Quiet(time.Second)
		u.subscribed("/b") // another answer takes nothing along
		u.say(connectHold)
		same(t, `[{"channel":"/a","data":1}]`, u.get())
		same(t, "["+connectOK+"]", u.get())
		u.say(connectHold)
		u.Quiet(time.Second)
		u.say(`[{"channel":"/a","clientId":"$","id":"p","data":2}]`)
		frames := []string{canon(t, u.get()), canon(t, u.get()), canon(t, u.get())}
		require.Equal(t, `[{"channel":"/meta/connect","id":"c1","successful":true}]`, frames[2])
		require.ElementsMatch(t, []string{
			`[{"channel":"/a","data":2}]`,
			`[{"channel":"/a","id":"p","successful":true}]`,
			`[{"channel":"/meta/connect","id":"c1","successful":true}]`,
		}, frames)
	})
}

// Lazy messages are pushed when their time has come; the connect stays held
// ([R-WS-16]). Case 89.
func TestSocketLazy(t *testing.T) {
	bubble(t, option("ws.maxLazyTimeout", "1500"), func(t *testing.T, r *rig) {
		require.NoError(t, r.srv.Configure("/lazy", server.ChannelOptions{Lazy: true}))
		u := r.surf("").connected().subscribed("/lazy")
		u.say(connectHold)
		synctest.Wait()
		r.publish("/lazy", 1)
		u.Quiet(1490 * time.Millisecond)
		same(t, `[{"channel":"/lazy","data":1}]`, u.get())
		u.Quiet(2400 * time.Millisecond)
		same(t, "["+connectOK+"]", u.Next(time.Second).Messages)

		r.publish("/lazy", 2)
		u.say(`[{"channel":"/x","clientId":"$","id":"p"}]`)
		same(t, `[{"channel":"/lazy","data":2}]`, u.get())
		same(t, `[{"channel":"/x","id":"p","successful":true}]`, u.get())
	})
}

// A connection without frames is closed after twice the longest hold, at least
// 30 s, or when the option says so ([R-WS-17]). Case 119.
func TestSocketIdle(t *testing.T) {
	for name, c := range map[string]struct {
		options []string
		advice  string
		want    time.Duration
	}{
		"least":         {nil, "{}", 30 * time.Second},
		"longest hold":  {[]string{"ws.timeout", "40s"}, "{}", 80 * time.Second},
		"client's wish": {nil, `{"timeout":60000}`, 120 * time.Second},
		"option":        {[]string{"ws.idleTimeout", "9000"}, "{}", 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, option(append(c.options, "maxInterval", "600s")...), func(t *testing.T, r *rig) {
				u := r.surf("").connected()
				u.say(`[{"channel":"/meta/connect","clientId":"$","id":"c1","advice":` + c.advice + `}]`)
				start := time.Now()
				require.Zero(t, u.Next(10*time.Minute).Close, "the held connect is answered")
				f := u.Next(10 * time.Minute)
				require.EqualValues(t, 1001, f.Close, "%+v", f)
				require.InDelta(t, c.want.Seconds(), f.At.Sub(start).Seconds(), 0.5)
			})
		})
	}
}

// A disconnect answers the held connect after its own reply; the socket stays
// and may handshake again ([R-WS-22], [R-DC-4]). Case 129.
func TestSocketDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		u.say(connectHold)
		u.say(leave)
		same(t, leaveOK, u.get())
		same(t, connectNone, u.get())
		u.say(connectHold)
		same(t, unknown, u.get())
		old := u.id
		u.handshake("").connected()
		require.NotEqual(t, old, u.id)
	})
}

// The server's own disconnect is pushed where a connect is held, or where the
// last message was another; else nothing is said ([R-WS-22]).
func TestSocketServerDisconnect(t *testing.T) {
	disconnect := func(u *surfer) {
		s, ok := u.r.srv.Session(u.id)
		require.True(u.r.t, ok)
		require.NoError(u.r.t, s.Disconnect(u.r.t.Context()))
	}
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		u.say(connectHold)
		synctest.Wait()
		disconnect(u)
		same(t, goodbye, u.get())
		same(t, connectNone, u.get())

		u.handshake("").connected()
		disconnect(u)
		u.Quiet(time.Second)
		u.say(connectHold)
		same(t, unknown, u.get())

		u.handshake("").subscribed("/a")
		disconnect(u)
		same(t, goodbye, u.get())
	})
}

// A handshake on a socket that has a session makes another; the first may not
// be used there any more, but elsewhere ([R-WS-23]).
func TestSocketRehandshake(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		u.say(connectHold)
		synctest.Wait()
		old := *u
		u.handshake("").connected()
		old.say(connectHold)
		same(t, unknown, u.get())
		r.publish("/a", 1)
		u.Quiet(time.Second)
		other := old.again()
		other.say(connectNow)
		same(t, `[{"channel":"/a","data":1}]`, other.get())
	})
}

// A refused handshake is answered and the socket stays open ([R-WS-25]).
func TestSocketHandshakeDenied(t *testing.T) {
	refuse := true
	p := policyFuncs{handshake: func(context.Context) error {
		if refuse {
			return bayeux.ErrHandshakeDenied
		}
		return nil
	}}
	bubble(t, func(c *server.Config) { c.Policy = p }, func(t *testing.T, r *rig) {
		u := &surfer{Socket: r.Dial(nil), r: r}
		u.Send(`[{"channel":"/meta/handshake","id":"h"}]`)
		same(t, `[{"channel":"/meta/handshake","id":"h","successful":false,"error":"403::handshake_denied","advice":{"reconnect":"none"}}]`, u.get())
		refuse = false
		u.handshake("").connected()
	})
}

// At the end of the server held connects are answered, then the socket is
// closed with 1001 ([R-WS-26], [R-CN-24] by WIRE 16).
func TestSocketShutdown(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, idle, poll := r.surf("").connected(), r.surf(""), r.hello("").connect()
		u.say(connectHold)
		held := poll.later(connectHold)
		synctest.Wait()
		require.NoError(t, r.srv.Shutdown(t.Context()))
		for _, m := range []testkit.Msg{u.get()[0], (<-held).Messages[0]} {
			require.Equal(t, true, m["successful"])
			advice, ok := m["advice"].(map[string]any)
			require.True(t, ok)
			require.Equal(t, "retry", advice["reconnect"])
			require.Positive(t, advice["interval"])
		}
		require.EqualValues(t, 1001, u.Next(time.Second).Close)
		require.EqualValues(t, 1001, idle.Next(time.Second).Close)
		_, err := r.TryDial("/cometd", nil)
		require.Error(t, err)
		refused := r.Post("", `[{"channel":"/meta/handshake"}]`)
		require.Contains(t, refused.Body, "403::handshake_denied")
		require.Contains(t, refused.Body, `"reconnect":"handshake"`)
	})
}

// Whoever does not read loses the connection, and the session after its time
// ([R-WS-24]).
func TestSocketSlowReader(t *testing.T) {
	bubble(t, option("maxQueueBytes", "100000"), func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		conn := u.Conn()
		s := &surfer{Socket: r.Dial(nil), r: r, id: u.id}
		s.connected()
		_ = conn.Close()
		big := strings.Repeat("x", 10_000)
		s.Cut()
		synctest.Wait()
		for range 20 {
			r.publish("/a", big)
		}
		synctest.Wait()
		require.Empty(t, r.srv.Sessions())
		require.Zero(t, r.stats().QueuedBytes)
	})
}
