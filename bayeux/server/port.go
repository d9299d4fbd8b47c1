package server

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// closePolicy is the code with which the server closes a WebSocket of its own
// accord (RFC 6455 section 7.4.1).
const closePolicy = 1008

// port is the server's end of a WebSocket connection.
type port struct {
	settings *settings
	link     transport.Link
	browser  string // the browser cookie, where the options want one
	trip     trip   // of the connect that is held; began is guarded by the lock of sess

	// longest is the longest hold that was in force, in nanoseconds.
	longest atomic.Int64
	mu      sync.Mutex
	// Guarded by mu.
	sess *session // whom the connection is for ([R-ID-5])
	mail *mail    // nil: nothing is to be written
	// processing tells that a WebSocket message is.
	processing bool
	closed     bool
	// greeted tells that the handshake of sess came by the connection.
	greeted bool

	// afterConnect tells that the last message handled was a connect
	// ([R-WS-22]).
	afterConnect atomic.Bool
}

// mail is what a port has to write besides queued messages, mostly nothing.
type mail struct {
	out []group
	// While a WebSocket message is processed, answers to held connects wait in
	// late: its own replies go first ([R-WS-15, R-WS-22]).
	late []group
}

// mailLocked returns the mail, got from those not in use if missing.
func (p *port) mailLocked() *mail {
	if p.mail == nil {
		if p.mail, _ = p.settings.srv.mails.Get().(*mail); p.mail == nil {
			p.mail = new(mail)
		}
	}
	return p.mail
}

// collectLocked takes what is to be written, nil for nothing. free must follow.
func (p *port) collectLocked() *mail {
	m := p.mail
	if m == nil {
		return nil
	}
	if p.mail = nil; len(m.late) > 0 {
		p.mailLocked().late, m.late = m.late, nil
	}
	return m
}

func (m *mail) groups() []group {
	if m == nil {
		return nil
	}
	return m.out
}

// free gives mail back that has been written, or put back.
func (p *port) free(m *mail) {
	if m == nil || cap(m.out) > letterParts {
		return
	}
	clear(m.out)
	m.out, m.late = m.out[:0], nil
	p.settings.srv.mails.Put(m)
}

// origin is what the pipeline is to know of the connection.
func (p *port) origin() transport.Origin {
	return transport.Origin{Transport: p.settings.name, Browser: p.browser}
}

// group is what answers one WebSocket message ([R-WS-10]).
type group struct {
	sess      *session
	handshake *bayeux.Message
	replies   []*bayeux.Message
}

var (
	_ transport.Port  = (*port)(nil)
	_ transport.Ender = (*port)(nil)
	_ holder          = (*port)(nil)
)

// Attach implements transport.Hub.
func (srv *Server) Attach(from transport.Origin, link transport.Link) transport.Port {
	srv.stats.sockets.Add(1)
	p := &port{settings: srv.settings[from.Transport], browser: from.Browser, link: link}
	p.trip.from = srv.from(from.Request)
	p.longest.Store(int64(p.settings.via.Times.Timeout))
	return p
}

// Receive implements transport.Port.
func (p *port) Receive(ctx context.Context, batch []*bayeux.Message) error {
	if err := checkBatch(batch); err != nil {
		return err
	}
	p.settings.srv.stats.request(transport.WebSocket)
	if len(batch) == 0 {
		return nil
	}
	w := p.settings.srv.passOf(p)
	defer w.free()
	if batch[0].Channel == metaHandshake {
		return p.handshake(ctx, w, batch[0])
	}
	if w.sess, w.stranded = p.resolve(batch[0].ClientID); w.sess != nil && w.sess.enter(p.settings) != p {
		p.attach(w.sess)
	}
	p.begin()
	g := group{sess: w.sess, replies: batch[:0]} // each takes the place of what it answers
	for _, m := range batch {
		if reply := w.message(ctx, m); reply != nil {
			g.replies = append(g.replies, reply)
		}
		p.afterConnect.Store(m.Channel == metaConnect)
	}
	p.finish(g)
	if w.sess != nil {
		w.sess.depart()
	}
	if w.stranded {
		p.link.Leave(closePolicy, "nothing came through the session's first WebSocket")
	}
	return nil
}

func (p *port) handshake(ctx context.Context, w *pass, m *bayeux.Message) error {
	var address network
	if r := bayeux.RequestFrom(ctx); r != nil {
		address = addressKey(r.Remote.Addr())
	}
	if err := w.srv.overloaded(address); err != nil {
		return err
	}
	defer w.srv.opening.Add(-1)
	s := w.srv.newSession(p.browser, p.settings)
	s.sit(address)
	w.sess = s
	s.enter(p.settings)
	reply := w.message(ctx, m)
	g := group{sess: s}
	if reply.OK() {
		g.handshake = reply
		p.adopt(s, true) // a further handshake leaves the old session to its expiry [R-WS-23]
	} else {
		s.discard()
		g.replies = []*bayeux.Message{reply} // the socket stays open [R-WS-25]
	}
	p.post(g)
	s.depart()
	return nil
}

