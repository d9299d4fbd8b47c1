package server_test

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// The defaults are values that the options may have.
func TestOptionDefaults(t *testing.T) {
	for _, o := range server.OptionTable() {
		require.Contains(t, []string{"all", "http", "jsonp", "ws", "server"}, o.Scope)
		if first, _, _ := strings.Cut(o.Default, ";"); o.Name != "allowedTransports" {
			prefix := ""
			if o.Scope == "ws" {
				prefix = "ws."
			}
			require.NoError(t, server.CheckOption(prefix+o.Name, first), "the default must be a value")
		}
	}
}

// What TestOptionsHaveEffects does not see: options that work together, and
// what holds without any. Cases 130 and 131.
func TestOptionsAtWork(t *testing.T) {
	for _, c := range []struct {
		options []string
		check   func(t *testing.T, r *rig)
	}{
		{[]string{"timeout", "0", "interval", "1000"}, func(t *testing.T, r *rig) { // plain polling
			u := r.hello("")
			soon(t, 0, u.connect().send(connectHold).Took)
			same(t, `{"reconnect":"retry","interval":1000,"timeout":0}`, u.first["advice"])
		}},
		{[]string{"multiSessionInterval", "0", "maxSessionsPerBrowser", "0"}, func(t *testing.T, r *rig) {
			same(t, `[{"channel":"/meta/connect","id":"c1","successful":false,"advice":{"reconnect":"none","multiple-clients":true}}]`,
				r.hello("").send(connectHold).Messages)
		}},
		{[]string{"maxMessageSize", "2048"}, func(t *testing.T, r *rig) { // case 101
			u := r.hello("").connect()
			require.Equal(t, 413, u.publish("/a", `"`+strings.Repeat("x", 3000)+`"`).Status)
			require.Equal(t, 200, u.publish("/a", `"`+strings.Repeat("x", 1000)+`"`).Status)
			same(t, `[{"channel":"/meta/connect","id":"c1","successful":true}]`, u.send(connectHold).Messages)
		}},
		{[]string{"maxSessions", "1"}, func(t *testing.T, r *rig) {
			r.hello("")
			require.NotEmpty(t, r.Post("", `[{"channel":"/meta/handshake"}]`).Header.Get("Retry-After"))
		}},
		{[]string{"allowedTransports", "callback-polling,long-polling"}, func(t *testing.T, r *rig) {
			require.Contains(t, r.upgrade(""), "400 ")
		}},
		{nil, func(t *testing.T, r *rig) {
			require.Contains(t, r.upgradeWith("Sec-WebSocket-Extensions: permessage-deflate\r\n"), "permessage-deflate") // [R-WS-3]
		}},
	} {
		t.Run(strings.Join(c.options, " "), func(t *testing.T) {
			bubble(t, option(c.options...), c.check)
		})
	}
}

// Secure is set where the request came by https, also in front of a proxy.
func TestSecureCookie(t *testing.T) {
	for name, c := range map[string]struct {
		option, proto string
		want          bool
	}{
		"https": {"true", "https", true}, "http": {"true", "http", false}, "off": {"false", "https", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(sc *server.Config) {
				sc.Options["browserCookieSecure"] = c.option
				sc.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}, func(t *testing.T, r *rig) {
				reply, err := r.Do(testkit.Request{
					Body:   `[{"channel":"/meta/handshake"}]`,
					Header: http.Header{"X-Forwarded-Proto": {c.proto}, "X-Forwarded-For": {"192.0.2.1"}},
				})
				require.NoError(t, err)
				require.Equal(t, c.want, strings.Contains(reply.Header.Get("Set-Cookie"), "; Secure"))
			})
		})
	}
}

// A reply that takes too long ends its session; held time does not count
// (WIRE 16 on [R-CN-23]).
func TestMaxProcessing(t *testing.T) {
	slow := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.ID == "slow" {
			time.Sleep(2 * time.Second)
		}
		return nil
	}}
	bubble(t, func(c *server.Config) {
		c.Options["maxProcessing"] = "1000"
		c.Extensions = append(c.Extensions, slow)
	}, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		soon(t, 4*time.Second, u.send(connectHold).Took)
		require.Len(t, r.srv.Sessions(), 1)
		u.send(`[{"channel":"/meta/connect","clientId":"$","id":"slow","advice":{"timeout":0}}]`)
		require.Empty(t, r.srv.Sessions())
		require.EqualValues(t, 1, r.stats().Ended["max_processing"])
	})
}

