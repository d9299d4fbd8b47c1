package server_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// CASES 157: 25,000 idle sessions expire with one sweep; each is told of, and
// nothing is left of them, under their users either ([R-EX-1], [R-EX-5]).
func TestManyExpireAtOnce(t *testing.T) {
	const many = 25_000
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		wireSession(u).(bayeux.Identity).SetUser("user0")
		snapshot, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		require.NoError(t, r.srv.Remove(u.id))
		for i := range many {
			one := *snapshot
			one.ID, one.User = fmt.Sprintf("session%d", i), fmt.Sprintf("user%d", i%1000)
			require.NoError(t, r.srv.Restore(&one))
		}
		require.Len(t, r.srv.Users(), 1000)
		require.Len(t, r.srv.SessionsOf("user7"), many/1000)
		require.Equal(t, many, r.srv.Subscribers("/a"))
		var ends atomic.Int64
		r.srv.OnSession(nil, func(bayeux.Session, string) { ends.Add(1) })
		time.Sleep(2900 * time.Millisecond)
		require.Len(t, r.srv.Sessions(), many)
		time.Sleep(700 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, many, ends.Load())
		require.Empty(t, r.srv.Sessions())
		require.Empty(t, r.srv.Users())
		st := r.stats()
		require.EqualValues(t, many, st.Ended["expired"])
		require.Zero(t, st.Subscriptions)
		require.Zero(t, st.QueuedBytes)
	})
}
