package server_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// Who is told of slow consumers: listeners and the log.

// A listener hears of a full queue before the policy acts, once until the queue
// was half empty; it may choose for this session, or fail.
func TestOnQueueMaxed(t *testing.T) {
	bubble(t, option("maxQueue", "4"), func(t *testing.T, r *rig) {
		var mu sync.Mutex
		var heard []server.QueueMaxed
		remove := r.srv.OnQueueMaxed(func(ctx context.Context, q server.QueueMaxed) {
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			b, ok := q.Session.(bayeux.Backlog)
			require.True(t, ok)
			b.SetSlowConsumer(bayeux.SlowDropOldest)
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, q)
		})
		broken := r.srv.OnQueueMaxed(func(context.Context, server.QueueMaxed) { panic("listener") })
		defer broken()
		u := r.hello("").connect().subscribe("/a")
		fill := func(n int) {
			for i := range n {
				require.NoError(t, r.srv.Publish(t.Context(), "/a", i))
			}
		}
		fill(10)
		require.Len(t, heard, 1)
		require.Equal(t, u.id, heard[0].Session.ID())
		require.Equal(t, "maxQueue", heard[0].Limit)
		require.EqualValues(t, 4, heard[0].Max)
		require.Equal(t, "/a", heard[0].Channel)
		require.Equal(t, bayeux.SlowDisconnect, heard[0].Policy)
		require.Len(t, u.inbox(), 4)
		synctest.Wait()
		fill(10)
		require.Len(t, heard, 2)
		remove()
		u.inbox()
		synctest.Wait()
		fill(10)
		require.Len(t, heard, 2)
		require.True(t, wireAlive(u))

		// More room for the session: what fills that is news too.
		u.inbox()
		synctest.Wait()
		more := r.srv.OnQueueMaxed(func(_ context.Context, q server.QueueMaxed) {
			q.Session.(bayeux.Backlog).SetMaxQueue(int(2*q.Max), 0)
			heard = append(heard, q)
		})
		fill(9)
		require.Len(t, heard, 4)
		require.EqualValues(t, 8, heard[3].Max)
		require.Len(t, u.inbox(), 9)
		more()

		ender := r.srv.OnQueueMaxed(func(ctx context.Context, q server.QueueMaxed) { _ = q.Session.Disconnect(ctx) })
		defer ender()
		v := r.hello("").connect().subscribe("/b")
		for i := range 5 {
			require.NoError(t, r.srv.Publish(t.Context(), "/b", i))
		}
		require.False(t, wireAlive(v))
		require.EqualValues(t, 1, r.stats().Ended["server"])
	})
}

// The log says which session, policy and limit, at most once a second, and no
// payload.
func TestSlowConsumerLog(t *testing.T) {
	var out bytes.Buffer
	bubble(t, func(c *server.Config) {
		c.Logger = zerolog.New(&out)
		c.Options["maxQueue"], c.Options["slowConsumer"] = "2", "drop-oldest"
	}, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		burst := func() (lines []string) {
			out.Reset()
			for range 100 {
				require.NoError(t, r.srv.Publish(t.Context(), "/a", "secret"))
			}
			require.NotContains(t, out.String(), "secret")
			for line := range strings.Lines(out.String()) {
				lines = append(lines, line)
			}
			return lines
		}
		lines := burst()
		require.Len(t, lines, 1)
		same(t, fmt.Sprintf(`{"level":"warn","reason":"slow_consumer","session":%q,"policy":"drop-oldest","limit":"maxQueue","max":2,"count":1,
			"message":"queue limit reached; messages are dropped"}`, u.id), lines[0])
		require.Empty(t, burst())
		time.Sleep(time.Second)
		lines = burst()
		require.Len(t, lines, 1)
		require.Contains(t, lines[0], `"count":198`)
	})
}
