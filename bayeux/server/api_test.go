package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// What the server publishes is a channel and data, and what server code adds
// ([R-PB-7]).
func TestServerPublishes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		r.publish("/a", map[string]int{"x": 1})
		r.publish("/a", bayeux.Raw(`{"x":1.50}`))
		r.publish("/a", nil)
		m := &bayeux.Message{Channel: "/a", Data: bayeux.Raw(`1`), Ext: bayeux.Raw(`{"e":1}`)}
		m.SetField("foo", bayeux.Raw(`"bar"`))
		require.NoError(t, r.srv.PublishMessage(t.Context(), m))
		body := u.send(connectNow)
		require.Contains(t, body.Body, `{"x":1.50}`)
		same(t, `[{"channel":"/a","data":{"x":1}},{"channel":"/a","data":{"x":1.5}},{"channel":"/a"},{"channel":"/a","data":1,"ext":{"e":1},"foo":"bar"}]`,
			body.Messages[:4])
	})
}

// What cannot be published or delivered says why.
func TestServerPublishErrors(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		ctx := t.Context()
		for _, ch := range []string{"/a/*", "/**", "/service/x", "/meta/x", "/meta/connect"} {
			require.ErrorIs(t, r.srv.Publish(ctx, ch, 1), server.ErrNotBroadcast, ch)
		}
		require.Error(t, r.srv.Publish(ctx, "no slash", 1))
		require.ErrorContains(t, r.srv.Publish(ctx, "/a", func() {}), "/a")
		require.ErrorContains(t, r.srv.Publish(ctx, "/a", bayeux.Raw(`{`)), "not JSON")
		require.ErrorIs(t, r.srv.DeliverMessage(ctx, "nobody", &bayeux.Message{Channel: "/x"}), server.ErrNoSession)
		require.ErrorIs(t, r.srv.Remove("nobody"), server.ErrNoSession)
		_, ok := r.srv.Session("nobody")
		require.False(t, ok)
		require.Error(t, r.srv.Configure("bad", server.ChannelOptions{}))
		_, err := r.srv.Listen("/a/*/b", nil)
		require.Error(t, err)
		require.False(t, r.srv.HasChannel("bad"))
		require.Zero(t, r.srv.Subscribers("bad"))
	})
}

