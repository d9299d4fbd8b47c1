package server

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// exchange is one HTTP request on its way to an answer.
type exchange struct {
	srv        *Server
	settings   *settings
	sess       *session
	setBrowser string
	handshake  *bayeux.Message
	replies    []*bayeux.Message
	settled    bool // the batch has ended; owned by the request's goroutine
	gone       bool // Abandon was called; owned by the same
	trip       trip // of its connect

	mu sync.Mutex
	// Guarded by mu.
	held     bool
	released bool
	err      *transport.StatusError
	wake     func()
	ends     []func()
}

var (
	_ transport.Hub      = (*Server)(nil)
	_ transport.Exchange = (*exchange)(nil)
	_ holder             = (*exchange)(nil)
)

// Request implements transport.Hub.
func (srv *Server) Request(ctx context.Context, from transport.Origin, batch []*bayeux.Message) (transport.Exchange, error) {
	if err := checkBatch(batch); err != nil {
		return nil, err
	}
	st := srv.settings[from.Transport]
	x := &exchange{srv: srv, settings: st}
	srv.stats.request(from.Transport)
	if len(batch) == 0 {
		return x, nil
	}
	ctx = bayeux.WithRequest(ctx, from.Request)
	// Among others a connect is answered at once, two connects both are
	// ([R-CN-12], [R-CN-13]).
	p := &pass{srv: srv, origin: from, settings: st, holder: x, alone: len(batch) == 1}
	if batch[0].Channel == metaHandshake {
		return x, srv.handshakeRequest(ctx, p, x, batch[0])
	}
	// The session is looked up once, from the first message ([R-ID-1]).
	x.sess = srv.resolve(from, st, batch[0].ClientID)
	if p.sess = x.sess; x.sess != nil {
		x.sess.enter(st)
	}
	x.replies = batch[:0] // each takes the place of what it answers
	for _, m := range batch {
		if reply := p.message(ctx, m); reply != nil {
			x.replies = append(x.replies, reply)
		} else {
			x.hold()
		}
	}
	x.forget(batch)
	return x, nil
}

// forget lets go of the messages that no reply has taken the place of: a held
// connect is there for long.
func (x *exchange) forget(batch []*bayeux.Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.released {
		return // it has its reply
	}
	clear(batch[len(x.replies):])
	if len(x.replies) == 0 {
		x.replies = nil
	}
}

// resolve finds the session that a request, or a fresh connection, may speak
// for. Nothing but settings.mayGoOn binds a client to its session, so that a page
// which was reloaded goes on with it ([R-RL-1]).
func (srv *Server) resolve(from transport.Origin, st *settings, clientID string) *session {
	s := srv.registry.get(clientID)
	if s == nil || s.isLocal() || !st.mayGoOn(s.home(), from) {
		return nil
	}
	return s
}

// handshakeRequest processes a handshake, which comes alone.
func (srv *Server) handshakeRequest(ctx context.Context, p *pass, x *exchange, m *bayeux.Message) error {
	address := addressKey(p.origin.Request.Remote.Addr())
	if err := srv.overloaded(address); err != nil {
		return err
	}
	defer srv.opening.Add(-1)
	browser := p.origin.Browser
	if browser == "" {
		browser = newID(browserIDChars) // who keeps no cookies is a new browser each time [R-MC-8]
	}
	// Always a new one, whatever clientId and cookie came along [R-HS-9].
	s := srv.newSession(browser, p.settings)
	s.sit(address)
	p.sess, x.sess = s, s
	s.enter(p.settings)
	reply := p.message(ctx, m)
	if !reply.OK() {
		s.discard()
		x.replies = []*bayeux.Message{reply}
		return nil
	}
	x.handshake = reply
	if p.origin.Browser == "" {
		x.setBrowser = browser // [R-HS-14]
	}
	return nil
}

// hold notes that the request's connect is held. From here on the session's
// queue may end it.
func (x *exchange) hold() {
	x.mu.Lock()
	x.held = true
	x.mu.Unlock()
	x.settle()
}

func (x *exchange) settle() {
	if x.sess != nil && !x.settled {
		x.settled = true
		x.sess.settle()
	}
}

// onEnd has f called when the hold ends, at once if it has ended.
func (x *exchange) onEnd(f func()) {
	x.mu.Lock()
	late := x.released
	if !late {
		x.ends = append(x.ends, f)
	}
	x.mu.Unlock()
	if late {
		f()
	}
}

// release implements holder.
func (x *exchange) release(_ *session, e machine.Ended) {
	x.mu.Lock()
	if x.released {
		x.mu.Unlock()
		return
	}
	x.released = true
	if e.Reply != nil {
		x.replies = append(x.replies, e.Reply)
	} else {
		x.err = &transport.StatusError{ // [R-CN-20]
			Status: x.settings.duplicateStatus,
			Reason: "a newer /meta/connect of the session has taken over",
		}
	}
	wake, ends := x.wake, x.ends
	x.mu.Unlock()
	x.srv.stats.holds.Add(-1)
	x.sess.arrived(&x.trip, pathprofile.Polling, e.Cause)
	for _, f := range ends {
		f()
	}
	if wake != nil {
		wake()
	}
}

// Await implements transport.Exchange.
func (x *exchange) Await(wake func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.held || x.released {
		return false
	}
	if wake != nil {
		x.wake = wake
	}
	return true
}

