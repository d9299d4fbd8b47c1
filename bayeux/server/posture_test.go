package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// strict returns a change to that posture, with further changes.
func strict(more ...func(*server.Config)) func(*server.Config) {
	return func(c *server.Config) {
		c.Posture = server.PostureStrict
		for _, f := range more {
			f(c)
		}
	}
}

// allowAll is a policy of one's own that allows all that CometD's does.
func allowAll(c *server.Config) { c.Policy = bayeux.DefaultPolicy{} }

// proxied lets requests say where they come from.
func proxied(c *server.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// Without a policy nothing but handshake, connect, unsubscribe and disconnect
// succeeds in strict; in cometd all but meta channels does.
func TestPostureWithoutPolicy(t *testing.T) {
	rows := []struct{ name, body, cometd, strict string }{
		{"subscribe", `{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}`, "", "403:denied_by_security_policy:create_denied"},
		{"subscribe to all", `{"channel":"/meta/subscribe","clientId":"$","subscription":"/**"}`, "", "403:denied_by_security_policy:create_denied"},
		{"subscribe to what exists", `{"channel":"/meta/subscribe","clientId":"$","subscription":"/there"}`, "", "403:denied_by_security_policy:subscribe_denied"},
		{"subscribe to a service", `{"channel":"/meta/subscribe","clientId":"$","subscription":"/service/a"}`, "", "403:denied_by_security_policy:create_denied"},
		{"publish", `{"channel":"/a","clientId":"$","data":1}`, "", "403:denied_by_security_policy:channel_create_denied"},
		{"publish to what exists", `{"channel":"/there","clientId":"$","data":1}`, "", "403:denied_by_security_policy:publish_denied"},
		{"publish to a service", `{"channel":"/service/a","clientId":"$","data":1}`, "", "403:denied_by_security_policy:channel_create_denied"},
		{"meta channel", `{"channel":"/meta/subscribe/x","clientId":"$","subscription":"/a"}`, "403:denied_by_security_policy:channel_create_denied", "403:denied_by_security_policy:channel_create_denied"},
		{"unsubscribe", `{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/there"}`, "", ""},
		{"connect", `{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0}}`, "", ""},
		{"disconnect", `{"channel":"/meta/disconnect","clientId":"$"}`, "", ""},
	}
	for _, posture := range []server.Posture{server.PostureCometD, server.PostureStrict} {
		for _, row := range rows {
			t.Run(string(posture)+" "+row.name, func(t *testing.T) {
				bubble(t, func(c *server.Config) { c.Posture = posture }, func(t *testing.T, r *rig) {
					require.NoError(t, r.srv.Configure("/there", server.ChannelOptions{Persistent: true}))
					want := row.cometd
					if posture == server.PostureStrict {
						want = row.strict
					}
					got := r.hello("").connect().send("[" + row.body + "]").Messages[0]
					require.Equal(t, want, text(got["error"]))
					require.Equal(t, want == "", got["successful"])
				})
			})
		}
	}
}

// The log of a strict server without a policy says what to do, at its start and
// once a minute when clients are refused.
func TestClosedIsExplained(t *testing.T) {
	var log testkit.Buffer
	synctest.Test(t, func(t *testing.T) {
		srv, err := server.New(server.Config{Posture: server.PostureStrict, Logger: zerolog.New(&log)})
		require.NoError(t, err)
		r := &rig{Wire: testkit.Serve(t, srv, "/cometd"), t: t, srv: srv}
		defer func() { _ = srv.Shutdown(context.Background()); r.Close(); synctest.Wait() }()
		require.Equal(t, 1, strings.Count(log.String(), "permissions: of the configuration file"))
		time.Sleep(time.Minute)
		u := r.hello("").connect()
		for range 5 {
			u.publish("/a", "1")
		}
		require.Equal(t, 2, strings.Count(log.String(), "permissions: of the configuration file"))
		require.Contains(t, log.String(), `"message":"a client was refused, for there is no policy`)
	})
	bubble(t, strict(allowAll), func(t *testing.T, r *rig) {
		r.hello("").connect().subscribe("/**").publish("/a", "1")
	})
}

// Each limit of the strict column, and that it can be chosen alone.
func TestPostureLimits(t *testing.T) {
	cometd, strictly := server.DefaultLimits(server.PostureCometD), server.DefaultLimits(server.PostureStrict)
	require.Equal(t, bayeux.Limits{Batch: 1000, Depth: 64, ChannelBytes: 1024, ChannelSegments: 32}, cometd.Messages)
	require.Equal(t, bayeux.Limits{Batch: 100, Depth: 64, ChannelBytes: 255, ChannelSegments: 16}, strictly.Messages)
	rows := []struct {
		name   string
		body   func(n int) string
		strict int
		loosen func(*server.Config)
		fails  func(*testkit.Reply) bool
	}{
		{
			"batch", func(n int) string {
				return "[" + strings.Repeat(`{"channel":"/a","clientId":"$","data":1},`, n-1) + `{"channel":"/a","clientId":"$","data":1}]`
			}, 100, func(c *server.Config) { c.Limits.Messages.Batch = 101 },
			func(r *testkit.Reply) bool { return r.Status == http.StatusBadRequest },
		},
		{
			"channelBytes", func(n int) string { return `[{"channel":"/` + strings.Repeat("a", n-1) + `","clientId":"$","data":1}]` },
			255, func(c *server.Config) { c.Limits.Messages.ChannelBytes = -1 },
			func(r *testkit.Reply) bool { return text(r.Messages[0]["error"]) == "405::channel_invalid" },
		},
		{
			"channelSegments", func(n int) string { return `[{"channel":"` + strings.Repeat("/a", n) + `","clientId":"$","data":1}]` },
			16, func(c *server.Config) { c.Limits.Messages.ChannelSegments = 17 },
			func(r *testkit.Reply) bool { return text(r.Messages[0]["error"]) == "405::channel_invalid" },
		},
		{
			"maxMessageSize", func(n int) string {
				const frame = `[{"channel":"/a","clientId":"zzzzzzzzzzzzzzzzzzzzzzzzzz","data":""}]`
				return `[{"channel":"/a","clientId":"$","data":"` + strings.Repeat("x", n-len(frame)) + `"}]`
			},
			262_144, option("maxMessageSize", "300000"),
			func(r *testkit.Reply) bool { return r.Status == http.StatusRequestEntityTooLarge },
		},
		{
			"maxSubscriptions", func(n int) string {
				var names []string
				for i := range n {
					names = append(names, fmt.Sprintf(`"/s/%d"`, i))
				}
				return `[{"channel":"/meta/subscribe","clientId":"$","subscription":[` + strings.Join(names, ",") + `]}]`
			}, 1000, option("maxSubscriptions", "1001"),
			func(r *testkit.Reply) bool {
				return text(r.Messages[0]["error"]) == "403:subscriptions_limit:subscribe_denied"
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, at := range []struct {
				change func(*server.Config)
				n      int
				fails  bool
			}{
				{strict(allowAll), row.strict, false},
				{strict(allowAll), row.strict + 1, true},
				{strict(allowAll, row.loosen), row.strict + 1, false},
				{nil, row.strict + 1, false},
			} {
				bubble(t, at.change, func(t *testing.T, r *rig) {
					reply := r.hello("").connect().send(row.body(at.n))
					require.Equal(t, at.fails, row.fails(reply), "%d: %d %.200s", at.n, reply.Status, reply.Body)
					time.Sleep(time.Second)
				})
			}
		})
	}
}

// The queue, and what clients may ask for.
func TestPostureQueueAndAdvice(t *testing.T) {
	bubble(t, strict(allowAll), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		for i := range 1000 {
			r.publish("/a", i)
		}
		_, ok := r.srv.Session(u.id)
		require.True(t, ok)
		r.publish("/a", 1000)
		_, ok = r.srv.Session(u.id)
		require.False(t, ok, "a queue has room for 1,000")
	})
	bubble(t, strict(allowAll), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		got := <-u.later(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":600000,"interval":600000}}]`)
		soon(t, time.Minute, got.Took)
		require.InEpsilon(t, 300_000, got.Messages[0]["advice"].(map[string]any)["interval"], 0.001)
	})
}

