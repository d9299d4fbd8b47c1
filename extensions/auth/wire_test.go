package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/auth"
	"github.com/halleypush/halley/internal/testkit"
)

const none = `{"reconnect":"none"}`

// What a handshake brings, and what it is told.
func TestHandshake(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	all := []auth.Place{{Kind: auth.InExt, Name: "auth.token"}, {Kind: auth.InBearer}, {Kind: auth.InCookie, Name: "token"}, {Kind: auth.InQuery, Name: "t"}}
	bubble(t, auth.Config{Places: all}, nil, func(t *testing.T, r *rig) {
		alice, bob := mint(t, nil), mint(t, claims{"sub": "bob"})
		over := mint(t, claims{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Unix()})
		for name, c := range map[string]struct {
			ext    string
			header http.Header
			query  string
			user   string
			want   string
		}{
			"ext":                   {ext: alice, user: "alice"},
			"bearer":                {header: header("Authorization", "bearer  "+alice), user: "alice"},
			"cookie":                {header: header("Cookie", "a=b; token="+alice), user: "alice"},
			"query":                 {query: "t=" + alice, user: "alice"},
			"the same in all":       {ext: alice, header: header("Authorization", "Bearer "+alice, "Cookie", "token="+alice), query: "t=" + alice, user: "alice"},
			"two that differ":       {ext: alice, header: header("Authorization", "Bearer "+bob), want: "401::token_invalid"},
			"two headers":           {header: header("Authorization", "Bearer "+alice, "Authorization", "Bearer "+bob), want: "401::token_invalid"},
			"two cookies":           {header: header("Cookie", "token="+alice+"; token="+bob), want: "401::token_invalid"},
			"two parameters":        {query: "t=" + alice + "&t=" + bob, want: "401::token_invalid"},
			"ext and a bad one":     {ext: alice, query: "t=x", want: "401::token_invalid"},
			"another scheme":        {header: header("Authorization", "Basic "+alice), want: "401::token_missing"},
			"another cookie":        {header: header("Cookie", "tokens="+alice), want: "401::token_missing"},
			"nothing":               {want: "401::token_missing"},
			"rubbish":               {ext: "rubbish", want: "401::token_invalid"},
			"expired":               {ext: over, want: "401::token_expired"},
			"too long":              {ext: mint(t, claims{"x": strings.Repeat("x", 8<<10)}), want: "401::token_invalid"},
			"a query that is wrong": {query: "t=%zz", want: "401::token_invalid"},
		} {
			q := testkit.Request{Body: fmt.Sprintf(`[{"channel":"/meta/handshake","id":"h",%s}]`, withToken(c.ext)), Header: c.header, Query: c.query}
			if c.header != nil {
				q.Cookie = c.header.Get("Cookie")
			}
			reply, err := r.Do(q)
			require.NoError(t, err)
			require.Len(t, reply.Messages, 1, "%s: %s", name, reply.Body)
			m := reply.Messages[0]
			if c.want != "" {
				require.Equal(t, c.want, m["error"], name)
				sameJSON(t, none, m["advice"])
				require.Nil(t, m["clientId"])
				continue
			}
			require.Equal(t, true, m["successful"], "%s: %v", name, m)
			s, ok := r.srv.Session(m["clientId"].(string))
			require.True(t, ok)
			require.Equal(t, c.user, bayeux.SubjectOf(s).User, name)
			require.Equal(t, c.user, s.User(), name)
		}
		for name, ext := range map[string]string{
			"no text": `{"auth":{"token":7}}`, "twice": `{"auth":{"token":"a","token":"b"}}`, "twice, above": `{"auth":{},"auth":{"token":"b"}}`,
		} {
			reply := r.Post("", `[{"channel":"/meta/handshake","id":"h","ext":`+ext+`}]`)
			require.Equal(t, "401::token_invalid", reply.Messages[0]["error"], name)
		}
		stats := r.guard.Stats()
		require.EqualValues(t, 5, stats.Handshakes["accepted"])
		require.EqualValues(t, 3, stats.Handshakes["missing"])
		require.EqualValues(t, 1, stats.Handshakes["expired"])
		require.EqualValues(t, 11, stats.Handshakes["invalid"])
		for _, token := range []string{alice, bob, over, "rubbish"} {
			require.NotContains(t, r.log.String(), token)
		}
		require.Contains(t, r.log.String(), "two different tokens")
		require.Contains(t, r.log.String(), `"address":"127.0.0.1"`)
	})
}

