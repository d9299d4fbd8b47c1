package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/channels"
)

// Sessions that server code has ended with an error, which their clients are
// told however late they come, and subscriptions that a policy takes back.

const (
	// epitaphTime is how long an ended session's error is remembered.
	epitaphTime = 5 * time.Minute
	// maxEpitaphs bounds how many are.
	maxEpitaphs = 1 << 16
)

// epitaph is what is left of a session that was ended with an error.
type epitaph struct {
	id      string
	home    home
	verdict *bayeux.Error
	until   time.Time
}

// epitaphs remembers them, the oldest first. The zero value is ready.
type epitaphs struct {
	mu   sync.Mutex
	byID map[string]*epitaph
	line []*epitaph
}

func (e *epitaphs) add(now time.Time, one *epitaph) {
	one.until = now.Add(epitaphTime)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetLocked(now, maxEpitaphs-1)
	if e.byID == nil {
		e.byID = make(map[string]*epitaph)
	}
	e.byID[one.id] = one
	e.line = append(e.line, one)
}

func (e *epitaphs) get(id string) *epitaph {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byID[id]
}

// forget drops those whose time has passed.
func (e *epitaphs) forget(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetLocked(now, maxEpitaphs)
}

func (e *epitaphs) forgetLocked(now time.Time, room int) {
	n := 0
	for n < len(e.line) && (len(e.line)-n > room || !e.line[n].until.After(now)) {
		delete(e.byID, e.line[n].id)
		e.line[n] = nil
		n++
	}
	e.line = e.line[n:] // growing copies what is left
	if len(e.line) == 0 {
		e.line, e.byID = nil, nil
	}
}

// End implements bayeux.Ending.
func (s *session) End(_ context.Context, err *bayeux.Error) {
	switch {
	case s.isLocal():
		s.end(machine.ReasonUnauthorized)
		return
	case s.isOver():
		return
	}
	err = complete(err, bayeux.ErrSessionUnknown.Text)
	// Before the end, so that nobody finds the session gone and no word of why.
	s.srv.epitaphs.add(s.srv.now(), &epitaph{id: s.id(), home: s.home(), verdict: err})
	s.step(func(now instant.Time) machine.Effects {
		if !s.over {
			s.queue.Clear()
		}
		return s.machine.Terminate(now, machine.ReasonUnauthorized, err)
	})
}

// stranger answers a message of nobody we know.
func (p *pass) stranger(m *bayeux.Message) *bayeux.Message {
	if e := p.srv.epitaphs.get(m.ClientID); e != nil && p.settings.mayGoOn(e.home, p.origin) {
		return machine.Sentenced(m, e.verdict)
	}
	if p.stranded {
		return machine.Sentenced(m, strandedVerdict())
	}
	p.srv.stats.unknown.Add(1)
	return machine.Unknown(m) // [R-ERR-1, R-ERR-2, R-ERR-3, R-ID-2]
}

// late answers what a session sends that ended while its batch was processed.
func (p *pass) late(m *bayeux.Message) *bayeux.Message {
	if e := p.srv.epitaphs.get(m.ClientID); e != nil {
		return machine.Sentenced(m, e.verdict)
	}
	return m.Reply().Fail(bayeux.ErrSessionUnknown)
}

// Review implements bayeux.Reviewing.
func (s *session) Review(ctx context.Context) []channels.Name {
	s.mu.Lock()
	names := s.machine.Subscriptions()
	if s.over {
		names = nil
	}
	s.mu.Unlock()
	var refused []channels.Name
	for _, n := range names {
		raw, _ := json.Marshal(n)
		m := &bayeux.Message{Channel: metaSubscribe, HasChannel: true, ClientID: s.id(), Subscription: raw}
		if s.srv.askSubscribe(ctx, s, n, m) != nil {
			refused = append(refused, n)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	var told <-chan struct{}
	tell := func(e machine.Effects) { told = s.srv.subscriptionsChanged(ctx, s, e, nil) }
	ended := s.stepWith(nil, tell, func(instant.Time) machine.Effects {
		return s.machine.Unsubscribe(refused...)
	}).Unsubscribe
	s.srv.await(ctx, told)
	return ended
}

// Review has all sessions' subscriptions reviewed (bayeux.Reviewing), for a
// policy that has changed, and returns how many ended.
func (srv *Server) Review(ctx context.Context) (ended int) {
	srv.reviews.Add(1) // before: see subscribe
	for _, s := range srv.registry.all() {
		ended += len(s.Review(ctx))
	}
	return ended
}
