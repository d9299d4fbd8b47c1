package server

import (
	"math"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// What becomes of connects tells what lies between here and a client: package
// pathprofile draws the conclusions, and this file tells it what happens and
// heeds what it says. A session has a seat there only once something went wrong,
// or its path is known for it: where nothing does, a connect costs a look at the
// path, and a session nothing.

// strandedPause is until when a client that was sent to another handshake has heard
// of the end of its connection.
const strandedPause = 250 * time.Millisecond

// maxTries is how often a message leaves alone, and is lost, before it is given up.
const maxTries = 3

// trip is a connect on its way.
type trip struct {
	from network // whom it comes from; 0: nothing is learned
	// began is when its hold began; zero: it is not held, or something was written
	// since, so that its end does not tell what a silence may take.
	began  instant.Time
	serial int64 // of its message id, see serial
}

// lesson is what was learned with a lock held, to be told when it is not.
type lesson struct {
	from network
	news pathprofile.News
	lost *bayeux.Frozen // a message that was given up
}

// from is the network that a request comes from, and goes back to; 0 where nothing
// is learned, or it has no address (a Unix socket).
func (srv *Server) from(r *bayeux.Request) network {
	if srv.paths == nil || r == nil {
		return 0
	}
	return addressKey(r.Remote.Addr())
}

// way is what is known of a network, nil for nothing; made is that of one on which
// something has happened.
func (srv *Server) way(n network, now instant.Time) *pathprofile.Path {
	return srv.paths.Path(pathprofile.Key(n), now)
}

func (srv *Server) made(n network, now instant.Time) *pathprofile.Path {
	return srv.paths.Make(pathprofile.Key(n), now)
}

// tripOf is that of the connect which p processes, and by which lane; nil where
// nothing is learned of it.
func (p *pass) tripOf() (*trip, pathprofile.Lane) {
	switch h := p.holder.(type) {
	case *exchange:
		if h.trip.from = p.srv.from(p.origin.Request); h.trip.from.IsValid() {
			return &h.trip, pathprofile.Polling
		}
	case *port:
		if h.trip.from.IsValid() {
			return &h.trip, pathprofile.Socket
		}
	}
	return nil, 0
}

// cameLocked says that a connect has come, before anything is done with it.
func (t *trip) cameLocked(s *session, now instant.Time, lane pathprofile.Lane, m *bayeux.Message) (l lesson) {
	t.began, t.serial = 0, serial(m.ID)
	s.replacedLocked(now)
	way := s.srv.way(t.from, now)
	seat, first := s.seatLocked(), s.machine.State() == machine.Handshaken
	if seat == nil {
		if way == nil && !first && retries(m) {
			// What is held in full may not arrive either: that is judged where there is
			// a path.
			s.srv.made(t.from, now)
		}
		if way == nil || way.Quiet() {
			return l
		}
		seat = s.sitLocked(new(pathprofile.Seat))
		if first {
			seat.Newcomer()
		}
	}
	c := came(s, m, lane, t.serial)
	if way == nil {
		if seat.Done(c) {
			s.sitLocked(nil)
			return l
		}
		way = s.srv.made(t.from, now)
	}
	l.from = t.from
	l.news = seat.Came(way, now, c)
	if seat.Failures() >= maxTries {
		l.lost = s.queue.GiveUp()
		seat.GaveUp()
	}
	if way.Quiet() && seat.Blank() {
		s.sitLocked(nil)
	}
	return l
}

// retries tells that a connect is to be answered at once, as after a failure.
func retries(m *bayeux.Message) bool {
	return len(m.Advice) > 0 && m.ClientAdvice().Timeout == 0
}

// came is what a connect says of the one before it.
func came(s *session, m *bayeux.Message, lane pathprofile.Lane, serial int64) pathprofile.Came {
	c := pathprofile.Came{Lane: lane, Serial: serial, Retry: retries(m), Ack: -1}
	if s.queue.Retaining() {
		if v, ok := m.ExtMember("ack"); ok {
			if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
				c.Ack = n
			}
		}
	}
	return c
}

