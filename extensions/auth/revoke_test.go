package auth_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/auth"
)

func (r *rig) revoke(target auth.Target, want int) {
	r.t.Helper()
	n, err := r.guard.Revoke(r.t.Context(), target)
	require.NoError(r.t, err)
	require.Equal(r.t, want, n)
}

// A revocation ends sessions at once wherever they are: with a connect held, and
// idle; what they send later is answered alike.
func TestRevoke(t *testing.T) {
	for _, transport := range transports() {
		t.Run(transport, func(t *testing.T) {
			bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
				held, idle, other := r.join(transport, mint(t, nil)).subscribe("/a"), r.join(transport, mint(t, nil)), r.join(transport, mint(t, claims{"sub": "bob"}))
				reply := held.start(meta+"connect", "")
				time.Sleep(time.Second)
				before := time.Now()
				r.revoke(auth.Target{User: "alice"}, 2)
				m := <-reply
				require.Equal(t, before, time.Now())
				require.Equal(t, "401::session_revoked", m["error"])
				sameJSON(t, `{"reconnect":"none"}`, m["advice"])
				for _, c := range []*client{held, idle} {
					for _, ch := range []string{meta + "connect", meta + "subscribe", meta + "disconnect", "/a", channel} {
						m := c.bad(ch, `"subscription":"/x",`+refresh(mint(t, nil)), "401::session_revoked")
						require.Equal(t, ch == meta+"connect", m["advice"] != nil, ch)
					}
					c.empty()
				}
				other.good(meta+"connect", `"advice":{"timeout":0}`)
				require.Equal(t, []string{"bob"}, r.srv.Users())
				require.EqualValues(t, 2, r.guard.Stats().Ended["revoked"])
				require.Equal(t, "401::token_invalid", held.ask(meta+"handshake", withToken(mint(t, nil)))["error"], "issued in the same second")
			})
		})
	}
}

// What is refused after a revocation, and until when.
func TestRevoked(t *testing.T) {
	bubble(t, auth.Config{RefreshesPerMinute: 1000}, nil, func(t *testing.T, r *rig) {
		start := time.Now()
		try := func(c claims) any {
			return r.client("long-polling", nil).ask(meta+"handshake", withToken(mint(t, c)))["error"]
		}
		token := claims{"jti": "t1", "exp": start.Add(20 * time.Hour).Unix(), "iat": start.Unix()}
		one, two := r.join("websocket", mint(t, token)), r.join("websocket", mint(t, nil))
		r.revoke(auth.Target{Token: "t1"}, 1)
		one.bad(meta+"connect", "", "401::session_revoked")
		two.bad(channel, refresh(mint(t, token)), "401::token_invalid")
		two.good(channel, refresh(mint(t, nil)))
		require.Equal(t, "401::token_invalid", try(token))
		require.Nil(t, try(claims{"jti": "t2"}))

		r.revoke(auth.Target{Session: two.id}, 1)
		r.revoke(auth.Target{Session: two.id}, 0)
		r.revoke(auth.Target{Session: "nobody"}, 0)
		require.Nil(t, try(nil), "the token of a session that was ended is good")

		r.revoke(auth.Target{User: "alice"}, 2)
		for _, c := range []claims{nil, {"iat": start.Unix()}, {"jti": "t3"}} {
			require.Equal(t, "401::token_invalid", try(c))
		}
		require.Nil(t, try(claims{"sub": "bob"}))
		time.Sleep(time.Second)
		require.Nil(t, try(nil), "issued later")
		require.Equal(t, "401::token_invalid", try(claims{"iat": start.Unix(), "exp": start.Add(20 * time.Hour).Unix()}))
		time.Sleep(19 * time.Hour)
		require.Equal(t, "401::token_invalid", try(claims{"iat": start.Unix(), "exp": start.Add(20 * time.Hour).Unix()}))
		require.Equal(t, "401::token_invalid", try(token))
		time.Sleep(time.Hour)
		require.Equal(t, "401::token_expired", try(token))
		require.Contains(t, r.log.String(), "were revoked")
	})
}

func TestWrongTarget(t *testing.T) {
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		for _, target := range []auth.Target{{}, {User: "a", Token: "b"}, {User: "a", Session: "b"}, {User: "a", Session: "b", Token: "c"}} {
			_, err := r.guard.Revoke(t.Context(), target)
			require.ErrorIs(t, err, auth.ErrTarget)
		}
	})
}

// hasty revokes a user while a handshake of his is under way.
type hasty struct {
	grants
	guard **auth.Extension
}

// CanHandshake implements bayeux.Policy.
func (h hasty) CanHandshake(ctx context.Context, s bayeux.Session, _ *bayeux.Message) error {
	_, err := (*h.guard).Revoke(ctx, auth.Target{User: s.User()})
	return err
}

