package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// acking is a connect with an acknowledgement; more goes into it too.
func acking(ack, more string) string {
	return `[{"channel":"/meta/connect","clientId":"$","id":"c1","ext":{"ack":` + ack + `}` + join(more) + `}]`
}

const ackNow = `"advice":{"timeout":0}`

// reliable is a session with the extension, after its first connect, which
// took batch 1.
func (r *rig) reliable() *user {
	r.t.Helper()
	u := r.hello(`"ext":{"ack":true}`)
	same(r.t, `{"ack":true}`, u.first["ext"])
	reply := u.send(acking("0", ""))
	same(r.t, `[{"channel":"/meta/connect","id":"c1","successful":true,"ext":{"ack":1}}]`, reply.Messages)
	return u
}

// batch reads an answer: what came, and under which number.
func batch(t *testing.T, messages []testkit.Msg) (data string, n int) {
	t.Helper()
	var all []string
	for _, m := range messages {
		if m["channel"] == "/meta/connect" {
			ext, ok := m["ext"].(map[string]any)
			require.True(t, ok, "%v", m)
			number, ok := ext["ack"].(float64)
			require.True(t, ok, "%v", m)
			n = int(number)
			continue
		}
		require.Zero(t, n, "a message behind the reply that carries its number")
		all = append(all, fmt.Sprint(m["data"]))
	}
	return strings.Join(all, ","), n
}

// expect sends a connect that must be answered at once.
func (u *user) expect(connect, data string, n int) {
	u.r.t.Helper()
	reply := u.send(connect)
	soon(u.r.t, 0, reply.Took)
	got, number := batch(u.r.t, reply.Messages)
	require.Equal(u.r.t, data, got)
	require.Equal(u.r.t, n, number)
}

// Only the boolean true turns it on ([R-ACK-1]). Case 135.
func TestAckIsAskedFor(t *testing.T) {
	for ack, want := range map[string]bool{"true": true, `"true"`: false, "1": false, "{}": false, "false": false, "null": false} {
		t.Run(ack, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello(`"ext":{"ack":` + ack + `}`)
				require.Equal(t, want, u.first["ext"] != nil)
				reply := u.send(acking("0", ""))
				require.Equal(t, want, reply.Messages[0]["ext"] != nil)
			})
		})
	}
	t.Run("messages with the handshake", func(t *testing.T) {
		greet := bayeux.Funcs{In: func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
			if m.Channel == "/meta/handshake" {
				return from.Deliver(ctx, "/welcome", "hi")
			}
			return nil
		}}
		bubble(t, func(c *server.Config) {
			c.Options["allowMessageDeliveryDuringHandshake"] = "true"
			c.Extensions = append(c.Extensions, greet)
		}, func(t *testing.T, r *rig) {
			u := r.hello(`"ext":{"ack":true}`)
			same(t, `{"ack":{"enabled":true,"batch":1}}`, u.first["ext"])
			require.EqualValues(t, 1, u.first["x-messages"]) // [R-HS-18]
			u.expect(acking("1", ""), "", 2)
		})
	})
}

// Messages stay until they are acknowledged ([R-ACK-5]); a connect brings all
// that is stored, in order, under a new number ([R-ACK-3], [R-ACK-6]).
// Cases 136 and 138.
func TestAckDialogue(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		r.publish("/a", 1)
		u.expect(acking("1", ""), "1", 2)
		r.publish("/a", 2)
		u.expect(acking("1", ""), "1,2", 3) // 2 was not acknowledged
		u.expect(acking("2", ""), "2", 4)   // but 3 was not
		u.expect(acking("-1", ""), "2", 5)  // [R-ACK-4]
		u.expect(acking("5", ackNow), "", 6)
		r.publish("/a", 3)
		u.expect(acking("6", ""), "3", 7)
		u.expect(acking("999", ackNow), "", 8) // more than ever sent [R-ACK-8]
		require.Zero(t, r.stats().QueuedBytes)
	})
}

