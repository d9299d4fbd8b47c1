package server

import (
	"context"
	"crypto/subtle"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/notify"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
)

// session puts a client's five homes side by side (DESIGN 4.1): the machine
// has its protocol state, the queue what waits to leave, this struct the lock
// and the deadlines, the carrier (an exchange or a port) the connection, the
// registry its identity.
//
// There is one for each client, mostly idle: what only some have, or only for a
// while, stands behind a pointer, and TestSessionBudget counts the bytes.
type session struct {
	// Immutable after the handshake.
	srv     *Server
	made    *settings // of the transport of its handshake
	browser string    // the cookie of its handshake

	seat  network // whose session it is counted as
	more  atomic.Pointer[more]
	filed *account // the user it is found under; owned by the turns

	mu sync.Mutex
	// Guarded by mu.
	left    instant.Time // when the last exchange ended that may take from the queue, or the last port
	machine machine.Session
	queue   *queue.Queue // nil: nothing waits, and nothing is different from a new one
	user    string
	subject *bayeux.Subject // whom the user was authenticated as; nil: nobody
	used    *settings       // of the transport last used
	holder  holder          // who answers the held connect
	port    *port           // where pushes go
	batch   int32           // requests being processed, and batches: nothing wakes the hold meanwhile
	batched int32           // batches of server code: nothing leaves meanwhile
	users   int32           // exchanges that may still take from the queue
	leases  int32           // leases with messages that are out
	taken   uint32          // turns given out
	done    uint32          // turns carried out
	place   int32           // in the agenda of deadlines; guarded by its lock
	rank    int32           // in the account; guarded by its lock

	seated      atomic.Bool // it counts among the sessions of its network
	slow        slowChoice
	connectOnly bool // messages leave with connect replies only
	noEcho      bool // its own messages do not come back
	over        bool
	fresh       bool // it counts among the unconnected
	known       bool // it is registered; owned by the turns
}

// more is what few sessions have.
type more struct {
	extensions []bayeux.Extension // immutable after the handshake
	attributes bayeux.Attributes
	story      *notify.Line // what is told of it; owned by the turns

	// Guarded by the session's mu.
	parting holder            // see partingLocked
	path    *pathprofile.Seat // nil: its path has shown no fault
	ended   chan struct{}     // closed when the session ends
	turned  chan struct{}     // closed when a turn has been carried out
}

// AgendaPlace implements agenda.Item.
func (s *session) AgendaPlace() *int32 { return &s.place }

// rare returns what few sessions have, made if missing.
func (s *session) rare() *more {
	if m := s.more.Load(); m != nil {
		return m
	}
	s.more.CompareAndSwap(nil, new(more))
	return s.more.Load()
}

// extensions are the session's own.
func (s *session) extensions() []bayeux.Extension {
	if m := s.more.Load(); m != nil {
		return m.extensions
	}
	return nil
}

// id is the clientId.
func (s *session) id() string { return s.machine.ID() }

func (s *session) home() home { return home{s.made.name, s.browser} }

// home is where HTTP requests of a session must come from: the transport and
// the browser cookie of its handshake ([R-ID-3], [R-JP-5]).
type home struct {
	transport string
	browser   string
}

// is tells whether a request that comes from another home may speak for a
// session of this one.
func (h home) is(other home) bool {
	return h.transport == other.transport && h.browser != "" &&
		subtle.ConstantTimeCompare([]byte(h.browser), []byte(other.browser)) == 1
}

// mayGoOn tells whether a request or a connection may speak for a session of
// that home that its clientId names. Over HTTP the browser cookie must be the
// one of the handshake, unless the clientId alone is trusted ([R-ID-3],
// [R-ID-4], [R-ID-7]). A fresh WebSocket may speak for any ([R-ID-5], [R-RL-1]),
// unless each needs its own handshake ([R-ID-6]), or the cookie where the
// handshake had one.
func (st *settings) mayGoOn(h home, from transport.Origin) bool {
	if st.name != transport.WebSocket {
		return st.trustClient || h.is(home{from.Transport, from.Browser})
	}
	return !st.ownHandshake && (!st.needsCookie || h.browser == "" || h.is(home{h.transport, from.Browser}))
}

// holder is the carrier's side of a held connect.
type holder interface {
	// release says that the hold has ended. It never blocks.
	release(s *session, e machine.Ended)
}

// isLocal tells whether the session is one of server code. Its id is of no use
// to anybody else.
func (s *session) isLocal() bool { return s.made.name == TransportLocal }

// wake has a local session look at what there is, its end included.
func (s *session) wake() {
	s.mu.Lock()
	p := s.port
	s.mu.Unlock()
	if p != nil {
		p.link.Wake()
	}
}

// work is what is left to do once the lock is released.
type work struct {
	eff     machine.Effects
	ended   [2]ending // the holds that end: the one of the effects, and one that a message wakes
	all     []channels.Name
	turn    turn
	tell    func(machine.Effects) // called in the turn, after the effects
	port    *port                 // to be woken
	wake    instant.Time
	removed bool // the session ends with this step
}

