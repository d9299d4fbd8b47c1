package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// traveller is a client that polls as stock clients do: its ids are numbers, and
// after a failure it comes back in a second and asks for an answer at once.
type traveller struct {
	*user
	from  string // its address
	id    int
	retry bool
	ack   int // -1: the extension is off
}

// travel lets tests name the addresses of clients.
func travel(pairs ...string) func(*server.Config) {
	return func(c *server.Config) {
		c.Options["maxInterval"], c.Options["paths"] = "60000", "learn"
		option(pairs...)(c)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
}

func (r *rig) travel(from string, ack bool) *traveller {
	r.t.Helper()
	v := &traveller{from: from, ack: -1, user: &user{r: r}}
	more := ""
	if ack {
		v.ack, more = 0, `,"ext":{"ack":true}`
	}
	reply := v.ask(context.Background(), `[{"channel":"/meta/handshake"`+more+`}]`)
	v.user.id = text(reply.Messages[0]["clientId"])
	v.cookie, _, _ = strings.Cut(reply.Header.Get("Set-Cookie"), ";")
	v.retry = true // the first connect asks for that as well
	v.poll(0)
	return v
}

func (v *traveller) ask(ctx context.Context, body string) *testkit.Reply {
	v.r.t.Helper()
	reply, err := v.r.Do(testkit.Request{Ctx: ctx, Body: v.fill(body), Cookie: v.cookie, Header: http.Header{"X-Forwarded-For": {v.from}}})
	if err != nil {
		return nil
	}
	return reply
}

// poll sends a connect, which is cut after that time; 0: it is not. It returns nil
// where it was.
func (v *traveller) poll(cut time.Duration) *testkit.Reply {
	v.r.t.Helper()
	v.id++
	more := ""
	if v.retry {
		more += `,"advice":{"timeout":0}`
	}
	if v.ack >= 0 {
		more += fmt.Sprintf(`,"ext":{"ack":%d}`, v.ack)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if cut > 0 {
		time.AfterFunc(cut, cancel)
	}
	reply := v.ask(ctx, fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","id":"%d"%s}]`, v.id, more))
	v.retry = reply == nil
	if reply == nil {
		synctest.Wait()
		time.Sleep(time.Second)
	}
	return reply
}

// cutTwice has two polls cut at that age.
func (v *traveller) cutTwice(age time.Duration) {
	v.r.t.Helper()
	for range 2 {
		require.Nil(v.r.t, v.poll(age))
		require.NotNil(v.r.t, v.poll(0))
	}
}

// Two polls that are cut make the holds of their path shorter, and of no other.
func TestPathCut(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		direct := r.travel("192.0.2.9", false)
		v := r.travel("192.0.2.1", false)
		before := r.travel("192.0.2.1", false)
		require.Equal(t, 4*time.Second, v.poll(0).Took)
		v.cutTwice(2 * time.Second)
		require.Equal(t, 1600*time.Millisecond, v.poll(2*time.Second).Took)
		require.Equal(t, 4*time.Second, before.poll(0).Took, "who was there goes by what it has seen")
		require.Equal(t, 4*time.Second, direct.poll(0).Took)
		require.Equal(t, 1, r.stats().Paths.ShortHolds)
		require.Equal(t, 4*time.Second, before.poll(0).Took)
		require.Zero(t, r.stats().Paths.ShortHolds, "somebody has held longer, and had the answer")
		require.EqualValues(t, 2, r.stats().Paths.Learned["cut"])
	})
}

// Who comes to a path where polls have only been cut begins with what is known.
func TestPathNewcomer(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		r.travel("192.0.2.1", false).cutTwice(2 * time.Second)
		stats := r.stats().Paths
		require.Equal(t, 1, stats.Known)
		require.Equal(t, 1, stats.ShortHolds)
		require.EqualValues(t, 1, stats.Learned["ceiling_shared"])
		v := r.travel("192.0.2.1", false)
		require.Equal(t, 1600*time.Millisecond, v.poll(0).Took)
		require.Equal(t, 4*time.Second, r.travel("192.0.2.2", false).poll(0).Took)
	})
}

