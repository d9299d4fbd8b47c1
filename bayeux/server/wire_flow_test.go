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

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// Messages come with the handshake reply on every transport, with the ack
// extension too, whose first connect then has the second number ([R-HS-18],
// [R-ACK-1], case 13). What has come once does not come again, unless it is not
// acknowledged. Case 102: the reply to a handshake is first.
func TestMessagesDuringHandshake(t *testing.T) {
	greet := func(c *server.Config) {
		c.Options["allowMessageDeliveryDuringHandshake"] = "true"
		c.Policy = wireGreeting(t)
	}
	for _, via := range []string{viaSocket, viaPoll, viaCallback} {
		t.Run(via, func(t *testing.T) {
			bubble(t, greet, func(t *testing.T, r *rig) {
				w := &walker{r: r, via: via}
				require.Equal(t, "one two", walkData(w.greeted("")))
				require.Empty(t, walkData(w.ask(connectNow)))
			})
		})
		for _, acknowledged := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s with ack, %v", via, acknowledged), func(t *testing.T) {
				bubble(t, greet, func(t *testing.T, r *rig) {
					w := &walker{r: r, via: via}
					batch := w.greeted(`"ext":{"ack":true}`)
					require.Equal(t, "one two", walkData(batch))
					same(t, `{"ack":{"enabled":true,"batch":1}}`, batch[0]["ext"])
					n, again := 1, ""
					if !acknowledged {
						n, again = 0, "one two"
					}
					batch = w.ask(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":%d}}]`, n))
					require.Equal(t, again, walkData(batch))
					same(t, `{"ack":2}`, batch[len(batch)-1]["ext"])
				})
			})
		}
	}
	t.Run("cut by the response size", func(t *testing.T) { // x-messages counts what came
		bubble(t, func(c *server.Config) {
			greet(c)
			c.Options["maxResponseSize"] = "30"
		}, func(t *testing.T, r *rig) {
			w := &walker{r: r, via: viaPoll}
			batch := w.hello("")
			require.InDelta(t, 1, batch[0]["x-messages"], 0)
			require.Equal(t, "one", walkData(batch))
			require.Equal(t, "two", walkData(w.ask(connectNow)))
		})
	})
}

// greeted makes a session and collects as many messages as its handshake reply
// has announced.
func (w *walker) greeted(more string) []testkit.Msg {
	w.r.t.Helper()
	batch := w.hello(more)
	require.Equal(w.r.t, "/meta/handshake", batch[0]["channel"])
	require.InDelta(w.r.t, 2, batch[0]["x-messages"], 0)
	if w.sock != nil { // the reply alone, then each message in a frame of its own
		require.Len(w.r.t, batch, 1)
		for range 2 {
			f := w.sock.Next(time.Second)
			require.Len(w.r.t, f.Messages, 1)
			batch = append(batch, f.Messages...)
		}
	}
	return batch
}

