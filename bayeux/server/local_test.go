package server_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// local makes a local session that notes what no subscription receives.
func (r *rig) local(d *diary) *server.Local {
	r.t.Helper()
	l, err := r.srv.NewLocal(r.t.Context(), d.receiver("rest"))
	require.NoError(r.t, err)
	return l
}

func (d *diary) receiver(name string) server.Receiver {
	return func(ctx context.Context, m *bayeux.Message) {
		d.note("%s %s %s %s", name, m.Channel, bayeux.Param(ctx, channels.Wild), m.Data)
	}
}

func (d *diary) told(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, want, d.take())
}

// A local session subscribes, publishes and receives as others do.
func TestLocal(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		l := r.local(&d)
		require.Equal(t, server.TransportLocal, l.Session().Transport())
		ctx := t.Context()
		first, err := l.Subscribe(ctx, "/a/*", d.receiver("first"))
		require.NoError(t, err)
		second, err := l.Subscribe(ctx, "/a/*", d.receiver("second"))
		require.NoError(t, err)
		_, err = l.Subscribe(ctx, "/a/b", d.receiver("exact"))
		require.NoError(t, err)
		u := r.hello("").connect().subscribe("/a/b")
		u.publish("/a/b", `{"x":1.50}`)
		d.told(t, `first /a/b b {"x":1.50}`, `second /a/b b {"x":1.50}`, `exact /a/b  {"x":1.50}`)
		u.inbox()

		require.NoError(t, l.Publish(ctx, "/a/c", "me")) // comes back to who subscribes
		d.told(t, `first /a/c c "me"`, `second /a/c c "me"`)
		require.NoError(t, l.Publish(ctx, "/a/b", bayeux.Raw(`[1]`)))
		same(t, `[{"channel":"/a/b","data":[1]}]`, u.inbox())
		d.told(t, `first /a/b b [1]`, `second /a/b b [1]`, `exact /a/b  [1]`)

		require.NoError(t, first(ctx))
		require.NoError(t, first(ctx), "idempotent")
		r.publish("/a/c", 1)
		d.told(t, `second /a/c c 1`)
		require.NoError(t, second(ctx))
		require.Zero(t, r.srv.Subscribers("/a/*"))
		r.publish("/a/c", 2)
		d.told(t)

		require.NoError(t, l.Session().Deliver(ctx, "/private", "psst"))
		d.told(t, `rest /private  "psst"`)
		_, err = r.srv.Listen("/service/echo", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
			return from.Deliver(ctx, m.Channel, m.Data)
		})
		require.NoError(t, err)
		require.NoError(t, l.Publish(ctx, "/service/echo", 7))
		d.told(t, `rest /service/echo  7`)
		l.Session().(server.Echo).SetBroadcastToPublisher(false)
		require.NoError(t, l.Publish(ctx, "/a/b", 8))
		d.told(t)

		l.Close(ctx)
		l.Close(ctx)
		<-l.Done()
		r.publish("/a/b", 9)
		require.ErrorContains(t, l.Publish(ctx, "/a/b", 9), "402::session_unknown")
		d.told(t)
		require.Zero(t, r.srv.Subscribers("/a/*"))
	})
}

func TestLocalErrors(t *testing.T) {
	veto := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if string(m.Field("local")) == "" && m.Channel == "/meta/handshake" && len(m.Fields) == 0 {
			return bayeux.Deny("no_locals")
		}
		return nil
	}}
	bubble(t, with(veto), func(t *testing.T, r *rig) {
		_, err := r.srv.NewLocal(t.Context(), nil)
		var e *bayeux.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "no_locals", e.Args)
		require.Empty(t, r.srv.Sessions())
	})
	bubble(t, nil, func(t *testing.T, r *rig) {
		l := r.local(new(diary))
		ctx := t.Context()
		_, err := r.srv.Listen("/a", func(context.Context, bayeux.Session, *bayeux.Message) error { return bayeux.Drop })
		require.NoError(t, err)
		var e *bayeux.Error
		require.ErrorAs(t, l.Publish(ctx, "/a", 1), &e)
		require.Equal(t, *bayeux.ErrMessageDeleted, *e)
		require.Error(t, l.Publish(ctx, "a", 1))
		require.Error(t, l.Publish(ctx, "/a", func() {}))
		for _, bad := range []string{"a", "/{x}", "/meta/connect", "/meta/*"} {
			_, err = l.Subscribe(ctx, bad, func(context.Context, *bayeux.Message) {})
			require.ErrorContains(t, err, bad)
		}
		_, err = r.srv.Snapshot(l.Session().ID())
		require.ErrorIs(t, err, server.ErrLocal)
		u := r.hello("").connect()
		s, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		require.NoError(t, r.srv.Remove(u.id))
		s.Home = server.TransportLocal
		require.Error(t, r.srv.Restore(s))

		require.NoError(t, r.srv.Shutdown(ctx))
		_, err = r.srv.NewLocal(ctx, nil)
		require.ErrorContains(t, err, "handshake_denied")
	})
}

