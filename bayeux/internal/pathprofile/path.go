package pathprofile

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Lane tells apart what is cut by its duration from what is cut by its silence.
type Lane uint8

// The lanes.
const (
	Polling Lane = iota
	Socket
	lanes
)

// agree is how many sessions have to learn the same before it counts against
// somebody who has seen otherwise.
const agree = 3

// Path is what is known of an address. It is safe for concurrent use.
type Path struct {
	key    Key
	config *Config
	used   atomic.Int64 // an instant, to about a second
	loud   atomic.Bool  // newcomers have something to heed
	gated  atomic.Bool  // sockets have died, and none has lived since

	mu sync.Mutex
	// Guarded by mu.
	holds [lanes]opinion
	sizes opinion
	ways  [lanes]schedule
	size  schedule
	gate  gate
}

// opinion is what sessions of a path have found out: that something is cut from a
// figure on.
type opinion struct {
	limit  int64 // what newcomers begin with; 0: nothing
	found  poll  // how often that was found
	rival  poll  // while that holds: how often something else was, which somebody has seen pass
	passed int64 // the largest figure that somebody has seen pass
}

// poll is how many sessions agree on a figure.
type poll struct {
	cut   int64
	votes int
}

func (p *poll) agrees(cut int64) bool {
	return p.votes > 0 && cut >= p.cut-p.cut/4 && cut <= p.cut+p.cut/3
}

// denied tells that something larger has passed.
func (p *poll) denied(figure int64) bool { return p.votes > 0 && figure > p.cut+p.cut/20 }

// count counts a session. known tells that it has voted before.
func (p *poll) count(cut int64, known bool) {
	switch {
	case !p.agrees(cut):
		*p = poll{cut, 1}
	case !known:
		p.votes++
	}
	p.cut = min(p.cut, cut)
}

// vote says that a session has found limit, for it is cut at cut. known tells
// that it said so before. It tells whether newcomers begin with it now.
func (o *opinion) vote(limit, cut int64, known bool) (shared bool) {
	passes := o.passed >= cut
	if passes && o.limit > 0 && !o.found.agrees(cut) {
		if o.rival.count(cut, known); o.rival.votes < agree {
			return false
		}
		o.found = o.rival
	} else {
		o.found.count(cut, known)
	}
	if passes && o.found.votes < agree {
		return false
	}
	was := o.limit
	o.passed, o.rival = 0, poll{}
	o.limit = limit
	return was != limit
}

// withdraw takes back the vote of a session that was cut at cut, for it was wrong.
// It tells whether newcomers began with less until now.
func (o *opinion) withdraw(cut int64) (withdrawn bool) {
	switch {
	case o.found.agrees(cut):
		if o.found.votes--; o.found.votes == 0 {
			withdrawn = o.limit > 0
			*o = opinion{passed: o.passed}
		}
	case o.rival.agrees(cut):
		o.rival.votes--
	}
	return withdrawn
}

// pass says that a figure has passed, for somebody. It tells whether newcomers
// began with less until now.
func (o *opinion) pass(figure int64) (withdrawn bool) {
	o.passed = max(o.passed, figure)
	if o.rival.denied(figure) {
		o.rival = poll{}
	}
	if !o.found.denied(figure) {
		return false
	}
	withdrawn = o.limit > 0
	*o = opinion{passed: o.passed}
	return withdrawn
}

// schedule is when more is tried on a path, by one session at a time.
type schedule struct {
	next  instant.Time  // zero: not begun
	wait  time.Duration // after the next failure
	until instant.Time  // somebody tries, until then
}

// begin has the first try be later than now.
func (s *schedule) begin(now instant.Time, every time.Duration) {
	s.wait = max(s.wait, every)
	s.next = now.Add(s.wait)
}

// take tells whether a session may try now. What it tries takes that long. climbs
// tells that its last try was carried: then the next need not wait for its time.
func (s *schedule) take(now instant.Time, every, length time.Duration, climbs bool) bool {
	due := climbs || !s.next.IsZero() && !now.Before(s.next)
	if every < 0 || !due || now.Before(s.until) {
		return false
	}
	s.until = now.Add(length + comeBack)
	return true
}

func (s *schedule) done(now instant.Time, every time.Duration, carried bool) {
	s.until = 0
	if carried {
		s.wait = every
	}
	s.wait = max(s.wait, every)
	s.next = now.Add(s.wait)
	if !carried {
		s.wait = min(2*s.wait, 16*every)
	}
}

// Quiet tells that newcomers have nothing to heed: a session without a Seat needs
// none.
func (p *Path) Quiet() bool {
	return !p.loud.Load()
}

// use notes that the path is in use. Seconds are enough: who writes a shared word
// for each connect slows the others down.
func (p *Path) use(now instant.Time) {
	if was := instant.Time(p.used.Load()); now.Sub(was) > time.Second {
		p.used.Store(int64(now))
	}
}

// heed notes whether newcomers have something to heed. mu is held.
func (p *Path) heed() {
	p.loud.Store(p.holds[Polling].limit > 0 || p.holds[Socket].limit > 0 || p.sizes.limit > 0)
}

