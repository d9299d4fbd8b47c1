package server_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

func walkRows() map[string]walkRow {
	rows := walkDelivery()
	maps.Copy(rows, walkTimes())
	maps.Copy(rows, walkCookies())
	maps.Copy(rows, walkBrowsers())
	maps.Copy(rows, walkSockets())
	maps.Copy(rows, walkServer())
	maps.Copy(rows, walkPaths())
	return rows
}

func walkTimes() map[string]walkRow {
	slow := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.ID == "slow" {
			time.Sleep(2 * time.Second)
		}
		return nil
	}}
	return map[string]walkRow{
		"timeout": {values: [2]string{"3000", "6000"}, want: [2]string{"3s", "6s"}, probe: func(w *walker) string {
			w.connected()
			return walkTook(func() { w.ask(connectHold) })
		}},
		"interval": {values: [2]string{"100", "200"}, want: [2]string{"100", "200"}, probe: func(w *walker) string {
			return walkAdvice(w.hello(""), "interval")
		}},
		"maxInterval": {values: [2]string{"2000", "5000"}, want: [2]string{"2s", "5s"}, probe: func(w *walker) string {
			w.hello("")
			return w.gone()
		}},
		"maxProcessing": {
			values: [2]string{"-1", "1000"}, want: [2]string{"true", "false"},
			change: func(c *server.Config) { c.Extensions = append(c.Extensions, slow) },
			probe: func(w *walker) string {
				w.connected()
				w.ask(`[{"channel":"/meta/connect","clientId":"$","id":"slow","advice":{"timeout":0}}]`)
				_, alive := w.r.srv.Session(w.id)
				return fmt.Sprint(alive)
			},
		},
		"maxLazyTimeout": {values: [2]string{"1000", "2000"}, want: [2]string{"1s", "2s"}, probe: func(w *walker) string {
			require.NoError(w.r.t, w.r.srv.Configure("/lazy", server.ChannelOptions{Lazy: true, Persistent: true}))
			w.connected().subscribed("/lazy")
			require.NoError(w.r.t, w.r.srv.Publish(w.r.t.Context(), "/lazy", 1))
			return walkTook(func() {
				if w.sock == nil {
					w.ask(connectHold)
					return
				}
				w.answer(func(m testkit.Msg) bool { return m["channel"] == "/lazy" }) // [R-WS-16]
			})
		}},
	}
}

