package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// keep writes into the diary what is told of sessions and their subscriptions.
func (d *diary) keep(t *testing.T, r *rig) {
	t.Helper()
	r.srv.OnSession(
		func(s bayeux.Session) { d.note("%s begins", s.ID()) },
		func(s bayeux.Session, why string) { d.note("%s ends %s", s.ID(), why) },
	)
	_, err := r.srv.OnSubscription("/**",
		func(_ context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) {
			d.note("%s in %s %t", s.ID(), ch, m != nil)
		},
		func(_ context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) {
			d.note("%s out %s %t", s.ID(), ch, m != nil)
		})
	require.NoError(t, err)
}

// What happens to a session is told in its order: it begins, subscribes,
// unsubscribes, its subscriptions end with it, it ends.
func TestStoryOfASession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		d.keep(t, r)
		u := r.hello("").connect()
		require.Equal(t, []string{u.id + " begins"}, d.take(), "before the reply to the handshake")
		u.subscribe("/a").subscribe("/a").subscribe("/b/*")
		u.send(subscribing("subscribe", `["/c","/service/x","/d"]`))
		require.Equal(t, []string{u.id + " in /a true", u.id + " in /b/* true", u.id + " in /c true", u.id + " in /d true"}, d.take())
		u.send(subscribing("unsubscribe", `["/a","/a"]`))
		u.send(subscribing("unsubscribe", `"/nowhere"`))
		require.Equal(t, []string{u.id + " out /a true"}, d.take())
		u.send(leave)
		synctest.Wait()
		require.Equal(t, []string{u.id + " out /b/* false", u.id + " out /c false", u.id + " out /d false", u.id + " ends disconnect"}, d.take())
		require.Zero(t, r.stats().Sessions)
	})
}

// What a listener delivers when a session subscribes comes with the reply,
// ahead of it; what it is told of holds already.
func TestSubscribedBringsSnapshot(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		remove, err := r.srv.OnSubscription("/room/{id}", func(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) {
			require.NotNil(t, bayeux.RequestFrom(ctx))
			require.Equal(t, 1, r.srv.Subscribers(string(ch)))
			require.NotEmpty(t, m.Subscription)
			require.NoError(t, s.Deliver(ctx, string(ch), "state of "+bayeux.Param(ctx, "id")))
		}, nil)
		require.NoError(t, err)
		u := r.hello("").connect()
		same(t, `[{"channel":"/room/7","data":"state of 7"},{"channel":"/meta/subscribe","id":"s","subscription":"/room/7","successful":true}]`,
			u.send(subscribing("subscribe", `"/room/7"`)).Messages)
		same(t, `[{"channel":"/meta/subscribe","id":"s","subscription":"/room/7/x","successful":true}]`,
			u.send(subscribing("subscribe", `"/room/7/x"`)).Messages)
		remove()
		same(t, `[{"channel":"/meta/subscribe","id":"s","subscription":"/room/8","successful":true}]`,
			u.send(subscribing("subscribe", `"/room/8"`)).Messages)
		_, err = r.srv.OnSubscription("room", nil, nil)
		require.Error(t, err)
	})
}

// What begin does to a session is done before the client's next message.
func TestBeginIsWaitedFor(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.srv.OnSession(func(s bayeux.Session) {
			time.Sleep(time.Second)
			s.Attributes().Set("ready", true)
		}, nil)
		start := time.Now()
		u := r.hello("")
		soon(t, time.Second, time.Since(start))
		require.Equal(t, true, wireSession(u).Attributes().Get("ready"))
	})
}

// A session that ends while it begins is told to begin first, to end last.
func TestEndsWhileItBegins(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		d.keep(t, r)
		r.srv.OnSession(func(s bayeux.Session) {
			require.NoError(t, s.Disconnect(t.Context()))
			d.note("%s is disconnected", s.ID())
		}, nil)
		u := r.hello("") // whose reply tells nothing of it yet
		synctest.Wait()
		require.Equal(t, []string{u.id + " begins", u.id + " is disconnected", u.id + " ends server"}, d.take())
		require.Contains(t, u.publish("/a", "1").Body, "402::session_unknown")
	})
}