// Pages that are reloaded, and clients that never come back, teach nothing.
func TestPathNoise(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		v := r.travel("192.0.2.1", false)
		for range 4 {
			require.Nil(t, v.poll(2*time.Second))
			v.id = 0
			require.NotNil(t, v.poll(0))
		}
		require.Nil(t, r.travel("192.0.2.1", false).poll(2*time.Second))
		require.Nil(t, r.travel("192.0.2.1", false).poll(2*time.Second))
		require.Equal(t, 4*time.Second, v.poll(0).Took)
		require.Equal(t, 4*time.Second, r.travel("192.0.2.1", false).poll(0).Took)
		require.Zero(t, r.stats().Paths.Learned["cut"])
	})
}

// A proxy that cuts its client and leaves the server's side open is found by the
// connect that replaces the held one.
func TestPathCutUnseen(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		v := r.travel("192.0.2.1", false)
		for range 2 {
			v.id++
			held := r.Go(testkit.Request{
				Body: v.fill(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"$","id":"%d"}]`, v.id)), Cookie: v.cookie,
				Header: http.Header{"X-Forwarded-For": {v.from}},
			})
			time.Sleep(3 * time.Second) // cut after two; a stock client pauses for one
			v.retry = true
			require.NotNil(t, v.poll(0))
			require.Equal(t, 500, (<-held).Status)
		}
		require.Equal(t, 1600*time.Millisecond, v.poll(0).Took)
	})
}

// One that cuts just before a hold is over, and says nothing, is found by clients
// that come back as after a failure.
func TestPathCutAtTheEnd(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		v := r.travel("192.0.2.1", false)
		for range 3 {
			require.Equal(t, 4*time.Second, v.poll(0).Took) // cut at 3.9 s; nobody has this answer
			time.Sleep(900 * time.Millisecond)
			v.retry = true
			require.NotNil(t, v.poll(0))
		}
		require.Equal(t, 3200*time.Millisecond, v.poll(0).Took)
		require.EqualValues(t, 2, r.stats().Paths.Learned["cut"], "the first is what has the path watched")
	})
}

// Where nothing can be held clients are asked to poll, and their sessions live.
func TestPathShortPolls(t *testing.T) {
	bubble(t, travel("maxInterval", "1500"), func(t *testing.T, r *rig) {
		v := r.travel("192.0.2.1", false)
		v.cutTwice(800 * time.Millisecond)
		for _, interval := range []float64{1000, 1500, 2250, 3375, 5062} {
			reply := v.poll(0)
			require.Zero(t, reply.Took)
			advice, _ := reply.Messages[0]["advice"].(map[string]any)
			require.InDelta(t, interval, advice["interval"], 1)
			require.Equal(t, "retry", advice["reconnect"])
			time.Sleep(time.Duration(interval) * time.Millisecond)
		}
		v.subscribe("/a")
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 1))
		reply := v.poll(0)
		require.Len(t, reply.Messages, 2)
		advice, _ := reply.Messages[1]["advice"].(map[string]any)
		require.InDelta(t, 0, advice["interval"], 0, "more may follow")
		advice, _ = v.poll(0).Messages[0]["advice"].(map[string]any)
		require.InDelta(t, 1000, advice["interval"], 0)
		require.Equal(t, 1, r.stats().Paths.ShortPolls)
	})
}

// Answers that are lost for their size become smaller, and nothing is lost.
func TestPathSizes(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		v := r.travel("192.0.2.1", true)
		v.subscribe("/a")
		filler := strings.Repeat("x", 4000)
		const messages = 500
		for i := range messages {
			require.NoError(t, r.srv.Publish(t.Context(), "/a", fmt.Sprint(i, " ", filler)))
		}
		got, failed := 0, 0
		for polls := 0; got < messages; polls++ {
			require.Less(t, polls, 200)
			reply := v.poll(0)
			if len(reply.Body) > 64<<10 { // it does not arrive
				failed++
				v.retry = true
				time.Sleep(time.Second)
				continue
			}
			for _, m := range reply.Messages {
				if data, ok := m["data"].(string); ok {
					require.True(t, strings.HasPrefix(data, fmt.Sprint(got, " ")), "%.20s", data)
					got++
				}
				if ext, ok := m["ext"].(map[string]any); ok {
					n, _ := ext["ack"].(float64)
					v.ack = int(n)
				}
			}
		}
		require.Positive(t, failed)
		require.LessOrEqual(t, failed, 5)
		require.Equal(t, 1, r.stats().Paths.SmallResponses)
	})
}

// A message that does not get through by itself is given up after three tries, and
// what follows flows.
func TestPathGivesUp(t *testing.T) {
	bubble(t, travel(), func(t *testing.T, r *rig) {
		v := r.travel("192.0.2.1", true)
		v.subscribe("/a")
		require.NoError(t, r.srv.Publish(t.Context(), "/a", strings.Repeat("x", 100_000)))
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 2))
		tries := 0
		for {
			reply := v.poll(0)
			if len(reply.Body) < 64<<10 {
				require.Contains(t, reply.Body, `"data":2`)
				break
			}
			tries++
			require.LessOrEqual(t, tries, 3)
			v.retry = true
			time.Sleep(time.Second)
		}
		require.Equal(t, 3, tries)
		require.EqualValues(t, 1, r.stats().Limits["path"])
	})
}

// A WebSocket that nothing comes through is cut, and after two no more are opened.
func TestPathDeadSockets(t *testing.T) {
	bubble(t, option("paths", "learn"), func(t *testing.T, r *rig) {
		for range 2 {
			require.Contains(t, r.upgrade(""), "101") // closed at once: that is no dead one
			begin := time.Now()
			(&walker{r: r}).silent()
			require.Equal(t, 2400*time.Millisecond, time.Since(begin))
		}
		require.Contains(t, r.upgrade(""), "400")
		require.Equal(t, 1, r.stats().Paths.UpgradesRefused)
		require.EqualValues(t, 2, r.stats().Events["websocket_dead"])
		time.Sleep(time.Hour)
		require.Contains(t, r.upgrade(""), "101")
	})
}

// A session whose first WebSocket died after the handshake is not continued by
// another one: its client is to shake hands again, and finds that WebSockets are
// refused for as long as that takes.
func TestPathStrandedSession(t *testing.T) {
	bubble(t, option("paths", "learn", "maxInterval", "60000"), func(t *testing.T, r *rig) {
		conn, u := r.mute()
		begin := time.Now()
		_, err := io.Copy(io.Discard, conn)
		require.NoError(t, err)
		require.Equal(t, 2400*time.Millisecond, time.Since(begin))
		require.EqualValues(t, 1, r.stats().Events["websocket_dead"])
		sock := r.Dial(nil)
		sock.Send(u.fill(connectNow))
		reply := sock.Next(time.Second).Messages[0]
		require.Equal(t, "402::session_unknown", reply["error"])
		require.Equal(t, map[string]any{"reconnect": "handshake", "interval": 250.}, reply["advice"])
		require.EqualValues(t, 1, r.stats().Ended["stranded"])
		require.EqualValues(t, 1008, sock.Next(time.Second).Close)
		require.Contains(t, r.upgrade(""), "400")
		r.hello("").connect()
		time.Sleep(5 * time.Second)
		require.Contains(t, r.upgrade(""), "101")
	})
}

// One whose client says something, or answers a ping, is left alone.
func TestPathLivingSockets(t *testing.T) {
	bubble(t, option("timeout", "60000", "paths", "learn"), func(t *testing.T, r *rig) {
		busy, quiet := r.Dial(nil), r.Dial(nil)
		busy.Send(`[{"channel":"/meta/handshake"}]`)
		id := text(busy.Next(time.Second).Messages[0]["clientId"])
		busy.Send(`[{"channel":"/meta/connect","clientId":"` + id + `","id":"1"}]`)
		busy.Next(time.Second)
		quiet.Send(`[{"channel":"/meta/handshake"}]`)
		quiet.Next(time.Second)
		busy.Quiet(10 * time.Second)
		quiet.Quiet(10 * time.Second)
		require.Zero(t, r.stats().Events["websocket_dead"])
		require.EqualValues(t, 2, r.stats().WebSockets)
	})
}

// Sockets that are cut when nothing has come for a time get something sooner.
func TestPathIdleSockets(t *testing.T) {
	bubble(t, option("paths", "learn"), func(t *testing.T, r *rig) {
		sock := r.Dial(nil)
		sock.Send(`[{"channel":"/meta/handshake"}]`)
		clientID := text(sock.Next(time.Second).Messages[0]["clientId"])
		id := 0
		connect := func(more string) {
			id++
			sock.Send(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"%s","id":"%d"%s}]`, clientID, id, more))
		}
		connect("")
		sock.Next(time.Second)
		for range 2 {
			connect("")
			time.Sleep(2 * time.Second)
			sock.Cut()
			synctest.Wait()
			time.Sleep(time.Second)
			sock = r.Dial(nil)
			connect(`,"advice":{"timeout":0}`)
			sock.Next(time.Second)
		}
		connect("")
		begin := time.Now()
		require.Equal(t, true, sock.Next(time.Minute).Messages[0]["successful"])
		require.Equal(t, 1600*time.Millisecond, time.Since(begin))
	})
}