// By a WebSocket the upgrade's header counts.
func TestUpgrade(t *testing.T) {
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		c := r.client("websocket", http.Header{"Authorization": {"Bearer " + mint(t, nil)}}).hello("")
		s, _ := r.srv.Session(c.id)
		require.Equal(t, "alice", s.User())
		c.bad(meta+"handshake", withToken(mint(t, claims{"sub": "bob"})), "401::token_invalid")
	})
}

// Nobody has to be somebody where that is allowed, but a bad token is refused.
func TestAnonymous(t *testing.T) {
	bubble(t, auth.Config{Anonymous: true}, nil, func(t *testing.T, r *rig) {
		c := r.join("long-polling", "")
		s, _ := r.srv.Session(c.id)
		require.Nil(t, bayeux.SubjectOf(s))
		r.client("long-polling", nil).bad(meta+"handshake", withToken("x"), "401::token_invalid")
		c.bad(channel, refresh(mint(t, nil)), "401::token_invalid") // it does not become somebody
		require.EqualValues(t, 1, r.guard.Stats().Handshakes["anonymous"])
	})
	bubble(t, auth.Config{Anonymous: true, RefreshAnyUser: true}, nil, func(t *testing.T, r *rig) {
		c := r.join("long-polling", "")
		c.good(channel, refresh(mint(t, nil)))
		require.Equal(t, []string{"alice"}, r.srv.Users())
		c.good(channel, refresh(mint(t, claims{"sub": "bob"})))
		require.Equal(t, []string{"bob"}, r.srv.Users())
	})
}

// Server code needs no token, on the channel neither.
func TestLocalSessions(t *testing.T) {
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		l, err := r.srv.NewLocal(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, l.Publish(t.Context(), channel, map[string]any{"token": "x"}))
		n, err := r.guard.Revoke(t.Context(), auth.Target{Session: l.Session().ID()})
		require.NoError(t, err)
		require.Zero(t, n)
		l.Close(t.Context())
	})
}

// Without Attach nobody is let in.
func TestNotAttached(t *testing.T) {
	guard, err := auth.New(auth.Config{Methods: []auth.Method{newJWT(t, auth.JWTConfig{})}})
	require.NoError(t, err)
	testkit.Bubble(t, func() (testkit.Engine, error) {
		return server.New(server.Config{Extensions: []bayeux.Extension{guard}})
	}, func(t *testing.T, w *testkit.Wire) {
		m := w.Post("", `[{"channel":"/meta/handshake","ext":{"auth":{"token":"`+mint(t, nil)+`"}}}]`).Messages[0]
		require.Equal(t, "401::token_unavailable", m["error"])
		sameJSON(t, `{"reconnect":"handshake","interval":10000}`, m["advice"])
	})
}

