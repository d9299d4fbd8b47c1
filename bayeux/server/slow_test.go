package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/internal/testkit"
)

// stalled is a subscriber of /s/* that does not fetch its messages, whichever
// way.
type stalled struct {
	*user
	conn net.Conn // of a socket that is not read
	ack  int
}

// stall makes one. Over a socket the kernel's buffers are full at once: the
// first message is stuck in a write.
func (r *rig) stall(how string) *stalled {
	r.t.Helper()
	ext := ""
	if strings.HasPrefix(how, "ack ") {
		ext = `"ext":{"ack":true}`
	}
	if strings.HasSuffix(how, "poll") {
		s := &stalled{user: r.hello(ext)}
		s.send(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0},"ext":{"ack":0}}]`)
		s.ack = 1
		s.subscribe("/s/*")
		return s
	}
	conn := r.open()
	s := &stalled{user: &user{r: r}, conn: conn}
	s.write(`[{"channel":"/meta/handshake"` + join(ext) + `}]`)
	s.id = text(s.read()[0]["clientId"])
	s.write(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0},"ext":{"ack":0}}]`)
	s.read()
	s.write(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/s/*"}]`)
	s.read()
	s.write(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":1}}]`)
	s.ack = 1
	synctest.Wait()
	return s
}

func (s *stalled) write(body string) {
	s.r.t.Helper()
	require.NoError(s.r.t, wsutil.WriteClientText(s.conn, []byte(s.fill(body))))
}

func (s *stalled) read() (batch []testkit.Msg) {
	s.r.t.Helper()
	data, _, err := wsutil.ReadServerData(s.conn)
	require.NoError(s.r.t, err)
	require.NoError(s.r.t, json.Unmarshal(data, &batch))
	return batch
}

// fetch gets what is left for it, until n messages came, and checks that batch
// numbers have no gap [R-ACK-3].
func (s *stalled) fetch(ack bool, n int) (got []string) {
	s.r.t.Helper()
	for len(got) < n {
		var batch []testkit.Msg
		connect := fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0},"ext":{"ack":%d}}]`, s.ack)
		if s.conn == nil {
			batch = s.send(connect).Messages
		} else {
			batch = s.read()
		}
		for _, m := range batch {
			switch {
			case m["data"] != nil:
				got = append(got, fmt.Sprint(m["data"]))
			case ack && m["channel"] == "/meta/connect":
				s.ack++
				same(s.r.t, fmt.Sprintf(`{"ack":%d}`, s.ack), m["ext"])
				if s.conn != nil && len(got) < n {
					s.write(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":%d}}]`, s.ack))
				}
			}
		}
	}
	return got
}

// A client that does not poll and one whose socket is full are the same: a
// policy says what they get once they fetch again. What a carrier has taken
// leaves all the same, and retained delivery counts its batches without a gap
// ([R-DL-8] by WIRE 16, [R-WS-24], case 91, case 133).
func TestSlowConsumerPolicies(t *testing.T) {
	limits := map[string][]string{"maxQueue": {"maxQueue", "4"}, "maxQueueBytes": {"maxQueueBytes", "110"}}
	for _, c := range []struct {
		policy         string
		poll, socket   string // what they fetch in the end
		action         string
		polled, pushed uint64 // how many went
	}{
		{"drop-oldest", "6 7 8 9", "0 7 8 9", "dropped", 6, 6},
		{"drop-newest", "0 1 2 3", "0 1 2 3", "dropped", 6, 6},
		{"conflate", "8 9", "0 9 8", "replaced", 8, 7},
	} {
		for limit, options := range limits {
			for _, how := range []string{"poll", "socket", "ack poll", "ack socket"} {
				t.Run(c.policy+", "+limit+", "+how, func(t *testing.T) {
					change := option(append(options, "slowConsumer", c.policy)...)
					bubble(t, change, func(t *testing.T, r *rig) {
						s := r.stall(how)
						for i := range 10 { // 27 bytes each
							require.NoError(t, r.srv.Publish(t.Context(), fmt.Sprintf("/s/%c", 'a'+i%2), i))
							synctest.Wait()
						}
						want, count := c.poll, c.polled
						if s.conn != nil {
							defer func() { _ = s.conn.Close() }()
							want, count = c.socket, c.pushed
						}
						require.Equal(t, []server.SlowCount{{Policy: c.policy, Limit: limit, Action: c.action, Count: count}}, r.stats().Slow)
						got := s.fetch(strings.HasPrefix(how, "ack"), len(strings.Fields(want)))
						require.Equal(t, want, strings.Join(got, " "))
						require.Len(t, r.srv.Sessions(), 1)
						if s.conn == nil { // all is acknowledged
							s.send(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0},"ext":{"ack":%d}}]`, s.ack))
							require.Zero(t, r.stats().QueuedBytes)
						}
					})
				})
			}
		}
	}
}

// The default ends the session, however it is stalled.
func TestSlowConsumerDisconnect(t *testing.T) {
	for _, how := range []string{"poll", "socket", "ack poll", "ack socket"} {
		for limit, value := range map[string]string{"maxQueue": "4", "maxQueueBytes": "110"} {
			t.Run(how+", "+limit, func(t *testing.T) {
				bubble(t, option(limit, value), func(t *testing.T, r *rig) {
					s := r.stall(how)
					if s.conn != nil {
						defer func() { _ = s.conn.Close() }()
					}
					for i := range 5 {
						require.Len(t, r.srv.Sessions(), 1)
						require.NoError(t, r.srv.Publish(t.Context(), "/s/a", i))
						synctest.Wait()
					}
					require.Empty(t, r.srv.Sessions())
					require.Equal(t, []server.SlowCount{{Policy: "disconnect", Limit: limit, Action: "ended", Count: 1}}, r.stats().Slow)
					require.Zero(t, r.stats().QueuedBytes)
				})
			})
		}
	}
}

// Whatever the policy, a reader that has stopped costs its bound and no more,
// and the others have everything in order ([R-WS-24], case 133).
func TestSlowConsumerMemory(t *testing.T) {
	const bound, size = 200 << 10, 20 << 10
	for _, policy := range bayeux.SlowConsumerNames() {
		t.Run(policy, func(t *testing.T) {
			bubble(t, option("maxQueueBytes", fmt.Sprint(bound), "slowConsumer", policy), func(t *testing.T, r *rig) {
				deaf, away := r.stall("socket"), r.stall("poll")
				defer func() { _ = deaf.conn.Close() }()
				other, u := r.greet()
				other.Send(u.fill(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/s/*"}]`))
				other.Next(time.Second)
				pad := strings.Repeat("x", size)
				for i := range 100 {
					require.NoError(t, r.srv.Publish(t.Context(), fmt.Sprintf("/s/%d", i%30), fmt.Sprint(i, pad)))
					require.True(t, strings.HasPrefix(text(other.Next(time.Second).Messages[0]["data"]), fmt.Sprint(i)+pad[:1]))
					require.LessOrEqual(t, r.stats().QueuedBytes, int64(2*bound))
					for _, s := range r.srv.Sessions() {
						b, ok := s.(bayeux.Backlog)
						require.True(t, ok)
						_, queued := b.Queued()
						require.LessOrEqual(t, queued, int64(bound))
					}
				}
				_, lives := r.srv.Session(away.id)
				require.Equal(t, policy != "disconnect", lives)
				require.NotEmpty(t, r.stats().Slow)
				require.Equal(t, policy, r.stats().Slow[0].Policy)
			})
		})
	}
}

// What a channel says goes before the option, what a session says before both;
// the narrowest channel decides.
func TestSlowConsumerChoice(t *testing.T) {
	bubble(t, option("maxQueue", "2", "slowConsumer", "drop-newest"), func(t *testing.T, r *rig) {
		require.NoError(t, r.srv.Configure("/**", server.ChannelOptions{SlowConsumer: bayeux.SlowDisconnect}))
		require.NoError(t, r.srv.Configure("/s/*", server.ChannelOptions{SlowConsumer: bayeux.SlowConflate}))
		require.NoError(t, r.srv.Configure("/s/log", server.ChannelOptions{SlowConsumer: bayeux.SlowDropOldest}))
		require.Error(t, r.srv.Configure("/s", server.ChannelOptions{SlowConsumer: 99}))
		wrong := func(_ context.Context, _ channels.Name, o *server.ChannelOptions) error {
			o.SlowConsumer = 99
			return nil
		}
		_, err := r.srv.CreateChannel("/wrong", wrong)
		require.ErrorContains(t, err, "SlowConsumer(99)")
		require.False(t, r.srv.HasChannel("/wrong"))
		publish := func(ch string, data any) { require.NoError(t, r.srv.Publish(t.Context(), ch, data)) }
		inbox := func(u *user) (all []string) {
			for _, m := range u.inbox() {
				all = append(all, fmt.Sprint(m["data"]))
			}
			synctest.Wait() // the lease has ended
			return all
		}

		u := r.hello("").connect().subscribe("/s/*")
		for i := range 4 {
			publish("/s/price", i)
		}
		require.Equal(t, []string{"3"}, inbox(u))
		for i := range 4 {
			publish("/s/log", i)
		}
		require.Equal(t, []string{"2", "3"}, inbox(u))

		b, ok := wireSession(u).(bayeux.Backlog)
		require.True(t, ok)
		b.SetSlowConsumer(bayeux.SlowDropNewest)
		b.SetMaxQueue(3, 0)
		for i := range 5 {
			publish("/s/log", i)
		}
		n, _ := b.Queued()
		require.Equal(t, 3, n)
		require.Equal(t, []string{"0", "1", "2"}, inbox(u))
		b.SetSlowConsumer(99) // as if unset
		for i := range 5 {
			publish("/s/log", i)
		}
		require.Equal(t, []string{"2", "3", "4"}, inbox(u))

		// A message for one session alone goes by the option, and conflation
		// never touches service channels.
		b.SetSlowConsumer(bayeux.SlowConflate)
		for i := range 5 {
			require.NoError(t, wireSession(u).Deliver(t.Context(), "/service/x", i))
		}
		require.Equal(t, []string{"2", "3", "4"}, inbox(u))

		v := r.hello("").connect().subscribe("/chat")
		for i := range 3 {
			publish("/chat", i)
		}
		require.False(t, wireAlive(v))
		require.True(t, wireAlive(u))
	})
}

// A client that polls and never acknowledges fills its queue with what it was
// promised. No policy drops that: new messages go, or the session by disconnect
// ([R-ACK-6], [R-DL-8] by WIRE 16).
func TestSlowConsumerNeverAcknowledges(t *testing.T) {
	for _, limit := range [][]string{{"maxQueue", "4"}, {"maxQueueBytes", "110"}} {
		for _, policy := range bayeux.SlowConsumerNames() {
			t.Run(policy+", "+limit[0], func(t *testing.T) {
				bubble(t, option(append(limit, "slowConsumer", policy)...), func(t *testing.T, r *rig) {
					s := r.stall("ack poll")
					publish := func(from, to int) {
						for i := from; i < to; i++ { // 27 bytes each
							require.NoError(t, r.srv.Publish(t.Context(), "/s/a", i))
						}
					}
					poll := func(ack int) (data string, batch any) {
						reply := s.send(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0},"ext":{"ack":%d}}]`, ack))
						ext, _ := reply.Messages[len(reply.Messages)-1]["ext"].(map[string]any)
						return walkData(reply.Messages), ext["ack"]
					}
					for i := range 4 { // each is promised before the next comes
						publish(i, i+1)
						data, batch := poll(1)
						require.Equal(t, strings.Join(strings.Fields("0 1 2 3")[:i+1], " "), data)
						require.EqualValues(t, i+2, batch)
						synctest.Wait()
					}
					publish(4, 7)
					if policy == "disconnect" {
						require.Empty(t, r.srv.Sessions())
						require.Equal(t, []server.SlowCount{{Policy: policy, Limit: limit[0], Action: "ended", Count: 1}}, r.stats().Slow)
						return
					}
					require.Equal(t, []server.SlowCount{{Policy: policy, Limit: limit[0], Action: "dropped", Count: 3}}, r.stats().Slow)
					data, batch := poll(1)
					require.Equal(t, "0 1 2 3", data)
					require.EqualValues(t, 6, batch)
					publish(7, 8) // still no room
					data, batch = poll(6)
					require.Empty(t, data)
					require.EqualValues(t, 7, batch)
					publish(8, 9)
					data, batch = poll(7)
					require.Equal(t, "8", data)
					require.EqualValues(t, 8, batch)
				})
			})
		}
	}
}

// Publishers that overfill a queue at the same time end its session once, and
// it counts once.
func TestSlowConsumerEndsOnce(t *testing.T) {
	bubble(t, option("maxQueue", "2"), func(t *testing.T, r *rig) {
		for range 50 {
			r.hello("").connect().subscribe("/a")
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := range 4 {
					require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
				}
			})
		}
		all.Wait()
		require.Empty(t, r.srv.Sessions())
		require.Equal(t, []server.SlowCount{{Policy: "disconnect", Limit: "maxQueue", Action: "ended", Count: 50}}, r.stats().Slow)
		require.EqualValues(t, 50, r.stats().Ended["slow_consumer"])
		require.EqualValues(t, 50, r.stats().Limits["queue"])
	})
}

// Messages that must not be lost push out those that may.
func TestSlowConsumerMixed(t *testing.T) {
	bubble(t, option("maxQueue", "3"), func(t *testing.T, r *rig) {
		require.NoError(t, r.srv.Configure("/price", server.ChannelOptions{SlowConsumer: bayeux.SlowDropOldest}))
		u := r.hello("").connect().subscribe("/price").subscribe("/chat")
		for i := range 4 {
			require.NoError(t, r.srv.Publish(t.Context(), "/price", i))
		}
		for i := range 3 {
			require.NoError(t, r.srv.Publish(t.Context(), "/chat", i))
		}
		require.True(t, wireAlive(u))
		same(t, `[{"channel":"/chat","data":0},{"channel":"/chat","data":1},{"channel":"/chat","data":2}]`, u.inbox())
		for i := range 4 {
			require.NoError(t, r.srv.Publish(t.Context(), "/chat", i))
		}
		require.False(t, wireAlive(u))
	})
}

// Conflated lazy messages keep the time of the one they replace ([R-DL-5]).
func TestSlowConsumerLazy(t *testing.T) {
	bubble(t, option("maxQueue", "1", "slowConsumer", "conflate"), func(t *testing.T, r *rig) {
		require.NoError(t, r.srv.Configure("/lazy", server.ChannelOptions{Lazy: true, LazyTimeout: 1500 * time.Millisecond}))
		u := r.hello("").connect().subscribe("/lazy")
		held := wireHold(u)
		for i := range 4 {
			require.NoError(t, r.srv.Publish(t.Context(), "/lazy", i))
			time.Sleep(300 * time.Millisecond)
		}
		got := <-held
		soon(t, 1500*time.Millisecond, got.Took)
		require.InDelta(t, 3, got.Messages[0]["data"], 0)
	})
}

// Policy and bounds that server code has set move with the session.
func TestSlowConsumerSnapshot(t *testing.T) {
	bubble(t, option("maxQueue", "10", "slowConsumer", "conflate"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		b, ok := wireSession(u).(bayeux.Backlog)
		require.True(t, ok)
		b.SetMaxQueue(2, 1000)
		for i := range 2 {
			require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
		}
		snap, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		b.SetSlowConsumer(bayeux.SlowDropOldest)
		raw, err := json.Marshal(snap)
		require.NoError(t, err)
		require.NoError(t, r.srv.Remove(u.id))
		var back server.Snapshot
		require.NoError(t, json.Unmarshal(raw, &back))
		require.NoError(t, r.srv.Restore(&back))
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 2))
		same(t, `[{"channel":"/a","data":2}]`, u.inbox()) // conflated: channel and policy came along

		b, ok = wireSession(u).(bayeux.Backlog)
		require.True(t, ok)
		b.SetSlowConsumer(bayeux.SlowDropNewest)
		snap, err = r.srv.Snapshot(u.id)
		require.NoError(t, err)
		require.Equal(t, bayeux.SlowDropNewest, snap.Slow)
		require.Equal(t, 2, snap.Bounds.Messages)
	})
}
