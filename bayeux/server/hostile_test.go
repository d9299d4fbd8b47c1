package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// unharmed asserts that a fresh client is served as ever, over both carriers,
// and that nobody but the sessions there were is left.
func (r *rig) unharmed(sessions int) {
	r.t.Helper()
	u := r.hello("").connect().subscribe("/good")
	s, w := r.greet()
	s.Send(w.fill(`[{"channel":"/good","clientId":"$","data":"fine"}]`))
	require.Equal(r.t, true, s.Next(time.Second).Messages[0]["successful"])
	require.Equal(r.t, 1, data(u.send(connectHold)))
	s.Send(w.fill(`[{"channel":"/meta/disconnect","clientId":"$"}]`))
	s.Next(time.Second)
	s.Cut()
	u.send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
	synctest.Wait()
	stats := r.stats()
	require.Len(r.t, r.srv.Sessions(), sessions)
	require.Equal(r.t, [4]int64{}, [4]int64{stats.Holds, stats.WebSockets, stats.Browsers, stats.QueuedBytes})
}

// Bodies that nobody should send. A whole body is refused with 400 and close
// 1011, a message with the error of that message ([R-HT-7], [R-HT-8],
// [R-MSG-11], [R-WS-8]).
func TestHostileBodies(t *testing.T) {
	refused := map[string]string{
		"empty":                    ``,
		"null":                     `null`,
		"number in an array":       `[5]`,
		"null in an array":         `[null]`,
		"string":                   `"[]"`,
		"not closed":               `[{"channel":"/a"`,
		"closed twice":             `[{"channel":"/a"}]]`,
		"two arrays":               `[{"channel":"/a"}][{"channel":"/a"}]`,
		"trailing comma":           `[{"channel":"/a"},]`,
		"comment":                  `[/**/{"channel":"/a"}]`,
		"NaN":                      `[{"channel":"/a","data":NaN}]`,
		"leading zero":             `[{"channel":"/a","data":01}]`,
		"single quotes":            `[{'channel':'/a'}]`,
		"100,000 open brackets":    strings.Repeat("[", 50_000) + strings.Repeat("{", 14_000),
		"brackets in data":         `[{"channel":"/a","data":` + strings.Repeat("[", 60_000),
		"objects in data":          `[{"channel":"/a","data":` + strings.Repeat(`{"a":`, 10_000),
		"control in a string":      "[{\"channel\":\"/a\",\"data\":\"\x01\"}]",
		"NUL after the end":        "[{\"channel\":\"/a\"}]\x00",
		"bad escape":               `[{"channel":"/a","data":"\x41"}]`,
		"half an escape":           `[{"channel":"/a","data":"\u12"}]`,
		"array of arrays":          `[[{"channel":"/a"}]]`,
		"handshake among others":   `[{"channel":"/meta/handshake"},{"channel":"/a"}]`,
		"a second handshake later": `[{"channel":"/a"},{"channel":"/meta/handshake"}]`,
	}
	for name, body := range refused {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello("")
				reply := u.send(body)
				require.Equal(t, 400, reply.Status, reply.Body)
				s, w := r.greet()
				s.Send(body)
				require.EqualValues(t, 1011, s.Next(time.Second).Close)
				w.revives()
				u.lives()
				r.unharmed(2)
			})
		})
	}
}

// Bytes that are no UTF-8 refuse the body, on a WebSocket with 1007 (WIRE 17).
// What JSON can say but UTF-8 cannot passes as it came.
func TestHostileUTF8(t *testing.T) {
	for name, text := range map[string]string{
		"stray": "\xff", "cut": "\xe2\x82", "overlong slash": "\xc0\xaf",
		"surrogate": "\xed\xa0\x80", "above Unicode": "\xf4\x90\x80\x80",
	} {
		for _, where := range []string{`[{"channel":"/a","clientId":"$","data":"%s"}]`, `[{"channel":"/a%s","clientId":"$"}]`, `[{"channel":"/a","clientId":"$","%s":1}]`} {
			t.Run(name+" "+where, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, r *rig) {
					u := r.hello("")
					require.Equal(t, 400, u.send(fmt.Sprintf(where, text)).Status)
					s, w := r.greet()
					s.Send(w.fill(fmt.Sprintf(where, text)))
					require.EqualValues(t, 1007, s.Next(time.Second).Close)
					w.revives()
					u.lives()
					r.unharmed(2)
				})
			})
		}
	}
	for _, value := range []string{`"\ud800"`, `"\u0000"`, `"\udc00\ud800"`, "\"\u2028\u202e\ufeff\"", `{"\ud800":"\u0000"}`} {
		t.Run(value, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello("").subscribe("/a")
				require.Contains(t, u.publish("/a", value).Body, `"data":`+value)
				r.unharmed(1)
			})
		})
	}
}

