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

// inbox returns the messages, replies to connects apart, that wait for u.
func (u *user) inbox() []testkit.Msg {
	u.r.t.Helper()
	reply := u.send(connectNow)
	require.NotEmpty(u.r.t, reply.Messages, reply.Body)
	return reply.Messages[:len(reply.Messages)-1]
}

// Every publish is answered ([R-PB-1]), or refused with a word for the reason
// ([R-PB-3], [R-PB-8], [R-MSG-10], [R-MSG-13]). Case 82.
func TestPublishReplies(t *testing.T) {
	const meta = "403:denied_by_security_policy:channel_create_denied"
	for channel, want := range map[string]string{
		"/a":                   "",
		"/a/b/ ":               "",
		"/service/x":           "",
		"/meta":                "", // [R-MSG-13]
		"/META/connect":        "",
		"/f/*":                 "", // [R-PB-8]
		"/meta/foo":            meta,
		"/meta/":               meta,
		"/meta/*":              meta,
		"/meta/subscribe/x":    meta,
		"//a":                  "405::channel_invalid",
		"/a/**/b":              "405::channel_invalid",
		"/a?":                  "405::channel_invalid",
		strings.Repeat("/", 2): "405::channel_invalid",
	} {
		t.Run(channel, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				reply := r.hello("").publish(channel, "{}")
				if want == "" {
					same(t, fmt.Sprintf(`[{"channel":%q,"id":"p","successful":true}]`, channel), reply.Messages)
					return
				}
				same(t, fmt.Sprintf(`[{"channel":%q,"id":"p","successful":false,"error":%q}]`, channel, want), reply.Messages)
			})
		})
	}
}

// Meta channels stay closed whatever the policy says ([R-PB-3], [R-SB-7]).
func TestMetaChannelsStayClosed(t *testing.T) {
	bubble(t, func(c *server.Config) { c.Policy = policyFuncs{} }, func(t *testing.T, r *rig) {
		u := r.hello("")
		require.Contains(t, u.publish("/meta/x", "1").Body, "403:denied_by_security_policy:channel_create_denied")
		require.Contains(t, u.send(subscribing("subscribe", `"/meta/connect"`)).Body, "403:denied_by_security_policy:subscribe_denied")
		require.Contains(t, u.send(subscribing("subscribe", `"/meta/**"`)).Body, "403:denied_by_security_policy:create_denied")
	})
}

// A refused publish says which operation was refused, and goes nowhere
// ([R-PB-2], [R-SP-4]).
func TestPublishRefused(t *testing.T) {
	k := &keeper{create: "/new", publish: "/old"}
	bubble(t, func(c *server.Config) { c.Policy = k }, func(t *testing.T, r *rig) {
		u, from := r.hello("").connect().subscribe("/**"), r.hello("")
		k.asked = nil
		same(t, `[{"channel":"/new","id":"p","successful":false,"error":"403:not_yours:channel_create_denied"}]`, from.publish("/new", "1").Messages)
		same(t, `[{"channel":"/old","id":"p","successful":false,"error":"403:not_yours:publish_denied"}]`, from.publish("/old", "1").Messages)
		from.publish("/ok", "1")
		from.publish("/ok", "2")
		require.Equal(t, []string{
			"create /new", "create /old", "publish /old", "create /ok", "publish /ok", "publish /ok",
		}, k.asked, "CREATE first, and only once")
		require.False(t, r.srv.HasChannel("/new"))
		same(t, `[{"channel":"/ok","data":1},{"channel":"/ok","data":2}]`, u.inbox())
	})
}

