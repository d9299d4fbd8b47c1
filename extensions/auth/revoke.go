package auth

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
)

// Target says what is revoked: one of its fields.
type Target struct {
	// User ends all sessions of a user and refuses what was issued to it before
	// now.
	User string
	// Session ends one session, by its id. Its token stays good.
	Session string
	// Token ends all sessions with a token, by its id (bayeux.Subject.Token: the
	// claim jti, else its digest), and refuses it.
	Token string
}

// Errors of Revoke.
var (
	// ErrTarget says that a Target has no field, or several.
	ErrTarget = errors.New("auth: revoke one of user, session and token")
	// ErrRevocationsFull says that there is no room to remember the revocation:
	// all that was issued until now is refused instead.
	ErrRevocationsFull = errors.New("auth: the list of revocations is full; all credentials issued until now are refused")
)

func (t Target) check() error {
	n := 0
	for _, text := range []string{t.User, t.Session, t.Token} {
		if text != "" {
			n++
		}
	}
	if n != 1 {
		return ErrTarget
	}
	return nil
}

// Revoke ends sessions at once with 401::session_revoked and the advice not to
// come back, on whatever carrier they are, and returns how many. From then on
// what was revoked is refused at handshakes and refreshes, as long as
// Config.RevokeFor and the tokens that are known say. The list lives in memory:
// after a restart tokens that have not expired are good again.
//
// The errors are ErrTarget, of a target that is none, and ErrRevocationsFull,
// with the sessions ended all the same.
func (x *Extension) Revoke(ctx context.Context, t Target) (ended int, err error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	now := time.Now()
	var over []*entry
	x.mu.Lock()
	met := x.met(t)
	if t.Session == "" {
		err = x.revoked.add(t, now, x.rememberUntil(now, met))
	}
	for _, e := range met {
		if e.verdict == nil {
			e.verdict = revoked()
			over = append(over, e)
		}
	}
	x.mu.Unlock()
	x.finish(ctx, over, Revoked)
	level := zerolog.InfoLevel
	if err != nil {
		x.count.full()
		level = zerolog.ErrorLevel
	}
	x.log.WithLevel(level).Err(err).Str("user", t.User).Str("session", t.Session).Str("token", t.Token).Int("ended", len(over)).Msg("revoked")
	return len(over), err
}

// met returns the sessions that a target means.
func (x *Extension) met(t Target) []*entry {
	if t.Session != "" {
		if e := x.sessions.byID[t.Session]; e != nil {
			return []*entry{e}
		}
		return nil
	}
	index, key := x.sessions.byUser, t.User
	if t.Token != "" {
		index, key = x.sessions.byToken, t.Token
	}
	all := make([]*entry, 0, len(index[key]))
	for e := range index[key] {
		all = append(all, e)
	}
	return all
}

// rememberUntil is when a revocation can be forgotten; zero: never.
func (x *Extension) rememberUntil(now time.Time, met []*entry) time.Time {
	if x.config.RevokeFor < 0 {
		return time.Time{}
	}
	until := now.Add(x.config.RevokeFor)
	for _, e := range met {
		switch at := e.subject.Expires; {
		case at.IsZero():
			return time.Time{}
		case at.After(until):
			until = at
		}
	}
	return until
}

// revocations are what is refused though it is good. The extension's lock
// guards them.
type revocations struct {
	limit  int
	tokens map[string]time.Time // until when it is remembered; zero: for ever
	users  map[string]cut
	all    cut // what is refused since the list was full
}

// cut refuses what was issued up to a moment.
type cut struct{ at, until time.Time }

func (c cut) covers(s *bayeux.Subject, now time.Time) bool {
	// Whoever does not say when it was issued is as old as can be.
	return !c.at.IsZero() && remembered(c.until, now) && !s.Issued.After(c.at)
}

func remembered(until, now time.Time) bool { return until.IsZero() || now.Before(until) }

func (r *revocations) init(limit int) {
	r.limit, r.tokens, r.users = limit, map[string]time.Time{}, map[string]cut{}
}

func (r *revocations) size() int { return len(r.tokens) + len(r.users) }

// covers tells whether what a method has accepted was revoked.
func (r *revocations) covers(s *bayeux.Subject, now time.Time) bool {
	if until, ok := r.tokens[s.Token]; ok && s.Token != "" && remembered(until, now) {
		return true
	}
	return r.users[s.User].covers(s, now) || r.all.covers(s, now)
}

func (r *revocations) add(t Target, now, until time.Time) error {
	before, token := r.tokens[t.Token]
	old, user := r.users[t.User]
	if !token && !user && r.size() >= r.limit {
		r.forget(now)
		if r.size() >= r.limit {
			r.all = cut{now, later(r.all != cut{}, r.all.until, until)}
			return ErrRevocationsFull
		}
	}
	if t.Token != "" {
		r.tokens[t.Token] = later(token, before, until)
		return nil
	}
	r.users[t.User] = cut{now, later(user, old.until, until)}
	return nil
}

// later is the later of two ends, of which there may be only the second; zero is
// the latest.
func later(known bool, a, b time.Time) time.Time {
	if known && (a.IsZero() || !b.IsZero() && a.After(b)) {
		return a
	}
	return b
}

// forget makes room.
func (r *revocations) forget(now time.Time) {
	for k, until := range r.tokens {
		if !remembered(until, now) {
			delete(r.tokens, k)
		}
	}
	for k, c := range r.users {
		if !remembered(c.until, now) {
			delete(r.users, k)
		}
	}
}