// Fields of the wrong type fail their message, not the batch (WIRE 16 on
// [R-MSG-11]).
func TestHostileFields(t *testing.T) {
	for body, want := range map[string]string{
		`{"channel":5,"clientId":"$"}`:                                                  "400::channel",
		`{"channel":{"a":1},"clientId":"$"}`:                                            "400::channel",
		`{"channel":"/a","clientId":7}`:                                                 "400::clientId",
		`{"channel":"/a","clientId":["$"]}`:                                             "400::clientId",
		`{"channel":"/a","clientId":"$","id":{"a":1}}`:                                  "405::message_id_invalid",
		`{"channel":"/a","clientId":"$","id":"a b"}`:                                    "405::message_id_invalid",
		`{"channel":"/a","clientId":"$","ext":5}`:                                       "400::ext",
		`{"channel":"/meta/connect","clientId":"$","advice":5}`:                         "400::advice",
		`{"channel":"/meta/connect","clientId":"$","advice":{"timeout":"x"}}`:           "400::advice",
		`{"channel":"/meta/subscribe","clientId":"$"}`:                                  "403::subscription_missing",
		`{"channel":"/meta/subscribe","clientId":"$","subscription":5}`:                 "403::subscription_invalid",
		`{"channel":"/meta/subscribe","clientId":"$","subscription":[]}`:                "403::subscription_invalid",
		`{"channel":"/meta/subscribe","clientId":"$","subscription":[["/a"]]}`:          "403::subscription_invalid",
		`{"channel":"/meta/subscribe","clientId":"$","subscription":["/a","b"]}`:        "403::subscription_invalid",
		`{"channel":"/meta/subscribe","clientId":"$","subscription":"/meta/connect"}`:   "403:denied_by_security_policy:subscribe_denied",
		`{"channel":"/meta/subscribe","clientId":"$","subscription":"/meta/**"}`:        "403:denied_by_security_policy:create_denied",
		`{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/meta/connect"}`: "403::unsubscribe_failed",
		`{"clientId":"$"}`:                                                  "400::channel_missing",
		`{"channel":"","clientId":"$"}`:                                     "405::channel_invalid",
		`{"channel":"a","clientId":"$"}`:                                    "405::channel_invalid",
		`{"channel":"//a","clientId":"$"}`:                                  "405::channel_invalid",
		`{"channel":"/a//b","clientId":"$"}`:                                "405::channel_invalid",
		`{"channel":"/a?b","clientId":"$"}`:                                 "405::channel_invalid",
		`{"channel":"/a/**/b","clientId":"$"}`:                              "405::channel_invalid",
		`{"channel":"/meta/subscribe/x","clientId":"$"}`:                    "403:denied_by_security_policy:channel_create_denied",
		`{"channel":"/meta/connectx","clientId":"$"}`:                       "403:denied_by_security_policy:channel_create_denied",
		`{"channel":"/meta/x","clientId":"$"}`:                              "403:denied_by_security_policy:channel_create_denied",
		`{"channel":"/meta/*","clientId":"$"}`:                              "403:denied_by_security_policy:channel_create_denied",
		`{"channel":"/meta/**","clientId":"$"}`:                             "403:denied_by_security_policy:channel_create_denied",
		`{"channel":"/meta","clientId":"$"}`:                                "",
		`{"channel":"/META/connect","clientId":"$"}`:                        "",
		`{"channel":"/Meta/handshake","clientId":"$"}`:                      "",
		`{"channel":"/meta/connect/","clientId":"$"}`:                       "403:denied_by_security_policy:publish_denied",
		`{"channel":"/meta//connect","clientId":"$"}`:                       "405::channel_invalid",
		`{"channel":"/m\u0435ta/connect","clientId":"$"}`:                   "405::channel_invalid", // a Cyrillic e
		`{"channel":"/meta/connect\u0000","clientId":"$"}`:                  "405::channel_invalid",
		`{"channel":"/a","clientId":"nobody"}`:                              "402::session_unknown",
		`{"channel":"/a"}`:                                                  "402::session_unknown",
		`{"channel":"/a","clientId":"$$"}`:                                  "402::session_unknown",
		`{"channel":"/a","clientId":"$\u0000"}`:                             "402::session_unknown",
		`{"channel":"/a","clientId":"` + strings.Repeat("9", 50_000) + `"}`: "402::session_unknown",
	} {
		t.Run(body[:min(len(body), 80)], func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello("").connect()
				reply := u.send("[" + body + `,{"channel":"/after","clientId":"$"}]`)
				require.Equal(t, 200, reply.Status, reply.Body)
				require.Len(t, reply.Messages, 2)
				require.Equal(t, want, text(reply.Messages[0]["error"]), reply.Body)
				require.Equal(t, want == "", reply.Messages[0]["successful"])
				require.False(t, r.srv.HasChannel("/meta/subscribe/x"))
				u.lives()
				r.unharmed(1)
			})
		})
	}
}