// A message may be lazy on its own, whatever its channel ([R-DL-5]).
func TestPublishLazily(t *testing.T) {
	bubble(t, option("maxLazyTimeout", "1500"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		held := u.later(connectHold)
		synctest.Wait()
		require.NoError(t, r.srv.PublishMessage(t.Context(), &bayeux.Message{Channel: "/a", Lazy: true}))
		soon(t, 1500*time.Millisecond, (<-held).Took)

		held = u.later(connectHold)
		synctest.Wait()
		require.NoError(t, r.srv.DeliverMessage(t.Context(), u.id, &bayeux.Message{Channel: "/x", Lazy: true}))
		got := <-held
		soon(t, 1500*time.Millisecond, got.Took)
		same(t, `[{"channel":"/x"},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)
	})
}

// The lazy time is that of the transport in use, not that of the handshake.
func TestLazyTimeOfTheTransport(t *testing.T) {
	bubble(t, option("long-polling.maxLazyTimeout", "3000", "ws.maxLazyTimeout", "1000"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		s := &surfer{Socket: r.Dial(nil), r: r, id: u.id}
		s.connected()
		require.NoError(t, r.srv.PublishMessage(t.Context(), &bayeux.Message{Channel: "/a", Lazy: true}))
		s.Quiet(990 * time.Millisecond)
		same(t, `[{"channel":"/a"}]`, s.get())
	})
}

// A session's own times hold from the next connect, whose reply tells them; a
// hold in progress stays ([R-AD-4], [R-AD-1], [R-EX-6]).
func TestSessionTiming(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		s, _ := r.srv.Session(u.id)
		times, ok := s.(bayeux.Timing)
		require.True(t, ok)
		held := u.later(connectHold)
		synctest.Wait()
		times.SetTimeout(1500 * time.Millisecond)
		times.SetInterval(100 * time.Millisecond)
		times.SetMaxInterval(6 * time.Second)
		got := <-held
		soon(t, 4*time.Second, got.Took)
		same(t, `{"reconnect":"retry","interval":100,"timeout":1500}`, got.Messages[0]["advice"])
		got = u.send(connectHold)
		soon(t, 1500*time.Millisecond, got.Took)
		require.NotContains(t, got.Messages[0], "advice")
		time.Sleep(6 * time.Second)
		require.Len(t, r.srv.Sessions(), 1)
		time.Sleep(700 * time.Millisecond)
		require.Empty(t, r.srv.Sessions())
	})
}

// Whoever wants to know of sessions is told of their beginnings and ends, with
// the reason, until he has enough.
func TestOnSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		var got []string
		note := func(s string) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, s)
		}
		remove := r.srv.OnSession(
			func(s bayeux.Session) { note("begin " + s.Transport()) },
			func(_ bayeux.Session, why string) { note("end " + why) },
		)
		r.srv.OnSession(nil, nil)
		ends := map[string]func(u *user){
			"disconnect": func(u *user) { u.send(leave) },
			"expired":    func(*user) { time.Sleep(3600 * time.Millisecond) },
			"removed":    func(u *user) { require.NoError(t, r.srv.Remove(u.id)) },
			"server": func(u *user) {
				s, _ := r.srv.Session(u.id)
				require.NoError(t, s.Disconnect(t.Context()))
				require.NoError(t, s.Disconnect(t.Context()), "twice is like once")
			},
		}
		for why, end := range ends {
			u := r.hello("").connect()
			synctest.Wait()
			end(u)
			synctest.Wait()
			require.Equal(t, []string{"begin long-polling", "end " + why}, got)
			got = nil
			require.EqualValues(t, 1, r.stats().Ended[why])
		}
		remove()
		r.hello("").send(leave)
		synctest.Wait()
		require.Empty(t, got)
	})
}

// Listeners hear what matches, from the widest pattern to the channel, before
// anybody receives it; removed ones do not.
func TestListeners(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var got []string
		removes := make(map[string]func())
		for _, ch := range []string{"/a/b", "/**", "/a/*", "/other", "/a/**"} {
			remove, err := r.srv.Listen(ch, func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
				who := "server"
				if from != nil {
					who = "client"
				}
				got = append(got, ch+" "+m.Channel+" "+who)
				return nil
			})
			require.NoError(t, err)
			removes[ch] = remove
		}
		u := r.hello("")
		u.publish("/a/b", "1")
		require.Equal(t, []string{"/** /a/b client", "/a/** /a/b client", "/a/* /a/b client", "/a/b /a/b client"}, got)
		got = nil
		removes["/a/**"]()
		removes["/a/**"]() // idempotent
		removes["/**"]()
		r.publish("/a/b", 1)
		require.Equal(t, []string{"/a/* /a/b server", "/a/b /a/b server"}, got)
	})
}

// A listener may refuse a message ([R-PB-4]); one that merely fails does not
// stop it.
func TestListenerVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		want    string
		arrives bool
	}{
		"drop":   {bayeux.Drop, `"successful":false,"error":"404::message_deleted"`, false},
		"refuse": {&bayeux.Error{Code: 403, Args: "r", Text: "no"}, `"successful":false,"error":"403:r:no"`, false},
		"fails":  {errors.New("oops"), `"successful":true`, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				_, err := r.srv.Listen("/a", func(context.Context, bayeux.Session, *bayeux.Message) error { return c.err })
				require.NoError(t, err)
				u := r.hello("").connect().subscribe("/a")
				same(t, `[{"channel":"/a","id":"p",`+c.want+`}]`, r.hello("").publish("/a", "1").Messages)
				require.Equal(t, c.arrives, len(u.inbox()) == 1)
				err = r.srv.Publish(t.Context(), "/a", 1)
				require.Equal(t, c.arrives, err == nil)
			})
		})
	}
}

// The numbers of the server.
func TestStats(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, s := r.hello("").connect().subscribe("/a"), r.surf("").connected()
		held := u.later(connectHold)
		s.say(connectHold)
		synctest.Wait()
		st := r.stats()
		require.EqualValues(t, 2, st.Sessions)
		require.EqualValues(t, 2, st.Holds)
		require.EqualValues(t, 1, st.WebSockets)
		require.EqualValues(t, 1, st.Browsers)
		require.EqualValues(t, 1, st.Subscriptions)
		require.EqualValues(t, 2, st.Handshakes)
		require.EqualValues(t, 3, st.Requests["websocket"])
		require.EqualValues(t, 4, st.Requests["long-polling"])
		r.publish("/a", 1)
		<-held
		s.say(`[{"channel":"/a","clientId":"nobody"}]`)
		s.get()
		s.Cut()
		synctest.Wait()
		st = r.stats()
		require.Zero(t, st.Holds)
		require.Zero(t, st.WebSockets)
		require.Zero(t, st.Browsers)
		require.EqualValues(t, 1, st.Published)
		require.EqualValues(t, 1, st.Delivered)
		require.EqualValues(t, 1, st.MessagesOut)
		require.EqualValues(t, 1, st.UnknownSessions)
		require.Positive(t, st.BytesIn)
		require.Positive(t, st.BytesOut)
		require.False(t, st.Draining)
	})
}

// A configuration that cannot be is refused, with all that is wrong.
func TestConfigErrors(t *testing.T) {
	for name, c := range map[string]server.Config{
		"posture":     {Posture: "lenient"},
		"node prefix": {NodePrefix: "a-b"},
		"long prefix": {NodePrefix: "abcdefghi"},
		"option":      {Options: server.Options{"x": "y"}},
	} {
		_, err := server.New(c)
		require.ErrorContains(t, err, "configure the server", name)
	}
	bubble(t, func(c *server.Config) { c.NodePrefix = "n7" }, func(t *testing.T, r *rig) {
		require.Regexp(t, "^n7[0-9a-z]{26}$", r.hello("").id)
	})
}
