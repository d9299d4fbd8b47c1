package server

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
)

// users knows the sessions of each user: of those sessions that exist, under
// the id that Identity.SetUser gave last. Its locks are leaves: nothing is
// called while one is held. Entries go with the last session, so that there are
// never more than sessions.
type users struct {
	seed    maphash.Seed
	watched atomic.Bool // somebody wants to know who comes and goes
	changed func(user string, there bool)
	shards  [registryShards]struct {
		mu       sync.RWMutex
		accounts map[string]*account
	}
}

// account is a user who has a session. Its sessions are guarded by the lock of
// the shard, and so is the rank of each: its place among them.
type account struct {
	user     string
	sessions []*session
}

func newUsers() *users {
	u := &users{seed: maphash.MakeSeed()}
	for i := range u.shards {
		u.shards[i].accounts = make(map[string]*account)
	}
	return u
}

func (u *users) shard(user string) int { return int(maphash.String(u.seed, user) % registryShards) }

// move files a session under a user, "" for none. The caller has the session's
// turn, so that the last call is that of the last change.
func (u *users) move(s *session, to string) {
	before := s.filed
	if before == nil && to == "" || before != nil && before.user == to {
		return
	}
	left, came := before != nil && u.drop(before, s), to != "" && u.enter(to, s)
	if to == "" {
		s.filed = nil
	}
	if !u.watched.Load() {
		return
	}
	if left {
		u.changed(before.user, false)
	}
	if came {
		u.changed(to, true)
	}
}

// enter reports whether the session is the user's first.
func (u *users) enter(user string, s *session) (first bool) {
	sh := &u.shards[u.shard(user)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := sh.accounts[user]
	if a == nil {
		a = &account{user: user}
		sh.accounts[user] = a
	}
	s.filed, s.rank = a, int32(len(a.sessions)) //nolint:gosec // sessions in memory
	a.sessions = append(a.sessions, s)
	return len(a.sessions) == 1
}

// drop reports whether the session was the user's last.
func (u *users) drop(a *account, s *session) (last bool) {
	sh := &u.shards[u.shard(a.user)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	end := len(a.sessions) - 1
	moved := a.sessions[end]
	a.sessions[s.rank], moved.rank = moved, s.rank
	a.sessions[end] = nil
	a.sessions = a.sessions[:end]
	if end > 0 {
		return false
	}
	delete(sh.accounts, a.user)
	return true
}

// present tells whether a user has a session.
func (u *users) present(user string) bool {
	sh := &u.shards[u.shard(user)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.accounts[user] != nil
}

// of returns the sessions of a user, in no order.
func (u *users) of(user string) []*session {
	sh := &u.shards[u.shard(user)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if a := sh.accounts[user]; a != nil {
		return slices.Clone(a.sessions)
	}
	return nil
}

// Users returns the users who have a session, in no order.
func (srv *Server) Users() []string {
	var out []string
	for i := range srv.users.shards {
		sh := &srv.users.shards[i]
		sh.mu.RLock()
		for user := range sh.accounts {
			out = append(out, user)
		}
		sh.mu.RUnlock()
	}
	return out
}

// SessionsOf returns the sessions of a user, in no order. A session is found
// from before the reply to its handshake, or from the return of
// Identity.SetUser, until it has ended.
func (srv *Server) SessionsOf(user string) []bayeux.Session {
	all := srv.users.of(user)
	out := make([]bayeux.Session, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

// DeliverToUser queues a message for each session that the user has at the
// time, whatever they are subscribed to, and returns their number; none is no
// error. data is bayeux.Raw, or anything that encoding/json marshals.
func (srv *Server) DeliverToUser(ctx context.Context, user, channel string, data any) (sessions int, err error) {
	m, err := serverMessage(channel, data)
	if err != nil {
		return 0, fmt.Errorf("deliver to a user: %w", err)
	}
	all := srv.users.of(user)
	for _, s := range all {
		own := *m // extensions may change it
		srv.deliverTo(ctx, s, &own)
	}
	return len(all), nil
}

// DisconnectUser ends the sessions that the user has at the time, as
// bayeux.Session.Disconnect does, and returns their number.
func (srv *Server) DisconnectUser(ctx context.Context, user string) (sessions int) {
	all := srv.users.of(user)
	for _, s := range all {
		_ = s.Disconnect(ctx) // it has no errors to tell
	}
	return len(all)
}