// Missing messages make the answer immediate, with full advice ([R-ACK-7]);
// lazy ones do not, nor does a connect that says nothing ([R-ACK-9]) or no
// number ([R-ACK-8]). Cases 138 and 141.
func TestAckMissing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		r.publish("/a", 1)
		u.expect(acking("1", ""), "1", 2)
		reply := u.send(acking("1", ""))
		soon(t, 0, reply.Took)
		same(t, `{"reconnect":"retry","interval":0,"timeout":4000}`, reply.Messages[1]["advice"])

		for i, connect := range []string{connectHold, acking(`"2"`, ""), acking("{}", "")} {
			reply = u.send(connect)
			soon(t, 4*time.Second, reply.Took)
			data, n := batch(t, reply.Messages)
			require.Equal(t, "1", data, "unacknowledged, so it comes again at the end of the hold")
			require.Equal(t, 4+i, n)
		}
		held := u.later(connectHold)
		synctest.Wait()
		r.publish("/a", 2)
		data, _ := batch(t, (<-held).Messages)
		require.Equal(t, "1,2", data)
	})
	t.Run("lazy", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			require.NoError(t, r.srv.Configure("/lazy", server.ChannelOptions{Lazy: true, LazyTimeout: time.Second}))
			u := r.reliable().subscribe("/lazy")
			r.publish("/lazy", 1)
			reply := u.send(acking("1", ""))
			soon(t, time.Second, reply.Took)
			reply = u.send(acking("1", ""))
			soon(t, 4*time.Second, reply.Took)
			data, n := batch(t, reply.Messages)
			require.Equal(t, "1", data)
			require.Equal(t, 3, n)
		})
	})
}

// The extension turns connect-only delivery on ([R-ACK-2]): other answers bring
// no messages ([R-ACK-10]), the held connect does. Case 140.
func TestAckDeliversByConnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		held := u.later(acking("1", ""))
		synctest.Wait()
		same(t, `[{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "1").Messages)
		got := <-held
		soon(t, 0, got.Took)
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true,"ext":{"ack":2}}]`, got.Messages)
		r.publish("/a", 2)
		for _, body := range []string{subscribing("subscribe", `"/b"`), subscribing("unsubscribe", `"/b"`), leave} {
			require.Len(t, u.send(body).Messages, 1)
		}
		synctest.Wait()
		require.Zero(t, r.stats().QueuedBytes, "the store ends with the session") // [R-ACK-13]
	})
}

// A lost answer costs nothing: what it carried comes again ([R-ACK-15]), and
// what arrived without being acknowledged comes twice ([R-ACK-14]).
func TestAckSurvivesAbort(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		ctx, cancel := context.WithCancel(t.Context())
		held := r.Go(testkit.Request{Body: u.fill(acking("1", "")), Cookie: u.cookie, Ctx: ctx})
		synctest.Wait()
		cancel()
		require.Nil(t, <-held)
		r.publish("/a", 1)
		reply := u.send(acking("1", ""))
		data, n := batch(t, reply.Messages)
		require.Equal(t, "1", data)
		u.expect(acking("1", ""), "1", n+1)
		u.expect(acking(fmt.Sprint(n+1), ackNow), "", n+2)
	})
}

// An answer that is overtaken does not take messages of the newer one with it,
// also when both connects have one id ([R-ACK-12], [R-RL-2]).
func TestAckOvertaken(t *testing.T) {
	var gate chan struct{}
	slow := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Field("slow") != nil {
			<-gate
		}
		return nil
	}}
	mark := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if v := m.Field("slow"); v != nil {
			m.Reply().SetField("slow", v)
		}
		return nil
	}}
	bubble(t, func(c *server.Config) { c.Extensions = append(c.Extensions, slow, mark) }, func(t *testing.T, r *rig) {
		gate = make(chan struct{}) // of the bubble
		u := r.reliable().subscribe("/a")
		r.publish("/a", 1)
		late := u.later(acking("1", `"slow":true`)) // takes batch 2 and hangs
		synctest.Wait()
		r.publish("/a", 2)
		u.expect(acking("1", ""), "1,2", 3)
		close(gate)
		data, n := batch(t, (<-late).Messages)
		require.Equal(t, "1", data)
		require.Equal(t, 2, n)
		u.expect(acking("2", ""), "2", 4) // the late one acknowledged; 2 is stored still
		u.expect(acking("4", ackNow), "", 5)
	})
}

// What a poll cannot take moves to the next number, and the next connect is
// answered at once (WIRE 16 on [R-ACK-6]); acknowledging the first does not
// forget the rest.
func TestAckIsCutByBytes(t *testing.T) {
	bubble(t, option("maxResponseSize", "60"), func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		for i := range 5 {
			r.publish("/a", i)
		}
		u.expect(acking("1", ""), "0,1", 2)
		u.expect(acking("2", ""), "2,3", 3)
		u.expect(acking("2", ""), "2,3", 4) // lost: again, and again cut
		u.expect(acking("4", ""), "4", 5)
		big := strings.Repeat("x", 100)
		r.publish("/a", big)
		r.publish("/a", 6)
		u.expect(acking("5", ""), big, 6) // alone
		u.expect(acking("6", ""), "6", 7)
		u.expect(acking("7", ackNow), "", 8)
	})
}