// Blanks keep a held poll in motion. What is told is the same.
func TestPathTrickle(t *testing.T) {
	bubble(t, travel("pathTrickle", "1500", "pathTrickleFrom", "192.0.2.0/24"), func(t *testing.T, r *rig) {
		v, w := r.travel("192.0.2.1", false), r.travel("203.0.113.1", false)
		v.subscribe("/a")
		reply := v.poll(0)
		require.Equal(t, "  [", reply.Body[:3], "in four seconds")
		require.Len(t, reply.Messages, 1)
		require.Equal(t, true, reply.Messages[0]["successful"])
		require.Empty(t, reply.Header.Get("Content-Length"))
		require.Equal(t, byte('['), w.poll(0).Body[0])
		time.AfterFunc(2500*time.Millisecond, func() { _ = r.srv.Publish(context.Background(), "/a", 1) })
		reply = v.poll(0)
		require.Equal(t, 2500*time.Millisecond, reply.Took)
		require.True(t, strings.HasPrefix(reply.Body, ` [{"channel":"/a","data":1},`), reply.Body)

		// One that is replaced when its status is out gets an empty array.
		v.id++
		held := r.Go(testkit.Request{
			Body: v.fill(`[{"channel":"/meta/connect","clientId":"$","id":"90"}]`), Cookie: v.cookie, Header: http.Header{"X-Forwarded-For": {v.from}},
		})
		time.Sleep(2 * time.Second)
		v.retry = true
		require.NotNil(t, v.poll(0))
		old := <-held
		require.Equal(t, 200, old.Status)
		require.Equal(t, " []", old.Body)

		require.Nil(t, v.poll(2500*time.Millisecond), "a client that leaves")
		require.NotNil(t, v.poll(0))
	})
}

func TestPathOptions(t *testing.T) {
	for name, values := range map[string][2]string{
		"paths": {"off", "on"}, "pathHolds": {"10s", "-1"}, "pathShortPolls": {"learn", "1"}, "pathResponses": {"65536", "many"},
		"pathUpgrades": {"off", "false"}, "pathTrickleFrom": {"10.0.0.0/8, ::1", "here"},
	} {
		require.NoError(t, server.CheckOption(name, values[0]))
		require.ErrorContains(t, server.CheckOption(name, values[1]), name)
	}
}