// The cookie of both HTTP transports has all attributes in CometD's order, and
// each transport its own options ([R-HS-15]).
func TestCookieAttributes(t *testing.T) {
	all := func(c *server.Config) {
		option("browserCookieName", "FOO", "browserCookieDomain", "example.com", "browserCookiePath", "/x",
			"browserCookieMaxAge", "3600", "browserCookieSecure", "true", "browserCookieSameSite", "None",
			"browserCookiePartitioned", "true", "long-polling.jsonp.browserCookieName", "BAR")(c)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	bubble(t, all, func(t *testing.T, r *rig) {
		for via, name := range map[string]string{viaPoll: "FOO", viaCallback: "BAR"} {
			w := &walker{r: r, via: via}
			w.hello("")
			require.Regexp(t, "^"+name+
				`=[0-9a-z]{16}; Domain=example\.com; Path=/x; Max-Age=3600; HttpOnly; Secure; SameSite=None; Partitioned$`,
				strings.Join(w.header.Values("Set-Cookie"), "|"))
			require.Equal(t, true, w.ask(connectNow)[0]["successful"])
			w.cookie = map[string]string{"FOO": "BAR", "BAR": "FOO"}[name] + w.cookie[3:]
			require.Equal(t, "402::session_unknown", w.ask(connectNow)[0]["error"], "the other transport's name does not count")
		}
	})
}

// metaConnectDeliverOnly of a session can change while it lives: messages then
// leave by the way that is right now ([R-DL-4], [R-WS-15]).
func TestConnectOnlyChanges(t *testing.T) {
	set := func(u *user, on bool) {
		d, ok := wireSession(u).(bayeux.Delivery)
		require.True(u.r.t, ok)
		d.SetConnectOnly(on)
	}
	bubble(t, nil, func(t *testing.T, r *rig) {
		s := r.surf("").connected().subscribed("/a")
		u := &user{r: r, id: s.id}
		set(u, true)
		r.publish("/a", 1)
		s.Quiet(time.Second)
		set(u, false)
		same(t, `[{"channel":"/a","data":1}]`, s.get())
		set(u, true)
		s.say(connectHold)
		synctest.Wait()
		r.publish("/a", 2)
		same(t, `[{"channel":"/a","data":2}]`, s.get())
		same(t, "["+connectOK+"]", s.get())
	})
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		set(u, true)
		held := wireHold(u)
		same(t, `[{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "1").Messages)
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, wireAnswered(t, held).Messages)
		set(u, false)
		held = wireHold(u)
		require.Len(t, u.publish("/a", "2").Messages, 2)
		wireStillHeld(t, held)
		<-held
	})
}

// A session's own times go before the options on every transport: they tell in
// the next reply and hold from then on; negative ones end that ([R-AD-4],
// [R-CN-6], [R-EX-6], cases 47 and 156).
func TestOwnTimes(t *testing.T) {
	for _, via := range []string{viaSocket, viaPoll, viaCallback} {
		t.Run(via, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				w := (&walker{r: r, via: via}).connected()
				s, _ := r.srv.Session(w.id)
				own, ok := s.(bayeux.Timing)
				require.True(t, ok)
				took := func() string { return walkTook(func() { w.ask(connectHold) }) }
				own.SetTimeout(time.Second)
				require.Equal(t, "1s", took())
				own.SetTimeout(0)
				require.Equal(t, "0s", took())
				own.SetInterval(700 * time.Millisecond)
				own.SetTimeout(2 * time.Second)
				same(t, `{"reconnect":"retry","interval":700,"timeout":2000}`, w.ask(connectHold)[0]["advice"])
				require.Equal(t, "4s", walkTook(func() {
					w.ask(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":4000}}]`)
				}), "the client's own wish goes before")
				own.SetTimeout(-1)
				own.SetInterval(-1)
				same(t, wireFull, w.ask(connectHold)[0]["advice"])
				own.SetMaxInterval(9 * time.Second)
				w.ask(connectNow)
				other := (&walker{r: r, via: via}).connected()
				time.Sleep(4 * time.Second)
				_, lives := r.srv.Session(other.id)
				require.False(t, lives)
				require.Equal(t, "5s", w.gone())
			})
		})
	}
}

// broadcastToPublisher at the server, the channel and the session, on every
// transport; the channel's is that of the matching subscription ([R-PB-11]).
func TestEchoOnAllTransports(t *testing.T) {
	publish := func(w *walker, ch string) string {
		batch := w.ask(fmt.Sprintf(`[{"channel":%q,"clientId":"$","data":1}]`, ch))
		if w.via == viaCallback {
			batch = append(batch, w.ask(connectNow)...)
		}
		return walkData(batch)
	}
	for _, via := range []string{viaSocket, viaPoll, viaCallback} {
		t.Run(via, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				require.NoError(t, r.srv.Configure("/quiet", server.ChannelOptions{NoBroadcastToPublisher: true, Persistent: true}))
				w := (&walker{r: r, via: via}).connected().subscribed("/quiet").subscribed("/loud")
				require.Empty(t, publish(w, "/quiet"))
				require.Equal(t, "1", publish(w, "/loud"))
				w.subscribed("/**")
				require.Equal(t, "1", publish(w, "/quiet"), "by the other subscription")
				s, _ := r.srv.Session(w.id)
				echo, ok := s.(server.Echo)
				require.True(t, ok)
				echo.SetBroadcastToPublisher(false)
				require.Empty(t, publish(w, "/loud"))
				other := (&walker{r: r, via: via}).connected()
				publish(other, "/loud") // of others it has all
				require.Equal(t, "1", walkData(w.fetchAll()))
				echo.SetBroadcastToPublisher(true)
				require.Equal(t, "1", publish(w, "/loud"))
			})
			bubble(t, option("broadcastToPublisher", "false"), func(t *testing.T, r *rig) {
				w := (&walker{r: r, via: via}).connected().subscribed("/loud")
				require.Empty(t, publish(w, "/loud"))
			})
		})
	}
}