// Local sessions may do all, and no policy is asked ([R-SP-1]).
func TestLocalIsNotAsked(t *testing.T) {
	no := func(channels.Name) error { return bayeux.Deny("no") }
	policy := wirePolicy{handshake: func(bayeux.Session, *bayeux.Message) error { return bayeux.Deny("no") }, create: no, publish: no}
	bubble(t, wireWith(policy), func(t *testing.T, r *rig) {
		var d diary
		l := r.local(&d)
		_, err := l.Subscribe(t.Context(), "/a", d.receiver("a"))
		require.NoError(t, err)
		require.NoError(t, l.Publish(t.Context(), "/a", 1))
		d.told(t, "a /a  1")
	})
}

// Nobody else may speak for a local session, whoever knows its id.
func TestLocalIsNobodyElses(t *testing.T) {
	bubble(t, option("trustClientSession", "true"), func(t *testing.T, r *rig) {
		l := r.local(new(diary))
		u := wireAt(r, l.Session().ID(), "BAYEUX_BROWSER=abc")
		for _, body := range []string{connectHold, leave, subscribing("subscribe", `"/a"`), `[{"channel":"/a","clientId":"$"}]`} {
			require.Contains(t, u.send(body).Body, "402::session_unknown")
			s := r.Dial(nil)
			s.Send(u.fill(body))
			require.Equal(t, "402::session_unknown", s.Next(time.Second).Messages[0]["error"])
			s.Cut()
		}
		require.Zero(t, r.srv.Subscribers("/a"))
		_, alive := r.srv.Session(u.id)
		require.True(t, alive)
	})
}

// Local sessions never expire, whatever their times; others' own times do not
// change that ([R-EX-6]), CASES 156.
func TestLocalNeverExpires(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		l := r.local(&d)
		l.Session().(bayeux.Timing).SetMaxInterval(time.Millisecond)
		l.Session().(bayeux.Delivery).SetConnectOnly(true)
		l.Session().(bayeux.Delivery).Retain()
		other, long := r.hello("").connect(), r.hello("").connect()
		wireSession(long).(bayeux.Timing).SetMaxInterval(9 * time.Second)
		long.connect()
		time.Sleep(4 * time.Second)
		require.False(t, wireAlive(other))
		require.True(t, wireAlive(long))
		time.Sleep(6 * time.Second)
		require.False(t, wireAlive(long))
		time.Sleep(time.Hour)
		require.NoError(t, l.Session().Deliver(t.Context(), "/a", 1))
		d.told(t, "rest /a  1")
	})
}

// Lazy messages wait for their time here too, or for company ([R-DL-5]).
func TestLocalLazy(t *testing.T) {
	bubble(t, option("maxLazyTimeout", "1500"), func(t *testing.T, r *rig) {
		var d diary
		l := r.local(&d)
		lazy := func() {
			require.NoError(t, r.srv.DeliverMessage(t.Context(), l.Session().ID(), &bayeux.Message{Channel: "/lazy", Lazy: true}))
		}
		lazy()
		time.Sleep(1400 * time.Millisecond)
		d.told(t)
		time.Sleep(200 * time.Millisecond)
		d.told(t, "rest /lazy  ")
		lazy()
		require.NoError(t, l.Session().Deliver(t.Context(), "/now", 1))
		d.told(t, "rest /lazy  ", "rest /now  1")
	})
}

// A receiver may use its session, also end it; what waits then is dropped.
func TestLocalInReceiver(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		l := r.local(&d)
		ctx := t.Context()
		_, err := l.Subscribe(ctx, "/count", func(ctx context.Context, m *bayeux.Message) {
			d.note("%s", m.Data)
			var n int
			_, err := fmt.Sscan(string(m.Data), &n)
			require.NoError(t, err)
			if n < 5 {
				require.NoError(t, l.Publish(ctx, "/count", n+1))
				return
			}
			require.NoError(t, l.Publish(ctx, "/count", 99))
			l.Close(ctx)
			require.Error(t, ctx.Err(), "the context ends with the session")
		})
		require.NoError(t, err)
		require.NoError(t, l.Publish(ctx, "/count", 1))
		d.told(t, "1", "2", "3", "4", "5")
		require.Zero(t, r.stats().QueuedBytes)
		require.Zero(t, r.stats().Sessions)
	})
}