// reliableSurf is the same over a WebSocket.
func (r *rig) reliableSurf() *surfer {
	r.t.Helper()
	u := r.surf(`"ext":{"ack":true}`)
	same(r.t, `{"ack":true}`, u.first["ext"])
	u.expect(acking("0", ""), "", 1)
	return u
}

// expect sends a connect that must be answered at once, in one WebSocket
// message.
func (u *surfer) expect(connect, data string, n int) {
	u.r.t.Helper()
	u.say(connect)
	got, number := batch(u.r.t, u.get())
	require.Equal(u.r.t, data, got)
	require.Equal(u.r.t, n, number)
}

// Over a WebSocket nothing is pushed ([R-ACK-2]); messages and their reply
// leave in one WebSocket message, and after a loss of the socket all that is
// stored comes again, in order ([R-ACK-11] by WIRE 16). Case 142.
func TestAckOnSocket(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliableSurf().subscribed("/a")
		r.publish("/a", 1)
		u.Quiet(time.Second)
		u.expect(acking("1", ""), "1", 2)
		u.say(acking("2", ""))
		u.Quiet(time.Second)
		r.publish("/a", 2)
		data, n := batch(t, u.get())
		require.Equal(t, "2", data)
		require.Equal(t, 3, n)
		u.say(acking("2", "")) // 3 is not acknowledged
		data, n = batch(t, u.get())
		require.Equal(t, "2", data)
		require.Equal(t, 4, n)
		u.say(acking("3", ackNow))
		_, n = batch(t, u.get())
		require.Equal(t, 5, n)

		u.say(acking("5", ""))
		synctest.Wait()
		u.Cut()
		synctest.Wait()
		r.publish("/a", 3)
		r.publish("/a", 4)
		next := u.again()
		next.expect(acking("5", ""), "3,4", 6)
		next.Cut()
		r.publish("/a", 5)
		last := u.again()
		last.expect(acking("5", ""), "3,4,5", 7)
		last.expect(acking("7", ackNow), "", 8)
	})
}

// An own publish is answered, and the connect brings the message.
func TestAckOwnPublishOnSocket(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliableSurf().subscribed("/a")
		u.say(acking("1", ""))
		u.Quiet(time.Second)
		u.say(`[{"channel":"/a","clientId":"$","id":"p","data":1}]`)
		first := u.get()
		same(t, `[{"channel":"/a","id":"p","successful":true}]`, first)
		data, n := batch(t, u.get())
		require.Equal(t, "1", data)
		require.Equal(t, 2, n)
	})
}

// The cut on a WebSocket: of the joined message, what does not fit moves to the
// next number (WIRE 16 on [R-ACK-11]).
func TestAckIsCutOnSocket(t *testing.T) {
	bubble(t, option("ws.ackMessageLimit", "60"), func(t *testing.T, r *rig) {
		u := r.reliableSurf().subscribed("/a")
		big := strings.Repeat("x", 100)
		for _, data := range []any{0, 1, 2, big, 3} {
			r.publish("/a", data)
		}
		u.expect(acking("1", ""), "0,1", 2)
		u.expect(acking("2", ""), "2", 3)
		u.expect(acking("3", ""), big, 4)
		u.expect(acking("3", ""), big, 5)
		u.expect(acking("5", ""), "3", 6)
		u.say(acking("6", ""))
		u.Quiet(3900 * time.Millisecond)
		_, n := batch(t, u.Next(time.Second).Messages)
		require.Equal(t, 7, n)
	})
}

// ws.ackFrames=separate gives the frames of CometD ([R-ACK-11]).
func TestAckSeparateFrames(t *testing.T) {
	bubble(t, option("ws.ackFrames", "separate"), func(t *testing.T, r *rig) {
		u := r.reliableSurf().subscribed("/a")
		r.publish("/a", 1)
		r.publish("/a", 2)
		u.say(acking("1", ""))
		same(t, `[{"channel":"/a","data":1}]`, u.get())
		same(t, `[{"channel":"/a","data":2}]`, u.get())
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true,"ext":{"ack":2}}]`, u.get())
	})
}

// The batches go with the session from carrier to carrier.
func TestAckMoves(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		r.publish("/a", 1)
		u.expect(acking("1", ""), "1", 2)
		s := &surfer{Socket: r.Dial(nil), r: r, id: u.id}
		r.publish("/a", 2)
		s.expect(acking("1", ""), "1,2", 3)
		u.expect(acking("3", ackNow), "", 4)
		r.publish("/a", 3)
		s.Quiet(time.Second)
		u.expect(acking("4", ""), "3", 5)
	})
}
