package server_test

import (
	"context"
	"errors"
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

// Messages leave with a held connect, with any other answer to the session,
// or with its next connect ([R-DL-1]); not with a handshake's ([R-HS-17]).
func TestDeliveryOpportunities(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		publish := func(n int) { require.NoError(t, r.srv.Publish(t.Context(), "/a", n)) }

		held := u.later(connectHold)
		synctest.Wait()
		publish(1)
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, (<-held).Messages)

		publish(2)
		same(t, `[{"channel":"/a","data":2},{"channel":"/meta/subscribe","id":"s","subscription":"/b","successful":true}]`,
			u.send(subscribing("subscribe", `"/b"`)).Messages)

		publish(3)
		reply := u.send(connectHold)
		soon(t, 0, reply.Took) // [R-CN-11]
		same(t, `[{"channel":"/a","data":3},{"channel":"/meta/connect","id":"c1","successful":true}]`, reply.Messages)

		publish(4)
		r.helloWith(u.cookie, "")
		same(t, `[{"channel":"/a","data":4},{"channel":"/meta/disconnect","id":"d","successful":true}]`,
			u.send(`[{"channel":"/meta/disconnect","clientId":"$","id":"d"}]`).Messages) // [R-DC-2]
	})
}

// What a request causes leaves with its own answer and does not wake the held
// connect ([R-DL-2], [R-DL-3], [R-CN-19]). Case 102.
func TestOwnMessages(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		held := u.later(connectHold)
		synctest.Wait()
		time.Sleep(time.Second)
		same(t, `[{"channel":"/a","data":1},{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "1").Messages)
		got := <-held
		soon(t, 4*time.Second, got.Took)
		require.Len(t, got.Messages, 1)
	})
}

// With metaConnectDeliverOnly messages leave with connects alone, and an own
// message wakes the hold after the request ([R-DL-4]); a session may be set
// so, and callback-polling always is ([R-JP-5]). Case 88.
func TestConnectOnlyDelivery(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"option":  option("metaConnectDeliverOnly", "true"),
		"session": nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, change, func(t *testing.T, r *rig) {
				u := r.hello("").connect().subscribe("/a")
				if change == nil {
					s, _ := r.srv.Session(u.id)
					d, ok := s.(bayeux.Delivery)
					require.True(t, ok)
					d.SetConnectOnly(true)
				}
				held := u.later(connectHold)
				synctest.Wait()
				same(t, `[{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "1").Messages)
				got := <-held
				soon(t, 0, got.Took)
				same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)
				same(t, `[{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "2").Messages)
				same(t, `[{"channel":"/a","data":2}]`, u.inbox())
			})
		})
	}
}

// jsonp sends messages by callback-polling and returns what the callback gets.
func (r *rig) jsonp(cookie, messages string) *testkit.Reply {
	r.t.Helper()
	reply, err := r.Do(testkit.Request{Method: "GET", Query: "jsonp=cb&message=" + escape(messages), Cookie: cookie})
	require.NoError(r.t, err)
	require.Equal(r.t, 200, reply.Status, reply.Body)
	require.True(r.t, strings.HasPrefix(reply.Body, "cb([") && strings.HasSuffix(reply.Body, "])"), reply.Body)
	return reply
}

// The sessions of callback-polling and long-polling do not know each other,
// and the former deliver with connects alone ([R-JP-5]); the times come from
// the transport's own prefix ([R-JP-7]). Cases 105, 108 and 109.
func TestCallbackPolling(t *testing.T) {
	bubble(t, option("long-polling.jsonp.timeout", "1500", "callback-polling.interval", "70"), func(t *testing.T, r *rig) {
		first := r.jsonp("", `[{"channel":"/meta/handshake"}]`)
		require.Contains(t, first.Body, `"timeout":1500`)
		require.Contains(t, first.Body, `"interval":70`)
		cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
		_, rest, _ := strings.Cut(first.Body, `"clientId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		u := &user{r: r, id: id, cookie: cookie}
		require.Contains(t, r.jsonp(cookie, u.fill(connectNow)).Body, `"successful":true`)
		require.Contains(t, r.jsonp(cookie, u.fill(subscribing("subscribe", `"/a"`))).Body, `"successful":true`)
		require.Equal(t, `cb([{"channel":"/a","id":"p","successful":true}])`,
			sorted(t, r.jsonp(cookie, u.fill(`{"channel":"/a","clientId":"$","id":"p","data":1}`)).Body))
		require.Contains(t, r.jsonp(cookie, u.fill(connectNow)).Body, `"data":1`)
		start := time.Now()
		require.Contains(t, r.jsonp(cookie, u.fill(connectHold)).Body, `"successful":true`)
		soon(t, 1500*time.Millisecond, time.Since(start))

		require.Contains(t, u.send(connectNow).Body, "402::session_unknown")
		lp := r.hello("")
		require.Contains(t, lp.first["advice"], "timeout")
		require.Contains(t, r.jsonp(lp.cookie, lp.fill(connectNow)).Body, "402::session_unknown")
	})
}