func (r *rig) handshakeFrom(address string) *testkit.Reply {
	r.t.Helper()
	reply, err := r.Do(testkit.Request{Body: `[{"channel":"/meta/handshake"}]`, Header: http.Header{"X-Forwarded-For": {address}}})
	require.NoError(r.t, err)
	return reply
}

// Floods: each limit refuses with 429, names itself, is counted, and leaves the
// others alone.
func TestAdmission(t *testing.T) {
	limits := func(l server.Limits) func(*server.Config) {
		return func(c *server.Config) { proxied(c); c.Limits = l }
	}
	rows := []struct {
		name   string
		limits server.Limits
		wait   string
		others bool // other addresses are served
		after  time.Duration
	}{
		{"handshakesPerAddress is 3", server.Limits{HandshakesPerAddress: 3}, "1", true, time.Second},
		{"sessionsPerAddress is 3", server.Limits{SessionsPerAddress: 3}, "5", true, 4 * time.Second},
		{"handshakesPerSecond is 3", server.Limits{HandshakesPerSecond: 3}, "1", false, time.Second},
		{"maxSessions is 3", server.Limits{Sessions: 3}, "5", false, 4 * time.Second},
		{"unconnectedSessions is 3", server.Limits{UnconnectedSessions: 3}, "1", false, 4 * time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, limits(row.limits), func(t *testing.T, r *rig) {
				for range 3 {
					require.Equal(t, 200, r.handshakeFrom("192.0.2.1").Status)
				}
				name, _, _ := strings.Cut(row.name, " ")
				counted := map[string]string{"maxSessions": "sessions", "handshakesPerSecond": "handshakes"}[name]
				if counted == "" {
					counted = name
				}
				r.grows(counted, func() {
					reply := r.handshakeFrom("192.0.2.1")
					require.Equal(t, 429, reply.Status)
					require.Equal(t, row.wait, reply.Header.Get("Retry-After"))
					require.Contains(t, reply.Body, row.name)
				})
				r.grows(counted, func() {
					s := r.Dial(http.Header{"X-Forwarded-For": {"192.0.2.1"}})
					s.Send(`[{"channel":"/meta/handshake"}]`)
					require.EqualValues(t, 1008, s.Next(time.Second).Close)
				})
				want := 429
				if row.others {
					want = 200
				}
				require.Equal(t, want, r.handshakeFrom("192.0.2.2").Status)
				time.Sleep(row.after)
				require.Equal(t, 200, r.handshakeFrom("192.0.2.1").Status, "there is room again")
			})
		})
	}
}