// A session that begins while its user is revoked ends at once.
func TestRevokedMeanwhile(t *testing.T) {
	var guard *auth.Extension
	bubble(t, auth.Config{}, func(c *server.Config) { c.Policy = hasty{guard: &guard} }, func(t *testing.T, r *rig) {
		guard = r.guard
		c := r.client("long-polling", nil)
		m := c.good(meta+"handshake", withToken(mint(t, nil)))
		c.id, _ = m["clientId"].(string)
		c.bad(meta+"connect", "", "401::session_revoked")
		require.Empty(t, r.srv.Sessions())
	})
}

// A revocation is forgotten when no token can be left that it is about.
func TestRevocationsEnd(t *testing.T) {
	bubble(t, auth.Config{RevokeFor: time.Hour}, nil, func(t *testing.T, r *rig) {
		try := func(c claims) any {
			return r.client("long-polling", nil).ask(meta+"handshake", withToken(mint(t, c)))["error"]
		}
		old := claims{"iat": time.Now().Unix(), "exp": time.Now().Add(3 * time.Hour).Unix(), "jti": "t"}
		r.revoke(auth.Target{User: "alice"}, 0)
		r.revoke(auth.Target{Token: "u"}, 0)
		time.Sleep(59 * time.Minute)
		require.Equal(t, "401::token_invalid", try(old))
		require.Equal(t, "401::token_invalid", try(claims{"jti": "u"}))
		time.Sleep(time.Minute)
		require.Nil(t, try(old))
		require.Nil(t, try(claims{"jti": "u"}))

		// Where a token is known to live longer, that counts.
		r.revoke(auth.Target{Token: "t"}, 1)
		time.Sleep(time.Hour)
		require.Equal(t, "401::token_invalid", try(old))
	})
}

// When there is no room for a revocation, all that was issued before is
// refused; what is issued later is not.
func TestRevocationsFull(t *testing.T) {
	bubble(t, auth.Config{MaxRevocations: 3, RevokeFor: time.Hour}, nil, func(t *testing.T, r *rig) {
		try := func(user string) any {
			return r.client("long-polling", nil).ask(meta+"handshake", withToken(mint(t, claims{"sub": user})))["error"]
		}
		r.revoke(auth.Target{User: "a"}, 0)
		r.revoke(auth.Target{Token: "b"}, 0)
		r.revoke(auth.Target{User: "c"}, 0)
		r.revoke(auth.Target{User: "c"}, 0) // it has its place
		time.Sleep(time.Second)
		require.Nil(t, try("d"))
		n, err := r.guard.Revoke(t.Context(), auth.Target{User: "d"})
		require.ErrorIs(t, err, auth.ErrRevocationsFull)
		require.Equal(t, 1, n)
		require.Equal(t, "401::token_invalid", try("d"))
		require.Equal(t, "401::token_invalid", try("bystander"))
		time.Sleep(time.Second)
		require.Nil(t, try("bystander"))
		stats := r.guard.Stats()
		require.EqualValues(t, 1, stats.Full)
		require.Equal(t, 3, stats.Revocations)
		require.Contains(t, r.log.String(), `"level":"error"`)

		time.Sleep(time.Hour) // then there is room
		n, err = r.guard.Revoke(t.Context(), auth.Target{User: "e"})
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, 1, r.guard.Stats().Revocations)
	})
}

// However sessions come and go, and are refused, nothing of them stays.
func TestNothingIsLeft(t *testing.T) {
	bubble(t, auth.Config{Anonymous: true}, func(c *server.Config) { c.Policy = picky{} }, func(t *testing.T, r *rig) {
		for i := range 20 {
			c := r.join(transports()[i%3], mint(t, claims{"sub": fmt.Sprint("u", i%4), "jti": fmt.Sprint("t", i)}))
			c.good(channel, refresh(mint(t, claims{"sub": fmt.Sprint("u", i%4), "jti": fmt.Sprint("r", i)})))
			switch i % 4 {
			case 0:
				c.good(meta+"disconnect", "")
			case 1:
				r.revoke(auth.Target{Session: c.id}, 1)
			case 2:
				require.NoError(t, r.srv.Remove(c.id))
			}
			r.client("long-polling", nil).bad(meta+"handshake", withToken(mint(t, claims{"sub": "unwanted"})), "403::handshake_denied")
			r.join("long-polling", "").good(meta+"disconnect", "")
		}
		synctest.Wait()
		require.Equal(t, [4]int{5, 1, 5, 10}, auth.Sizes(r.guard), "five sessions of one user, each with an end and a warning")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, [4]int{}, auth.Sizes(r.guard))
	})
}