// A session whose handshake is refused, or that ends before it exists, is told
// of to nobody.
func TestUntoldSessions(t *testing.T) {
	for name, policy := range map[string]wirePolicy{
		"refused": {handshake: func(bayeux.Session, *bayeux.Message) error { return bayeux.Deny("no") }},
		"ended":   {handshake: func(s bayeux.Session, _ *bayeux.Message) error { return s.Disconnect(context.Background()) }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, wireWith(policy), func(t *testing.T, r *rig) {
				var d diary
				d.keep(t, r)
				r.srv.OnUser(func(string) { d.note("came") }, func(string) { d.note("went") })
				require.Contains(t, r.Post("", `[{"channel":"/meta/handshake"}]`).Body, `"successful":false`)
				synctest.Wait()
				require.Empty(t, d.take())
				require.Empty(t, r.srv.Sessions())
			})
		})
	}
}

// A listener may do what causes more to tell, on its own session too, and waits
// for nothing.
func TestListenersCauseMore(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		local, err := r.srv.NewLocal(t.Context(), nil)
		require.NoError(t, err)
		_, err = r.srv.OnSubscription("/**", func(ctx context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
			d.note("in %s", ch)
			if len(ch) < len("/a/a/a") && s.ID() == local.Session().ID() {
				_, err := local.Subscribe(ctx, string(ch)+"/a", func(context.Context, *bayeux.Message) {})
				d.note("asked for %s/a: %v", ch, err)
			}
		}, nil)
		require.NoError(t, err)
		start := time.Now()
		_, err = local.Subscribe(t.Context(), "/a", func(context.Context, *bayeux.Message) {})
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []string{"in /a", "asked for /a/a: <nil>", "in /a/a", "asked for /a/a/a: <nil>", "in /a/a/a"}, d.take())
		require.Zero(t, time.Since(start))
		local.Close(t.Context())
	})
}

// A restored session is told of like a new one, with its subscriptions.
func TestRestoredIsTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		wireSession(u).(bayeux.Identity).SetUser("ann")
		snapshot, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		require.NoError(t, r.srv.Remove(u.id))
		synctest.Wait()
		var d, users diary
		d.keep(t, r)
		r.srv.OnUser(func(user string) { users.note("%s came", user) }, nil)
		require.Empty(t, r.srv.SessionsOf("ann"))
		require.NoError(t, r.srv.Restore(snapshot))
		synctest.Wait()
		require.Equal(t, []string{u.id + " begins", u.id + " in /a false"}, d.take())
		require.Equal(t, []string{"ann came"}, users.take())
		require.Len(t, r.srv.SessionsOf("ann"), 1)
		require.Error(t, r.srv.Restore(snapshot), "it is here already")
		synctest.Wait()
		require.Empty(t, d.take())
	})
}

// Listeners that do not return, or panic, delay what is told of their session
// by ExtensionTimeout, and nobody else.
func TestListenersToSessionsHarmNobody(t *testing.T) {
	bubble(t, func(c *server.Config) { c.ExtensionTimeout = 2 * time.Second }, func(t *testing.T, r *rig) {
		var d diary
		stop := make(chan struct{})
		trouble := func(s bayeux.Session) {
			switch s.Attributes().Get("how") {
			case "blocks":
				<-stop
			case "panics":
				panic("a secret")
			}
		}
		_, err := r.srv.Listen("/meta/handshake", func(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
			s.Attributes().Set("how", strings.Trim(string(m.Field("how")), `"`))
			return nil
		})
		require.NoError(t, err)
		r.srv.OnSession(trouble, func(s bayeux.Session, _ string) { trouble(s) })
		in := func(_ context.Context, s bayeux.Session, _ channels.Name, _ *bayeux.Message) { trouble(s) }
		_, err = r.srv.OnSubscription("/**", in, in)
		require.NoError(t, err)
		d.keep(t, r)
		for _, how := range []string{"blocks", "panics"} {
			start := time.Now()
			slow := 2 * time.Second
			if how == "panics" {
				slow = 0
			}
			sick := r.hello(`"how":"` + how + `"`)
			soon(t, slow, time.Since(start))
			synctest.Wait()
			require.Equal(t, []string{sick.id + " begins"}, d.take(), "the next listener is told")

			start = time.Now()
			sick.connect().subscribe("/a")
			soon(t, slow, time.Since(start))
			synctest.Wait()
			require.Equal(t, []string{sick.id + " in /a true"}, d.take())

			start = time.Now()
			well := r.hello("").connect().subscribe("/a")
			require.Equal(t, []string{well.id + " begins", well.id + " in /a true"}, d.take())
			require.Contains(t, sick.send(leave).Body, `"successful":true`)
			well.send(leave)
			soon(t, 0, time.Since(start))
			time.Sleep(5 * time.Second)
			got := d.take()
			slices.Sort(got)
			want := []string{well.id + " out /a false", well.id + " ends disconnect", sick.id + " out /a false", sick.id + " ends disconnect"}
			slices.Sort(want)
			require.Equal(t, want, got)
		}
		close(stop)
	})
}

