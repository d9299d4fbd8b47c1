package auth

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/halleypush/halley/bayeux"
)

// entry is what is known of a session while it lives. The extension's lock
// guards it.
type entry struct {
	session    bayeux.Session
	subject    *bayeux.Subject // nil: anonymous
	expiry     due
	warning    due
	refreshes  *rate.Limiter // nil: none came so far
	refreshing bool
	verdict    *bayeux.Error // why we have ended it; nil: we have not
}

// sessions finds them by id, user and token.
type sessions struct {
	byID    map[string]*entry
	byUser  map[string]map[*entry]struct{}
	byToken map[string]map[*entry]struct{}
}

func (s *sessions) init() {
	s.byID = map[string]*entry{}
	s.byUser, s.byToken = map[string]map[*entry]struct{}{}, map[string]map[*entry]struct{}{}
}

func (s *sessions) link(e *entry) {
	if e.subject != nil {
		link(s.byUser, e.subject.User, e)
		link(s.byToken, e.subject.Token, e)
	}
}

func (s *sessions) unlink(e *entry) {
	if e.subject != nil {
		unlink(s.byUser, e.subject.User, e)
		unlink(s.byToken, e.subject.Token, e)
	}
}

func link(index map[string]map[*entry]struct{}, key string, e *entry) {
	if key == "" {
		return
	}
	if index[key] == nil {
		index[key] = map[*entry]struct{}{}
	}
	index[key][e] = struct{}{}
}

func unlink(index map[string]map[*entry]struct{}, key string, e *entry) {
	delete(index[key], e)
	if len(index[key]) == 0 {
		delete(index, key)
	}
}

// begin is told of each new session.
func (x *Extension) begin(s bayeux.Session) {
	if s.Transport() == local {
		return
	}
	e := &entry{session: s}
	e.expiry.entry, e.warning.entry = e, e
	x.mu.Lock()
	x.sessions.byID[s.ID()] = e
	x.mu.Unlock()
	x.assign(context.Background(), e, bayeux.SubjectOf(s))
}

// assign gives a session its subject, in the indexes and the schedules; false
// when the session has ended. It is ended when the subject was revoked since it
// was judged: whoever revokes looks at the indexes after the list, and we the
// other way round.
func (x *Extension) assign(ctx context.Context, e *entry, subject *bayeux.Subject) bool {
	now := time.Now()
	x.mu.Lock()
	if e.verdict != nil || x.sessions.byID[e.session.ID()] != e {
		x.mu.Unlock()
		return false
	}
	x.sessions.unlink(e)
	e.subject = subject
	x.sessions.link(e)
	var expires time.Time
	if subject != nil {
		expires = subject.Expires
	}
	x.expiries.set(&e.expiry, expires)
	x.warnings.set(&e.warning, x.config.warnAt(now, expires))
	over := subject != nil && x.revoked.covers(subject, now)
	if over {
		e.verdict = revoked()
	}
	x.mu.Unlock()
	if over {
		x.finish(ctx, []*entry{e}, Revoked)
	}
	return !over
}

// end is told of each session that has ended.
func (x *Extension) end(s bayeux.Session, _ string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.sessions.byID[s.ID()]
	if e == nil {
		return
	}
	delete(x.sessions.byID, s.ID())
	x.sessions.unlink(e)
	x.expiries.drop(&e.expiry)
	x.warnings.drop(&e.warning)
}

// expire ends the sessions whose time is over.
func (x *Extension) expire() {
	x.mu.Lock()
	var over []*entry
	for _, e := range x.expiries.take(time.Now()) {
		if e.verdict == nil {
			e.verdict = expired()
			over = append(over, e)
		}
	}
	x.mu.Unlock()
	x.finish(context.Background(), over, Expired)
}

// finish ends sessions that have their verdict. It returns when all are told.
func (x *Extension) finish(ctx context.Context, over []*entry, why Outcome) {
	ctx = context.WithoutCancel(ctx) // whoever asked for it may go
	for _, e := range over {
		x.count.ended(why)
		if s, ok := e.session.(bayeux.Ending); ok {
			s.End(ctx, e.verdict)
		} else {
			_ = e.session.Disconnect(ctx)
		}
	}
}

// warn tells the clients whose credentials expire soon.
func (x *Extension) warn() {
	x.mu.Lock()
	type warning struct {
		session bayeux.Session
		expires time.Time
	}
	var soon []warning
	now := time.Now()
	for _, e := range x.warnings.take(now) {
		if e.verdict == nil && e.subject != nil {
			soon = append(soon, warning{e.session, e.subject.Expires})
		}
	}
	x.mu.Unlock()
	for _, w := range soon {
		x.count.warned()
		x.say(context.Background(), w.session, notice("expiring", map[string]any{
			"expires": w.expires.UnixMilli(), "in": w.expires.Sub(now).Milliseconds(),
		}))
	}
}

// say delivers a message on Channel.
func (x *Extension) say(ctx context.Context, s bayeux.Session, data bayeux.Raw) {
	if err := s.Deliver(ctx, string(Channel), data); err != nil {
		x.log.Warn().Err(err).Str("session", s.ID()).Msg("a notice could not be delivered")
	}
}
