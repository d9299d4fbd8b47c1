package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A socket's end does not end its session; the clock starts at the close, and
// the queue stays ([R-WS-18], [R-EX-1]). Case 121.
func TestSocketLost(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		u.say(connectHold)
		time.Sleep(2 * time.Second)
		u.Cut()
		time.Sleep(2900 * time.Millisecond)
		require.Len(t, r.srv.Sessions(), 1)
		r.publish("/a", 1)
		next := u.again()
		next.say(connectHold)
		same(t, `[{"channel":"/a","data":1}]`, next.get())
		next.Quiet(3900 * time.Millisecond) // held: the session was connected [R-WS-19]
		same(t, "["+connectOK+"]", next.Next(time.Second).Messages)
		next.Cut()
		time.Sleep(3600 * time.Millisecond)
		require.Empty(t, r.srv.Sessions())
	})
}

// Any message on a fresh socket takes the session over, without a cookie
// ([R-WS-19], [R-ID-5]).
func TestSocketReattach(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		u.Cut()
		synctest.Wait()
		r.publish("/a", 1)
		next := u.again()
		next.say(`[{"channel":"/x","clientId":"$","id":"p"}]`)
		same(t, `[{"channel":"/a","data":1}]`, next.get())
		same(t, `[{"channel":"/x","id":"p","successful":true}]`, next.get())
		r.publish("/a", 2)
		same(t, `[{"channel":"/a","data":2}]`, next.get())
		// The connection is for this session alone from now on.
		other := r.surf("")
		next.say(`[{"channel":"/x","clientId":"` + other.id + `","id":"p"}]`)
		same(t, `[{"channel":"/x","id":"p","successful":false,"error":"402::session_unknown"}]`, next.get())
	})
}

// Between connects of one socket only one that is held takes the older's place,
// which is then never answered ([R-WS-20]).
func TestSocketDuplicateConnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		u.say(connectHold)
		u.Quiet(time.Second)
		u.say(`[{"channel":"/meta/connect","clientId":"$","id":"c2","advice":{"timeout":0}}]`)
		require.Equal(t, "c2", u.get()[0]["id"])
		f := u.Next(4 * time.Second)
		require.Equal(t, "c1", f.Messages[0]["id"], "the older keeps its hold")

		u.say(connectHold)
		u.Quiet(time.Second)
		u.say(`[{"channel":"/meta/connect","clientId":"$","id":"c3"}]`)
		u.Quiet(3900 * time.Millisecond)
		require.Equal(t, "c3", u.Next(time.Second).Messages[0]["id"])
		u.Quiet(2 * time.Second)
	})
}

// The same between two sockets: the newer socket has the session, the older
// one hears no more of it ([R-WS-19], [R-WS-20]).
func TestSocketDuplicateElsewhere(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		old := r.surf("").connected().subscribed("/a")
		old.say(connectHold)
		synctest.Wait()
		next := old.again()
		next.say(connectHold)
		synctest.Wait()
		r.publish("/a", 1)
		same(t, `[{"channel":"/a","data":1}]`, next.get())
		old.Quiet(3900 * time.Millisecond)
		same(t, "["+connectOK+"]", next.Next(time.Second).Messages)
		old.Quiet(2 * time.Second)
		// The end of the old socket does not touch the session.
		next.say(connectHold)
		old.Cut()
		next.Quiet(3900 * time.Millisecond)
		same(t, "["+connectOK+"]", next.Next(time.Second).Messages)
	})
}

// From long-polling to a WebSocket and back: what is held on the old carrier
// ends, with the duplicate's status or silently, and the new one gets full
// advice ([R-WS-21], [R-CN-20], [R-AD-1], [R-ID-7]). Case 125.
func TestMoveToSocketAndBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		held := u.later(connectHold)
		synctest.Wait()
		s := &surfer{Socket: r.Dial(nil), r: r, id: u.id}
		s.say(connectHold)
		require.Equal(t, 500, (<-held).Status)
		r.publish("/a", 1)
		same(t, `[{"channel":"/a","data":1}]`, s.get())
		f := s.Next(5 * time.Second)
		require.Contains(t, f.Messages[0], "advice", "the transport is another one")

		s.say(connectHold)
		synctest.Wait()
		got := u.later(connectHold)
		synctest.Wait()
		time.Sleep(time.Second)
		r.publish("/a", 2)
		reply := <-got
		soon(t, time.Second, reply.Took)
		require.Len(t, reply.Messages, 2)
		require.EqualValues(t, 2, reply.Messages[0]["data"])
		require.Contains(t, reply.Messages[1], "advice")
		held = u.later(connectHold)
		s.Quiet(5 * time.Second) // the connect held there died silently
		<-held

		// Back once more, on the socket that is still there.
		u.connect()
		s.say(`[{"channel":"/x","clientId":"$","id":"p"}]`)
		same(t, `[{"channel":"/x","id":"p","successful":true}]`, s.get())
		r.publish("/a", 3)
		same(t, `[{"channel":"/a","data":3}]`, s.get())
	})
}

// Any message on a socket takes the session over, so that what is held
// elsewhere ends at once, on HTTP with its status, on a socket silently
// ([R-WS-21], [R-WS-19]).
func TestAnyMessageMovesSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := u.later(connectHold)
		synctest.Wait()
		s := &surfer{Socket: r.Dial(nil), r: r, id: u.id}
		s.subscribed("/a")
		got := <-held
		require.Equal(t, 500, got.Status)
		soon(t, 0, got.Took)
		s.say(connectHold)
		synctest.Wait()
		next := s.again()
		next.subscribed("/b")
		s.Quiet(2 * time.Second)
		next.connected()
		s.Quiet(2 * time.Second)
		r.publish("/a", 1)
		same(t, `[{"channel":"/a","data":1}]`, next.get())
	})
}

// A session of a WebSocket has no cookie, so that long-polling does not know
// it ([R-ID-7]), unless the clientId alone is trusted (WIRE 17 on [R-ID-4]).
func TestMoveFromSocketToPoll(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.surf("").connected()
		u := &user{r: r, id: s.id}
		same(t, unknown, u.send(connectHold).Messages)
	})
	bubble(t, option("trustClientSession", "true"), func(t *testing.T, r *rig) {
		s := r.surf("").connected().subscribed("/a")
		u := &user{r: r, id: s.id}
		held := u.later(connectHold)
		synctest.Wait()
		r.publish("/a", 1)
		require.Contains(t, (<-held).Body, `"data":1`)
	})
}

// Where each connection needs a handshake, a session does not move ([R-ID-6]).
func TestSocketNeedsHandshake(t *testing.T) {
	bubble(t, option("ws.requireHandshakePerConnection", "true"), func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		next := u.again()
		next.say(connectHold)
		same(t, unknown, next.get())
		u.connected()
	})
}

// A session that expires while its socket is open: the socket stays, messages
// get 402, and a handshake makes a new one ([R-EX-4], case 127).
func TestExpiryWithOpenSocket(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected()
		u.Quiet(3600 * time.Millisecond)
		require.Empty(t, r.srv.Sessions())
		u.say(`[{"channel":"/x","clientId":"$","id":"p"}]`)
		same(t, `[{"channel":"/x","id":"p","successful":false,"error":"402::session_unknown"}]`, u.get())
		u.say(connectHold)
		same(t, unknown, u.get())
		u.handshake("").connected()
	})
}