// A client is warned, and its session ends when its token does: at once where a
// connect is held, with the next message elsewhere.
func TestExpiry(t *testing.T) {
	for _, transport := range transports() {
		t.Run(transport, func(t *testing.T) {
			bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
				start := time.Now()
				c := r.join(transport, mint(t, claims{"exp": start.Add(30 * time.Second).Unix()}))
				idle := r.join(transport, mint(t, claims{"exp": start.Add(30 * time.Second).Unix()}))
				c.subscribe("/a")
				c.good(meta+"connect", "") // held for 20 s
				held := c.start(meta+"connect", "")
				warning := c.next(time.Minute)
				require.Equal(t, channel, warning["channel"])
				sameJSON(t, fmt.Sprintf(`{"type":"expiring","expires":%d,"in":3000}`, start.Add(30*time.Second).UnixMilli()), warning["data"])
				require.Equal(t, 27*time.Second, time.Since(start))
				if transport != "websocket" {
					require.Equal(t, true, (<-held)["successful"])
					held = c.start(meta+"connect", "")
				}
				m := <-held
				require.Equal(t, "401::token_expired", m["error"])
				sameJSON(t, `{"reconnect":"handshake"}`, m["advice"])
				require.Equal(t, 30*time.Second, time.Since(start))
				synctest.Wait() // sessions end one after the other
				c.bad(channel, refresh(mint(t, nil)), "401::token_expired")
				idle.bad(meta+"subscribe", `"subscription":"/b"`, "401::token_expired")
				idle.bad(meta+"connect", "", "401::token_expired")
				c.empty()
				c.bad(meta+"handshake", withToken(mint(t, claims{"iat": start.Unix(), "exp": start.Add(30 * time.Second).Unix()})), "401::token_expired")
				require.EqualValues(t, 2, r.guard.Stats().Ended["expired"])
				require.EqualValues(t, 2, r.guard.Stats().Warned)
				require.Empty(t, r.srv.Sessions())
			})
		})
	}
}

// When a warning comes.
func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct{ config, life, want time.Duration }{
		"a tenth": {0, time.Minute, 54 * time.Second}, "30 s": {0, time.Hour, time.Hour - 30*time.Second},
		"chosen": {10 * time.Second, time.Minute, 50 * time.Second}, "half": {time.Hour, time.Minute, 30 * time.Second},
		"never": {-1, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, auth.Config{Warning: c.config}, nil, func(t *testing.T, r *rig) {
				start := time.Now()
				u := r.join("websocket", mint(t, claims{"exp": start.Add(c.life).Unix()}))
				if c.want == 0 {
					time.Sleep(c.life - time.Second)
					u.empty()
					return
				}
				u.next(c.life)
				require.Equal(t, c.want, time.Since(start))
			})
		})
	}
}

// A refresh moves the end, and what fails leaves it.
func TestRefresh(t *testing.T) {
	for _, transport := range transports() {
		t.Run(transport, func(t *testing.T) {
			bubble(t, auth.Config{RefreshesPerMinute: 1000}, nil, func(t *testing.T, r *rig) {
				start := time.Now()
				until := func(d time.Duration) string { return mint(t, claims{"exp": start.Add(d).Unix()}) }
				c := r.join(transport, until(time.Minute))
				for more, want := range map[string]string{
					``:                                     "401::token_missing",
					`"data":{}`:                            "401::token_missing",
					`"data":{"token":""}`:                  "401::token_missing",
					`"data":[1]`:                           "401::token_invalid",
					`"data":{"token":7}`:                   "401::token_invalid",
					`"data":{"token":"a.b.c"}`:             "401::token_invalid",
					refresh(mint(t, claims{"sub": "bob"})): "401::token_invalid",
					refresh(mint(t, claims{"iat": start.Add(-time.Hour).Unix(), "exp": start.Add(-time.Minute).Unix()})): "401::token_expired",
					refresh(mint(t, claims{"x": strings.Repeat("x", 8<<10)})):                                            "401::token_invalid",
				} {
					m := c.bad(channel, more, want)
					require.Nil(t, m["advice"])
					time.Sleep(time.Second)
				}
				s, _ := r.srv.Session(c.id)
				require.Equal(t, start.Add(time.Minute).Unix(), bayeux.SubjectOf(s).Expires.Unix())
				m := c.good("/service/auth/", refresh(until(2*time.Minute))) // as channels may be spelt
				sameJSON(t, fmt.Sprintf(`{"auth":{"expires":%d}}`, start.Add(2*time.Minute).UnixMilli()), m["ext"])
				time.Sleep(80 * time.Second)
				c.good(meta+"connect", `"advice":{"timeout":0}`)
				c.good(channel, refresh(until(100*time.Second))) // sooner than it was
				time.Sleep(30 * time.Second)
				c.bad(meta+"connect", `"advice":{"timeout":0}`, "401::token_expired")
				require.NotContains(t, r.log.String(), until(time.Minute))
			})
		})
	}
}