// What subscribers get of a message: all but id, clientId and what looks like
// a reply ([R-PB-6] by WIRE 16), data or not ([R-PB-5]). Cases 80 and 81.
func TestPublishedFields(t *testing.T) {
	for name, c := range map[string]struct{ sent, want string }{
		"plain":     {`"data":{"x":1}`, `"data":{"x":1}`},
		"no data":   {`"foo":"bar"`, `"foo":"bar"`},
		"nothing":   {`"advice":{}`, ""},
		"null data": {`"data":null`, `"data":null`},
		"others": {
			`"data":1,"ext":{"k":[1.0]},"timestamp":"now","lazy":true,"foo":{"x":null}`,
			`"data":1,"ext":{"k":[1.0]},"timestamp":"now","lazy":true,"foo":{"x":null}`,
		},
		"reply fields": {`"data":1,"advice":{"reconnect":"none"},"successful":false,"error":"402::x"`, `"data":1`},
		"wrong types":  {`"data":1,"successful":"no","error":{}`, `"data":1`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u, from := r.hello("").connect().subscribe("/a"), r.hello("")
				from.send(`[{"channel":"/a","clientId":"$","id":"17",` + c.sent + `}]`)
				same(t, `[{"channel":"/a"`+join(c.want)+`}]`, u.inbox())
			})
		})
	}
}

// Values pass byte for byte (WIRE 16), whatever they are. Case 92.
func TestValuesPass(t *testing.T) {
	const values = `{"b":1.50,"a":[1e400,12345678901234567890,"\u00e9\/"],"a":2}`
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, from := r.hello("").connect().subscribe("/a"), r.hello("")
		from.send(`[{"channel":"/a","clientId":"$","data":` + values + `,"ext":` + values + `,"foo":` + values + `}]`)
		body := u.send(connectNow).Body
		for _, name := range []string{"data", "ext", "foo"} {
			require.Contains(t, body, `"`+name+`":`+values)
		}
	})
}

// relayReplyFields passes on what looks like a reply (WIRE 16 on [R-PB-6]).
func TestRelayReplyFields(t *testing.T) {
	bubble(t, option("relayReplyFields", "true"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		r.hello("").send(`[{"channel":"/a","clientId":"$","id":"17","data":1,"advice":{"x":1},"successful":false,"error":"e"}]`)
		same(t, `[{"channel":"/a","data":1,"advice":{"x":1},"successful":false,"error":"e"}]`, u.inbox())
	})
}

// A message keeps its sender's spelling of the channel on its way to the
// channel that was meant ([R-MSG-12]).
func TestSpellingPasses(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/f")
		r.hello("").publish("/f/", "1")
		same(t, `[{"channel":"/f/","data":1}]`, u.inbox())
	})
}

// A message to a pattern reaches the subscribers of that pattern and of wider
// ones ([R-PB-8]). Case 94.
func TestPublishToPattern(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		exact, wide, inside := r.hello("").connect().subscribe("/f/*"), r.hello("").connect().subscribe("/**"), r.hello("").connect().subscribe("/f/x")
		r.hello("").publish("/f/*", "1")
		same(t, `[{"channel":"/f/*","data":1}]`, exact.inbox())
		same(t, `[{"channel":"/f/*","data":1}]`, wide.inbox())
		require.Empty(t, inside.inbox())
		require.ErrorIs(t, r.srv.Publish(t.Context(), "/f/*", 1), server.ErrNotBroadcast)
	})
}

// Whether publishers hear themselves ([R-PB-11]): everybody's, a session's, a
// channel's choice, the last for the subscription that matches.
func TestBroadcastToPublisher(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*server.Config)
		subscribe string
		prepare   func(r *rig, u *user)
		want      bool
	}{
		"by default": {subscribe: "/a", want: true},
		"option":     {change: option("broadcastToPublisher", "false"), subscribe: "/a"},
		"session": {subscribe: "/a", prepare: func(r *rig, u *user) {
			s, _ := r.srv.Session(u.id)
			echo, ok := s.(server.Echo)
			require.True(r.t, ok)
			echo.SetBroadcastToPublisher(false)
		}},
		"channel": {subscribe: "/a", prepare: func(r *rig, _ *user) {
			require.NoError(r.t, r.srv.Configure("/a", server.ChannelOptions{NoBroadcastToPublisher: true}))
		}},
		"another subscription": {subscribe: "/**", want: true, prepare: func(r *rig, _ *user) {
			require.NoError(r.t, r.srv.Configure("/a", server.ChannelOptions{NoBroadcastToPublisher: true}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.change, func(t *testing.T, r *rig) {
				u, other := r.hello("").connect().subscribe(c.subscribe), r.hello("").connect().subscribe("/a")
				if c.prepare != nil {
					c.prepare(r, u)
				}
				reply := u.publish("/a", "1")
				require.Equal(t, c.want, len(reply.Messages) == 2, reply.Body)
				require.Len(t, other.inbox(), 1, "others hear it in any case")
			})
		})
	}
}