// Names and values are checked, and errors name the mend ([R-OP-1] too).
func TestOptionValues(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"timeout", "20000", ""},
		{"timeout", "20s", ""},
		{"timeout", " -1 ", ""},
		{"long-polling.json.timeout", "1", ""},
		{"ws.enableExtension.identity", "false", ""},
		{"ws.messagesPerFrame", "0", ""},
		{"allowedTransports", "websocket long-polling", ""},
		{"browserCookieSameSite", "none", ""},
		{"timeout", "soon", "milliseconds"},
		{"timeout", "99999999999999999999", "milliseconds"},
		{"maxQueue", "many", "whole number"},
		{"maxQueue", "4294967296", "whole number"},
		{"handshakeReconnect", "yes", "true or false"},
		{"validateMessageFields", "true", ""},
		{"validateMessageFields", "false", "not supported"},
		{"duplicateMetaConnectHttpResponseCode", "200", "from 400 to 599"},
		{"allowedTransports", "long-polling,carrier-pigeon", "carrier"},
		{"browserCookieName", "a b", "cookie name"},
		{"browserCookieName", "", "cookie name"},
		{"browserCookiePath", "/;x", "semicolons"},
		{"browserCookieSameSite", "Perhaps", "Strict"},
		{"ws.ackFrames", "both", "joined"},
		{"tiemout", "1", `the nearest is "timeout"`},
		{"longpolling.timeout", "1", `the nearest is "long-polling.timeout"`},
		{"messagesPerFrame", "1", `the nearest is "ws.messagesPerFrame"`},
		{"ws.sweepPeriod", "1", `the nearest is "sweepPeriod"`},
		{"ws.enableExtension.", "true", "unknown"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			err := server.CheckOption(c.name, c.value)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			if c.name == "allowedTransports" {
				c.want = "a list of websocket"
			}
			require.ErrorContains(t, err, c.want)
			var wrong *server.OptionError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, c.name, wrong.Name)
			_, err = server.New(server.Config{Options: server.Options{c.name: c.value}})
			require.ErrorAs(t, err, &wrong, "New checks too")
		})
	}
}

// All names, with their prefixes, are known and found again.
func TestOptionNames(t *testing.T) {
	names := server.OptionNames()
	require.True(t, slices.IsSorted(names))
	for _, name := range names {
		info, ok := server.LookupOption(name)
		require.True(t, ok, name)
		require.True(t, strings.HasSuffix(name, info.Name), name)
	}
	for _, name := range []string{"timeout", "ws.timeout", "long-polling.jsonp.callbackParameter", "ws.protocol"} {
		require.Contains(t, names, name)
	}
	require.NotContains(t, names, "protocol")
}

// The bounds of a batch and of names (DESIGN 7), in words of the protocol.
func TestMessageLimits(t *testing.T) {
	limits := func(c *server.Config) {
		c.Limits.Messages = bayeux.Limits{Batch: 2, Depth: 6, ChannelBytes: 20, ChannelSegments: 3}
	}
	bubble(t, limits, func(t *testing.T, r *rig) {
		u := r.hello("")
		for body, want := range map[string]string{
			`[{"channel":"/a","clientId":"$"},{"channel":"/a","clientId":"$"}]`:        `"successful":true`,
			`[{"channel":"/a/b/c/d","clientId":"$"}]`:                                  "405::channel_invalid",
			`[{"channel":"/abcdefghijabcdefghij","clientId":"$"}]`:                     "405::channel_invalid",
			`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a/b/c/d"}]`: "403::subscription_invalid",
		} {
			require.Contains(t, u.send(body).Body, want, body)
		}
		require.Equal(t, 400, u.send(`[{},{},{}]`).Status)
		require.Equal(t, 400, u.send(`[{"channel":"/a","clientId":"$","data":[[[[[1]]]]]}]`).Status)
		require.Equal(t, 200, u.send(`[{"channel":"/a","clientId":"$","data":[[[[1]]]]}]`).Status)
	})
}
