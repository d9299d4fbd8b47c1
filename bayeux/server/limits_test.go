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

// grows asserts that f makes a limit's counter grow.
func (r *rig) grows(limit string, f func()) {
	r.t.Helper()
	before := r.stats().Limits[limit]
	f()
	synctest.Wait()
	require.Greater(r.t, r.stats().Limits[limit], before, "limit %q is not counted", limit)
}

// lives asserts that a session still publishes.
func (u *user) lives() {
	u.r.t.Helper()
	reply := u.publish("/alive", "1")
	require.Equal(u.r.t, 200, reply.Status, reply.Body)
	require.Equal(u.r.t, true, reply.Messages[len(reply.Messages)-1]["successful"], reply.Body)
}

// greet makes a session over a fresh WebSocket, which has sent a first connect.
func (r *rig) greet() (*testkit.Socket, *user) {
	r.t.Helper()
	s := r.Dial(nil)
	s.Send(`[{"channel":"/meta/handshake"}]`)
	u := &user{r: r, id: text(s.Next(time.Second).Messages[0]["clientId"])}
	s.Send(u.fill(connectNow))
	require.Equal(r.t, true, s.Next(time.Second).Messages[0]["successful"])
	return s, u
}

// revives asserts that the session of a lost socket goes on over a new one.
func (u *user) revives() {
	u.r.t.Helper()
	s := u.r.Dial(nil)
	s.Send(u.fill(connectNow))
	require.Equal(u.r.t, true, s.Next(time.Second).Messages[0]["successful"])
	s.Cut()
}

// raw sends bytes and returns the first answer.
func (r *rig) raw(data string) (*http.Response, string) {
	r.t.Helper()
	conn, err := r.Raw()
	require.NoError(r.t, err)
	defer func() { _ = conn.Close() }()
	go func() { _, _ = io.WriteString(conn, data) }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(r.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp, string(body)
}

// padded is a publish of about n bytes.
func padded(n int) string {
	return fmt.Sprintf(`[{"channel":"/big","clientId":"$","data":%q}]`, strings.Repeat("x", n))
}

// [R-HT-9].
func TestLimitBody(t *testing.T) {
	for name, limit := range map[string]int{"default": 1_000_000, "configured": 2_000} {
		t.Run(name, func(t *testing.T) {
			var change func(*server.Config)
			if name == "configured" {
				change = option("maxMessageSize", "2000")
			}
			bubble(t, change, func(t *testing.T, r *rig) {
				u := r.hello("")
				rest := limit - len(u.fill(padded(0)))
				require.Equal(t, 200, u.send(padded(rest)).Status)
				r.grows("maxMessageSize", func() {
					reply := u.send(padded(rest + 1))
					require.Equal(t, http.StatusRequestEntityTooLarge, reply.Status)
					require.Contains(t, reply.Body, fmt.Sprintf("maxMessageSize, which is %d bytes", limit))
				})
				r.grows("maxMessageSize", func() {
					body := u.fill(padded(rest + 1))
					resp, _ := r.raw(fmt.Sprintf("POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"+
						"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body))
					require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
				})
				u.lives()
				time.Sleep(time.Second) // net/http lingers before it closes
			})
		})
	}
}

// [R-WS-9].
func TestLimitSocketMessage(t *testing.T) {
	for name, limit := range map[string]int{"default": 64 << 10, "configured": 2_000} {
		t.Run(name, func(t *testing.T) {
			var change func(*server.Config)
			if name == "configured" {
				change = option("ws.maxMessageSize", "2000")
			}
			bubble(t, change, func(t *testing.T, r *rig) {
				s, u := r.greet()
				rest := limit - len(u.fill(padded(0)))
				s.Send(u.fill(padded(rest)))
				require.Equal(t, true, s.Next(time.Second).Messages[0]["successful"])
				r.grows("ws.maxMessageSize", func() {
					s.Send(u.fill(padded(rest + 1)))
					require.EqualValues(t, 1009, s.Next(time.Second).Close)
				})
				u.revives()
			})
		})
	}
}

// data counts the messages of a channel in a reply.
func data(reply *testkit.Reply) (n int) {
	for _, m := range reply.Messages {
		if _, ok := m["data"]; ok {
			n++
		}
	}
	return n
}

// The rest leaves at once by the next poll; a larger message goes alone. With
// the ack extension what did not fit is of the next batch ([R-ACK-6], WIRE 16).
func TestLimitResponse(t *testing.T) {
	for _, c := range []struct {
		name, option string
		size         int
		ack          bool
	}{
		{"default", "", 450_000, false},
		{"configured", "1000", 450, false},
		{"configured, with ack", "1000", 450, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var change func(*server.Config)
			if c.option != "" {
				change = option("maxResponseSize", c.option)
			}
			bubble(t, change, func(t *testing.T, r *rig) {
				more := ""
				if c.ack {
					more = `"ext":{"ack":true}`
				}
				u := r.hello(more)
				u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":0}}]`) // batch 1
				u.subscribe("/a")
				for range 5 {
					require.NoError(t, r.srv.Publish(t.Context(), "/a", strings.Repeat("x", c.size)))
				}
				require.NoError(t, r.srv.Publish(t.Context(), "/a", strings.Repeat("y", 3*c.size)))
				r.grows("maxResponseSize", func() {
					for batch, want := range []int{2, 2, 1, 1, 0} {
						timeout := ""
						if want == 0 {
							timeout = `,"advice":{"timeout":0}`
						}
						reply := u.send(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":%d}%s}]`, batch+1, timeout))
						require.Equal(t, want, data(reply))
						require.Zero(t, reply.Took, "it leaves at once")
						if last := reply.Messages[len(reply.Messages)-1]; c.ack {
							same(t, fmt.Sprintf(`{"ack":%d}`, batch+2), last["ext"])
						}
					}
				})
				u.lives()
			})
		})
	}
}

// What one batch may hold: number of messages, depth of its JSON ([R-WS-8]).
func TestLimitBatch(t *testing.T) {
	many := func(n int) string {
		return "[" + strings.Repeat(`{"channel":"/a"},`, n-1) + `{"channel":"/a"}]`
	}
	deep := func(n int) string { // the array and the message are two levels
		return `[{"channel":"/a","data":` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}]`
	}
	tight := func(c *server.Config) { c.Limits.Messages.Batch, c.Limits.Messages.Depth = 10, 5 }
	for _, c := range []struct {
		name, limit string
		change      func(*server.Config)
		good, bad   string
		code        int
	}{
		{"messages", "batch", nil, many(1000), many(1001), 1008},
		{"messages, configured", "batch", tight, many(10), many(11), 1008},
		{"depth", "depth", nil, deep(64), deep(65), 1011},
		{"depth, configured", "depth", tight, deep(5), deep(6), 1011},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, c.change, func(t *testing.T, r *rig) {
				u := r.hello("")
				require.Equal(t, 200, u.send(c.good).Status)
				r.grows(c.limit, func() { require.Equal(t, 400, u.send(c.bad).Status) })
				u.lives()
				s, w := r.greet()
				s.Send(c.good)
				require.Zero(t, s.Next(time.Second).Close)
				r.grows(c.limit, func() {
					s.Send(c.bad)
					require.EqualValues(t, c.code, s.Next(time.Second).Close)
				})
				w.revives()
			})
		})
	}
}

// [R-MSG-10].
func TestLimitChannelName(t *testing.T) {
	tight := func(c *server.Config) { c.Limits.Messages.ChannelBytes, c.Limits.Messages.ChannelSegments = 20, 3 }
	for _, c := range []struct {
		name      string
		change    func(*server.Config)
		good, bad string
	}{
		{"bytes", nil, "/" + strings.Repeat("x", 1023), "/" + strings.Repeat("x", 1024)},
		{"segments", nil, strings.Repeat("/s", 32), strings.Repeat("/s", 33)},
		{"bytes, configured", tight, "/" + strings.Repeat("x", 19), "/" + strings.Repeat("x", 20)},
		{"segments, configured", tight, "/a/b/c", "/a/b/c/d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, c.change, func(t *testing.T, r *rig) {
				u := r.hello("").subscribe(c.good)
				require.Equal(t, true, u.publish(c.good, "1").Messages[1]["successful"])
				before := r.stats().Refused["channel_invalid"]
				require.Equal(t, "405::channel_invalid", u.publish(c.bad, "1").Messages[0]["error"])
				require.Equal(t, before+1, r.stats().Refused["channel_invalid"])
				r.grows("channel", func() {
					reply := u.send(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","subscription":%q}]`, c.bad))
					require.Equal(t, "403::subscription_invalid", reply.Messages[0]["error"])
				})
				require.False(t, r.srv.HasChannel(c.bad))
				u.lives()
			})
		})
	}
}

