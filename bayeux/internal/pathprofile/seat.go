package pathprofile

import (
	"math"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

const (
	// comeBack is how soon a client is back after a cut. Stock clients wait for a
	// second, and a little longer each time.
	comeBack = 15 * time.Second
	// pauseBack is that second, pauseAgain what Faye's wait before they send the same
	// connect again.
	pauseBack  = time.Second
	pauseAgain = 5 * time.Second
	// shortest is the least age of a cut: what ends sooner was not cut for its
	// duration.
	shortest = 200 * time.Millisecond
	// maxNoise bounds what has to be made good by full holds.
	maxNoise = 4
	// shortPoll is the ceiling of who is not held at all.
	shortPoll = time.Millisecond
)

// Seat is what is remembered of one session's way. The zero value is one of which
// nothing is known. The lock of the session guards it.
type Seat struct {
	way   Key          // of the hold or the answer, and of what follows from it
	began instant.Time // of the hold; zero: there is none
	left  instant.Time // when the client left a hold, and has not come back

	serial int32 // of the last connect; -1: it had none

	age     uint32 // ms; of the hold that the client left
	cut     uint32 // ms; the age of the last cut; 0: none that counts
	ceiling uint32 // ms; of the session's own holds; 0: none

	sent  uint32 // bytes of the last large answer, until it is known whether it arrived; 0: none
	batch uint32 // its batch, the low bits
	limit uint32 // bytes of an answer; 0: no limit of its own
	bad   uint32 // the smallest that failed; 0: none

	pause uint16 // ms; between short polls
	flags flags
	cuts  uint8 // that agree, in a row
	noise uint8 // cuts that did not
	fails uint8 // of an answer that cannot be made smaller, in a row
}

type flags uint16

const (
	socket    flags = 1 << iota // the lane
	newcomer                    // what its path knows is its beginning
	probing                     // the hold is longer than what is known to be carried
	sizing                      // the answer is larger than that
	voted                       // its ceiling counts on its path
	votedSize                   // its limit does
	acks                        // answers are acknowledged
	busy                        // messages have left since the last short poll
	torn                        // the last large answer was not written whole
	climbing                    // the last try was carried, so that the next may follow
	answered                    // the hold that was left has ended with an answer
	full                        // and that because its time had come
	retried                     // the last connect asked for an answer at once
	habit                       // it always does
	longer                      // the last hold was a try that was carried
	stillborn                   // the WebSocket that it began on was dead
)

func (s *Seat) is(f flags) bool { return s.flags&f != 0 }

func (s *Seat) set(f flags, on bool) {
	if s.flags &^= f; on {
		s.flags |= f
	}
}

// Stillborn tells that the WebSocket on which the session began was dead, and that
// it has not come by another way since.
func (s *Seat) Stillborn() bool { return s.is(stillborn) }

// Bury makes a seat for such a session.
func Bury() *Seat { return &Seat{flags: socket | stillborn, serial: -1} }

// Newcomer has the session begin with what its path knows: it comes for the first
// time.
func (s *Seat) Newcomer() { s.set(newcomer, true) }

func (s *Seat) lane() Lane {
	if s.is(socket) {
		return Socket
	}
	return Polling
}

// Came is what a connect says.
type Came struct {
	Lane Lane
	// Serial is the number that its message id is. -1: there is none; less: the id is
	// no number, and this a mark of it.
	Serial int64
	// Retry tells that its advice asks for an answer at once, as after a failure.
	Retry bool
	// Ack is the batch that it acknowledges; -1: the extension is off.
	Ack int64
}

// Came says that a connect has come by p. Whatever was open of the one before it
// is settled.
func (s *Seat) Came(p *Path, now instant.Time, c Came) (news News) {
	if c.Lane != s.lane() {
		*s = Seat{flags: s.flags & (newcomer | acks)} // what it knows is of another way
		s.set(socket, c.Lane == Socket)
	}
	serial := short(c.Serial)
	c.Serial = int64(serial)
	again := s.sentAgain(c)
	goesOn := (serial < 0 || s.serial < 0 || serial > s.serial || again) && s.way == p.key
	news |= s.accustom(p, c)
	if !s.began.IsZero() {
		// It comes while one is held: what lies between has ended the client's side,
		// and left us ours. When the silence of a socket ended is not known.
		// A poll's client has paused before it came.
		age, pause := now.Sub(s.began), pauseBack
		if again {
			pause = pauseAgain
		}
		age = max(age-pause, age/2)
		if s.is(socket) {
			age = -1
		}
		s.Left(p, now, age)
	}
	if !s.left.IsZero() {
		news |= s.back(p, now, goesOn && (c.Retry || again && !s.is(answered)))
	}
	news |= s.judge(p, now, c, goesOn)
	s.set(acks, c.Ack >= 0)
	s.serial = serial
	return news
}

// sentAgain tells that it is the last connect once more, as Faye's client sends one
// whose answer it has not seen. That counts where there was none: there are clients
// all of whose connects have the same id. (The ids of a reloaded page of CometD's
// begin anew, but then it asks for an answer at once.)
func (s *Seat) sentAgain(c Came) bool {
	return !c.Retry && c.Serial != -1 && c.Serial == int64(s.serial)
}

// short is a serial number as a seat keeps it: one that is too large is none.
func short(serial int64) int32 {
	if serial > math.MaxInt32 || serial < math.MinInt32 {
		return -1
	}
	return int32(serial)
}

// accustom finds out whether the client asks for answers at once by habit, as those
// do that poll at times of their own: then it is no sign of a failure. Who had a
// small answer after asking so, and asks so again, does.
func (s *Seat) accustom(p *Path, c Came) (news News) {
	switch {
	case !c.Retry:
		s.set(habit, false)
	case s.is(retried) && s.sent == 0 && s.left.IsZero() && s.began.IsZero() && !s.is(habit):
		s.set(habit, true)
		if s.bad > 0 && !s.is(acks) {
			if s.is(votedSize) {
				news = p.mistaken(int(s.bad))
			}
			s.limit, s.bad, s.fails = 0, 0, 0
			s.set(votedSize, false)
		}
	}
	s.set(retried, c.Retry)
	return news
}

// back judges a hold that the client left, now that it is here again.
func (s *Seat) back(p *Path, now instant.Time, failed bool) News {
	age, since := time.Duration(s.age)*time.Millisecond, now.Sub(s.left)
	s.left, s.age = 0, 0
	if s.is(answered) {
		s.set(answered, false)
		return s.heard(p, now, age, since, failed)
	}
	if !failed || since > comeBack || age < shortest {
		s.giveWay(p, now)
		return Ignored
	}
	return s.wasCut(p, now, age)
}

// heard judges a hold that was over before the client came again: who comes as
// after a failure was cut before the answer left, and that went nowhere.
func (s *Seat) heard(p *Path, now instant.Time, age, since time.Duration, failed bool) News {
	switch {
	case !failed || since > comeBack:
		if s.cuts > 0 && millis(age) >= s.cut {
			s.cuts, s.cut = 0, 0
		}
		// One that is kept short tells others nothing; those who hold longer do.
		if since > comeBack || s.ceiling > 0 && !s.is(longer) {
			return 0
		}
		return p.carried(s.lane(), age)
	case s.sent > 0: // its size may be why
		return 0
	case s.is(climbing): // it was taken for carried: back to what it was a half more than
		s.set(climbing, false)
		s.ceiling = millis(age * 2 / 3)
		p.tried(s.lane(), now, false)
		return Cut | ProbeFailed
	case !s.is(full): // a message came, some time after the cut
		return Ignored
	}
	return s.wasCut(p, now, age)
}

// giveWay lets others try longer holds if the session was about to, but not at
// once: it may have been cut, and gone.
func (s *Seat) giveWay(p *Path, now instant.Time) {
	if s.is(probing) {
		s.set(probing|climbing, false)
		p.put(s.lane(), now)
	}
}

// wasCut counts a cut.
func (s *Seat) wasCut(p *Path, now instant.Time, age time.Duration) News {
	if p.config.off(Holds) {
		return Cut
	}
	if s.is(probing) {
		return Cut | s.probeFailed(p, now, age)
	}
	last := time.Duration(s.cut) * time.Millisecond
	switch {
	case s.cuts > 0 && near(age, last):
		s.cuts++
		age = min(age, last)
	case s.cuts > 0:
		s.noise = min(s.noise+1, maxNoise)
		fallthrough
	default:
		s.cuts = 1
	}
	s.cut = millis(age)
	need := uint8(2)
	if s.noise > 0 {
		need = 3
	}
	if s.cuts >= need {
		return Cut | s.settle(p, now, age)
	}
	if s.cuts+1 == need && p.knows(s.lane(), age) {
		// Others have found it: a session that was there before they had does not wait
		// for another cut. That is no vote.
		_, news := s.take(p, age)
		return Cut | news
	}
	return Cut
}

// near tells that two cuts may have the same reason.
func near(cut, other time.Duration) bool {
	return (cut - other).Abs() <= max(500*time.Millisecond, other/20)
}

// take makes a ceiling of a cut.
func (s *Seat) take(p *Path, cut time.Duration) (ceiling time.Duration, news News) {
	ceiling, news = cut*4/5, CeilingSet
	switch {
	case ceiling >= p.config.MinHold:
	case p.config.off(ShortPolls):
		ceiling = p.config.MinHold
	default:
		ceiling = shortPoll
		news |= ShortPolling
	}
	s.ceiling, s.cuts, s.noise, s.cut = millis(ceiling), 0, 0, 0
	return ceiling, news
}

// settle makes a ceiling of cuts at that age.
func (s *Seat) settle(p *Path, now instant.Time, age time.Duration) News {
	ceiling, news := s.take(p, age)
	news |= p.found(s.lane(), now, ceiling, age, s.is(voted))
	s.set(voted, true)
	return news
}

// probeFailed goes back to what was carried.
func (s *Seat) probeFailed(p *Path, now instant.Time, age time.Duration) News {
	s.set(probing|climbing, false)
	s.cuts, s.cut = 0, 0
	own := s.ceilingOf(p)
	if carried := age * 4 / 5; carried > own {
		own = carried
	}
	s.ceiling = millis(own)
	p.tried(s.lane(), now, false)
	return ProbeFailed
}

// ceilingOf is the session's ceiling, or that of its path; 0: none.
func (s *Seat) ceilingOf(p *Path) time.Duration {
	if s.ceiling > 0 {
		return time.Duration(s.ceiling) * time.Millisecond
	}
	if s.is(newcomer) {
		return p.ceiling(s.lane())
	}
	return 0
}

// Hold says that the connect which came is about to be held for want, and returns
// for how long it should be. Zero: not at all; Pause tells what to do instead.
func (s *Seat) Hold(p *Path, now instant.Time, want time.Duration) time.Duration {
	length := want
	if !p.config.off(Holds) {
		length = s.length(p, now, want)
	}
	if s.way = p.key; length > 0 {
		s.began = now
	}
	return length
}

func (s *Seat) length(p *Path, now instant.Time, want time.Duration) time.Duration {
	ceiling := s.ceilingOf(p)
	s.set(probing, false)
	if ceiling == 0 || ceiling >= want {
		s.set(climbing, false)
		return want
	}
	more := max(ceiling, p.config.MinHold) * 3 / 2
	if more = min(more, want); p.tries(s.lane(), now, more, s.is(climbing)) {
		s.set(probing, true)
		return more
	}
	if ceiling < p.config.MinHold {
		return 0
	}
	return ceiling
}

// Pause is how long the client is to stay away where it is not held.
func (s *Seat) Pause(p *Path) time.Duration {
	least, most := p.config.ShortPollInterval, p.config.MaxShortPollInterval
	d := time.Duration(s.pause) * time.Millisecond * 3 / 2
	if s.is(busy) || d < least {
		d = least
	}
	d = min(d, most)
	s.set(busy, false)
	s.pause = uint16(d.Milliseconds()) //nolint:gosec // a minute at most, see Config
	return d
}

// Held says that the hold has ended with an answer. due tells that it was its time
// that had come, and not a message. Whether the client was still there to have it
// is seen when it comes back.
func (s *Seat) Held(p *Path, now instant.Time, due bool) (news News) {
	if s.began.IsZero() {
		return 0
	}
	age := now.Sub(s.began)
	s.began = 0
	if s.cuts > 0 && millis(age) > s.cut+s.cut/20 {
		s.cuts, s.cut = 0, 0 // whatever that was, it was no limit
	}
	if due {
		s.noise -= min(s.noise, 1)
	}
	s.left, s.age = now, max(millis(age), 1)
	s.set(answered, true)
	s.set(full, due)
	if s.is(probing) {
		news = s.probeHeld(p, now, age, due)
	}
	s.set(longer, news != 0)
	return news
}

// probeHeld takes what was tried for what is carried.
func (s *Seat) probeHeld(p *Path, now instant.Time, age time.Duration, due bool) News {
	s.set(probing, false)
	own := s.ceilingOf(p)
	if !due && age <= own*5/4 {
		p.untried(s.lane())
		return 0 // a message came before anything could be seen
	}
	s.set(climbing, true)
	p.tried(s.lane(), now, true)
	s.ceiling = millis(max(age, own))
	return ProbeHeld
}

// Left says that the client has ended the hold, or what lies between has: at that
// age, or of a WebSocket after so long a silence. A negative age is not known, and
// teaches nothing. What it means is seen when the client comes back.
func (s *Seat) Left(p *Path, now instant.Time, age time.Duration) {
	s.began = 0
	s.set(answered, false)
	if age < 0 {
		s.giveWay(p, now)
		return
	}
	s.left, s.age = now, max(millis(age), 1)
}

func millis(d time.Duration) uint32 {
	return uint32(min(max(d, 0), 40*24*time.Hour).Milliseconds()) //nolint:gosec // bounded
}