// A receiver that panics costs its message. One that blocks keeps its session's
// messages waiting, within the limits of a queue; beyond them the session ends,
// and nobody else has noticed.
func TestLocalReceiversHarmNobody(t *testing.T) {
	bubble(t, option("maxQueue", "10"), func(t *testing.T, r *rig) {
		var d, ends diary
		r.srv.OnSession(nil, func(s bayeux.Session, why string) { ends.note("%s %s", s.Transport(), why) })
		stop := make(chan struct{})
		defer close(stop)
		l, well := r.local(new(diary)), r.local(&d)
		_, err := l.Subscribe(t.Context(), "/a", func(ctx context.Context, m *bayeux.Message) {
			switch string(m.Data) {
			case "1":
				panic("a secret")
			case "2":
				<-stop
			}
		})
		require.NoError(t, err)
		_, err = well.Subscribe(t.Context(), "/a", d.receiver("well"))
		require.NoError(t, err)
		u := r.hello("").connect().subscribe("/a")
		start := time.Now()
		var want []string
		for i := range 30 {
			r.publish("/a", i)
			want = append(want, fmt.Sprintf("well /a  %d", i))
			synctest.Wait()
			u.inbox()
		}
		soon(t, 0, time.Since(start))
		d.told(t, want...)
		<-l.Done()
		ends.told(t, "local slow_consumer")
		require.EqualValues(t, 1, r.stats().Limits["queue"])
		require.Zero(t, r.stats().QueuedBytes)
		well.Close(t.Context())
	})
}

// An idle local session has no goroutine.
func TestLocalIdleIsFree(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		synctest.Wait()
		before := runtime.NumGoroutine()
		var got sync.WaitGroup
		var all []*server.Local
		for range 200 {
			got.Add(1)
			l, err := r.srv.NewLocal(t.Context(), nil)
			require.NoError(t, err)
			_, err = l.Subscribe(t.Context(), "/a", func(context.Context, *bayeux.Message) { got.Done() })
			require.NoError(t, err)
			all = append(all, l)
		}
		r.publish("/a", 1)
		got.Wait()
		synctest.Wait()
		// Others than ours come and go.
		require.Less(t, runtime.NumGoroutine(), before+len(all)/2)
		for _, l := range all {
			l.Close(t.Context())
		}
		require.Zero(t, r.stats().Sessions)
	})
}

// Many publish to a local session, and it to itself, while it subscribes and
// closes: each publisher's messages come in order, once, and nothing is left.
func TestLocalUnderRaces(t *testing.T) {
	srv, err := server.New(server.Config{})
	require.NoError(t, err)
	ctx := t.Context()
	const publishers, messages = 4, 300
	var mu sync.Mutex
	next := map[string]int{}
	var done sync.WaitGroup
	done.Add(publishers * messages)
	l, err := srv.NewLocal(ctx, nil)
	require.NoError(t, err)
	_, err = l.Subscribe(ctx, "/from/*", func(ctx context.Context, m *bayeux.Message) {
		mu.Lock()
		defer mu.Unlock()
		who := bayeux.Param(ctx, channels.Wild)
		assert.Equal(t, fmt.Sprint(next[who]), string(m.Data))
		next[who]++
		done.Done()
	})
	require.NoError(t, err)
	for p := range publishers {
		done.Go(func() {
			mine, err := srv.NewLocal(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range messages {
				err := mine.Publish(ctx, "/from/"+strings.Repeat("x", p+1), i)
				if i%50 == 0 && err == nil {
					var undo func(context.Context) error
					if undo, err = mine.Subscribe(ctx, "/from/**", func(context.Context, *bayeux.Message) {}); err == nil {
						err = undo(ctx)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
			mine.Close(ctx)
		})
	}
	done.Wait()
	l.Close(ctx)
	require.NoError(t, srv.Shutdown(ctx))
	st := srv.Stats()
	require.Zero(t, st.Sessions)
	require.Zero(t, st.QueuedBytes)
	require.Zero(t, st.Subscriptions)
	require.Zero(t, st.WebSockets)
}