// Who refreshes all the time is told so; the session goes on.
func TestRefreshFlood(t *testing.T) {
	bubble(t, auth.Config{RefreshesPerMinute: 12}, nil, func(t *testing.T, r *rig) {
		c, other := r.join("websocket", mint(t, nil)), r.join("websocket", mint(t, nil))
		for range 5 {
			c.good(channel, refresh(mint(t, nil)))
		}
		for range 100 {
			c.bad(channel, refresh(mint(t, nil)), "401::token_refresh_limit")
		}
		other.good(channel, refresh(mint(t, nil)))
		time.Sleep(6 * time.Second)
		c.good(channel, refresh(mint(t, nil)))
		c.bad(channel, refresh(mint(t, nil)), "401::token_refresh_limit")
		c.good(meta+"connect", `"advice":{"timeout":0}`)
		require.EqualValues(t, 101, r.guard.Stats().Refreshes["limited"])
	})
}

// slow is a method that takes its time.
type slow struct {
	auth.Method
	delay time.Duration
}

// Authenticate implements auth.Method.
func (s slow) Authenticate(ctx context.Context, c *auth.Credentials) (*bayeux.Subject, error) {
	if c.Refresh {
		time.Sleep(s.delay)
	}
	return s.Method.Authenticate(ctx, c)
}

// Of a refresh and the token's end the one that comes first wins, and whoever
// ends the session is the one that is heard of.
func TestRefreshRace(t *testing.T) {
	config := func(t *testing.T) auth.Config {
		return auth.Config{Methods: []auth.Method{slow{newJWT(t, auth.JWTConfig{Leeway: -1}), 2 * time.Second}}}
	}
	bubble(t, config(t), nil, func(t *testing.T, r *rig) {
		start := time.Now()
		c := r.join("long-polling", mint(t, claims{"exp": start.Add(30 * time.Second).Unix()}))
		late := r.join("long-polling", mint(t, claims{"exp": start.Add(30 * time.Second).Unix()}))
		gone := r.join("long-polling", mint(t, nil))
		banned := r.join("long-polling", mint(t, claims{"jti": "b"}))
		time.Sleep(27 * time.Second)
		first := c.start(channel, refresh(mint(t, nil)))
		time.Sleep(time.Second)
		c.bad(channel, refresh(mint(t, nil)), "401::token_refresh_limit") // one at a time
		time.Sleep(time.Second)
		require.Equal(t, true, (<-first)["successful"])
		second := late.start(channel, refresh(mint(t, nil)))
		third := gone.start(channel, refresh(mint(t, nil)))
		fourth := banned.start(channel, refresh(mint(t, claims{"jti": "b"})))
		synctest.Wait()
		gone.good(meta+"disconnect", "")
		_, err := r.guard.Revoke(t.Context(), auth.Target{Token: "b"})
		require.NoError(t, err)
		require.Equal(t, "401::token_expired", (<-second)["error"])
		require.Equal(t, false, (<-third)["successful"])
		require.Equal(t, "401::session_revoked", (<-fourth)["error"])
		time.Sleep(time.Minute)
		c.good(meta+"connect", `"advice":{"timeout":0}`)
		require.Equal(t, []string{"alice"}, r.srv.Users())
		n, err := r.guard.Revoke(t.Context(), auth.Target{User: "alice"})
		require.NoError(t, err)
		require.Equal(t, 1, n, "the indexes have those that live")
	})
}