// A place is given back however a session ends, one whose handshake is refused
// too; a connect makes a session known.
func TestAdmissionGivesBack(t *testing.T) {
	deny := true
	change := strict(proxied, func(c *server.Config) {
		c.Limits.SessionsPerAddress, c.Limits.UnconnectedSessions = 1, 1
		c.Policy = policyFuncs{handshake: func(context.Context) error {
			if deny {
				return bayeux.Deny("no")
			}
			return nil
		}}
	})
	bubble(t, change, func(t *testing.T, r *rig) {
		for range 3 {
			require.Equal(t, 200, r.handshakeFrom("192.0.2.1").Status, "refused by the policy, not by a limit")
		}
		deny = false
		for range 3 {
			u := r.hello("")
			require.Equal(t, 429, r.handshakeFrom("192.0.2.1").Status, "one unconnected session")
			u.connect()
			require.Equal(t, 200, r.handshakeFrom("192.0.2.1").Status, "another address, and nobody unconnected")
			require.Equal(t, 429, r.handshakeFrom("127.0.0.1").Status)
			u.send(leave)
			for _, s := range r.srv.Sessions() {
				require.NoError(t, r.srv.Remove(s.ID()))
			}
		}
	})
}

// A session that never connects lives for 2 s in strict, whatever it sends
// besides; one that has connected for maxInterval.
func TestUnconnectedTime(t *testing.T) {
	for _, tt := range []struct {
		name      string
		change    func(*server.Config)
		never, is time.Duration
	}{
		{"cometd", nil, 3 * time.Second, 3 * time.Second},
		{"strict", strict(allowAll), 2 * time.Second, 3 * time.Second},
		{"strict, loosened", strict(allowAll, func(c *server.Config) { c.Limits.UnconnectedTime = -1 }), 3 * time.Second, 3 * time.Second},
		{"cometd, tightened", func(c *server.Config) { c.Limits.UnconnectedTime = time.Second }, time.Second, 3 * time.Second},
		{"longer than maxInterval", func(c *server.Config) { c.Limits.UnconnectedTime = time.Minute }, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.change, func(t *testing.T, r *rig) {
				lives := func() time.Duration {
					start := time.Now()
					for len(r.srv.Sessions()) > 0 {
						time.Sleep(100 * time.Millisecond)
					}
					return time.Since(start)
				}
				r.hello("")
				require.InDelta(t, tt.never.Seconds(), lives().Seconds(), 0.6)
				r.hello("").connect()
				require.InDelta(t, tt.is.Seconds(), lives().Seconds(), 0.6)
				s := r.Dial(nil)
				s.Send(`[{"channel":"/meta/handshake"}]`)
				s.Next(time.Second)
				require.InDelta(t, tt.never.Seconds(), lives().Seconds(), 0.6)
				u := r.hello("")
				time.Sleep(900 * time.Millisecond)
				u.publish("/a", "1")
				require.InDelta(t, tt.never.Seconds(), lives().Seconds(), 0.6, "what it sends counts, but not more")
			})
		})
	}
}