// fetchAll returns what waits for the client.
func (w *walker) fetchAll() []testkit.Msg {
	if w.sock != nil {
		return w.sock.Next(time.Second).Messages
	}
	return w.ask(connectNow)
}

// A lazy message of server code waits for maxLazyTimeout of the receiver's
// transport, whatever its channel says, and leaves with whatever leaves before
// ([R-DL-5], [R-DL-6]).
func TestLazyByTheMessage(t *testing.T) {
	options := option("ws.maxLazyTimeout", "1000", "long-polling.json.maxLazyTimeout", "2000", "callback-polling.maxLazyTimeout", "3000")
	for via, want := range map[string]string{viaSocket: "1s", viaPoll: "2s", viaCallback: "3s"} {
		t.Run(via, func(t *testing.T) {
			bubble(t, options, func(t *testing.T, r *rig) {
				w := (&walker{r: r, via: via}).connected().subscribed("/a")
				lazy := func() *bayeux.Message { return &bayeux.Message{Channel: "/a", Data: bayeux.Raw(`1`), Lazy: true} }
				wait := func() string {
					return walkTook(func() {
						if w.sock == nil {
							require.Equal(t, "1", walkData(w.ask(connectHold)))
							return
						}
						require.Equal(t, "1", walkData(w.answer(func(m testkit.Msg) bool { return m["data"] != nil })))
					})
				}
				require.NoError(t, r.srv.PublishMessage(t.Context(), lazy()))
				require.Equal(t, want, wait())
				require.NoError(t, r.srv.DeliverMessage(t.Context(), w.id, lazy()))
				require.Equal(t, want, wait())
				require.NoError(t, r.srv.PublishMessage(t.Context(), lazy()))
				batch := w.ask(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/b"}]`)
				if via == viaCallback { // but not with other replies
					require.Empty(t, walkData(batch))
					return
				}
				require.Equal(t, "1", walkData(batch))
			})
		})
	}
}

// Two sessions of one browser over HTTP/2 in TLS, as browsers speak it, are both
// held by default ([R-MC-1], case 63). Over one connection of HTTP/1.1 they are
// not.
func TestBrowsersOverTLS(t *testing.T) {
	for _, c := range []struct {
		http2 bool
		held  int64
	}{{true, 2}, {false, 1}} {
		t.Run(fmt.Sprintf("HTTP/2 %v", c.http2), func(t *testing.T) {
			srv, err := server.New(server.Config{})
			require.NoError(t, err)
			defer func() { require.NoError(t, srv.Shutdown(context.Background())) }()
			ts := tlsServer(srv, c.http2)
			defer ts.Close()
			client := ts.Client()
			post := func(cookie, body string) (*http.Response, []testkit.Msg) {
				return tlsPost(t, client, ts.URL, cookie, body)
			}

			resp, batch := post("", `[{"channel":"/meta/handshake"}]`)
			require.Equal(t, c.http2, resp.ProtoMajor == 2)
			cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
			ids := []string{text(batch[0]["clientId"])}
			_, batch = post(cookie, `[{"channel":"/meta/handshake"}]`)
			ids = append(ids, text(batch[0]["clientId"]))
			answers := make(chan []testkit.Msg, len(ids))
			for _, id := range ids {
				post(cookie, strings.ReplaceAll(connectNow, "$", id))
				post(cookie, strings.ReplaceAll(subscribing("subscribe", `"/a"`), "$", id))
			}
			for i, id := range ids {
				go func() {
					_, batch := post(cookie, strings.ReplaceAll(connectHold, "$", id))
					answers <- batch
				}()
				want := min(int64(i+1), c.held)
				require.Eventually(t, func() bool {
					return srv.Stats().Holds == want && (int64(i) < c.held || len(answers) > 0)
				}, 15*time.Second, time.Millisecond)
			}
			if !c.http2 {
				require.Equal(t, "true", walkAdvice(<-answers, "multiple-clients"))
			}
			require.NoError(t, srv.Publish(t.Context(), "/a", 1))
			for range c.held {
				batch := <-answers
				require.Equal(t, "1", walkData(batch))
				require.Equal(t, "<nil>", walkAdvice(batch, "multiple-clients"))
			}
		})
	}
}
