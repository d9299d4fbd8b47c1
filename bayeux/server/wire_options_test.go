package server_test

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// probed lists the options that the tests of this file, or the one named, look
// at through the wire.
var probed = map[string]string{
	"metaConnectDeliverOnly": "TestConnectOnlyDelivery", "maxQueue": "TestQueueIsBounded", "maxQueueBytes": "TestQueueIsBounded", "slowConsumer": "TestSlowConsumerPolicies",
	"broadcastToPublisher": "TestBroadcastToPublisher", "relayReplyFields": "TestRelayReplyFields",
	"maxSubscriptions": "TestSubscriptionsAreBounded", "maxResponseSize": "TestPollIsCut",
	"protocol": "TestSocketUpgrade", "messagesPerFrame": "TestSocketFrames", "idleTimeout": "TestSocketIdle",
	"requireHandshakePerConnection": "TestSocketNeedsHandshake", "ackMessageLimit": "TestAckIsCutOnSocket",
	"ackFrames": "TestAckSeparateFrames", "maxLazyTimeout": "TestLazinessIsInherited",
	"cometdURLMapping": "ignored", "bufferSize": "ignored", "validateMessageFields": "TestOptionValues",
	// What follows is in TestOptionsAtWork.
	"timeout": "", "interval": "", "maxInterval": "", "maxProcessing": "TestMaxProcessing", "maxMessageSize": "",
	"handshakeReconnect": "", "allowMessageDeliveryDuringHandshake": "", "allowedTransports": "", "sweepPeriod": "",
	"maxSessions": "", "browserCookieName": "", "browserCookieDomain": "", "browserCookiePath": "", "browserCookieMaxAge": "",
	"browserCookieSecure": "TestSecureCookie", "browserCookieHttpOnly": "", "browserCookieSameSite": "", "browserCookiePartitioned": "",
	"maxSessionsPerBrowser": "", "http2MaxSessionsPerBrowser": "wire_session_test.go", "multiSessionInterval": "",
	"trustClientSession": "", "duplicateMetaConnectHttpResponseCode": "", "callbackParameter": "",
	"callbackParameterMaxLength": "", "enableExtension.permessage-deflate": "",
}

// Every option there is has a test that it works.
func TestOptionsAreProbed(t *testing.T) {
	table := server.OptionTable()
	for _, o := range table {
		require.Contains(t, probed, o.Name)
		require.NotEmpty(t, o.Help, o.Name)
		require.Contains(t, []string{"all", "http", "cookie", "jsonp", "ws", "server"}, o.Scope)
		if first, _, _ := strings.Cut(o.Default, ";"); o.Name != "allowedTransports" {
			prefix := ""
			if o.Scope == "ws" {
				prefix = "ws."
			}
			require.NoError(t, server.CheckOption(prefix+o.Name, first), "the default must be a value")
		}
	}
	require.Len(t, probed, len(table))
}

