package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// login makes the field user of a handshake the session's user.
func login(c *server.Config) {
	c.Policy = wirePolicy{handshake: func(s bayeux.Session, m *bayeux.Message) error {
		user := strings.Trim(string(m.Field("user")), `"`)
		if user == "eve" {
			return bayeux.Deny("not_you")
		}
		s.(bayeux.Identity).SetUser(user)
		return nil
	}}
}

func idsOf(sessions []bayeux.Session) []string {
	ids := make([]string, len(sessions))
	for i, s := range sessions {
		ids[i] = s.ID()
	}
	slices.Sort(ids)
	return ids
}

// The sessions of a user are found while they exist, by the user they have now.
func TestSessionsOf(t *testing.T) {
	bubble(t, login, func(t *testing.T, r *rig) {
		a1, a2, b, nobody := r.hello(`"user":"ann"`), r.hello(`"user":"ann"`), r.hello(`"user":"bob"`), r.hello("")
		require.Contains(t, r.Post("", `[{"channel":"/meta/handshake","user":"eve"}]`).Body, "403:not_you:handshake_denied")
		both := []string{a1.id, a2.id}
		slices.Sort(both)
		require.Equal(t, both, idsOf(r.srv.SessionsOf("ann")))
		require.Equal(t, []string{b.id}, idsOf(r.srv.SessionsOf("bob")))
		for _, user := range []string{"", "eve", "cy"} {
			require.Empty(t, r.srv.SessionsOf(user), user)
		}
		require.ElementsMatch(t, []string{"ann", "bob"}, r.srv.Users())

		wireSession(nobody).(bayeux.Identity).SetUser("cy")
		wireSession(a2).(bayeux.Identity).SetUser("bob")
		require.Equal(t, []string{a1.id}, idsOf(r.srv.SessionsOf("ann")))
		require.Len(t, r.srv.SessionsOf("bob"), 2)
		require.Equal(t, "cy", wireSession(nobody).User())
		wireSession(nobody).(bayeux.Identity).SetUser("")
		require.Empty(t, r.srv.SessionsOf("cy"))

		late := wireSession(a1)
		a1.send(leave)
		require.Empty(t, r.srv.SessionsOf("ann"))
		late.(bayeux.Identity).SetUser("ann") // it has ended
		require.Empty(t, r.srv.SessionsOf("ann"))
		time.Sleep(4 * time.Second)
		require.Empty(t, r.srv.Users(), "those who expire are forgotten")
	})
}

// A message for a user reaches all of his sessions, each with the changes of
// its own extensions, and nobody else.
func TestDeliverToUser(t *testing.T) {
	stamp := bayeux.Funcs{Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
		if to != nil && m.Channel == "/private" {
			m.SetField("to", bayeux.Raw(`"`+to.ID()+`"`))
		}
		return nil
	}}
	bubble(t, func(c *server.Config) {
		login(c)
		c.Extensions = append(c.Extensions, stamp)
	}, func(t *testing.T, r *rig) {
		a1, a2, b := r.hello(`"user":"ann"`).connect(), r.hello(`"user":"ann"`).connect(), r.hello(`"user":"bob"`).connect()
		n, err := r.srv.DeliverToUser(t.Context(), "ann", "/private", "psst")
		require.NoError(t, err)
		require.Equal(t, 2, n)
		for _, u := range []*user{a1, a2} {
			same(t, `[{"channel":"/private","data":"psst","to":"`+u.id+`"}]`, u.inbox())
		}
		require.Empty(t, b.inbox())
		n, err = r.srv.DeliverToUser(t.Context(), "cy", "/private", 1)
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = r.srv.DeliverToUser(t.Context(), "ann", "private", 1)
		require.Error(t, err)
		_, err = r.srv.DeliverToUser(t.Context(), "ann", "/private", func() {})
		require.Error(t, err)

		held := wireHold(a1)
		require.Equal(t, 2, r.srv.DisconnectUser(t.Context(), "ann"))
		require.Contains(t, wireAnswered(t, held).Body, `"reconnect":"none"`)
		require.Zero(t, r.srv.DisconnectUser(t.Context(), "ann"))
		require.False(t, wireAlive(a2))
		require.True(t, wireAlive(b))
	})
}

// The first session of a user that comes, and the last that goes, are told.
func TestOnUser(t *testing.T) {
	bubble(t, login, func(t *testing.T, r *rig) {
		var d diary
		r.hello(`"user":"old"`)
		remove := r.srv.OnUser(func(user string) { d.note("%s came", user) }, func(user string) { d.note("%s went", user) })
		r.srv.OnUser(nil, nil)
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, want, d.take())
		}
		a1 := r.hello(`"user":"ann"`)
		told("ann came")
		a2 := r.hello(`"user":"ann"`)
		a1.send(leave)
		told()
		a2.send(leave)
		told("ann went")
		c := r.hello("")
		told()
		wireSession(c).(bayeux.Identity).SetUser("cy")
		told("cy came")
		wireSession(c).(bayeux.Identity).SetUser("")
		told("cy went")
		time.Sleep(4 * time.Second)
		told("old went") // who was there before is only missed
		remove()
		r.hello(`"user":"dan"`)
		told()
	})
}