// resolve finds the session of a batch: the connection's own, or on a fresh
// connection any that the clientId names ([R-ID-5, R-RL-1]), unless each
// connection needs its own handshake ([R-ID-6]). One that a dead WebSocket has
// stranded ends: by its next handshake the client can choose another transport.
func (p *port) resolve(clientID string) (s *session, stranded bool) {
	p.mu.Lock()
	own := p.sess
	p.mu.Unlock()
	if own != nil && !own.isOver() { // the socket outlives its session [R-DC-4]
		if own.id() != clientID {
			return nil, false
		}
		return own, false
	}
	s = p.settings.srv.resolve(p.origin(), p.settings, clientID)
	switch {
	case s == nil:
	case p.trip.from.IsValid() && s.stillborn():
		now := p.settings.srv.moment()
		p.settings.srv.made(p.trip.from, now).Stranded(now)
		s.end(machine.ReasonStranded)
		return nil, true
	default:
		p.adopt(s, false)
	}
	return s, false
}

// adopt makes s the session of the connection, by which its handshake came, or
// not. The one before keeps its expiry clock and loses the push path.
func (p *port) adopt(s *session, greeted bool) {
	p.mu.Lock()
	before := p.sess
	p.sess, p.greeted = s, greeted
	p.mu.Unlock()
	if before != nil && before != s {
		before.detach(p)
	}
}

// attach installs the push path of s ([R-WS-12]). Another carrier that the
// session had loses it: a held long poll ends as a duplicate, a hold on
// another socket silently ([R-WS-19, R-WS-21]).
func (p *port) attach(s *session) {
	var stuck *port
	s.step(func(now instant.Time) machine.Effects {
		if s.port == p || s.over {
			return machine.Effects{}
		}
		stuck = s.moveLocked(p)
		return s.machine.Takeover(now)
	})
	stuck.cut()
}

// moveLocked gives the push path to p, nil for none. It returns the port that
// had it if that may still be writing.
func (s *session) moveLocked(p *port) (stuck *port) {
	if s.blockedLocked() {
		stuck = s.port
	}
	s.port = p
	return stuck
}

// cut ends a connection that is stuck in a write, while its client has come by
// another: what it has goes back at once, and leaves there.
func (p *port) cut() {
	if p != nil {
		p.link.Cut("the session has moved to another connection")
	}
}

// detach takes the push path away because the connection is gone or serves
// another session ([R-WS-18]).
func (s *session) detach(p *port) {
	s.step(func(now instant.Time) machine.Effects {
		if s.port != p {
			return machine.Effects{}
		}
		s.port, s.left = nil, now
		s.clearLocked()
		return s.machine.Detached(now)
	})
}

// ahead returns how many groups leave before the one whose connect reply takes
// the messages along, where messages leave with connect replies only: those
// two stay together ([R-WS-15], WIRE 16).
func (p *port) ahead(s *session, groups []group) int {
	if s == nil || !s.only(p) {
		return 0
	}
	i := slices.IndexFunc(groups, func(g group) bool { return g.sess == s && answersConnect(g.replies) })
	return max(i, 0)
}

func (p *port) post(g group) {
	if g.handshake == nil && len(g.replies) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.mailLocked()
	if p.processing {
		m.late = append(m.late, g)
	} else {
		m.out = append(m.out, g)
	}
}

// begin starts the processing of a WebSocket message, finish ends it with its
// replies.
func (p *port) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.processing = true
}

func (p *port) finish(g group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.processing = false
	if len(g.replies) > 0 {
		p.mailLocked().out = append(p.mailLocked().out, g)
	}
	if m := p.mail; m != nil {
		m.out, m.late = append(m.out, m.late...), nil
	}
}

// release implements holder: a held connect is answered, or silently dropped
// ([R-WS-20]).
func (p *port) release(s *session, e machine.Ended) {
	p.settings.srv.stats.holds.Add(-1)
	s.arrived(&p.trip, pathprofile.Socket, e.Cause)
	if e.Reply == nil {
		return
	}
	p.post(group{sess: s, replies: []*bayeux.Message{e.Reply}})
	p.link.Wake()
}

// noteHold remembers the longest hold that was in force, for Idle.
func (p *port) noteHold(d time.Duration) {
	if int64(d) > p.longest.Load() {
		p.longest.Store(int64(d)) // by nobody else at a time
	}
}