func TestLimitSubscriptions(t *testing.T) {
	for name, c := range map[string]struct {
		limit  int
		change func(*server.Config)
	}{
		"default":    {10_000, nil},
		"configured": {3, func(c *server.Config) { c.Limits.Subscriptions = 3 }},
		"option":     {4, option("maxSubscriptions", "4")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.change, func(t *testing.T, r *rig) {
				u, other := r.hello(""), r.hello("")
				var list []string
				for i := range c.limit {
					list = append(list, fmt.Sprintf(`"/s/%d"`, i))
				}
				reply := u.send(`[{"channel":"/meta/subscribe","clientId":"$","subscription":[` + strings.Join(list, ",") + `]}]`)
				require.Equal(t, true, reply.Messages[0]["successful"])
				r.grows("subscriptions", func() {
					reply = u.send(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/more"}]`)
					require.Equal(t, "403:subscriptions_limit:subscribe_denied", reply.Messages[0]["error"])
				})
				require.EqualValues(t, c.limit, r.stats().Subscriptions)
				u.subscribe("/s/0") // no further one
				other.subscribe("/more")
				u.lives()
			})
		})
	}
}

// The echoed interval is the capped one, a hold ends at the cap ([R-CN-6],
// [R-CN-14]).
func TestLimitClientAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		timeout, interval time.Duration
		change            func(*server.Config)
	}{
		"default": {10 * time.Minute, time.Hour, nil},
		"configured": {time.Minute, 5 * time.Minute, func(c *server.Config) {
			c.Limits.ClientTimeout, c.Limits.ClientInterval = time.Minute, 5*time.Minute
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.change, func(t *testing.T, r *rig) {
				u := r.hello("").connect()
				r.grows("advice.timeout", func() {
					got := u.send(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":99999999999}}]`)
					soon(t, c.timeout, got.Took)
				})
				r.grows("advice.interval", func() {
					got := u.send(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0,"interval":99999999999}}]`)
					advice, _ := got.Messages[0]["advice"].(map[string]any)
					require.EqualValues(t, c.interval.Milliseconds(), advice["interval"])
				})
				time.Sleep(c.interval + 4*time.Second) // and the session does not live longer for it
				require.Empty(t, r.srv.Sessions())
			})
		})
	}
}
