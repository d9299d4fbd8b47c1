package server_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// deaf is a WebSocket client that greets and then does not read any more.
func (r *rig) deaf() (net.Conn, *user) {
	r.t.Helper()
	return r.mute(connectNow, `[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`)
}

// mute is a session of a WebSocket that says nothing more by itself, after a
// handshake and these messages.
func (r *rig) mute(bodies ...string) (net.Conn, *user) {
	r.t.Helper()
	conn := r.open()
	u := &user{r: r}
	for _, body := range append([]string{`[{"channel":"/meta/handshake"}]`}, bodies...) {
		require.NoError(r.t, wsutil.WriteClientText(conn, []byte(u.fill(body))))
		reply, _, err := wsutil.ReadServerData(conn)
		require.NoError(r.t, err)
		if u.id == "" {
			_, rest, _ := strings.Cut(string(reply), `"clientId":"`)
			u.id, _, _ = strings.Cut(rest, `"`)
		}
	}
	return conn, u
}

// open opens a WebSocket that is read by hand.
func (r *rig) open() net.Conn {
	r.t.Helper()
	d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return r.Raw() }} //nolint:contextcheck // a pipe dials at once
	conn, _, _, err := d.Dial(context.Background(), "ws://memory/cometd")
	require.NoError(r.t, err)
	return conn
}

// say publishes a message of about n bytes to /a.
func (r *rig) say(n int) {
	r.t.Helper()
	require.NoError(r.t, r.srv.Publish(context.Background(), "/a", strings.Repeat("x", n)))
}

// A queue at its bound ends its session and nobody else's, whether its messages
// wait, are being written or are retained ([R-DL-8], WIRE 16).
func TestLimitQueue(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*server.Config)
		messages int
		size     int
	}{
		{"messages", nil, 10_000, 1},
		{"bytes", nil, 16, 1<<20 - 100},
		{"messages, configured", option("maxQueue", "5"), 5, 1},
		{"bytes, configured", option("maxQueueBytes", "1000"), 2, 400},
	} {
		for _, how := range []string{"waiting", "leased", "retained"} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				bubble(t, c.change, func(t *testing.T, r *rig) {
					testQueue(t, r, how, c.messages, c.size)
				})
			})
		}
	}
}

func testQueue(t *testing.T, r *rig, how string, messages, size int) {
	other := r.hello("")
	var reason atomic.Value
	r.srv.OnSession(nil, func(_ bayeux.Session, why string) { reason.Store(why) })
	var u *user
	switch how {
	case "waiting":
		u = r.hello("").subscribe("/a")
	case "leased":
		var conn net.Conn
		conn, u = r.deaf()
		defer func() { _ = conn.Close() }()
	case "retained":
		u = r.hello(`"ext":{"ack":true}`).connect().subscribe("/a")
	}
	for i := range messages {
		if r.say(size); how == "retained" && i%(messages/2+1) == 1 {
			u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":0},"advice":{"timeout":0}}]`)
		}
	}
	synctest.Wait()
	require.Len(t, r.srv.Sessions(), 2)
	r.grows("queue", func() { r.say(size) })
	require.Len(t, r.srv.Sessions(), 1)
	require.EqualValues(t, 1, r.stats().Ended["slow_consumer"])
	require.Equal(t, "slow_consumer", reason.Load())
	require.Zero(t, r.stats().QueuedBytes)
	require.Zero(t, r.stats().Subscriptions)
	other.lives()
	r.say(size) // nobody is left to receive it
	require.Zero(t, r.stats().QueuedBytes)
}

// The largest queue goes first, and only as many as are needed.
func TestLimitTotalQueue(t *testing.T) {
	limit := func(c *server.Config) { c.Limits.TotalQueueBytes = 100_000 }
	for _, how := range []string{"waiting", "leased"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, limit, func(t *testing.T, r *rig) {
				var big *user
				if how == "waiting" {
					big = r.hello("")
				} else {
					conn, u := r.deaf()
					defer func() { _ = conn.Close() }()
					big = u
				}
				others := []*user{r.hello(""), r.hello("")}
				fill := func(u *user, messages int) {
					s, ok := r.srv.Session(u.id)
					require.True(t, ok)
					for range messages {
						require.NoError(t, s.Deliver(t.Context(), "/x", strings.Repeat("x", 10_000)))
					}
				}
				fill(big, 4)
				fill(others[0], 3)
				fill(others[1], 2)
				time.Sleep(600 * time.Millisecond)
				require.Len(t, r.srv.Sessions(), 3, "90 kB are allowed")
				r.grows("totalQueue", func() {
					fill(big, 2)
					time.Sleep(1200 * time.Millisecond)
				})
				require.EqualValues(t, 1, r.stats().Ended["slow_consumer"])
				_, ok := r.srv.Session(big.id)
				require.False(t, ok)
				require.Equal(t, 3, data(others[0].send(connectNow)))
				require.Equal(t, 2, data(others[1].send(connectNow)))
			})
		})
	}
}

func TestLimitSessions(t *testing.T) {
	bubble(t, func(c *server.Config) { c.Limits.Sessions = 2 }, func(t *testing.T, r *rig) {
		u := r.hello("")
		r.hello("")
		r.grows("sessions", func() {
			reply := r.Post("", `[{"channel":"/meta/handshake"}]`)
			require.Equal(t, 429, reply.Status)
			require.Equal(t, "5", reply.Header.Get("Retry-After"))
			require.Contains(t, reply.Body, "too many sessions")
		})
		r.grows("sessions", func() {
			s := r.Dial(nil)
			s.Send(`[{"channel":"/meta/handshake"}]`)
			require.EqualValues(t, 1008, s.Next(time.Second).Close)
		})
		u.lives()
		u.send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
		r.hello("").lives() // there is room again
	})
}