// A session is its client's alone: forged ids, cookies of others, two cookies
// ([R-ID-1], [R-ID-2], [R-ID-3], [R-ID-7]).
func TestForgedIdentity(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		alice, mallory := r.hello("").connect().subscribe("/a"), r.hello("").connect()
		_, value, _ := strings.Cut(alice.cookie, "=")
		const unknown = "402::session_unknown"
		for name, cookie := range map[string]string{
			"none": "", "another's": mallory.cookie, "empty": "BAYEUX_BROWSER=",
			"prefix": alice.cookie[:len(alice.cookie)-1], "longer": alice.cookie + "0",
			"case": "BAYEUX_BROWSER=" + strings.ToUpper(value), "other name": "bayeux_browser=" + value,
			"two, the first wrong": mallory.cookie + "; " + alice.cookie,
			"forged, then right":   "BAYEUX_BROWSER=x; " + alice.cookie,
			"huge":                 "BAYEUX_BROWSER=" + strings.Repeat("x", 5000),
			"hostile":              "BAYEUX_BROWSER=\"a\\\";b\"",
		} {
			for _, body := range []string{
				`[{"channel":"/a","clientId":"$","data":"stolen"}]`, connectNow,
				`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/b"}]`,
				`[{"channel":"/meta/disconnect","clientId":"$"}]`,
			} {
				reply := r.Post(cookie, alice.fill(body))
				require.Equal(t, 200, reply.Status, name)
				require.Equal(t, unknown, reply.Messages[0]["error"], name)
				require.Len(t, reply.Messages, 1, name)
			}
		}
		// Under her own session mallory says alice's id.
		reply := mallory.send(`[{"channel":"/a","clientId":"$","data":1},{"channel":"/a","clientId":"` + alice.id + `","data":"stolen"}]`)
		require.Equal(t, unknown, reply.Messages[1]["error"])
		// Over a socket that has a session.
		s, _ := r.greet()
		s.Send(alice.fill(connectNow))
		require.Equal(t, unknown, s.Next(time.Second).Messages[0]["error"])
		s.Cut()
		got := alice.send(connectNow)
		require.Equal(t, 1, data(got), got.Body)
		require.NotContains(t, got.Body, "stolen")
		r.unharmed(3)
	})
}

// Subscriptions and channels without end are bounded, and swept when their
// sessions are gone ([R-SB-13]).
func TestSubscriptionsWithoutEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("")
		refusals := 0
		for i := range 30 {
			var list []string
			for j := range 500 {
				list = append(list, fmt.Sprintf(`"/x/%d/%d/**"`, i, j))
			}
			reply := u.send(`[{"channel":"/meta/subscribe","clientId":"$","subscription":[` + strings.Join(list, ",") + `]}]`)
			if reply.Messages[0]["successful"] == false {
				refusals++
			}
		}
		require.Equal(t, 10, refusals)
		require.EqualValues(t, 10_000, r.stats().Subscriptions)
		u.lives()
		r.unharmed(1)
		time.Sleep(8 * time.Second)
		require.Zero(t, r.stats().Subscriptions)
		require.Zero(t, r.stats().Channels)
	})
}

// responses reads answers from a connection until it ends or falls silent.
func responses(t *testing.T, r *rig, send string) (list []string) {
	t.Helper()
	conn, err := r.Raw()
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Second)))
	go func() { _, _ = io.WriteString(conn, send) }()
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		list = append(list, fmt.Sprintf("%d %s", resp.StatusCode, body))
	}
	_ = conn.Close()
	time.Sleep(time.Second) // net/http lingers before it closes
	return list
}