// A token that allows less ends subscriptions, and the client is told.
func TestNarrow(t *testing.T) {
	for _, transport := range transports() {
		t.Run(transport, func(t *testing.T) {
			bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
				c := r.join(transport, mint(t, claims{"subscribe": "/a/** /b"})).subscribe("/a/1").subscribe("/a/2").subscribe("/b")
				c.bad(meta+"subscribe", `"subscription":"/c"`, "403:denied_by_security_policy:subscribe_denied")
				c.good(channel, refresh(mint(t, claims{"subscribe": "/b /a/2"})))
				if transport != "websocket" {
					c.good(meta+"connect", "")
				}
				sameJSON(t, `{"channel":"/service/auth","data":{"type":"narrowed","subscriptions":["/a/1"],"count":1}}`, c.next(time.Second))
				s, _ := r.srv.Session(c.id)
				require.Len(t, s.(server.Membership).Subscriptions(), 2)
				require.NoError(t, r.srv.Publish(t.Context(), "/a/1", 1))
				require.NoError(t, r.srv.Publish(t.Context(), "/b", 1))
				if transport != "websocket" {
					c.good(meta+"connect", "")
				}
				require.Equal(t, "/b", c.next(time.Second)["channel"])
				c.good(channel, refresh(mint(t, claims{"subscribe": "/b /a/2 /z"})))
				c.empty()
				require.EqualValues(t, 1, r.guard.Stats().Narrowed)
			})
		})
	}
}

// lagging allows a subscription of the old subject while the session gets
// another.
type lagging struct{ grants }

// CanSubscribe implements bayeux.Policy.
func (lagging) CanSubscribe(ctx context.Context, s bayeux.Session, p channels.Pattern, m *bayeux.Message) error {
	err := grants{}.CanSubscribe(ctx, s, p, m)
	if m.ID != "" { // not a review
		time.Sleep(time.Second)
	}
	return err
}

// A subscription that was being asked for while the subject changed is looked at
// again.
func TestNarrowMeanwhile(t *testing.T) {
	bubble(t, auth.Config{}, func(c *server.Config) { c.Policy = lagging{} }, func(t *testing.T, r *rig) {
		c := r.join("long-polling", mint(t, claims{"subscribe": "/a"}))
		reply := c.start(meta+"subscribe", `"subscription":"/a"`)
		synctest.Wait()
		c.good(channel, refresh(mint(t, claims{"subscribe": "/b"})))
		require.Equal(t, true, (<-reply)["successful"])
		synctest.Wait()
		require.Zero(t, r.srv.Stats().Subscriptions)
		c.good(meta+"connect", "")
		sameJSON(t, `{"type":"narrowed","subscriptions":["/a"],"count":1}`, c.next(time.Second)["data"])
	})
}

// Peers that have been authenticated before the server.
func TestPeers(t *testing.T) {
	config := auth.Config{Methods: []auth.Method{auth.ProxyHeader{User: "X-User", Groups: "X-Groups"}, auth.Certificate{}}}
	trust := func(prefix string) func(*server.Config) {
		return func(c *server.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(prefix)} }
	}
	hello := `[{"channel":"/meta/handshake"}]`
	send := func(r *rig, h http.Header) testkit.Msg {
		reply, err := r.Do(testkit.Request{Body: hello, Header: h})
		require.NoError(r.t, err)
		return reply.Messages[0]
	}
	bubble(t, config, trust("127.0.0.0/8"), func(t *testing.T, r *rig) {
		m := send(r, http.Header{"X-User": {"alice"}, "X-Groups": {"a, b,"}, "X-Forwarded-For": {"8.8.8.8"}})
		s, ok := r.srv.Session(fmt.Sprint(m["clientId"]))
		require.True(t, ok, "%v", m)
		require.Equal(t, "alice", s.User())
		require.Equal(t, []string{"a", "b"}, bayeux.SubjectOf(s).Groups)
		require.Equal(t, "401::token_invalid", send(r, http.Header{"X-User": {"alice", "root"}})["error"])
		require.Equal(t, "401::token_invalid", send(r, http.Header{"X-User": {"alice"}, "X-Groups": {"a", "root"}})["error"])
		require.Equal(t, "401::token_invalid", send(r, http.Header{"X-User": {strings.Repeat("x", 300)}})["error"])
		require.Equal(t, "401::token_missing", send(r, http.Header{"X-User": {""}})["error"])
		c := r.client("websocket", http.Header{"X-User": {"bob"}}).hello("")
		c.bad(channel, refresh("x"), "401::token_invalid") // no token makes it anybody
	})
	for _, elsewhere := range []string{"10.0.0.0/8", "8.8.8.8/32"} { // whatever the client says of its way
		bubble(t, config, trust(elsewhere), func(t *testing.T, r *rig) {
			for _, h := range []http.Header{{}, {"X-Forwarded-For": {"10.0.0.1"}}, {"Forwarded": {"for=8.8.8.8"}}, {"X-Forwarded-For": {"8.8.8.8"}}} {
				h.Set("X-User", "root")
				require.Equal(t, "401::token_missing", send(r, h)["error"])
			}
		})
	}
}