// What each option does, as seen from outside.
func TestOptionsAtWork(t *testing.T) {
	handshake := func(r *rig) *testkit.Reply { return r.Post("", `[{"channel":"/meta/handshake"}]`) }
	setCookie := func(want string) func(t *testing.T, r *rig) {
		return func(t *testing.T, r *rig) {
			require.Contains(t, handshake(r).Header.Get("Set-Cookie"), want)
		}
	}
	advice := func(want string) func(t *testing.T, r *rig) {
		return func(t *testing.T, r *rig) { same(t, want, handshake(r).Messages[0]["advice"]) }
	}
	for _, c := range []struct {
		options []string
		check   func(t *testing.T, r *rig)
	}{
		{[]string{"timeout", "2500"}, func(t *testing.T, r *rig) {
			soon(t, 2500*time.Millisecond, r.hello("").connect().send(connectHold).Took)
		}},
		{[]string{"timeout", "0", "interval", "1000"}, func(t *testing.T, r *rig) { // plain polling
			soon(t, 0, r.hello("").connect().send(connectHold).Took)
			advice(`{"reconnect":"retry","interval":1000,"timeout":0}`)(t, r)
		}},
		{[]string{"interval", "2s"}, advice(`{"reconnect":"retry","interval":2000,"timeout":4000}`)},
		{[]string{"maxInterval", "7000"}, func(t *testing.T, r *rig) {
			r.hello("")
			time.Sleep(6900 * time.Millisecond)
			require.Len(t, r.srv.Sessions(), 1)
			time.Sleep(700 * time.Millisecond)
			require.Empty(t, r.srv.Sessions())
		}},
		{[]string{"handshakeReconnect", "true"}, advice(`{"reconnect":"retry","interval":0,"timeout":4000,"maxInterval":3000}`)},
		{[]string{"maxMessageSize", "100"}, func(t *testing.T, r *rig) {
			require.Equal(t, 413, r.Post("", `[{"channel":"/meta/handshake","x":"`+strings.Repeat("x", 100)+`"}]`).Status)
			require.Equal(t, 200, handshake(r).Status)
		}},
		{[]string{"ws.maxMessageSize", "100"}, func(t *testing.T, r *rig) {
			require.Equal(t, 200, r.Post("", `[{"channel":"/meta/handshake","x":"`+strings.Repeat("x", 100)+`"}]`).Status)
			u := r.surf("")
			u.say(strings.Repeat(" ", 200))
			require.EqualValues(t, 1009, u.Next(time.Second).Close)
		}},
		{[]string{"allowMessageDeliveryDuringHandshake", "true"}, func(t *testing.T, r *rig) {
			require.NotContains(t, handshake(r).Body, "x-messages")
		}},
		{[]string{"allowedTransports", "callback-polling,long-polling"}, func(t *testing.T, r *rig) {
			require.Equal(t, []any{"callback-polling", "long-polling"}, handshake(r).Messages[0]["supportedConnectionTypes"])
			require.Contains(t, r.upgrade(""), "400 ")
		}},
		{[]string{"sweepPeriod", "2000"}, func(t *testing.T, r *rig) {
			r.hello("")
			time.Sleep(3900 * time.Millisecond) // expires after 3 s, is seen at the sweep at 4 s
			require.Len(t, r.srv.Sessions(), 1)
			time.Sleep(200 * time.Millisecond)
			require.Empty(t, r.srv.Sessions())
		}},
		{[]string{"maxSessions", "1"}, func(t *testing.T, r *rig) {
			r.hello("")
			reply := handshake(r)
			require.Equal(t, 429, reply.Status)
			require.NotEmpty(t, reply.Header.Get("Retry-After"))
		}},
		{[]string{"browserCookieName", "FOO"}, func(t *testing.T, r *rig) {
			u := r.hello("").connect()
			require.True(t, strings.HasPrefix(u.cookie, "FOO="))
		}},
		{[]string{"browserCookieDomain", "example.com"}, setCookie("Domain=example.com")},
		{[]string{"browserCookiePath", "/x"}, setCookie("Path=/x")},
		{[]string{"browserCookieMaxAge", "3600"}, setCookie("Max-Age=3600")},
		{[]string{"browserCookieSameSite", "Lax"}, setCookie("SameSite=Lax")},
		{[]string{"browserCookiePartitioned", "true"}, setCookie("Partitioned")},
		{[]string{"browserCookieHttpOnly", "false"}, func(t *testing.T, r *rig) {
			require.NotContains(t, handshake(r).Header.Get("Set-Cookie"), "HttpOnly")
		}},
		{[]string{"maxSessionsPerBrowser", "2"}, func(t *testing.T, r *rig) {
			a := r.hello("").connect()
			b, c := r.helloWith(a.cookie, "").connect(), r.helloWith(a.cookie, "").connect()
			first, second := a.later(connectHold), b.later(connectHold)
			synctest.Wait()
			require.Contains(t, c.send(connectHold).Body, `"multiple-clients":true`)
			soon(t, 4*time.Second, (<-first).Took)
			soon(t, 4*time.Second, (<-second).Took)
		}},
		{[]string{"multiSessionInterval", "0", "maxSessionsPerBrowser", "0"}, func(t *testing.T, r *rig) {
			same(t, `[{"channel":"/meta/connect","id":"c1","successful":false,"advice":{"reconnect":"none","multiple-clients":true}}]`,
				r.hello("").send(connectHold).Messages)
		}},
		{[]string{"trustClientSession", "true"}, func(t *testing.T, r *rig) {
			(&user{r: r, id: r.hello("").id}).connect()
		}},
		{[]string{"duplicateMetaConnectHttpResponseCode", "409"}, func(t *testing.T, r *rig) {
			u := r.hello("").connect()
			held := u.later(connectHold)
			synctest.Wait()
			u.connect()
			require.Equal(t, 409, (<-held).Status)
		}},
		{[]string{"callbackParameter", "back", "callbackParameterMaxLength", "3"}, func(t *testing.T, r *rig) {
			for query, want := range map[string]int{"back=abc": 200, "back=abcd": 400, "jsonp=abc": 400} {
				reply, err := r.Do(testkit.Request{Method: "GET", Query: query + "&message=" + escape(`{"channel":"/meta/handshake"}`)})
				require.NoError(t, err)
				require.Equal(t, want, reply.Status, query)
			}
		}},
		{[]string{"ws.enableExtension.permessage-deflate", "false"}, func(t *testing.T, r *rig) {
			require.NotContains(t, r.upgradeWith("Sec-WebSocket-Extensions: permessage-deflate\r\n"), "permessage-deflate")
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
		require.EqualValues(t, 1, r.srv.Stats().Ended["max_processing"])
	})
}

// The nearest prefix wins, for each transport ([R-JP-7], WIRE 11).
func TestOptionPrefixes(t *testing.T) {
	bubble(t, option(
		"timeout", "1000", "interval", "10", "long-polling.timeout", "2000",
		"long-polling.json.interval", "20", "long-polling.interval", "25",
		"long-polling.jsonp.timeout", "3000", "callback-polling.timeout", "3500", "ws.timeout", "5000",
	), func(t *testing.T, r *rig) {
		same(t, `{"reconnect":"retry","interval":20,"timeout":2000}`, r.hello("").first["advice"])
		same(t, `{"reconnect":"retry","interval":10,"timeout":5000}`, r.surf("").first["advice"])
		body := r.jsonp("", `[{"channel":"/meta/handshake"}]`).Body
		require.Contains(t, body, `"timeout":3500`)
		require.Contains(t, body, `"interval":25`)
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
