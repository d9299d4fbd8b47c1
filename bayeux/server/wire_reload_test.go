package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// What a client sends that goes on after a reload of its page: no handshake, the
// saved clientId, and ids that begin anew ([R-RL-1], [R-RL-2]).
const wireReload = `[{"channel":"/meta/connect","clientId":"$","id":"1","advice":{"timeout":0}}]`

// wireReloaded is what it gets, behind the messages.
const wireReloaded = `{"channel":"/meta/connect","id":"1","successful":true,"advice":` + wireFull + `}`

// Case 152, by long-polling: [R-RL-1]. The connect that the old page holds ends
// as a duplicate ([R-CN-20]); the new one is answered at once with full advice
// ([R-AD-1]), also where both have one id ([R-RL-2]).
func TestWireReloadPoll(t *testing.T) {
	for _, id := range []string{"c1", "1"} {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := r.hello("").connect().subscribe("/a")
			stale := u.later(`[{"channel":"/meta/connect","clientId":"$","id":"` + id + `"}]`)
			wireStillHeld(t, stale)
			reply := u.send(wireReload)
			require.Zero(t, reply.Took)
			same(t, `[`+wireReloaded+`]`, reply.Messages)
			got := wireAnswered(t, stale)
			require.Equal(t, 500, got.Status)
			require.Empty(t, got.Messages)

			held := wireHold(u) // as before
			r.publish("/a", 1)
			same(t, `[{"channel":"/a","data":1},`+wireHeldOK[1:], wireAnswered(t, held).Messages)
		})
	}
}

// The old page's requests are aborted, and the new page takes its time: what is
// published meanwhile waits for it, in order ([R-RL-1], [R-CN-21]).
func TestWireReloadTakesTime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a").subscribe("/b/*")
		wireAbort(u)
		r.publish("/a", 1)
		time.Sleep(2900 * time.Millisecond) // of 3 s
		r.publish("/b/c", 2)
		same(t, `[{"channel":"/a","data":1},{"channel":"/b/c","data":2},`+wireReloaded+`]`, u.send(wireReload).Messages)

		wireAbort(u)
		time.Sleep(3600 * time.Millisecond)
		require.False(t, wireAlive(u))
		same(t, `[{"channel":"/meta/connect","id":"1","successful":false,"error":"402::session_unknown","advice":`+wireUnknown+`}]`, u.send(wireReload).Messages)
	})
}

// The clientId alone is not enough: the cookie must come with it ([R-RL-1],
// [R-ID-3]). The old page's connect stays.
func TestWireReloadStranger(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := wireHold(u)
		for _, cookie := range []string{"", "BAYEUX_BROWSER=other"} {
			require.Contains(t, wireAt(r, u.id, cookie).send(wireReload).Body, "402::session_unknown")
		}
		wireStillHeld(t, held)
		same(t, wireHeldOK, (<-held).Messages)
	})
}

// The same by callback-polling ([R-RL-1]).
func TestWireReloadCallback(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		get := func(cookie, messages string) testkit.Request {
			return testkit.Request{Method: "GET", Query: "jsonp=f&message=" + escape(messages), Cookie: cookie}
		}
		reply, err := r.Do(get("BAYEUX_BROWSER=reload", `[{"channel":"/meta/handshake"}]`))
		require.NoError(t, err)
		var id string
		for _, s := range r.srv.Sessions() {
			id = s.ID()
		}
		require.Contains(t, reply.Body, id)
		u := wireAt(r, id, "BAYEUX_BROWSER=reload")
		ask := func(messages string) string {
			reply, err := r.Do(get(u.cookie, u.fill(messages)))
			require.NoError(t, err)
			return sorted(t, reply.Body)
		}
		ask(connectNow)
		ask(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`)
		stale := r.Go(get(u.cookie, u.fill(connectHold)))
		wireStillHeld(t, stale)
		require.Equal(t, "f("+canon(t, `[`+wireReloaded+`]`)+")", ask(wireReload))
		require.Equal(t, 500, wireAnswered(t, stale).Status)
		r.publish("/a", 1)
		require.Equal(t, "f("+canon(t, `[{"channel":"/a","data":1},`+wireReloaded+`]`)+")", ask(wireReload))
	})
}

// By WebSocket: on a fresh socket, without a cookie ([R-RL-1], [R-ID-5]). The
// old socket may be closed, or be there still because the network has not told:
// its connect is never answered ([R-WS-20]), and nothing is pushed there.
func TestWireReloadSocket(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		old := r.surf("").connected().subscribed("/a")
		for _, closed := range []bool{true, false} {
			old.say(connectHold)
			synctest.Wait()
			if closed {
				old.Cut()
				synctest.Wait()
				time.Sleep(2900 * time.Millisecond)
				r.publish("/a", 1)
			}
			next := old.again()
			next.say(wireReload)
			if closed {
				same(t, `[{"channel":"/a","data":1}]`, next.get())
			}
			same(t, `[`+wireReloaded+`]`, next.get())
			r.publish("/a", 2)
			same(t, `[{"channel":"/a","data":2}]`, next.get())
			if !closed {
				old.Quiet(2900 * time.Millisecond)
				old.Cut()
			}
			next.say(connectHold)
			next.Quiet(3900 * time.Millisecond)
			same(t, wireHeldOK, next.Next(time.Second).Messages)
			old = next
		}
	})
}

// With retained delivery a page that comes back says that it has nothing: what
// was not acknowledged comes again, and numbers go on ([R-RL-1], [R-ACK-6]),
// whatever the ids ([R-RL-2], [R-ACK-12]).
func TestWireReloadWithAck(t *testing.T) {
	const reload = `[{"channel":"/meta/connect","clientId":"$","id":"1","ext":{"ack":0},"advice":{"timeout":0}}]`
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.reliable().subscribe("/a")
		r.publish("/a", 1)
		u.expect(`[{"channel":"/meta/connect","clientId":"$","id":"1","ext":{"ack":1}}]`, "1", 2)
		r.publish("/a", 2)
		u.expect(acking("2", ""), "2", 3) // the old page's last
		ctx, cancel := context.WithCancel(t.Context())
		held := u.r.Go(testkit.Request{Body: u.fill(acking("2", "")), Cookie: u.cookie, Ctx: ctx})
		synctest.Wait()
		cancel()
		<-held
		synctest.Wait()
		r.publish("/a", 3)
		u.expect(reload, "2,3", 5)
		u.expect(acking("5", ackNow), "", 6)
		require.Zero(t, r.stats().QueuedBytes)

		s := r.reliableSurf().subscribed("/b")
		r.publish("/b", 1)
		s.expect(acking("1", ""), "1", 2)
		s.Cut()
		synctest.Wait()
		r.publish("/b", 2)
		next := s.again()
		next.expect(reload, "1,2", 3)
		next.expect(acking("3", ackNow), "", 4)
	})
}