// A session that moves to another server takes its subject along, and ends there
// when its token does.
func TestMove(t *testing.T) {
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		c := r.join("long-polling", mint(t, claims{"exp": time.Now().Add(time.Minute).Unix(), "jti": "t"}))
		snapshot, err := r.srv.Snapshot(c.id)
		require.NoError(t, err)
		require.NoError(t, r.srv.Remove(c.id))
		synctest.Wait()
		require.Equal(t, [4]int{}, auth.Sizes(r.guard))
		require.NoError(t, r.srv.Restore(snapshot))
		require.Equal(t, [4]int{1, 1, 1, 2}, auth.Sizes(r.guard))
		c.good(channel, refresh(mint(t, claims{"exp": time.Now().Add(2 * time.Minute).Unix()})))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		c.bad(meta+"connect", "", "401::token_expired")
	})
}

// Who has no session refreshes nothing.
func TestStranger(t *testing.T) {
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		for _, transport := range transports() {
			r.client(transport, nil).bad(channel, refresh(mint(t, nil)), "402::session_unknown")
		}
	})
}

// broken is a method that panics, or fails in another way, at refreshes.
type broken struct {
	auth.Method
	panics bool
	times  *int
}

// Authenticate implements auth.Method.
func (b broken) Authenticate(ctx context.Context, c *auth.Credentials) (*bayeux.Subject, error) {
	if c.Refresh && *b.times == 0 {
		*b.times++
		if b.panics {
			panic("broken")
		}
		return nil, context.DeadlineExceeded
	}
	return b.Method.Authenticate(ctx, c)
}

// A method that breaks refuses, and the next refresh is a new one.
func TestBrokenMethod(t *testing.T) {
	for want, panics := range map[string]bool{"404::message_deleted": true, "401::token_unavailable": false} {
		bubble(t, auth.Config{Methods: []auth.Method{broken{newJWT(t, auth.JWTConfig{}), panics, new(int)}}}, nil, func(t *testing.T, r *rig) {
			c := r.join("websocket", mint(t, nil))
			c.bad(channel, refresh(mint(t, nil)), want)
			c.good(channel, refresh(mint(t, nil)))
		})
	}
}

// Channels that only look like the one of refreshes are others.
func TestLookAlikes(t *testing.T) {
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		heard := 0
		_, err := r.srv.Listen("/service/**", func(context.Context, bayeux.Session, *bayeux.Message) error {
			heard++
			return nil
		})
		require.NoError(t, err)
		c := r.join("websocket", mint(t, nil))
		for i, name := range []string{"/service/authors", "/service/auth/x", "/service/Auth"} {
			require.Nil(t, c.good(name, refresh("x"))["ext"])
			require.Equal(t, i+1, heard, name)
		}
		for _, name := range []string{"/service/auth", "/service/auth/", "/service/auth "} {
			c.bad(name, refresh("x"), "401::token_invalid")
		}
		require.Equal(t, 3, heard, "a token is nobody else's")
	})
}