// A flood of handshakes at once gets what the rate and the number of sessions
// allow, not one more; its sessions expire.
func TestFloodOfHandshakes(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"handshakes": func(c *server.Config) { c.Limits.HandshakesPerSecond = 50 },
		"sessions":   func(c *server.Config) { c.Limits.Sessions = 50 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(c *server.Config) {
				change(c)
				c.Policy = policyFuncs{handshake: func(context.Context) error {
					time.Sleep(10 * time.Millisecond) // all are under way at once
					return nil
				}}
			}, func(t *testing.T, r *rig) {
				var answers []<-chan *testkit.Reply
				for range 400 {
					answers = append(answers, r.Go(testkit.Request{Body: `[{"channel":"/meta/handshake"}]`}))
				}
				count := map[int]int{}
				for _, a := range answers {
					reply := <-a
					if count[reply.Status]++; reply.Status == 429 {
						seconds, err := strconv.Atoi(reply.Header.Get("Retry-After"))
						require.NoError(t, err)
						require.Positive(t, seconds)
					}
				}
				require.Equal(t, map[int]int{200: 50, 429: 350}, count)
				require.EqualValues(t, 350, r.stats().Limits[name])
				time.Sleep(5 * time.Second)
				require.Empty(t, r.srv.Sessions())
				r.hello("").connect().lives()
			})
		})
	}
}

// One client does not read while four times the bound of its queue is
// published. It loses its session; the others have everything, in order, and
// memory stays bounded ([R-WS-24]).
func TestSlowReader(t *testing.T) {
	const messages, size, bound, most = 512, 16 << 10, 2 << 20, 2<<20 + 64<<10
	bubble(t, option("maxQueueBytes", strconv.Itoa(bound)), func(t *testing.T, r *rig) {
		conn, _ := r.deaf()
		defer func() { _ = conn.Close() }()
		s, u := r.greet()
		s.Send(u.fill(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`))
		s.Next(time.Second)
		poll := r.hello("").connect().subscribe("/a")
		polled := 0
		for i := range messages {
			r.say(size)
			require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
			if i%4 == 0 {
				polled += data(poll.send(connectNow))
			}
			require.Len(t, s.Next(time.Second).Text, size+len(`[{"channel":"/a","data":""}]`))
			require.Equal(t, fmt.Sprintf(`[{"channel":"/a","data":%d}]`, i), s.Next(time.Second).Text)
			require.LessOrEqual(t, r.stats().QueuedBytes, int64(most))
		}
		for n := 1; n > 0; polled += n {
			n = data(poll.send(connectNow))
		}
		require.Equal(t, 2*messages, polled)
		require.EqualValues(t, 1, r.stats().Ended["slow_consumer"])
		require.Zero(t, r.stats().QueuedBytes)
		time.Sleep(time.Minute) // the write to it times out
		require.EqualValues(t, 0, r.stats().WebSockets-int64(len(r.srv.Sessions())))
	})
}

// A client whose connection is stuck comes back over a new one: it has all at
// once and in order, without waiting until the old one is given up
// ([R-WS-19]).
func TestStuckSocketMoves(t *testing.T) {
	for _, way := range []string{"socket", "polling"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, option("trustClientSession", "true"), func(t *testing.T, r *rig) {
				conn, u := r.deaf()
				defer func() { _ = conn.Close() }()
				for i := range 5 {
					require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
				}
				synctest.Wait() // the first are leased
				var got []testkit.Msg
				if way == "socket" {
					s := r.Dial(nil)
					s.Send(u.fill(connectNow))
					for len(got) < 6 {
						got = append(got, s.Next(time.Second).Messages...)
					}
					defer s.Cut()
				} else {
					got = append(u.send(connectHold).Messages, u.send(connectNow).Messages...)
				}
				var order []any
				for _, m := range got {
					if m["channel"] == "/a" {
						order = append(order, m["data"])
					}
				}
				require.Equal(t, []any{0., 1., 2., 3., 4.}, order)
			})
		})
	}
}

// Connections whose peer has vanished are closed after a while, whether it
// still reads or not; sessions end as their time comes ([R-WS-17], [R-WS-18]).
func TestHalfOpen(t *testing.T) {
	for name, idle := range map[string]time.Duration{"default": 30 * time.Second, "configured": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			var change func(*server.Config)
			if name == "configured" {
				change = option("ws.idleTimeout", "5000")
			}
			bubble(t, change, func(t *testing.T, r *rig) {
				conn, _ := r.deaf()
				defer func() { _ = conn.Close() }()
				s, _ := r.greet()
				start := time.Now()
				f := s.Next(time.Hour)
				require.EqualValues(t, 1001, f.Close)
				soon(t, idle, f.At.Sub(start))
				time.Sleep(time.Minute)
				require.EqualValues(t, 2, r.stats().Events["websocket_closed_1001"])
				require.Zero(t, r.stats().WebSockets)
				require.Empty(t, r.srv.Sessions())
			})
		})
	}
	bubble(t, nil, func(t *testing.T, r *rig) { // a connection that says nothing, one that stops in a header
		silent, err := r.Raw()
		require.NoError(t, err)
		half, err := r.Raw()
		require.NoError(t, err)
		_, err = half.Write([]byte("POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Le"))
		require.NoError(t, err)
		r.hello("").connect().lives()
		_, _ = silent.Close(), half.Close()
	})
}
