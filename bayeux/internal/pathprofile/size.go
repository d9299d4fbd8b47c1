package pathprofile

import (
	"math"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Large is what an answer must have for its loss to be one of size, in bytes: of
// smaller ones nobody without a Seat need tell.
const Large = 8 << 10

// Limit is how many bytes the next answer may have; most is what it may have
// anyway, 0 or less for no bound.
func (s *Seat) Limit(p *Path, now instant.Time, most int) int {
	if most <= 0 {
		most = math.MaxInt32
	}
	if p.config.off(Responses) {
		return most
	}
	s.set(sizing, false)
	limit := int(s.limit)
	if limit == 0 && s.is(newcomer) {
		limit = p.response()
	}
	if limit == 0 || limit >= most {
		return most
	}
	// A try that fails costs messages, where they are not acknowledged.
	if s.is(acks) && s.bad > 0 && s.limit >= s.bad/4*3 && p.triesSize(now) {
		s.set(sizing, true)
		return min(most, 2*int(s.bad))
	}
	return limit
}

// Wrote says that an answer was written, with so many bytes of messages, whole or
// not, and the number of its batch; -1: it has none. What that means is seen when
// the client comes back.
func (s *Seat) Wrote(by Key, bytes int, whole bool, batch int64) {
	if bytes > 0 {
		s.set(busy, true)
	}
	s.sent = 0
	if bytes < Large {
		return
	}
	s.way = by
	s.set(torn, !whole)
	s.sent, s.batch = uint32(min(bytes, math.MaxInt32)), uint32(batch) //nolint:gosec // bounded; the low bits are enough
}

// judge tells whether the last large answer has arrived.
func (s *Seat) judge(p *Path, now instant.Time, c Came, goesOn bool) News {
	bytes := int(s.sent)
	if s.sent = 0; bytes == 0 || !goesOn {
		return 0
	}
	if s.lost(c) {
		// What left whole and is not acknowledged does not come again.
		return s.tooLarge(p, now, bytes, c.Ack >= 0 || s.is(torn))
	}
	return s.arrived(p, now, bytes)
}

// lost tells whether the last large answer was, of one whose client comes by the
// same path with the next message.
func (s *Seat) lost(c Came) bool {
	if c.Ack >= 0 {
		return int32(uint32(c.Ack)-s.batch) < 0 //nolint:gosec // of numbers that are near each other
	}
	return s.is(torn) || c.Retry && c.Serial >= 0 && !s.is(habit)
}

// Sent makes a seat for an answer to the connect with that serial number; Wrote is
// to follow. No path is needed for it as long as nothing happens: see Done.
func Sent(serial int64) *Seat {
	return &Seat{serial: short(serial)}
}

// Done tells that a seat, with this connect, is of no more use: its answer has
// arrived, and nothing else has ever happened.
func (s *Seat) Done(c Came) bool {
	return s.clean() && !s.lost(c)
}

// Blank tells that nothing is known in a seat that has heard of a connect: on a
// quiet path it is of no more use.
func (s *Seat) Blank() bool { return s.sent == 0 && s.clean() && !s.is(habit) }

func (s *Seat) clean() bool {
	return *s == Seat{way: s.way, serial: s.serial, sent: s.sent, batch: s.batch, flags: s.flags & (socket | busy | acks | retried | habit)}
}

// tooLarge counts an answer that was lost, for its size it seems. again tells that
// what was in it is still there.
func (s *Seat) tooLarge(p *Path, now instant.Time, bytes int, again bool) News {
	if p.config.off(Responses) {
		return 0
	}
	if s.is(sizing) {
		s.set(sizing, false)
		p.triedSize(now, false)
		return SizeLowered
	}
	if s.limit > 0 && bytes > int(s.limit) {
		if again {
			s.fails = min(s.fails+1, math.MaxUint8-1) // it could not be made smaller
		}
		s.bad = min(s.bad, uint32(bytes)) //nolint:gosec // bounded
		return 0
	}
	s.fails = 0
	if again {
		s.fails = 1
	}
	s.bad = uint32(min(bytes, math.MaxInt32))            //nolint:gosec // bounded
	s.limit = max(s.bad/4, uint32(p.config.MinResponse)) //nolint:gosec // a few KiB
	news := SizeLowered | p.tooLarge(now, int(s.limit), int(s.bad), s.is(votedSize))
	s.set(votedSize, true)
	return news
}

// arrived counts one that was not.
func (s *Seat) arrived(p *Path, now instant.Time, bytes int) (news News) {
	s.fails = 0
	switch {
	case s.is(sizing) && bytes > int(s.bad):
		s.limit, s.bad = uint32(bytes), 0 //nolint:gosec // it was a uint32
		p.triedSize(now, true)
		news = SizeRaised
	case s.limit > 0 && bytes >= int(s.limit)/2:
		if next := s.next(); next > s.limit {
			s.limit = next
			p.settles(int(next) * 2 / 3) // that one did arrive, nearly
			news = SizeRaised
		}
	}
	s.set(sizing, false)
	if bytes >= int(s.bad) {
		news |= p.fits(bytes)
	}
	return news
}

// next is the limit after an answer that used its own.
func (s *Seat) next() uint32 {
	next := s.limit / 2 * 3
	if s.bad > 0 {
		next = min(next, s.bad/4*3)
	}
	return min(next, math.MaxInt32)
}

// Failures tells how often in a row an answer has failed that could not be made
// smaller: it is one message.
func (s *Seat) Failures() int { return int(s.fails) }

// GaveUp says that the message is given up.
func (s *Seat) GaveUp() { s.fails, s.sent = 0, 0 }