// serial is the number in a message id, -1 if there is none, and less, a mark of the
// id, if it is no number.
func serial(id string) (n int64) {
	const digits = 18 // always fit
	for i := range len(id) {
		d := id[i] - '0'
		if d > 9 || i == digits {
			return mark(id)
		}
		n = 10*n + int64(d)
	}
	if id == "" {
		return -1
	}
	return n
}

// mark tells ids apart that are no numbers: -2 and less, in 31 bits (FNV-1a).
func mark(id string) int64 {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return -2 - int64(h>>2)
}

// replacedLocked gives a session whose held poll is about to be replaced its
// seat: what lies between may have cut the client and left us the other end.
func (s *session) replacedLocked(now instant.Time) {
	if x, ok := s.holder.(*exchange); ok && !x.trip.began.IsZero() {
		s.recallLocked(&x.trip, pathprofile.Polling, now)
	}
}

// recallLocked gives a session a seat as it would have it, had it had one since
// its connect came: that is held, or was until now.
func (s *session) recallLocked(t *trip, lane pathprofile.Lane, now instant.Time) *pathprofile.Seat {
	seat := s.seatLocked()
	if seat == nil {
		seat = s.sitLocked(new(pathprofile.Seat))
		t.recall(seat, s.srv.made(t.from, now), lane)
	}
	return seat
}

// recall tells a seat of the connect.
func (t *trip) recall(seat *pathprofile.Seat, way *pathprofile.Path, lane pathprofile.Lane) {
	at := max(t.began, 1)
	seat.Came(way, at, pathprofile.Came{Lane: lane, Serial: t.serial, Ack: -1})
	if !t.began.IsZero() {
		seat.Hold(way, at, math.MaxInt64)
	}
}

// planLocked has the connect held for as long as its path carries.
func (t *trip) planLocked(s *session, now instant.Time, in *machine.Input) {
	in.Most = s.srv.pinnedHold
	seat := s.seatLocked()
	if seat == nil {
		return
	}
	want := s.machine.Patience(*in)
	if want <= 0 {
		return
	}
	way := s.srv.made(t.from, now)
	if in.Most = seat.Hold(way, now, want); in.Most <= 0 {
		in.Pause = seat.Pause(way)
		in.Pending = in.Pending || in.Pause <= 0
	}
}

// arrived says that a hold has ended with an answer.
func (s *session) arrived(t *trip, lane pathprofile.Lane, why machine.Cause) {
	if !t.from.IsValid() || why == machine.Replaced || why == machine.Dropped {
		return
	}
	l := lesson{from: t.from}
	now := s.srv.moment()
	s.mu.Lock()
	full := why == machine.TimedOut
	if !t.began.IsZero() && (s.seatLocked() != nil || full) {
		l.news = s.heldLocked(t, lane, now, full)
	}
	s.mu.Unlock()
	l.tell(s)
}

func (s *session) heldLocked(t *trip, lane pathprofile.Lane, now instant.Time, full bool) pathprofile.News {
	way := s.srv.way(t.from, now)
	if way == nil {
		return 0
	}
	return s.recallLocked(t, lane, now).Held(way, now, full)
}

// strandedLocked says that the client, or what lies between, has ended a hold.
func (s *session) strandedLocked(t *trip, lane pathprofile.Lane, now instant.Time) {
	if t.from.IsValid() && !t.began.IsZero() {
		s.recallLocked(t, lane, now).Left(s.srv.made(t.from, now), now, now.Sub(t.began))
	}
}

// carriedLocked bounds an answer by what the path carries.
func (s *session) carriedLocked(t *trip, limit int) int {
	if !t.from.IsValid() {
		return limit
	}
	if most := s.srv.pinnedResponse; most > 0 {
		limit = min(limit, most)
	}
	seat := s.seatLocked()
	if seat == nil {
		return limit // nothing is known, or it has been here for longer than that
	}
	now := s.srv.moment()
	way := s.srv.way(t.from, now)
	if way == nil {
		return limit
	}
	return seat.Limit(way, now, limit)
}

