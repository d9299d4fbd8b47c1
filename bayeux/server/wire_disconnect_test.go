package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/internal/testkit"
)

const (
	wireLeave = `[{"channel":"/meta/disconnect","clientId":"$","id":"9"}]`
	wireLeft  = `[{"channel":"/meta/disconnect","id":"9","successful":true}]`
)

// [R-DC-1]: with and without a connect before.
func TestWireDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for _, u := range []*user{r.hello(""), r.hello("").connect()} {
			same(t, wireLeft, u.send(wireLeave).Messages)
			require.False(t, wireAlive(u))
			same(t, `[{"channel":"/meta/disconnect","id":"9","successful":false,"error":"402::session_unknown"}]`, u.send(wireLeave).Messages)
		}
	})
}

// [R-DC-2]: what is queued leaves with the answer, unless messages leave with
// connects only.
func TestWireDisconnectDelivers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		r.hello("").publish("/a", "1")
		same(t, `[{"channel":"/a","data":1},`+wireLeft[1:], u.send(wireLeave).Messages)
		synctest.Wait()
		require.Zero(t, r.stats().QueuedBytes)
	})
	bubble(t, option("metaConnectDeliverOnly", "true"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		r.hello("").publish("/a", "1")
		same(t, wireLeft, u.send(wireLeave).Messages)
		synctest.Wait()
		require.Zero(t, r.stats().QueuedBytes)
	})
}

// [R-DC-3]: what follows in the same array is from nobody.
func TestWireAfterDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for _, m := range []string{
			`"channel":"/a"`, `"channel":"/service/x"`, `"channel":"/meta/disconnect"`,
			`"channel":"/meta/subscribe"`, `"channel":"/meta/unsubscribe"`,
		} {
			u := r.hello("").connect()
			reply := u.send(wireLeave[:len(wireLeave)-1] + `,{` + m + `,"clientId":"$","subscription":"/s"}]`)
			same(t, `{`+m+`,"subscription":"/s","successful":false,"error":"402::session_unknown"}`, reply.Messages[1])
		}
		require.Zero(t, r.srv.Subscribers("/s"))
	})
}

// [R-DC-4]: the socket stays open for another handshake.
func TestWireSocketAfterDisconnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.Dial(nil)
		defer s.Cut()
		for range 2 {
			s.Send(`[{"channel":"/meta/handshake"}]`)
			u := wireAt(r, text(s.Next(time.Second).Messages[0]["clientId"]), "")
			s.Send(u.fill(connectNow))
			require.Equal(t, true, s.Next(time.Second).Messages[0]["successful"])
			s.Send(u.fill(wireLeave))
			same(t, wireLeft, s.Next(time.Second).Messages)
			s.Quiet(5 * time.Second)
		}
	})
}

// Case 42: [R-CN-15]. Both are answered, the connect without retry.
func TestWireDisconnectWhileHeld(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := wireHold(u)
		time.Sleep(time.Second)
		same(t, wireLeft, u.send(wireLeave).Messages)
		got := wireAnswered(t, held)
		soon(t, time.Second, got.Took)
		same(t, wireHeldNone, got.Messages)
		same(t, wireGone, u.send(connectHold).Messages)
	})
}

// Case 45: [R-CN-16], the server ends the session.
func TestWireServerDisconnects(t *testing.T) {
	ctx := context.Background()
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := wireHold(u)
		require.NoError(t, wireSession(u).Deliver(ctx, "/bye", 1))
		wireAnswered(t, held)
		held = wireHold(u)
		s := wireSession(u)
		require.NoError(t, s.Disconnect(ctx))
		require.False(t, wireAlive(u))
		same(t, `[{"channel":"/meta/disconnect","successful":true},`+wireHeldNone[1:], wireAnswered(t, held).Messages)
		same(t, wireGone, u.send(connectHold).Messages)
		require.NoError(t, s.Disconnect(ctx), "once more has no effect")
		require.NoError(t, s.Deliver(ctx, "/a", 1))
		require.Zero(t, r.stats().QueuedBytes)
	})
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect() // not held: nothing is sent
		require.NoError(t, wireSession(u).Disconnect(ctx))
		same(t, wireGone, u.send(connectHold).Messages)
	})
}

// Case 46: [R-CN-17], removal is silent.
func TestWireServerRemoves(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		held := wireHold(u)
		time.Sleep(time.Second)
		require.NoError(t, r.srv.Remove(u.id))
		require.Error(t, r.srv.Remove(u.id))
		require.Zero(t, r.srv.Subscribers("/a"))
		require.NoError(t, r.srv.Publish(context.Background(), "/a", 1))
		wireStillHeld(t, held)
		same(t, wireGone, u.send(`[{"channel":"/meta/connect","clientId":"$","id":"c1"}]`).Messages)
		got := <-held
		soon(t, 4*time.Second, got.Took)
		same(t, wireHeldNone, got.Messages)
		require.Zero(t, r.stats().Holds)
	})
}

