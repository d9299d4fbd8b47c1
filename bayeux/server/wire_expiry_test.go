package server_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/internal/testkit"
)

// wireLives asserts that the session lives for at least d from now on, and is
// gone one sweep (500 ms) later.
func wireLives(u *user, d time.Duration) {
	u.r.t.Helper()
	time.Sleep(d - 10*time.Millisecond)
	require.True(u.r.t, wireAlive(u), "ended too early")
	time.Sleep(520 * time.Millisecond)
	require.False(u.r.t, wireAlive(u), "ended too late")
}

// Case 51: [R-EX-1], [R-EX-2]. The time counts from the last answer to a
// connect, whenever that was between two sweeps.
func TestWireExpiry(t *testing.T) {
	for _, offset := range []time.Duration{0, time.Millisecond, 123 * time.Millisecond, 499 * time.Millisecond} {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := r.hello("").connect()
			time.Sleep(2*time.Second + offset)
			u.send(connectNow)
			wireLives(u, 3*time.Second)
		})
	}
	// The default of sweepPeriod is 997 ms ([R-EX-1]).
	bubble(t, func(c *server.Config) { delete(c.Options, "sweepPeriod") }, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		time.Sleep(3900 * time.Millisecond)
		require.True(t, wireAlive(u)) // until 4 * 997 ms
		time.Sleep(100 * time.Millisecond)
		require.False(t, wireAlive(u))
	})
}

// [R-EX-2]: the clock never runs while a connect is held, however long.
func TestWireNoExpiryWhileHeld(t *testing.T) {
	bubble(t, option("timeout", "60000"), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := wireHold(u)
		time.Sleep(30 * time.Second)
		require.True(t, wireAlive(u))
		soon(t, 60*time.Second, (<-held).Took)
		wireLives(u, 3*time.Second)
	})
}

// [R-EX-2]: the clock stops when a connect has been received, also where its
// processing takes longer than the session had left: so the expiry in the
// middle of a connect that case 134 is about does not come about.
func TestWireNoExpiryWhileProcessed(t *testing.T) {
	slow := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.ID == "slow" {
			time.Sleep(5 * time.Second)
		}
		return nil
	}}
	policy := wirePolicy{publish: func(ch channels.Name) error {
		if ch == "/slow" {
			time.Sleep(5 * time.Second)
		}
		return nil
	}}
	bubble(t, wireWith(policy, slow), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, body := range []string{
			`[{"channel":"/meta/connect","clientId":"$","id":"slow","advice":{"timeout":0}}]`,
			`[{"channel":"/a","clientId":"$","id":"slow"}]`,
			`[{"channel":"/slow","clientId":"$"}]`,
		} {
			require.Equal(t, true, u.send(body).Messages[0]["successful"])
			require.True(t, wireAlive(u))
		}
		wireLives(u, 3*time.Second)
	})
}

// [R-EX-3] as decided: max(old, now + maxInterval).
func TestWireOtherMessagesExtend(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, m := range []string{
			`"channel":"/a"`, `"channel":"/service/x"`, `"channel":"/meta/subscribe","subscription":"/a"`,
			`"channel":"/meta/unsubscribe","subscription":"/a"`, `"channel":"/a"`, `"channel":"/a"`,
		} {
			time.Sleep(2 * time.Second)
			require.Equal(t, true, u.send(`[{` + m + `,"clientId":"$"}]`).Messages[0]["successful"], m)
		}
		wireLives(u, 3*time.Second)
	})
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		u.send(wireConnect(`"advice":{"timeout":0,"interval":60000}`))
		time.Sleep(time.Second)
		u.publish("/a", "1") // does not shorten what the client asked for
		wireLives(u, 62*time.Second)
	})
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		time.Sleep(2 * time.Second)
		r.Post("", u.fill(`[{"channel":"/a","clientId":"$"}]`)) // not from the session
		wireLives(u, time.Second)
	})
}

// [R-EX-4]: expiry is silent; a socket stays open and its next message gets
// 402.
func TestWireExpiryIsSilent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.Dial(nil)
		defer s.Cut()
		s.Send(`[{"channel":"/meta/handshake"}]`)
		u := wireAt(r, text(s.Next(time.Second).Messages[0]["clientId"]), "")
		s.Quiet(10 * time.Second)
		require.False(t, wireAlive(u))
		s.Send(u.fill(connectHold))
		same(t, wireGone, s.Next(time.Second).Messages)
	})
}

// [R-EX-5]: with the session its subscriptions and its queue go.
func TestWireExpiryCleansUp(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		ended := make(chan string, 1)
		r.srv.OnSession(nil, func(s bayeux.Session, reason string) { ended <- s.ID() + " " + reason })
		u := r.hello(`"ext":{"ack":true}`)
		u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":0},"advice":{"timeout":0}}]`)
		u.subscribe("/a").subscribe("/b/*")
		require.NoError(t, r.srv.Publish(context.Background(), "/a", 1))
		u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":1},"advice":{"timeout":0}}]`) // leaves one unacknowledged
		require.NoError(t, r.srv.Publish(context.Background(), "/b/c", 1))
		require.Positive(t, r.stats().QueuedBytes)
		require.Equal(t, 1, r.srv.Subscribers("/a"))
		time.Sleep(4 * time.Second)
		require.False(t, wireAlive(u))
		require.Zero(t, r.srv.Subscribers("/a"))
		require.Zero(t, r.srv.Subscribers("/b/*"))
		require.Zero(t, r.stats().QueuedBytes)
		require.Equal(t, u.id+" expired", <-ended)
	})
}

// [R-EX-6]: a session's own maxInterval counts from its next reply on.
func TestWireOwnMaxInterval(t *testing.T) {
	bubble(t, option("handshakeReconnect", "true"), func(t *testing.T, r *rig) {
		u, v := r.hello("").connect(), r.hello("").connect()
		wireTiming(u).SetMaxInterval(20 * time.Second)
		wireTiming(v).SetMaxInterval(time.Second)
		got := u.send(connectHold)
		same(t, `{"reconnect":"retry","interval":0,"timeout":4000,"maxInterval":20000}`, got.Messages[0]["advice"])
		require.False(t, wireAlive(v), "it had no further reply")
		wireLives(u, 20*time.Second)

		v = r.hello("")
		wireTiming(v).SetMaxInterval(time.Second)
		v.connect()
		wireLives(v, time.Second)
	})
}

// [R-EX-7]: nothing is kept of browsers without a held connect.
func TestWireBrowserCountersEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var all []<-chan *testkit.Reply
		for range 3 {
			u := r.hello("").connect()
			all = append(all, wireHold(u))
			r.helloWith(u.cookie, "").send(connectHold)
		}
		require.EqualValues(t, 3, r.stats().Browsers)
		for _, held := range all {
			<-held
		}
		require.Zero(t, r.stats().Browsers)
	})
}

// Case 55: [R-CN-23] as decided. maxProcessing does not count held time.
func TestWireMaxProcessing(t *testing.T) {
	var delay atomic.Int64
	slow := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/meta/connect" {
			time.Sleep(time.Duration(delay.Load()))
		}
		return nil
	}}
	change := func(c *server.Config) {
		wireWith(nil, slow)(c)
		option("maxProcessing", "2000")(c)
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for range 3 {
			got := u.send(connectHold)
			soon(t, 4*time.Second, got.Took)
			same(t, wireHeldOK, got.Messages)
		}
		delay.Store(int64(6 * time.Second)) // the reply takes longer than allowed
		u.send(connectNow)
		require.False(t, wireAlive(u))
	})
}