// wrote says how the writing of an answer with messages ended.
func (s *session) wrote(t trip, l *queue.Lease, sent int) {
	bytes := 0
	for _, f := range l.Messages {
		bytes += len(f.JSON) + 1
	}
	batch := int64(-1)
	if l.Batch > 0 {
		batch = l.Batch
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seat := s.seatLocked()
	if seat == nil {
		if bytes < pathprofile.Large {
			return
		}
		seat = s.sitLocked(pathprofile.Sent(t.serial))
	}
	seat.Wrote(pathprofile.Key(t.from), bytes, sent == len(l.Messages), batch)
}

// seatLocked is the session's seat, nil for none.
func (s *session) seatLocked() *pathprofile.Seat {
	if m := s.more.Load(); m != nil {
		return m.path
	}
	return nil
}

// sitLocked gives it one, nil for none, and returns it.
func (s *session) sitLocked(seat *pathprofile.Seat) *pathprofile.Seat {
	s.rare().path = seat
	return seat
}

// tell counts what was learned and has it written to the log.
func (l *lesson) tell(s *session) {
	if l.news != 0 {
		s.srv.learned(l.from, l.news, s.id())
	}
	if l.lost == nil {
		return
	}
	s.srv.stats.limit("path")
	s.srv.quiet.notice("path").Str("session", s.id()).Int("bytes", len(l.lost.JSON)).Int("tries", maxTries).
		Msg("a message is given up: what lies between here and the client does not carry it")
}

func (srv *Server) learned(from network, news pathprofile.News, session string) {
	for one := range news.All() {
		srv.stats.bump(&srv.stats.learned, one.String())
	}
	srv.quiet.notice("path").Str("session", session).Stringer("network", from).Stringer("learned", news).
		Msg("something was learned of the network between here and a client")
}

// gate tells the WebSocket carrier from where sockets are of use.
type gate struct{ srv *Server }

// Upgrade implements transport.Paths.
func (g gate) Upgrade(from *bayeux.Request) bool {
	now := g.srv.moment()
	way := g.srv.way(g.srv.from(from), now)
	return way == nil || way.Upgrade(now)
}

// Dead implements transport.Paths.
func (g gate) Dead(to transport.Port) {
	p, ok := to.(*port)
	if !ok || !p.trip.from.IsValid() {
		return
	}
	now := g.srv.moment()
	g.srv.learned(p.trip.from, g.srv.made(p.trip.from, now).Dead(now), "")
	p.mu.Lock()
	s, greeted := p.sess, p.greeted
	p.mu.Unlock()
	if s != nil && greeted {
		s.mu.Lock()
		s.sitLocked(pathprofile.Bury())
		s.mu.Unlock()
	}
}

// strandedVerdict sends a client to another handshake, after the end of the
// connection that brings it: CometD's is then free to choose its transport.
func strandedVerdict() *bayeux.Error {
	e := *bayeux.ErrSessionUnknown
	e.Advice = &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake, Interval: new(strandedPause)}
	return &e
}

// stillborn tells that nothing has come through the WebSocket on which the session
// began, nor by another way since.
func (s *session) stillborn() bool {
	if s.more.Load() == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seat := s.seatLocked()
	return seat != nil && seat.Stillborn()
}

// Alive implements transport.Paths.
func (g gate) Alive(to transport.Port) {
	p, ok := to.(*port)
	if !ok || !p.trip.from.IsValid() {
		return
	}
	if way := g.srv.way(p.trip.from, g.srv.moment()); way != nil {
		if news := way.Alive(); news != 0 {
			g.srv.learned(p.trip.from, news, "")
		}
	}
}

// Trickle implements transport.Trickler.
func (x *exchange) Trickle() time.Duration {
	t := &x.srv.trickle
	if t.every == 0 || !x.trip.from.IsValid() {
		return 0
	}
	return t.to(x.trip.from.Addr())
}

func pathStats(s pathprofile.Stats) PathStats {
	return PathStats{
		Known: s.Paths, ShortHolds: s.Ceilings, SmallResponses: s.Sizes,
		UpgradesRefused: s.UpgradesRefused, ShortPolls: s.ShortPolls,
	}
}
