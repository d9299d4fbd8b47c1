package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A stop waits for the client that is between two polls, so that what was
// queued before reaches it, and for no longer.
func TestShutdownFlushes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		other := r.hello("").connect()
		held := other.later(connectHold)
		r.publish("/a", "before")
		start := time.Now()
		stopped := make(chan error, 1)
		go func() { stopped <- r.srv.Shutdown(t.Context()) }()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		select {
		case <-held:
			require.Fail(t, "the held connect is answered before the queues are empty")
		default:
		}
		reply := u.send(connectHold)
		require.Equal(t, "before", reply.Messages[0]["data"], reply.Body)
		require.NoError(t, <-stopped)
		require.Less(t, time.Since(start), 300*time.Millisecond)
		require.Equal(t, true, (<-held).Messages[0]["successful"])
		require.True(t, r.srv.Draining())
	})
}

// A client that went away a moment ago delays a stop by the rest of five
// seconds, one that has been away for longer does not.
func TestShutdownGoesOnWithoutTheAway(t *testing.T) {
	for _, c := range []struct{ away, takes time.Duration }{
		{0, 5 * time.Second},
		{3 * time.Second, 2 * time.Second},
		{5 * time.Second, 0},
	} {
		bubble(t, option("maxInterval", "20000"), func(t *testing.T, r *rig) {
			r.hello("").connect().subscribe("/a")
			r.publish("/a", "late")
			time.Sleep(c.away)
			start := time.Now()
			require.NoError(t, r.srv.Shutdown(t.Context()))
			require.Equal(t, c.takes, time.Since(start), "away for %v", c.away)
		})
	}
}