// Sessions of whose end listeners are still being told count as sessions: what
// they keep is bounded ([R-EX-5]).
func TestEndingCounts(t *testing.T) {
	bubble(t, func(c *server.Config) {
		c.Limits.Sessions = 2
		c.ExtensionTimeout = 3 * time.Second
	}, func(t *testing.T, r *rig) {
		stop := make(chan struct{})
		r.srv.OnSession(nil, func(bayeux.Session, string) { <-stop })
		for range 2 {
			r.hello("").send(leave)
		}
		require.Equal(t, 429, r.Post("", `[{"channel":"/meta/handshake"}]`).Status)
		time.Sleep(4 * time.Second)
		r.hello("")
		close(stop)
	})
}

// A batch holds back what is queued for a session, whoever queues it, on either
// carrier; then it leaves together ([R-DL-2]).
func TestBatch(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, s := r.hello("").connect().subscribe("/a"), r.surf("").connected()
		s.say(subscribing("subscribe", `"/a"`))
		s.get()
		held := wireHold(u)
		batch := func(id string, f func()) {
			session, _ := r.srv.Session(id)
			session.(bayeux.Batching).Batch(f)
		}
		batch(u.id, func() {
			batch(s.id, func() {
				r.publish("/a", 1)
				batch(u.id, func() { r.publish("/a", 2) })
				wireStillHeld(t, held)
				s.Quiet(500 * time.Millisecond)
				same(t, `[{"channel":"/b","id":"p","successful":true}]`, u.publish("/b", "1").Messages)
			})
			same(t, `[{"channel":"/a","data":1}]`, s.get())
			same(t, `[{"channel":"/a","data":2}]`, s.get())
			wireStillHeld(t, held)
		})
		same(t, `[{"channel":"/a","data":1},{"channel":"/a","data":2},{"channel":"/meta/connect","id":"c1","successful":true}]`,
			wireAnswered(t, held).Messages)

		// One that panics has ended; who has gone meanwhile has gone.
		func() {
			defer func() { require.Equal(t, "oops", recover()) }()
			batch(u.id, func() { panic("oops") })
		}()
		held = wireHold(u)
		r.publish("/a", 3)
		require.Len(t, wireAnswered(t, held).Messages, 2)
		batch(u.id, func() { u.send(leave) })

		// A session in a batch does not expire; then it does.
		v := r.hello("").connect()
		batch(v.id, func() {
			time.Sleep(10 * time.Second)
			require.True(t, wireAlive(v))
		})
		time.Sleep(time.Second)
		require.False(t, wireAlive(v))
	})
}

// Where messages are acknowledged a batch holds them back as well; a connect
// whose time is over takes along what there is.
func TestBatchWithAck(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello(`"ext":{"ack":true}`).connect().subscribe("/a")
		held := u.later(strings.Replace(connectHold, `"id"`, `"ext":{"ack":1},"id"`, 1))
		synctest.Wait()
		wireSession(u).(bayeux.Batching).Batch(func() {
			r.publish("/a", 1)
			r.publish("/a", 2)
			wireStillHeld(t, held)
		})
		same(t, `[{"channel":"/a","data":1},{"channel":"/a","data":2},{"channel":"/meta/connect","id":"c1","successful":true,"ext":{"ack":2}}]`,
			wireAnswered(t, held).Messages)
	})
}

// Attributes may be used by many at once, and move with the session.
func TestAttributes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		a := wireSession(u).Attributes()
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 1))
				for range 300 {
					name := fmt.Sprint(rnd.IntN(5))
					a.Set(name, rnd.IntN(9))
					a.Get(name)
					a.All()
					a.Set(name, nil)
				}
				a.Set("last", map[string]int{"n": 1})
			})
		}
		all.Go(func() {
			for range 50 {
				_, err := r.srv.Snapshot(u.id)
				if err != nil {
					t.Error(err)
				}
			}
		})
		all.Wait()
		require.Equal(t, map[string]any{"last": map[string]int{"n": 1}}, a.All())
		snapshot, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		require.NoError(t, r.srv.Remove(u.id))
		require.NoError(t, r.srv.Restore(snapshot))
		same(t, `{"n":1}`, string(wireSession(u).Attributes().Get("last").(json.RawMessage)))
		wireSession(u).Attributes().Set("f", func() {})
		_, err = r.srv.Snapshot(u.id)
		require.ErrorContains(t, err, `attribute "f"`)
	})
}