// Upgrades beyond the limit of an address are answered with 429; a connection
// that ends makes room.
func TestWebSocketsPerAddress(t *testing.T) {
	bubble(t, strict(proxied, func(c *server.Config) { c.Limits.WebSocketsPerAddress = 2 }), func(t *testing.T, r *rig) {
		from := func(a string) http.Header { return http.Header{"X-Forwarded-For": {a}} }
		first := r.Dial(from("2001:db8::1"))
		r.Dial(from("2001:db8::2"))
		r.grows("webSocketsPerAddress", func() {
			head := r.upgradeWith("X-Forwarded-For: 2001:db8::3\r\n")
			require.Contains(t, head, "429 Too Many Requests")
			require.Contains(t, head, "Retry-After: 5")
		})
		r.Dial(from("2001:db8:0:1::1"))
		bad, why := r.raw("GET /cometd HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n")
		require.Equal(t, http.StatusUpgradeRequired, bad.StatusCode, "a bad upgrade takes no place")
		require.Contains(t, why, "only version 13")
		first.Cut()
		synctest.Wait()
		r.Dial(from("2001:db8::4"))
	})
}

// The cookie of the strict posture, by http and by https.
func TestStrictCookie(t *testing.T) {
	for _, tt := range []struct {
		proto  string
		change func(*server.Config)
		want   string
	}{
		{"http", strict(proxied), "BAYEUX_BROWSER=; Path=/; HttpOnly; SameSite=Lax"},
		{"https", strict(proxied), "BAYEUX_BROWSER=; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"https", strict(proxied, option("browserCookieSameSite", "None", "browserCookieName", "__Host-BAYEUX")), "__Host-BAYEUX=; Path=/; HttpOnly; Secure; SameSite=None"},
		{"https", strict(proxied, option("browserCookieSecure", "false", "browserCookieSameSite", "")), "BAYEUX_BROWSER=; Path=/; HttpOnly"},
		{"https", proxied, "BAYEUX_BROWSER=; Path=/; HttpOnly"},
	} {
		bubble(t, tt.change, func(t *testing.T, r *rig) {
			reply, err := r.Do(testkit.Request{
				Body:   `[{"channel":"/meta/handshake"}]`,
				Header: http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {tt.proto}},
			})
			require.NoError(t, err)
			name, rest, _ := strings.Cut(reply.Header.Get("Set-Cookie"), "=")
			_, attributes, _ := strings.Cut(rest, ";")
			require.Equal(t, tt.want, name+"=;"+attributes)
		})
	}
}