// A service answers on its channel, ahead of the reply; nobody else hears of
// it ([R-PB-12], [R-SV-1]); a service nobody serves is answered all the same
// ([R-SV-2]).
func TestServiceChannel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		_, err := r.srv.Listen("/service/echo", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
			out := &bayeux.Message{Channel: m.Channel, ID: m.ID, Data: m.Data}
			return r.srv.DeliverMessage(ctx, from.ID(), out.Succeed(true))
		})
		require.NoError(t, err)
		u, spy := r.hello("").connect(), r.hello("").connect().subscribe("/service/echo").subscribe("/**")
		same(t, `[{"channel":"/service/echo","id":"p","data":[1],"successful":true},{"channel":"/service/echo","id":"p","successful":true}]`,
			u.publish("/service/echo", "[1]").Messages)
		same(t, `[{"channel":"/service/none","id":"p","successful":true}]`, u.publish("/service/none", "1").Messages)
		require.Empty(t, spy.inbox())
	})
}

// What a service says with an error of its own goes to the caller ([R-PB-4],
// [R-SV-2] as far as listeners can say it); null data is a reply like any
// other ([R-SV-3]).
func TestServiceFails(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		_, err := r.srv.Listen("/service/*", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
			if m.Channel == "/service/null" {
				return from.Deliver(ctx, m.Channel, nil)
			}
			return &bayeux.Error{Code: 403, Text: "boom"}
		})
		require.NoError(t, err)
		u := r.hello("")
		same(t, `[{"channel":"/service/x","id":"p","successful":false,"error":"403::boom"}]`, u.publish("/service/x", "1").Messages)
		same(t, `[{"channel":"/service/null"},{"channel":"/service/null","id":"p","successful":true}]`, u.publish("/service/null", "1").Messages)
	})
}

// One publisher's messages keep their order to each subscriber ([R-PB-14]).
func TestPublishOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, s := r.hello("").connect().subscribe("/a/*"), r.surf("").connected().subscribed("/a/*")
		from := r.hello("")
		var body []string
		for i := range 50 {
			body = append(body, fmt.Sprintf(`{"channel":"/a/%d","clientId":"$","data":%d}`, i%3, i))
		}
		from.send("[" + strings.Join(body, ",") + "]")
		got := u.inbox()
		require.Len(t, got, 50)
		for i, m := range got {
			require.EqualValues(t, i, m["data"])
			require.EqualValues(t, i, s.get()[0]["data"])
		}
	})
}

// A message for a session that has ended goes nowhere ([R-DL-9]).
func TestDeliveryToEndedSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		s, ok := r.srv.Session(u.id)
		require.True(t, ok)
		held := u.later(connectHold)
		synctest.Wait()
		require.NoError(t, r.srv.Remove(u.id))
		require.NoError(t, s.Deliver(t.Context(), "/x", 1))
		require.ErrorIs(t, r.srv.DeliverMessage(t.Context(), u.id, &bayeux.Message{Channel: "/x"}), server.ErrNoSession)
		got := <-held
		soon(t, 4*time.Second, got.Took)
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":{"reconnect":"none"}}]`, got.Messages)
		require.Zero(t, r.stats().QueuedBytes)
	})
}