// ceiling is what newcomers begin with, 0 for nothing.
func (p *Path) ceiling(l Lane) time.Duration {
	if !p.loud.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(p.holds[l].limit)
}

// knows tells that others have found such a cut, so that newcomers begin with less.
func (p *Path) knows(l Lane, cut time.Duration) bool {
	if !p.loud.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &p.holds[l]
	return o.limit > 0 && near(cut, time.Duration(o.found.cut))
}

func (p *Path) response() int {
	if !p.loud.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.sizes.limit)
}

// found is a session's vote on holds; the first try of more is some time away.
func (p *Path) found(l Lane, now instant.Time, ceiling, cut time.Duration, known bool) (news News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.heed()
	p.ways[l].begin(now, p.config.ProbeEvery)
	if p.holds[l].vote(int64(ceiling), int64(cut), known) {
		news = CeilingShared
	}
	return news
}

// carried says that a hold has lasted so long.
func (p *Path) carried(l Lane, age time.Duration) (news News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds[l].pass(int64(age)) {
		news = CeilingWithdrawn
		p.heed()
	}
	return news
}

// tries tells whether a session may try a longer hold now: see schedule.take.
func (p *Path) tries(l Lane, now instant.Time, length time.Duration, climbs bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ways[l].take(now, p.config.ProbeEvery, length, climbs)
}

// untried says that it ended before anything could be seen.
func (p *Path) untried(l Lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ways[l].until = 0
}

// put says that it ended, and nothing was seen: the next try is as far away as it
// was.
func (p *Path) put(l Lane, now instant.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &p.ways[l]
	w.until, w.next = 0, now.Add(max(w.wait, p.config.ProbeEvery))
}

// tried says how that ended.
func (p *Path) tried(l Lane, now instant.Time, carried bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ways[l].done(now, p.config.ProbeEvery, carried)
}

// tooLarge is a session's vote on sizes.
func (p *Path) tooLarge(now instant.Time, limit, failed int, known bool) (news News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.heed()
	p.size.begin(now, p.config.ProbeEvery)
	if p.sizes.vote(int64(limit), int64(failed), known) {
		news = SizeShared
	}
	return news
}

// settles raises what newcomers begin with to what a session has found to pass.
func (p *Path) settles(limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sizes.limit > 0 && int64(limit) > p.sizes.limit && int64(limit) < p.sizes.found.cut {
		p.sizes.limit = int64(limit)
	}
}

// fits says that an answer of that size has arrived.
func (p *Path) fits(bytes int) (news News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sizes.pass(int64(bytes)) {
		news = SizeWithdrawn
		p.heed()
	}
	return news
}

// mistaken says that what a session took for lost for its size was not.
func (p *Path) mistaken(bytes int) (news News) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sizes.withdraw(int64(bytes)) {
		news = SizeWithdrawn
		p.heed()
	}
	return news
}

// triesSize and triedSize are tries and tried for sizes.
func (p *Path) triesSize(now instant.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size.take(now, p.config.ProbeEvery, comeBack, false)
}

func (p *Path) triedSize(now instant.Time, carried bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size.done(now, p.config.ProbeEvery, carried)
}

// gate is what is known of WebSockets.
type gate struct {
	dead    int // in a row
	refused instant.Time
	span    time.Duration // of the next refusal
}

// Upgrade tells whether a WebSocket may be opened.
func (p *Path) Upgrade(now instant.Time) bool {
	if !p.gated.Load() || p.config.off(Upgrades) {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.gate.refused)
}

// Dead says that a WebSocket was opened and nothing came through.
func (p *Path) Dead(now instant.Time) News {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gated.Store(true)
	g := &p.gate
	g.dead++
	if p.config.off(Upgrades) || g.dead < p.config.DeadSockets || now.Before(g.refused) {
		return SocketDead
	}
	g.span = min(max(2*g.span, p.config.RefuseUpgrades), max(24*time.Hour, p.config.RefuseUpgrades))
	g.refused = now.Add(g.span)
	return SocketDead | UpgradesRefused
}

// strandedFor is for how long WebSockets are refused on the way of a session that
// its first one has stranded: its client shakes hands anew at once.
const strandedFor = 5 * time.Second

// Stranded says that a session whose first WebSocket was dead has come by another
// one: where its client can choose another transport, it is to.
func (p *Path) Stranded(now instant.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config.off(Upgrades) {
		return
	}
	p.gated.Store(true)
	if until := now.Add(strandedFor); until > p.gate.refused {
		p.gate.refused = until
	}
}

// Alive says that messages come through one.
func (p *Path) Alive() (news News) {
	if !p.gated.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate.span > 0 {
		news = UpgradesBack
	}
	p.gate = gate{}
	p.gated.Store(false)
	return news
}

// count adds the path to the stats.
func (p *Path) count(all *Stats, now instant.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.holds {
		switch limit := time.Duration(p.holds[l].limit); {
		case limit == 0:
		case limit < p.config.MinHold:
			all.ShortPolls++
		default:
			all.Ceilings++
		}
	}
	if p.sizes.limit > 0 {
		all.Sizes++
	}
	if p.gated.Load() && now.Before(p.gate.refused) {
		all.UpgradesRefused++
	}
}