// Messages on a lazy channel wait for company or for their time ([R-DL-5]).
// Case 89.
func TestLazyMessages(t *testing.T) {
	lazy := func(t *testing.T, r *rig) *user {
		require.NoError(t, r.srv.Configure("/lazy", server.ChannelOptions{Lazy: true, LazyTimeout: 1500 * time.Millisecond}))
		return r.hello("").connect().subscribe("/lazy").subscribe("/now")
	}
	const answer = `{"channel":"/meta/connect","id":"c1","successful":true}`
	t.Run("held connect", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := lazy(t, r)
			held := u.later(connectHold)
			synctest.Wait()
			r.hello("").publish("/lazy", "1")
			got := <-held
			soon(t, 1500*time.Millisecond, got.Took)
			same(t, `[{"channel":"/lazy","data":1},`+answer+`]`, got.Messages)
		})
	})
	t.Run("backlog holds", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := lazy(t, r)
			r.hello("").publish("/lazy", "1")
			time.Sleep(500 * time.Millisecond)
			got := u.send(connectHold)
			soon(t, time.Second, got.Took)
			same(t, `[{"channel":"/lazy","data":1},`+answer+`]`, got.Messages)
		})
	})
	t.Run("time has passed", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := lazy(t, r)
			r.hello("").publish("/lazy", "1")
			time.Sleep(2 * time.Second)
			got := u.send(connectHold)
			soon(t, 0, got.Took)
			same(t, `[{"channel":"/lazy","data":1},`+answer+`]`, got.Messages)
		})
	})
	t.Run("with another answer", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := lazy(t, r)
			r.hello("").publish("/lazy", "1")
			same(t, `[{"channel":"/lazy","data":1},{"channel":"/x","id":"p","successful":true}]`, u.publish("/x", "0").Messages)
		})
	})
	t.Run("with an urgent one", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := lazy(t, r)
			held := u.later(connectHold)
			synctest.Wait()
			r.hello("").publish("/lazy", "1")
			r.hello("").publish("/now", "2")
			got := <-held
			soon(t, 0, got.Took)
			same(t, `[{"channel":"/lazy","data":1},{"channel":"/now","data":2},`+answer+`]`, got.Messages)
		})
	})
	t.Run("at the connect's end", func(t *testing.T) {
		bubble(t, option("timeout", "1000"), func(t *testing.T, r *rig) {
			u := lazy(t, r)
			r.hello("").publish("/lazy", "1")
			got := u.send(connectHold)
			soon(t, time.Second, got.Took)
			same(t, `[{"channel":"/lazy","data":1},`+answer+`]`, got.Messages)
		})
	})
	t.Run("a client's field is a field", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := r.hello("").connect().subscribe("/now")
			held := u.later(connectHold)
			synctest.Wait()
			r.hello("").send(`[{"channel":"/now","clientId":"$","lazy":true,"data":1}]`)
			got := <-held
			soon(t, 0, got.Took)
			same(t, `[{"channel":"/now","lazy":true,"data":1},`+answer+`]`, got.Messages)
		})
	})
	t.Run("[R-DL-7] not answered twice", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := lazy(t, r)
			held := u.later(connectHold)
			synctest.Wait()
			r.hello("").publish("/lazy", "1")
			require.Len(t, u.publish("/x", "0").Messages, 2)
			soon(t, 4*time.Second, (<-held).Took) // CometD answers empty after 1.5 s
		})
	})
}