// Callback-polling is off, and what it is when it is switched on.
func TestStrictCallback(t *testing.T) {
	ask := func(r *rig, callback string, header http.Header) *testkit.Reply {
		reply, err := r.Do(testkit.Request{
			Method: http.MethodGet, Query: "jsonp=" + callback + "&message=" + escape(`{"channel":"/meta/handshake"}`), Header: header,
		})
		require.NoError(r.t, err)
		return reply
	}
	bubble(t, strict(), func(t *testing.T, r *rig) {
		require.Equal(t, http.StatusBadRequest, ask(r, "cb", nil).Status)
		require.Equal(t, []any{"websocket", "long-polling"}, r.hello("").first["supportedConnectionTypes"])
	})
	bubble(t, strict(option("allowedTransports", "long-polling,callback-polling")), func(t *testing.T, r *rig) {
		reply := ask(r, "cb", nil)
		require.Equal(t, http.StatusOK, reply.Status)
		require.True(t, strings.HasPrefix(reply.Body, "/**/cb(["), reply.Body)
		require.Equal(t, "nosniff", reply.Header.Get("X-Content-Type-Options"))
		require.Equal(t, http.StatusBadRequest, ask(r, "abc.d-e", nil).Status)
		require.Equal(t, http.StatusForbidden, ask(r, "cb", http.Header{"Sec-Fetch-Site": {"cross-site"}}).Status)
		require.Equal(t, http.StatusForbidden, ask(r, "cb", http.Header{"Referer": {"https://evil.example/"}}).Status)
		require.Equal(t, http.StatusForbidden, ask(r, "cb", http.Header{"Cookie": {"login=me"}}).Status)
	})
}

// MARKET 3a: what a page of another site gets, in both postures.
func TestForeignPages(t *testing.T) {
	for posture, want := range map[server.Posture]string{
		server.PostureCometD: "200 101 200", server.PostureStrict: "403 403 415",
	} {
		bubble(t, func(c *server.Config) { c.Posture = posture }, func(t *testing.T, r *rig) {
			post := func(header http.Header) int {
				reply, err := r.Do(testkit.Request{Body: `[{"channel":"/meta/handshake"}]`, Header: header})
				require.NoError(t, err)
				return reply.Status
			}
			evil := post(http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://evil.example"}})
			upgrade := strings.Fields(r.upgradeWith("Origin: https://evil.example\r\n"))[0]
			require.Equal(t, want, fmt.Sprint(evil, " ", upgrade, " ", post(http.Header{"Content-Type": {"text/plain"}})), posture)
		})
	}
}

// What cannot be meant is refused at the start.
func TestPostureConfigErrors(t *testing.T) {
	for want, options := range map[string]server.Options{
		"every page could read answers": {"allowedOrigins": "*", "allowedTransports": "callback-polling"},
		"browsers keep such a cookie":   {"browserCookieName": "__Host-B", "browserCookiePath": "/cometd"},
		"want an origin such as":        {"allowedOrigins": "app.example"},
		"* alone":                       {"allowedOrigins": "*,https://app.example"},
	} {
		_, err := server.New(server.Config{Posture: server.PostureStrict, Options: options})
		require.ErrorContains(t, err, want)
	}
}

// The table of postures is what the server does: each row has two defaults, a
// threat, and ways to choose it alone that are known.
func TestPostureTable(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range server.PostureTable() {
		require.NotEqual(t, d.CometD, d.Strict, d.Name)
		require.NotEmpty(t, d.Threat, d.Name)
		require.False(t, seen[d.Name], d.Name)
		seen[d.Name] = true
		if set, ok := strings.CutPrefix(d.Program, "--set "); ok {
			name, value, _ := strings.Cut(set, "=")
			require.NoError(t, server.CheckOption(name, value), d.Name)
		}
	}
	for i, o := range server.PostureOptions(server.PostureStrict) {
		require.Equal(t, server.OptionTable()[i].Default != o.Default, seen[o.Name], o.Name)
	}
}

// Log lines that clients cause are bounded.
func TestLogsAreBounded(t *testing.T) {
	var log testkit.Buffer
	change := func(c *server.Config) { c.Logger, c.Limits.LogsPerSecond = zerolog.New(&log), 5 }
	bubble(t, change, func(t *testing.T, r *rig) {
		for range 50 {
			r.hello("").send(leave)
		}
		require.Equal(t, 5, strings.Count(log.String(), `"session ends"`))
		time.Sleep(time.Second)
		r.hello("").send(leave)
		require.Contains(t, log.String(), `"suppressed":45`)
	})
}
