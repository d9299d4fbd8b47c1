package auth

import (
	"context"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

type subjectKey struct{}

// refresh gives a session a newer token. Whatever fails leaves the session as
// it is. Of several refreshes at a time one is done; against the end of the
// token the refresh wins if it is judged before, and loses with the answer that
// the session's end has.
func (x *Extension) refresh(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	e, refused := x.admit(from)
	if e == nil {
		if refused.Text == refusal(Limited).Text {
			x.count.refresh(Limited)
		}
		return refused
	}
	c := &Credentials{Request: bayeux.RequestFrom(ctx), Refresh: true}
	subject, over, failed := x.attempt(ctx, e, c, m)
	if over != nil {
		return over
	}
	if failed != nil {
		f := failureOf(failed)
		x.count.refresh(f.Outcome)
		x.tell(f, from, c.Request, "refresh refused")
		return refreshRefusal(f.Outcome)
	}
	x.count.refresh(Accepted)
	if r, ok := from.(bayeux.Reviewing); ok {
		x.narrow(ctx, from, r.Review(ctx))
	}
	reply := m.Reply().Succeed(true)
	fields := `{"expires":` + strconv.FormatInt(subject.Expires.UnixMilli(), 10) + `}`
	if subject.Expires.IsZero() {
		fields = `{"expires":null}`
	}
	reply.SetExt("auth", bayeux.Raw(fields))
	return bayeux.Handled
}

// admit lets one refresh of a session in, not too often. Without an entry the
// error is the answer.
func (x *Extension) admit(from bayeux.Session) (*entry, *bayeux.Error) {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.sessions.byID[from.ID()]
	switch {
	case e == nil: // it has ended just now
		return nil, refreshRefusal(Invalid)
	case e.verdict != nil:
		return nil, spoken(e.verdict)
	}
	if e.refreshes == nil {
		perSecond := rate.Limit(x.config.RefreshesPerMinute) / 60
		e.refreshes = rate.NewLimiter(perSecond, min(refreshBurst, x.config.RefreshesPerMinute))
	}
	if e.refreshing || !e.refreshes.AllowN(now, 1) {
		return nil, refreshRefusal(Limited)
	}
	e.refreshing = true
	return e, nil
}

// attempt renews and settles, whatever a method does.
func (x *Extension) attempt(ctx context.Context, e *entry, c *Credentials, m *bayeux.Message) (subject *bayeux.Subject, over, failed error) {
	defer func() { over = x.settle(e) }()
	subject, failed = x.renew(ctx, e, c, m)
	return subject, nil, failed
}

// spoken is a verdict for a message that is no connect.
func spoken(verdict *bayeux.Error) *bayeux.Error {
	e := *verdict
	e.Advice = nil
	return &e
}

// settle ends a refresh and tells whether the session was ended meanwhile.
func (x *Extension) settle(e *entry) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	e.refreshing = false
	if e.verdict != nil {
		return spoken(e.verdict)
	}
	return nil
}

// renew judges the token and gives the session its new subject.
func (x *Extension) renew(ctx context.Context, e *entry, c *Credentials, m *bayeux.Message) (*bayeux.Subject, error) {
	var err error
	if c.Token, err = refreshToken(m.Data); err != nil {
		return nil, err
	}
	if err := x.checkSize(c.Token); err != nil {
		return nil, err
	}
	subject, err := x.judge(ctx, c)
	if err != nil {
		return nil, err
	}
	if subject == nil {
		return nil, invalid("no method has judged the token")
	}
	before := ""
	if old := bayeux.SubjectOf(e.session); old != nil {
		before = old.User
	}
	if before != subject.User && !x.config.RefreshAnyUser {
		return nil, invalid("the token is of user %.64q, the session of %.64q", subject.User, before)
	}
	a, ok := e.session.(bayeux.Authentication)
	if !ok || !x.assign(ctx, e, subject) {
		return nil, invalid("the session has ended")
	}
	a.SetSubject(subject)
	return subject, nil
}

// maxNarrowed bounds the names in a notice.
const maxNarrowed = 100

// narrow tells a client of subscriptions that it has no more.
func (x *Extension) narrow(ctx context.Context, s bayeux.Session, ended []channels.Name) {
	if len(ended) == 0 {
		return
	}
	x.count.narrowed(len(ended))
	x.say(ctx, s, notice("narrowed", map[string]any{"subscriptions": ended[:min(len(ended), maxNarrowed)], "count": len(ended)}))
}

// subscribed looks again at a subscription that was allowed to a subject that
// the session has no more when it takes effect.
func (x *Extension) subscribed(ctx context.Context, s bayeux.Session, _ channels.Name, m *bayeux.Message) {
	if m == nil {
		return
	}
	before, noted := m.Reply().Note(subjectKey{}).(*bayeux.Subject)
	if !noted || before == bayeux.SubjectOf(s) {
		return
	}
	if r, ok := s.(bayeux.Reviewing); ok {
		x.narrow(ctx, s, r.Review(ctx))
	}
}