// Laziness comes from the channel and the patterns that match it, the earliest
// time wins, and what is for one session alone is not lazy ([R-DL-6]).
func TestLazinessIsInherited(t *testing.T) {
	for name, c := range map[string]struct {
		lazy map[string]time.Duration
		want time.Duration
	}{
		"pattern":            {map[string]time.Duration{"/a/*": 2 * time.Second}, 2 * time.Second},
		"deep pattern":       {map[string]time.Duration{"/**": 2 * time.Second}, 2 * time.Second},
		"parent":             {map[string]time.Duration{"/a": 2 * time.Second}, 0},
		"earliest":           {map[string]time.Duration{"/a/*": 2 * time.Second, "/a/b": 3 * time.Second, "/**": time.Second}, time.Second},
		"option":             {map[string]time.Duration{"/a/b": 0}, 2500 * time.Millisecond},
		"option among other": {map[string]time.Duration{"/a/b": 0, "/a/*": 3 * time.Second}, 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, option("maxLazyTimeout", "2500"), func(t *testing.T, r *rig) {
				for ch, d := range c.lazy {
					require.NoError(t, r.srv.Configure(ch, server.ChannelOptions{Lazy: true, LazyTimeout: d}))
				}
				u := r.hello("").connect().subscribe("/a/b")
				held := u.later(connectHold)
				synctest.Wait()
				require.NoError(t, r.srv.Publish(t.Context(), "/a/b", 1))
				soon(t, c.want, (<-held).Took)

				held = u.later(connectHold)
				synctest.Wait()
				s, _ := r.srv.Session(u.id)
				require.NoError(t, s.Deliver(t.Context(), "/a/b", 2))
				soon(t, 0, (<-held).Took)
			})
		})
	}
}

// The first bound of a queue: the session ends, with its reason ([R-DL-8] by
// WIRE 16 and DESIGN 7).
func TestQueueIsBounded(t *testing.T) {
	for name, options := range map[string][]string{
		"maxQueue":      {"maxQueue", "2"},
		"maxQueueBytes": {"maxQueueBytes", "70"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, option(options...), func(t *testing.T, r *rig) {
				reason := make(chan string, 1)
				r.srv.OnSession(nil, func(_ bayeux.Session, why string) { reason <- why })
				u := r.hello("").connect().subscribe("/a")
				for i := range 2 {
					require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
				}
				require.Len(t, r.srv.Sessions(), 1)
				require.NoError(t, r.srv.Publish(t.Context(), "/a", 3))
				require.Equal(t, "slow_consumer", <-reason)
				require.Empty(t, r.srv.Sessions())
				require.EqualValues(t, 1, r.stats().Limits["queue"])
				require.Contains(t, u.send(connectHold).Body, "402::session_unknown")
				require.Zero(t, r.stats().QueuedBytes)
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		bubble(t, option("maxQueue", "-1"), func(t *testing.T, r *rig) {
			u := r.hello("").connect().subscribe("/a")
			for i := range 10_500 {
				require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
			}
			require.Len(t, u.inbox(), 10_500)
		})
	})
}

// A poll takes so many bytes; the rest leaves at once by the next. A message
// that is larger goes alone (DESIGN 7).
func TestPollIsCut(t *testing.T) {
	bubble(t, option("maxResponseSize", "100"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		big := strings.Repeat("x", 200)
		for _, data := range []any{1, 2, 3, big, 4} {
			require.NoError(t, r.srv.Publish(t.Context(), "/a", data))
		}
		for _, want := range []string{`1,2,3`, big, `4`} {
			reply := u.send(connectHold)
			soon(t, 0, reply.Took)
			var got []string
			for _, m := range reply.Messages[:len(reply.Messages)-1] {
				got = append(got, fmt.Sprint(m["data"]))
			}
			require.Equal(t, want, strings.Join(got, ","))
		}
	})
}

// What was not delivered for a broken connection stays in the queue
// ([R-DL-10]).
func TestQueueSurvivesAbort(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		ctx, cancel := context.WithCancel(t.Context())
		held := r.Go(testkit.Request{Body: u.fill(connectHold), Cookie: u.cookie, Ctx: ctx})
		synctest.Wait()
		cancel()
		require.Nil(t, <-held)
		synctest.Wait()
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 1))
		same(t, `[{"channel":"/a","data":1}]`, u.inbox())
	})
}

// Replies that extensions drop are left out; what is left is an array still
// ([R-OUT-1], [R-OUT-3]). Case 150.
func TestDroppedReplies(t *testing.T) {
	drop := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/meta/connect" && m.ID != "c0" || m.Channel == "/gone" {
			return bayeux.Drop
		}
		if m.Channel == "/broken" {
			return errors.New("not a verdict")
		}
		return nil
	}}
	bubble(t, func(c *server.Config) { c.Extensions = append(c.Extensions, drop) }, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 1))
		require.Equal(t, `[{"channel":"/a","data":1}]`, u.send(connectHold).Body)
		require.Equal(t, `[]`, u.send(connectHold).Body)
	})
}
