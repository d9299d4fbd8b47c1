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

// A client that stays away delays a stop by a second, not more.
func TestShutdownGoesOnWithoutTheAway(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.hello("").connect().subscribe("/a")
		r.publish("/a", "late")
		start := time.Now()
		require.NoError(t, r.srv.Shutdown(t.Context()))
		require.Equal(t, time.Second, time.Since(start))
	})
}