// Abandon implements transport.Exchange ([R-CN-21]).
func (x *exchange) Abandon() {
	if x.sess == nil || x.gone {
		return
	}
	x.gone = true
	x.settle()
	x.mu.Lock()
	x.wake = nil
	held := x.held
	x.mu.Unlock()
	if held {
		x.sess.lost(x)
		x.sess.unpart(x)
	}
	x.mu.Lock()
	dropped := held && !x.released
	x.released = true
	ends := x.ends
	x.mu.Unlock()
	if dropped {
		x.srv.stats.holds.Add(-1)
		x.srv.stats.holdsAborted.Add(1)
		for _, f := range ends {
			f()
		}
	}
	// An answer may have been due, or be on its way here from another goroutine,
	// and cannot be delivered; the clock starts all the same ([R-CN-22]).
	x.sess.written()
	x.sess.releaseUser()
}

// partingLocked is the held request that takes all that is left, the farewell
// too; nil: whoever comes.
func (s *session) partingLocked() holder {
	if m := s.more.Load(); m != nil {
		return m.parting
	}
	return nil
}

func (s *session) partLocked(h holder) {
	if s.partingLocked() != h {
		s.rare().parting = h
	}
}

// unpart lets others take what h would have taken.
func (s *session) unpart(h holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partingLocked() == h {
		s.partLocked(nil)
	}
}

// lost drops the hold that h was to answer.
func (s *session) lost(h holder) {
	s.step(func(now instant.Time) machine.Effects {
		if s.holder != h {
			return machine.Effects{}
		}
		s.holder = nil
		if x, ok := h.(*exchange); ok {
			s.strandedLocked(&x.trip, pathprofile.Polling, now)
		}
		id, _, _, _ := s.machine.Held()
		return s.machine.Lost(now, id)
	})
}

// written starts the expiry clock ([R-EX-2]).
func (s *session) written() {
	s.step(func(now instant.Time) machine.Effects { return s.machine.Written(now) })
}

// Take implements transport.Exchange.
func (x *exchange) Take(ctx context.Context, limit int) transport.Output {
	x.mu.Lock()
	err, replies := x.err, x.replies
	x.mu.Unlock()
	if x.sess == nil {
		l, out := x.srv.letter(), transport.Output{}
		l.add(ctx, nil, replies)
		l.into(&out)
		return out
	}
	if err != nil {
		x.settle()
		return transport.Output{Err: err, Done: func(int, bool) { x.sess.releaseUser() }}
	}
	l := x.srv.letter()
	l.sess, l.user, l.trip = x.sess, true, x.trip
	x.lease(l, limit, replies)
	out := transport.Output{SetBrowser: x.setBrowser, Messages: l.lease.Messages, More: l.lease.More}
	if out.More {
		x.srv.stats.limit("maxResponseSize")
	}
	x.settle()
	clock := x.handshake != nil || answersConnect(replies)
	stamp(replies, l.lease.Batch)
	if x.handshake != nil {
		stampHandshake(x.handshake, &l.lease)
		out.Handshake = x.srv.encodeOne(ctx, x.sess, x.handshake)
	}
	if clock {
		l.clocks = append(l.clocks, x.sess)
	}
	l.add(ctx, x.sess, replies)
	out.Replies, out.Done = l.groups, l.done // also when it is empty: HTTP answers
	return out
}

// lease takes what leaves with the answer ([R-DL-1]), own messages too
// ([R-DL-3]).
func (x *exchange) lease(l *letter, limit int, replies []*bayeux.Message) {
	s := x.sess
	s.mu.Lock()
	defer s.mu.Unlock()
	connect := s.carriesLocked(replies)
	switch {
	case x.handshake != nil:
		if !x.settings.duringHandshake {
			return // [R-HS-17]
		}
		connect = true // [R-HS-18]
	case s.partingLocked() != nil && s.partingLocked() != x, (s.connectOnly || x.settings.deliverOnly) && !connect:
		return // [R-CN-16]; [R-DL-4, R-ACK-10]
	default:
		s.partLocked(nil)
	}
	l.takeLocked(s, s.carriedLocked(&x.trip, limit), connect)
}

// finish ends a lease, nil for none: sent messages were written. clock: a connect
// or handshake reply was among the replies. user: an exchange ends.
func (s *session) finish(lease *queue.Lease, sent int, clock, user bool) {
	s.step(func(now instant.Time) machine.Effects {
		if lease != nil {
			if len(lease.Messages) > 0 {
				s.leases--
			}
			s.queue.Done(lease, sent)
			s.calmLocked()
			s.srv.stats.messagesOut.Add(uint64(max(sent, 0)))
		}
		if user {
			s.releaseLocked(now)
		}
		if !clock || s.over {
			return machine.Effects{}
		}
		return s.machine.Written(now)
	})
}

// carriesLocked tells whether messages that leave with connects only leave with
// these replies: a successful connect reply is among them, or any, if the
// session has ended meanwhile and nothing follows ([R-AC-1]).
func (s *session) carriesLocked(replies []*bayeux.Message) bool {
	return slices.ContainsFunc(replies, func(r *bayeux.Message) bool {
		return r.Channel == metaConnect && (r.OK() || s.over)
	})
}

// answersConnect tells whether replies answer a connect, whichever way.
func answersConnect(replies []*bayeux.Message) bool {
	return slices.ContainsFunc(replies, func(r *bayeux.Message) bool { return r.Channel == metaConnect })
}

// stamp gives the connect reply its batch number ([R-ACK-3]). It goes with the
// reply itself: the id of a message may come again ([R-RL-2]).
func stamp(replies []*bayeux.Message, batch int64) {
	for _, r := range replies {
		if r.Channel == metaConnect && r.OK() {
			r.SetBatch(batch)
		}
	}
}

// stampHandshake tells the client how many messages come with the handshake
// reply ([R-HS-18]).
func stampHandshake(r *bayeux.Message, l *queue.Lease) {
	r.SetBatch(l.Batch)
	if n := len(l.Messages); n > 0 {
		r.SetField("x-messages", strconv.AppendInt(nil, int64(n), 10))
	}
}