// Case 57: [R-CN-24] as decided. Held connects are answered, and nothing is
// held any more.
func TestWireGracefulStop(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		intervals := map[any]bool{}
		var users []*user
		var all []<-chan *testkit.Reply
		for range 20 {
			u := r.hello("").connect().subscribe("/a")
			users, all = append(users, u), append(all, wireHold(u))
		}
		time.Sleep(time.Second)
		require.NoError(t, r.srv.Shutdown(context.Background()))
		for _, held := range all {
			got := wireAnswered(t, held)
			require.Equal(t, 200, got.Status)
			require.Len(t, got.Messages, 1)
			advice, ok := got.Messages[0]["advice"].(map[string]any)
			require.True(t, ok)
			require.Equal(t, true, got.Messages[0]["successful"])
			require.Equal(t, "retry", advice["reconnect"])
			require.InDelta(t, 40, advice["interval"], 20, "2 ms a session, more or less")
			intervals[advice["interval"]] = true
		}
		require.Greater(t, len(intervals), 1, "not all at once")
		require.Zero(t, users[0].send(connectHold).Took)
		require.Equal(t, true, users[0].publish("/a", "1").Messages[1]["successful"])
		m := wireShake(r, "", "").Messages[0]
		require.Equal(t, "403::handshake_denied", m["error"])
		require.NotContains(t, canon(t, m), "none")
		synctest.Wait()
	})
}

// A connection that is cut takes nothing else along (case 57, kill).
func TestWireCutConnection(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		held := wireHold(u)
		r.Wire.Close()
		require.Nil(t, <-held)
		again := &rig{t: t, srv: r.srv, Wire: testkit.Serve(t, r.srv, "/cometd")}
		defer again.Close()
		require.NoError(t, r.srv.Publish(context.Background(), "/a", 1))
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`,
			wireAt(again, u.id, u.cookie).send(connectHold).Messages)
	})
}

// Code that ends the session whose message it handles: the client is told with
// the answer to that message, [R-CN-16, R-AC-1], also by a connect that fails
// where messages leave with connects only [R-DL-4].
func TestWireServerDisconnectsDuringRequest(t *testing.T) {
	end := with(bayeux.Funcs{In: func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		if m.ID == "end" {
			return from.Disconnect(ctx)
		}
		return nil
	}})
	const (
		publish  = `[{"channel":"/service/a","clientId":"$","id":"end"}]`
		failed   = `{"channel":"/service/a","id":"end","successful":false,"error":"402::session_unknown"}`
		connect  = `[{"channel":"/meta/connect","clientId":"$","id":"end"}]`
		rejected = `{"channel":"/meta/connect","id":"end","successful":false,"error":"402::session_unknown","advice":{"reconnect":"none","interval":0}}`
	)
	for _, more := range []string{"", `"ext":{"ack":true}`} {
		bubble(t, end, func(t *testing.T, r *rig) {
			want := `[` + wireFarewell + `,` + failed + `]`
			if more != "" {
				want = `[` + failed + `]` // no connect: nothing leaves
			}
			same(t, want, r.hello(more).connect().send(publish).Messages)
			same(t, `[`+wireFarewell+`,`+rejected+`]`, r.hello(more).connect().send(connect).Messages)
			synctest.Wait()
			require.Zero(t, r.stats().QueuedBytes)
			s := r.surf(more).connected()
			s.say(connect)
			if more == "" {
				same(t, `[`+wireFarewell+`]`, s.get())
				same(t, `[`+rejected+`]`, s.get())
			} else { // in one WebSocket message
				same(t, `[`+wireFarewell+`,`+rejected+`]`, s.get())
			}
			s.handshake("").connected()
			require.Zero(t, r.stats().QueuedBytes)
		})
	}
}

// A listener that ends the session of the message's sender: the farewell leaves
// with the held connect, and all that is left with it, as with CometD; where
// none is held, with the answer to that message, ahead of the reply [R-CN-16,
// R-OUT-2]. Advice that the connect was due comes with it [R-AD-1].
func TestWireListenerDisconnects(t *testing.T) {
	const (
		publish = `[{"channel":"/service/bye","clientId":"$","id":"end"}]`
		reply   = `{"channel":"/service/bye","id":"end","successful":true}`
		last    = `{"channel":"/last","data":1},`
		asking  = `[{"channel":"/meta/connect","clientId":"$","id":"c1","advice":{"interval":700}}]`
		owed    = `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":{"reconnect":"none","interval":700,"timeout":4000}}]`
	)
	listening := func(t *testing.T, r *rig) *rig {
		t.Helper()
		_, err := r.srv.Listen("/service/bye", func(ctx context.Context, from bayeux.Session, _ *bayeux.Message) error {
			require.NoError(t, from.Deliver(ctx, "/last", 1))
			return from.Disconnect(ctx)
		})
		require.NoError(t, err)
		return r
	}
	for body, held := range map[string]string{connectHold: wireHeldNone, asking: owed} {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := listening(t, r).hello("").connect()
			waits := u.later(body)
			wireStillHeld(t, waits)
			same(t, `[`+reply+`]`, u.send(publish).Messages)
			same(t, `[`+last+wireFarewell+`,`+held[1:], wireAnswered(t, waits).Messages)
			same(t, wireGone, u.send(connectHold).Messages)
			require.Zero(t, r.stats().QueuedBytes)
		})
	}
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := listening(t, r).hello("").connect()
		same(t, `[`+last+wireFarewell+`,`+reply+`]`, u.send(publish).Messages)
		synctest.Wait()
		require.Zero(t, r.stats().QueuedBytes)
	})
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := listening(t, r).surf("").connected()
		s.say(asking)
		s.say(publish)
		same(t, `[`+last[:len(last)-1]+`]`, s.get())
		same(t, `[`+wireFarewell+`]`, s.get())
		same(t, `[`+reply+`]`, s.get())
		same(t, owed, s.get())
	})
}