// Requests whose length two readers understand differently are refused, and
// what hides in them is never processed; other shapes of HTTP/1 are served.
func TestRequestShapes(t *testing.T) {
	const head = "POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
	for _, c := range []struct {
		name, head, body string
		want             []string // the beginnings of the answers
	}{
		{"two lengths", "Content-Length: 2\r\nContent-Length: 400\r\n", "[]%s", []string{"400"}},
		{"list of lengths", "Content-Length: 2, 400\r\n", "[]%s", []string{"400"}},
		{"negative length", "Content-Length: -1\r\n", "%s", []string{"400"}},
		{"signed length", "Content-Length: +2\r\n", "[]%s", []string{"400"}},
		{"hexadecimal length", "Content-Length: 0x2\r\n", "[]%s", []string{"400"}},
		{"huge length", "Content-Length: 99999999999999999999\r\n", "%s", []string{"400"}},
		{"announced too long", "Content-Length: 999999999\r\n", "%s", []string{"413"}},
		{"unknown coding", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n%s", []string{"501"}},
		{"coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n%s", []string{"501"}},
		{"misspelt coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n%s", []string{"501"}},
		{"blank before the colon", "Content-Length : 2\r\n", "[]%s", []string{"400"}},
		{"no host", "Host: other\r\n", "%s", []string{"400"}},
		{"broken chunk size", "Transfer-Encoding: chunked\r\n", "zz\r\n[]\r\n0\r\n\r\n%s", []string{"400"}},
		{"huge chunk size", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n[]%s", []string{"400"}},
		{"chunk longer than said", "Transfer-Encoding: chunked\r\n", "2\r\n[]xx\r\n0\r\n\r\n%s", []string{"400"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello("").connect()
				hidden := u.fill(`[{"channel":"/smuggled","clientId":"$"}]`)
				hidden = fmt.Sprintf("%sCookie: %s\r\nContent-Length: %d\r\n\r\n%s", head, u.cookie, len(hidden), hidden)
				got := responses(t, r, head+c.head+"\r\n"+fmt.Sprintf(c.body, hidden))
				require.Len(t, got, len(c.want), got)
				for i, want := range c.want {
					require.True(t, strings.HasPrefix(got[i], want), got)
				}
				require.False(t, r.srv.HasChannel("/smuggled"))
				u.lives()
				r.unharmed(1)
			})
		})
	}
}

// A length next to chunks: net/http goes by the chunks, as RFC 9112 wants it, and
// hides the length from handlers. What a reader by length would take for the
// rest of the body is a request of its own, with nobody else's identity.
func TestLengthNextToChunks(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		hidden := u.fill(`[{"channel":"/smuggled","clientId":"$"}]`)
		got := responses(t, r, fmt.Sprintf("POST /cometd HTTP/1.1\r\nHost: h\r\nCookie: %s\r\nContent-Length: 9\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\nPOST /cometd HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s",
			u.cookie, len(hidden), hidden))
		require.Len(t, got, 2)
		require.Equal(t, "200 []", got[0])
		require.Contains(t, got[1], "402::session_unknown")
		require.False(t, r.srv.HasChannel("/smuggled"))
		time.Sleep(time.Second) // the session expires
		r.unharmed(0)
	})
}

// [R-HT-12], [R-CN-26].
func TestOlderHTTPAndPipelining(t *testing.T) {
	post := func(u *user, version, more, body string) string {
		body = u.fill(body)
		return fmt.Sprintf("POST /cometd HTTP/%s\r\nHost: h\r\nCookie: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
			version, u.cookie, more, len(body), body)
	}
	const publish = `[{"channel":"/a","clientId":"$","id":"%d"}]`
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		one, two := post(u, "1.0", "", fmt.Sprintf(publish, 1)), post(u, "1.0", "", fmt.Sprintf(publish, 2))
		require.Equal(t, []string{`200 [{"channel":"/a","id":"1","successful":true}]`}, responses(t, r, one+two), "the connection closes")
		keep := "Connection: keep-alive\r\n"
		require.Len(t, responses(t, r, post(u, "1.0", keep, fmt.Sprintf(publish, 1))+two), 2)
		// The second is processed when the first, a held connect, is answered.
		start := time.Now()
		got := responses(t, r, post(u, "1.1", "", strings.Replace(connectHold, `}]`, `,"advice":{"timeout":1000}}]`, 1))+
			post(u, "1.1", "", fmt.Sprintf(publish, 3)))
		require.Len(t, got, 2)
		require.Contains(t, got[0], `/meta/connect`)
		require.Equal(t, `200 [{"channel":"/a","id":"3","successful":true}]`, got[1])
		require.GreaterOrEqual(t, time.Since(start), time.Second)
		u.lives()
		r.unharmed(1)
	})
}

// Many at once do all of it; a good client among them notices nothing.
func TestHostileCrowd(t *testing.T) {
	bubble(t, func(c *server.Config) { c.Limits.Messages.Batch = 50 }, func(t *testing.T, r *rig) {
		good := r.hello("").connect().subscribe("/a")
		bodies := []string{
			`[{"channel":"/meta/handshake"}]`, `[`, strings.Repeat("[", 1000), padded(2_000_000),
			`[{"channel":"/meta/connect","clientId":"` + good.id + `"}]`,
			"[" + strings.Repeat(`{"channel":"/a"},`, 60) + `{}]`, "\xff", "",
		}
		var crowd []<-chan *testkit.Reply
		for i := range 300 {
			crowd = append(crowd, r.Go(testkit.Request{Body: bodies[i%len(bodies)]}))
		}
		for i := range 20 {
			require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
			got := good.send(connectHold)
			require.Equal(t, 1, data(got))
			require.Zero(t, got.Took)
		}
		for _, reply := range crowd {
			<-reply
		}
		good.send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
		time.Sleep(5 * time.Second)
		r.unharmed(0)
	})
}