// Idle implements transport.Port ([R-WS-17]).
func (p *port) Idle() time.Duration {
	if p.settings.idle > 0 {
		return p.settings.idle
	}
	return max(30*time.Second, 2*time.Duration(p.longest.Load()))
}

// Closed implements transport.Port ([R-WS-18]).
func (p *port) Closed(string) {
	p.mu.Lock()
	s, first := p.sess, !p.closed
	var left []group
	if p.mail != nil {
		left = append(p.mail.out, p.mail.late...)
	}
	p.closed, p.sess, p.mail = true, nil, nil
	p.mu.Unlock()
	if !first {
		return
	}
	p.settings.srv.stats.sockets.Add(-1)
	for _, g := range left {
		// Unsent replies start the clock too: no immortal sessions [R-WS-24].
		if g.sess != nil && (g.handshake != nil || answersConnect(g.replies)) {
			g.sess.written()
		}
	}
	if s != nil {
		s.detach(p)
	}
}

// Ended implements transport.Ender.
func (p *port) Ended(how transport.End) {
	p.mu.Lock()
	s := p.sess
	p.mu.Unlock()
	if s != nil && how == transport.EndLost {
		s.broke(p)
	}
}

// broke says that the connection of the session has ended without a goodbye.
func (s *session) broke(p *port) {
	now := s.srv.moment()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, _, push, held := s.machine.Held(); held && push && s.port == p {
		s.strandedLocked(&p.trip, pathprofile.Socket, now)
	}
}

// Take implements transport.Port.
func (p *port) Take(ctx context.Context, limit int) transport.Output {
	p.mu.Lock()
	s := p.sess
	m := p.collectLocked()
	p.mu.Unlock()
	groups := m.groups()
	if len(groups) == 0 {
		p.free(m)
		return p.push(s, limit)
	}
	defer p.free(m)
	if groups[0].handshake != nil {
		return p.takeHandshake(ctx, groups, limit)
	}
	l := p.settings.srv.letter()
	if n := p.ahead(s, groups); n > 0 {
		p.putBack(groups[n:])
		out := transport.Output{More: true}
		p.fill(ctx, &out, s, groups[:n], l)
		return out
	}
	if s != nil {
		p.lease(l, s, groups, limit)
	}
	out := transport.Output{Messages: l.lease.Messages}
	if l.lease.More && !s.Retaining() {
		// The rest of the messages goes ahead of the replies ([R-OUT-2]).
		out.More = true
		p.putBack(groups)
		groups = nil
	}
	p.fill(ctx, &out, s, groups, l)
	return out
}

// fill encodes the replies of groups into out.
func (p *port) fill(ctx context.Context, out *transport.Output, s *session, groups []group, l *letter) {
	for _, g := range groups {
		if g.sess == s {
			stamp(g.replies, l.lease.Batch)
		}
		l.add(ctx, g.sess, g.replies)
		if answersConnect(g.replies) && g.sess != nil {
			l.clocks = append(l.clocks, g.sess)
			out.Joined = out.Joined || g.sess == s && s.Retaining()
		}
	}
	l.into(out)
}

// putBack has groups leave later, ahead of the others.
func (p *port) putBack(groups []group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.mailLocked()
	m.out = slices.Concat(groups, m.out)
}

// lease takes what may leave with the replies ([R-WS-12, R-WS-15]).
func (p *port) lease(l *letter, s *session, groups []group, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	connect := false
	for _, g := range groups {
		connect = connect || g.sess == s && s.carriesLocked(g.replies)
	}
	if s.port != p || s.onlyLocked(p) && !connect {
		return
	}
	if connect || s.queue.Unsent() > 0 {
		l.takeLocked(s, limit, connect)
	}
}

// takeHandshake takes the first group alone: the handshake reply goes before
// everything else, and nothing is pushed until the first other message
// ([R-WS-12]).
func (p *port) takeHandshake(ctx context.Context, groups []group, limit int) transport.Output {
	g := groups[0]
	if len(groups) > 1 {
		p.putBack(groups[1:])
	}
	l := p.settings.srv.letter()
	l.clocks = append(l.clocks, g.sess)
	if p.settings.duringHandshake {
		g.sess.mu.Lock()
		l.takeLocked(g.sess, limit, true)
		g.sess.mu.Unlock()
		stampHandshake(g.handshake, &l.lease)
	}
	return transport.Output{
		Handshake: p.settings.srv.encodeOne(ctx, g.sess, g.handshake),
		Messages:  l.lease.Messages,
		More:      len(groups) > 1,
		Done:      l.done,
	}
}