// step runs f with the lock held and then carries out its effects. Effects
// that touch the router or the registry are carried out in the order of the
// steps: each waits for the turn before its own (DESIGN 4.2).
func (s *session) step(f func(now instant.Time) machine.Effects) machine.Effects {
	return s.stepWith(nil, nil, f)
}

// stepWith is step for a connect, which h answers if it is held, and for what
// others are to be told of: tell is called in the turn, when the effects have
// been carried out.
func (s *session) stepWith(h holder, tell func(machine.Effects), f func(now instant.Time) machine.Effects) machine.Effects {
	now := s.srv.moment()
	s.mu.Lock()
	w := s.noteLocked(f(now), h, now)
	s.mu.Unlock()
	w.tell = tell
	s.carryOut(w)
	return w.eff
}

// noteLocked turns effects into work. When the queue has something for a hold
// or a port that may take it, that is part of the work.
func (s *session) noteLocked(eff machine.Effects, h holder, now instant.Time) work {
	w := work{eff: eff}
	w.ended[0] = s.unhookLocked(eff.Ended)
	if eff.Hold.ID != 0 {
		s.holder = h
	}
	if !s.over && s.wakesHoldLocked(now) {
		w.ended[1] = s.unhookLocked(s.machine.Wake(now).Ended)
	}
	if s.wakesPortLocked(now) {
		w.port = s.port
	}
	if eff.Removed != "" && !s.over {
		s.over = true
		w.removed = true
		w.all = s.machine.Subscriptions()
		s.closeLocked()
		s.clearLocked()
	}
	s.countFreshLocked()
	if w.removed || len(eff.Subscribe) > 0 || len(eff.Unsubscribe) > 0 {
		w.turn = s.turnLocked()
	}
	w.wake = s.nextLocked(now)
	return w
}

// ending is a hold that has ended, and who answers it: nobody where its carrier
// has gone.
type ending struct {
	how machine.Ended
	by  holder
}

// unhookLocked adds who answers a hold that has ended, if one has.
func (s *session) unhookLocked(how machine.Ended) (e ending) {
	if how.Cause != 0 {
		e = ending{how, s.holder}
		s.holder = nil
	}
	return e
}

// wakesHoldLocked tells whether queued messages end the held connect: never
// while a request of the session itself is processed ([R-DL-2, R-CN-19]), and
// on a WebSocket only where messages leave with connect replies ([R-WS-11]).
func (s *session) wakesHoldLocked(now instant.Time) bool {
	_, _, push, held := s.machine.Held()
	return held && s.batch == 0 && (!push || s.onlyLocked(s.port)) && s.pendingLocked(now)
}

// wakesPortLocked tells whether queued messages can be pushed ([R-WS-12]).
func (s *session) wakesPortLocked(now instant.Time) bool {
	return s.port != nil && s.batch == 0 && !s.onlyLocked(s.port) && s.pendingLocked(now)
}

// pendingLocked tells whether a message wants to leave and may.
func (s *session) pendingLocked(now instant.Time) bool {
	return s.queue.Pending(now) && !s.blockedLocked() && s.batched == 0
}

// blockedLocked tells that another carrier still has messages of the session:
// what it fails to write comes back, and must not come after newer ones
// (DESIGN 4.3). Retained delivery sends them again in any case.
func (s *session) blockedLocked() bool { return s.leases > 0 && !s.queue.Retaining() }

// onlyLocked tells whether messages leave with connect replies only, on the
// transport of that port ([R-DL-4]).
func (s *session) onlyLocked(p *port) bool {
	return s.connectOnly || p != nil && p.settings.deliverOnly
}

func (s *session) only(p *port) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onlyLocked(p)
}

// nextLocked is when the session wants to be looked at again. Expiry is
// rounded up to the next sweep ([R-EX-1]). A hold outlives a session that was
// removed ([R-CN-17]). Lazy messages whose time has passed wait for whatever
// takes messages next; those that left early leave no timer behind that would
// end the hold for nothing, as CometD's does ([R-DL-7]).
func (s *session) nextLocked(now instant.Time) instant.Time {
	next := s.machine.Deadline()
	if s.over {
		return next
	}
	switch _, _, _, held := s.machine.Held(); {
	case s.isLocal():
		next = 0 // it never expires [R-EX-6]
	case held:
	case s.batch > 0:
		next = 0 // settle looks again
	case !next.IsZero():
		next = s.srv.nextSweep(next)
	}
	if lazy := s.queue.LazyDeadline(); lazy.After(now) && (next.IsZero() || lazy.Before(next)) {
		next = lazy
	}
	return next
}

// closeLocked tells who waits for the end.
func (s *session) closeLocked() {
	if m := s.more.Load(); m != nil && m.ended != nil {
		close(m.ended)
	}
}