// gone waits for the end of all sessions, in whole seconds.
func (w *walker) gone() string {
	start := time.Now()
	for len(w.r.srv.Sessions()) > 0 {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(start).Truncate(time.Second).String()
}

func walkDelivery() map[string]walkRow {
	only := []string{"metaConnectDeliverOnly", "true"} // so that a queue can grow on a socket
	return map[string]walkRow{
		"metaConnectDeliverOnly": {values: [2]string{"false", "true"}, want: [2]string{"1", ""}, probe: func(w *walker) string {
			w.connected().subscribed("/a")
			return walkData(w.ask(`[{"channel":"/a","clientId":"$","data":1}]`))
		}},
		"maxQueue": {
			values: [2]string{"4", "2"}, want: [2]string{"0 1 2 3", "0 1"}, probe: (*walker).backlog,
			with: append([]string{"slowConsumer", "drop-newest"}, only...),
		},
		"maxQueueBytes": {
			values: [2]string{"100", "60"}, want: [2]string{"0 1 2 3", "0 1"}, probe: (*walker).backlog,
			with: append([]string{"slowConsumer", "drop-newest"}, only...),
		},
		"slowConsumer": {
			values: [2]string{"drop-newest", "Drop-Oldest"}, want: [2]string{"0 1", "3 4"}, probe: (*walker).backlog,
			with: append([]string{"maxQueue", "2"}, only...),
		},
		"maxMessageSize": {values: [2]string{"400", "200"}, want: [2]string{"true", "false"}, probe: func(w *walker) string {
			w.hello("")
			w.ask(`[{"channel":"/a","clientId":"$","data":"` + strings.Repeat("x", 250) + `"}]`)
			return fmt.Sprint(w.status != 413 && w.close != 1009)
		}},
		"maxResponseSize": {values: [2]string{"60", "110"}, want: [2]string{"0 1", "0 1 2 3"}, probe: (*walker).backlog},
		"handshakeReconnect": {values: [2]string{"false", "true"}, want: [2]string{"<nil>", "3000"}, probe: func(w *walker) string {
			return walkAdvice(w.hello(""), "maxInterval")
		}},
		"allowMessageDeliveryDuringHandshake": {
			values: [2]string{"false", "true"}, want: [2]string{"<nil> with ", "2 with one two"},
			change: func(c *server.Config) {
				c.Policy = wirePolicy{handshake: func(s bayeux.Session, _ *bayeux.Message) error {
					_ = s.Deliver(context.Background(), "/hi", "one")
					return s.Deliver(context.Background(), "/hi", "two")
				}}
			},
			probe: func(w *walker) string {
				batch := w.hello("")
				n := batch[0]["x-messages"]
				if w.sock != nil && n != nil { // in frames of their own [R-HS-18]
					batch = append(batch, w.answer(func(m testkit.Msg) bool { return m["data"] == "two" })...)
				}
				return fmt.Sprint(n, " with ", walkData(batch))
			},
		},
	}
}

func walkCookies() map[string]walkRow {
	rows := make(map[string]walkRow)
	for name, c := range map[string][4]string{
		"browserCookieName":        {"A", "B", "A=", "B="},
		"browserCookieDomain":      {"a.example", "b.example", "Domain=a.example", "Domain=b.example"},
		"browserCookiePath":        {"/a", "/b", "Path=/a", "Path=/b"},
		"browserCookieMaxAge":      {"10", "20", "Max-Age=10", "Max-Age=20"},
		"browserCookieSecure":      {"false", "true", "", "Secure"},
		"browserCookieHttpOnly":    {"true", "false", "HttpOnly", ""},
		"browserCookieSameSite":    {"Lax", "None", "SameSite=Lax", "SameSite=None"},
		"browserCookiePartitioned": {"false", "true", "", "Partitioned"},
	} {
		rows[name] = walkRow{
			values: [2]string{c[0], c[1]}, want: [2]string{c[2], c[3]},
			change: func(c *server.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
			probe: func(w *walker) string {
				w.connected()
				require.Contains(w.r.t, w.r.stats().Requests, w.via)
				w.hello("") // with the cookie there is no further one
				require.Empty(w.r.t, w.header.Values("Set-Cookie"))
				fresh := &walker{r: w.r, via: w.via}
				fresh.hello("")
				set := fresh.header.Get("Set-Cookie")
				for part := range strings.SplitSeq(set, "; ") {
					if c[2] != "" && strings.HasPrefix(part, c[2]) {
						return c[2]
					}
					if c[3] != "" && strings.HasPrefix(part, c[3]) {
						return c[3]
					}
				}
				return ""
			},
		}
	}
	return rows
}

func walkBrowsers() map[string]walkRow {
	second := func(w *walker) []testkit.Msg {
		w.connected()
		other := w.like().connected()
		held := make(chan []testkit.Msg, 1)
		go func() { held <- w.ask(connectHold) }()
		time.Sleep(100 * time.Millisecond)
		batch := other.ask(connectHold)
		<-held
		return batch
	}
	return map[string]walkRow{
		"maxSessionsPerBrowser": {values: [2]string{"1", "2"}, want: [2]string{"true", "<nil>"}, probe: func(w *walker) string {
			return walkAdvice(second(w), "multiple-clients")
		}},
		"http2MaxSessionsPerBrowser": {values: [2]string{"1", "2"}, want: [2]string{"true", "<nil>"}, probe: func(w *walker) string {
			p := new(http.Protocols)
			p.SetUnencryptedHTTP2(true)
			l, stop := wireListen(&http.Server{Protocols: p}, w.r.srv)
			defer stop()
			w.client = wireClient(l, p)
			defer w.client.CloseIdleConnections()
			return walkAdvice(second(w), "multiple-clients")
		}},
		"multiSessionInterval": {values: [2]string{"1000", "3000"}, want: [2]string{"1000", "3000"}, probe: func(w *walker) string {
			return walkAdvice(second(w), "interval")
		}},
		"trustClientSession": {values: [2]string{"false", "true"}, want: [2]string{"false", "true"}, probe: func(w *walker) string {
			w.connected().cookie = ""
			return fmt.Sprint(w.ask(connectNow)[0]["successful"])
		}},
		"duplicateMetaConnectHttpResponseCode": {values: [2]string{"409", "503"}, want: [2]string{"409", "503"}, probe: func(w *walker) string {
			w.connected()
			older := w.like()
			older.id = w.id
			done := make(chan bool)
			go func() { older.ask(connectHold); close(done) }()
			time.Sleep(100 * time.Millisecond)
			w.ask(connectNow)
			<-done
			return fmt.Sprint(older.status)
		}},
		"callbackParameter": {values: [2]string{"a", "b"}, want: [2]string{"200 400", "400 200"}, probe: func(w *walker) string {
			return w.callback("a", "cb") + " " + w.callback("b", "cb")
		}},
		"callbackPrefix": {values: [2]string{"false", "true"}, want: [2]string{"jsonp(", "/**/js"}, probe: func(w *walker) string {
			reply, err := w.r.Do(testkit.Request{Method: http.MethodGet, Query: "jsonp=jsonp&message=" + escape(`{"channel":"/meta/handshake"}`)})
			require.NoError(w.r.t, err)
			return reply.Body[:6]
		}},
		"callbackIdentifier": {
			values: [2]string{"false", "true"}, want: [2]string{"200 200 200 200", "200 400 400 400"},
			probe: func(w *walker) string {
				return w.callback("jsonp", "a._b1") + " " + w.callback("jsonp", "a-b") + " " + w.callback("jsonp", "a.1b") + " " + w.callback("jsonp", "a..b")
			},
		},
		"callbackParameterMaxLength": {values: [2]string{"3", "5"}, want: [2]string{"400", "200"}, probe: func(w *walker) string {
			return w.callback("jsonp", "abcd")
		}},
	}
}

// callback returns the status of a request with that parameter.
func (w *walker) callback(parameter, name string) string {
	reply, err := w.r.Do(testkit.Request{
		Method: http.MethodGet, Query: parameter + "=" + name + "&message=" + escape(`{"channel":"/meta/handshake"}`),
	})
	require.NoError(w.r.t, err)
	return fmt.Sprint(reply.Status)
}

// fromPage returns the status of a POST and of an upgrade of a page of that
// origin.
func (w *walker) fromPage(origin string) string {
	reply, err := w.r.Do(testkit.Request{Body: `[{"channel":"/meta/handshake"}]`, Header: http.Header{"Origin": {origin}}})
	require.NoError(w.r.t, err)
	status := strings.Fields(w.r.upgradeWith("Origin: " + origin + "\r\n"))[0]
	return fmt.Sprint(reply.Status, " ", status)
}

func walkSockets() map[string]walkRow {
	// reliable gets two messages by one connect of a session with ack.
	reliable := func(w *walker) []testkit.Msg {
		w.hello(`"ext":{"ack":true}`)
		w.ask(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":0},"advice":{"timeout":0}}]`)
		w.subscribed("/a")
		for i := range 2 {
			require.NoError(w.r.t, w.r.srv.Publish(w.r.t.Context(), "/a", i))
		}
		return w.ask(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":1}}]`)
	}
	return map[string]walkRow{
		"protocol": {values: [2]string{"x", "y"}, want: [2]string{"x", "y"}, probe: func(w *walker) string {
			head := w.r.upgrade("z, y, x")
			_, rest, _ := strings.Cut(head, "Sec-Websocket-Protocol: ")
			chosen, _, _ := strings.Cut(rest, "\r\n")
			return chosen
		}},
		"messagesPerFrame": {
			values: [2]string{"1", "0"}, want: [2]string{"6", "2"}, with: []string{"ws.metaConnectDeliverOnly", "true"},
			probe: func(w *walker) string {
				require.Equal(w.r.t, "0 1 2 3 4", w.backlog())
				return fmt.Sprint(w.frames)
			},
		},
		"idleTimeout": {values: [2]string{"5000", "7000"}, want: [2]string{"5s", "7s"}, probe: func(w *walker) string {
			w.connected()
			return walkTook(func() { require.EqualValues(w.r.t, 1001, w.sock.Next(time.Minute).Close) })
		}},
		"requireHandshakePerConnection": {values: [2]string{"false", "true"}, want: [2]string{"true", "false"}, probe: func(w *walker) string {
			w.connected()
			other := w.like()
			other.id = w.id
			return fmt.Sprint(other.ask(connectNow)[0]["successful"])
		}},
		"requireBrowserCookie": {values: [2]string{"false", "true"}, want: [2]string{"true true true", "false false true"}, probe: func(w *walker) string {
			began := w.r.hello("").connect()
			try := func(cookie string) any {
				s := w.r.Dial(http.Header{"Cookie": {cookie}})
				s.Send(began.fill(connectNow))
				return s.Next(time.Second).Messages[0]["successful"]
			}
			return fmt.Sprint(try(""), " ", try("BAYEUX_BROWSER=other"), " ", try(began.cookie))
		}},
		"enableExtension.permessage-deflate": {values: [2]string{"false", "true"}, want: [2]string{"false", "true"}, probe: func(w *walker) string {
			head := w.r.upgradeWith("Sec-WebSocket-Extensions: permessage-deflate\r\n")
			return fmt.Sprint(strings.Contains(head, "permessage-deflate"))
		}},
		"ackMessageLimit": {values: [2]string{"40", "400"}, want: [2]string{"0", "0 1"}, probe: func(w *walker) string {
			return walkData(reliable(w))
		}},
		"ackFrames": {values: [2]string{"joined", "separate"}, want: [2]string{"1", "3"}, probe: func(w *walker) string {
			reliable(w)
			return fmt.Sprint(w.frames)
		}},
	}
}

func walkServer() map[string]walkRow {
	return map[string]walkRow{
		"broadcastToPublisher": {values: [2]string{"true", "false"}, want: [2]string{"1", ""}, probe: func(w *walker) string {
			w.connected().subscribed("/a")
			return walkData(w.ask(`[{"channel":"/a","clientId":"$","data":1}]`))
		}},
		"relayReplyFields": {values: [2]string{"false", "true"}, want: [2]string{"<nil>", "oops"}, probe: func(w *walker) string {
			w.connected().subscribed("/a")
			return fmt.Sprint(w.ask(`[{"channel":"/a","clientId":"$","data":1,"error":"oops"}]`)[0]["error"])
		}},
		"allowedTransports": {
			values: [2]string{"long-polling,websocket", "callback-polling long-polling"},
			want:   [2]string{"[long-polling websocket] 400", "[callback-polling long-polling] 200"},
			probe: func(w *walker) string {
				return fmt.Sprint(w.hello("")[0]["supportedConnectionTypes"], " ", w.callback("jsonp", "cb"))
			},
		},
		"checkOrigin": {values: [2]string{"false", "true"}, want: [2]string{"200 101", "403 403"}, probe: func(w *walker) string {
			return w.fromPage("https://evil.example")
		}},
		"allowedOrigins": {
			values: [2]string{"https://other.example", "https://app.example,https://other.example"}, want: [2]string{"403 403", "200 101"},
			with: []string{"checkOrigin", "true"},
			probe: func(w *walker) string {
				return w.fromPage("https://app.example")
			},
		},
		"checkContentType": {values: [2]string{"false", "true"}, want: [2]string{"200", "415"}, probe: func(w *walker) string {
			reply, err := w.r.Do(testkit.Request{Body: `[{"channel":"/meta/handshake"}]`, Header: http.Header{"Content-Type": {"text/plain"}}})
			require.NoError(w.r.t, err)
			return fmt.Sprint(reply.Status)
		}},
		"sweepPeriod": {values: [2]string{"500", "2000"}, want: [2]string{"3s", "4s"}, probe: func(w *walker) string {
			w.hello("")
			return w.gone()
		}},
		"maxSubscriptions": {values: [2]string{"1", "2"}, want: [2]string{"403:subscriptions_limit:subscribe_denied", "<nil>"}, probe: func(w *walker) string {
			w.hello("")
			return fmt.Sprint(w.ask(`[{"channel":"/meta/subscribe","clientId":"$","subscription":["/a","/b"]}]`)[0]["error"])
		}},
		"maxSessions": {values: [2]string{"1", "2"}, want: [2]string{"429", "200"}, probe: func(w *walker) string {
			w.hello("")
			w.ask(`[{"channel":"/meta/handshake"}]`)
			return fmt.Sprint(w.status)
		}},
	}
}