// A listener that does not return keeps what is told of its user waiting, for
// ExtensionTimeout, and nobody else; one that panics, nothing.
func TestListenersToUsersHarmNobody(t *testing.T) {
	bubble(t, func(c *server.Config) {
		login(c)
		c.ExtensionTimeout = 2 * time.Second
	}, func(t *testing.T, r *rig) {
		var d diary
		stop := make(chan struct{})
		r.srv.OnUser(func(user string) {
			switch user {
			case "blocks":
				<-stop
			case "panics":
				panic("a secret")
			}
		}, nil)
		r.srv.OnUser(func(user string) { d.note("%s came", user) }, func(user string) { d.note("%s went", user) })
		start := time.Now()
		for _, user := range []string{"panics", "blocks", "well"} {
			u := r.hello(`"user":"` + user + `"`)
			synctest.Wait()
			if user == "blocks" {
				u.send(leave) // and is told to have gone when the time is over
				require.Empty(t, d.take())
				continue
			}
			require.Equal(t, []string{user + " came"}, d.take())
		}
		soon(t, 0, time.Since(start))
		time.Sleep(2100 * time.Millisecond)
		require.Equal(t, []string{"blocks came", "blocks went"}, d.take())
		close(stop)
	})
}

// TestUsersUnderRaces has many goroutines begin sessions, name their users and
// end them. Each finds its own sessions at once; in the end the index is what
// the sessions say, and each user was told of in turn.
func TestUsersUnderRaces(t *testing.T) {
	srv, err := server.New(server.Config{})
	require.NoError(t, err)
	const workers, steps = 6, 400
	var mu sync.Mutex
	told := map[string][]bool{}
	note := func(is bool) func(string) {
		return func(user string) {
			mu.Lock()
			defer mu.Unlock()
			told[user] = append(told[user], is)
		}
	}
	srv.OnUser(note(true), note(false))
	left := make([]map[*server.Local]string, workers)
	var all sync.WaitGroup
	for w := range workers {
		left[w] = map[*server.Local]string{}
		all.Go(func() { useSessions(t, srv, rand.New(rand.NewPCG(uint64(w), 8)), left[w], steps) })
	}
	all.Wait()
	want := map[string][]string{}
	for _, mine := range left {
		for l, user := range mine {
			if user != "" {
				want[user] = append(want[user], l.Session().ID())
			}
		}
	}
	require.Len(t, srv.Users(), len(want))
	for user, ids := range want {
		slices.Sort(ids)
		require.Equal(t, ids, idsOf(srv.SessionsOf(user)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, srv.Shutdown(ctx)) // waits for what is being told
	for user, is := range told {
		for i, there := range is {
			require.Equal(t, i%2 == 0, there, "in turn")
		}
		require.Equal(t, len(want[user]) > 0, is[len(is)-1], "and in the end as it is")
	}
	for _, mine := range left {
		for l := range mine {
			l.Close(t.Context())
		}
	}
	require.Empty(t, srv.Users())
	require.Empty(t, srv.Sessions())
}

// However the naming of a user races with other namings and with the end, the
// index has the last name, and forgets a session that has ended.
func TestUserRacesWithEnd(t *testing.T) {
	srv, err := server.New(server.Config{})
	require.NoError(t, err)
	srv.OnUser(nil, nil)
	for i := range 300 {
		l, err := srv.NewLocal(t.Context(), nil)
		require.NoError(t, err)
		var all sync.WaitGroup
		for _, user := range []string{"ann", "bob", ""} {
			all.Go(func() { l.Session().(bayeux.Identity).SetUser(user) })
		}
		ends := i%2 == 0
		if ends {
			all.Go(func() { l.Close(context.Background()) })
		}
		all.Wait()
		if user := l.Session().User(); !ends && user != "" {
			require.Equal(t, []string{l.Session().ID()}, idsOf(srv.SessionsOf(user)))
			require.Len(t, srv.Users(), 1)
		} else {
			require.Empty(t, srv.Users())
		}
		l.Close(t.Context())
		require.Empty(t, srv.Users())
	}
	require.NoError(t, srv.Shutdown(t.Context()))
}

// useSessions plays random steps with sessions of one goroutine.
func useSessions(t *testing.T, srv *server.Server, r *rand.Rand, mine map[*server.Local]string, steps int) {
	ctx := context.Background()
	has := func(user string, l *server.Local) bool {
		return slices.ContainsFunc(srv.SessionsOf(user), func(s bayeux.Session) bool { return s.ID() == l.Session().ID() })
	}
	for range steps {
		user := []string{"", "ann", "bob", "cy"}[r.IntN(4)]
		var l *server.Local
		for l = range mine { // any
			break
		}
		switch {
		case l == nil || r.IntN(3) == 0:
			l, err := srv.NewLocal(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			mine[l] = ""
		case r.IntN(3) == 0:
			l.Close(ctx)
			assert.False(t, has(mine[l], l))
			delete(mine, l)
		default:
			l.Session().(bayeux.Identity).SetUser(user)
			assert.False(t, mine[l] != user && has(mine[l], l), "not under the user it had")
			assert.True(t, user == "" || has(user, l), fmt.Sprint("under the user it has: ", user))
			mine[l] = user
		}
	}
}