func (s *session) carryOut(w work) {
	if w.turn.sess != nil {
		w.turn.enter()
		s.route(w)
		w.turn.leave()
	}
	for _, e := range w.ended {
		if e.by != nil {
			e.by.release(s, e.how)
		}
	}
	if w.port != nil {
		w.port.link.Wake()
	}
	if w.removed {
		s.srv.removed(s, w.eff.Removed)
	}
	if !w.wake.IsZero() {
		s.srv.deadlines.set(s, w.wake)
	}
}

// route carries out what a turn is for.
func (s *session) route(w work) {
	for _, n := range w.eff.Subscribe {
		s.srv.router.Add(n, s)
	}
	for _, n := range w.eff.Unsubscribe {
		s.srv.router.Remove(n, s)
	}
	for _, n := range w.all {
		s.srv.router.Remove(n, s)
	}
	if w.tell != nil {
		w.tell(w.eff)
	}
	if w.removed {
		s.srv.registry.remove(s)
		s.srv.finish(s, w.eff.Removed, w.all)
	}
}

// tick is called at the session's deadline: a hold's end, expiry, lazy
// messages whose time has come.
func (s *session) tick() {
	s.step(func(now instant.Time) machine.Effects {
		if _, _, _, held := s.machine.Held(); s.isLocal() || !held && s.batch > 0 {
			// Local sessions never expire ([R-EX-6]), nor whoever is being served ([R-EX-2]).
			return machine.Effects{}
		}
		return s.machine.Expire(now)
	})
}

// offer queues a message, whose channel may have a policy for slow consumers.
// Messages for an ended session are dropped ([R-DL-9]).
func (s *session) offer(ctx context.Context, now instant.Time, f *bayeux.Frozen, lazyUntil instant.Time, channel bayeux.SlowConsumer) {
	if s.srv.maxed.size.Load() > 0 {
		s.tellMaxed(ctx, f, channel)
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	p := s.policyLocked(channel)
	o := s.fillLocked().Offer(f, lazyUntil, p)
	if o.Queued {
		s.srv.stats.delivered.Add(1)
		s.announceLocked(now, lazyUntil)
	} else {
		s.calmLocked()
		s.mu.Unlock()
	}
	if o.Limit != "" {
		s.srv.slowConsumer(s, p, o)
	}
}

// announceLocked wakes who takes what has just been queued. It releases the
// lock.
func (s *session) announceLocked(now, lazyUntil instant.Time) {
	if !lazyUntil.IsZero() || s.wakesHoldLocked(now) { // the first of a burst wakes [R-CN-10]
		w := s.noteLocked(machine.Effects{}, nil, now)
		s.mu.Unlock()
		s.carryOut(w)
		return
	}
	var p *port
	if s.wakesPortLocked(now) {
		p = s.port
	}
	s.mu.Unlock()
	if p != nil {
		p.link.Wake()
	}
}

// enter begins the processing of a request of the session, which settle and
// releaseUser end, or depart at once. It returns the port that pushes go to.
func (s *session) enter(by *settings) *port {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch++
	s.users++
	s.used = by
	return s.port
}

// settle ends the batch: what is queued may wake the hold again ([R-DL-4]).
func (s *session) settle() {
	s.step(func(now instant.Time) machine.Effects {
		s.settleLocked(now)
		return machine.Effects{}
	})
}

func (s *session) settleLocked(now instant.Time) {
	s.batch--
	s.machine.Received(now) // however long it took [R-EX-3]
}

// depart is settle and releaseUser in one step.
func (s *session) depart() {
	s.step(func(now instant.Time) machine.Effects {
		s.settleLocked(now)
		s.releaseLocked(now)
		return machine.Effects{}
	})
}

// waiting tells whether messages are queued that want to leave, and the client
// is there, or was within flushTime.
func (s *session) waiting() bool {
	now := s.srv.moment()
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.users > 0 || s.port != nil || now.Sub(s.left) < flushTime
	return here && s.queue.Pending(now)
}

// discard gives up a session whose handshake was refused: what server code
// has queued for it meanwhile is not to be counted for ever.
func (s *session) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.leaveAddress()
	s.queue.Clear()
	s.calmLocked()
	if s.over {
		return
	}
	s.over = true
	s.countFreshLocked()
	s.closeLocked()
}

// releaseUser ends the use of the queue by one exchange.
func (s *session) releaseUser() {
	now := s.srv.moment()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(now)
}

func (s *session) releaseLocked(now instant.Time) {
	s.users--
	s.left = now
	s.clearLocked()
}

// end ends the session from the server's side. It reports false if the session
// had ended.
func (s *session) end(reason machine.Reason) bool {
	return s.step(func(now instant.Time) machine.Effects {
		if s.over {
			return machine.Effects{}
		}
		return s.machine.Remove(now, reason)
	}).Removed != ""
}

// gone returns a channel that is closed when the session ends.
func (s *session) gone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.rare()
	if m.ended == nil {
		m.ended = make(chan struct{})
		if s.over {
			close(m.ended)
		}
	}
	return m.ended
}
