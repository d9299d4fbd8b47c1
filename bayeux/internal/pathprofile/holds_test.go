package pathprofile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/pathprofile"
)

// A path that cuts costs two failures, and then holds last for most of what it
// carries.
func TestCuts(t *testing.T) {
	for _, c := range []struct{ cut, want time.Duration }{
		{5 * second, 30 * second}, {20 * second, 30 * second}, {60 * second, 120 * second}, {100 * second, 120 * second}, {5 * second, 120 * second},
	} {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v of %v, server's side open %v", c.cut, c.want, open), func(t *testing.T) {
				for seed := range uint64(20) {
					w := newWorld(pathprofile.Config{}, seed)
					cl := w.client(c.cut, c.want)
					cl.open = open
					cl.run(10 * minute)
					require.LessOrEqual(t, cl.failed, 2, "seed %d", seed)
					if c.cut <= 20*second {
						require.Equal(t, 2, cl.failed)
						long := 0
						for _, d := range cl.holds {
							if d > c.cut*6/10 {
								long++
							}
						}
						require.GreaterOrEqual(t, long, 12)
					}
					second := w.client(c.cut, c.want)
					second.run(10 * minute)
					if cl.news&pathprofile.CeilingSet != 0 {
						require.Zero(t, second.failed, "the next one on the path")
					}
					require.Zero(t, cl.pauses)
				}
			})
		}
	}
}

// A session that was there before others found the cut has one failure of its own, not
// two; where they have found another one, it has both.
func TestThereBefore(t *testing.T) {
	for _, c := range []struct {
		cut  time.Duration
		want int
	}{{100 * second, 1}, {60 * second, 2}} {
		w := newWorld(pathprofile.Config{}, 1)
		early := w.client(c.cut, 120*second)
		early.seat = pathprofile.Seat{} // nothing was known
		w.client(100*second, 120*second).idle(10 * minute)
		early.idle(10 * minute)
		require.Equal(t, c.want, early.failed, "%v", c.cut)
		require.LessOrEqual(t, early.longest(5), c.cut*4/5+second)
	}
}

// Faye's client does not ask for an answer at once after a failure: it sends the same
// connect again, five seconds later.
func TestSentAgain(t *testing.T) {
	for _, open := range []bool{false, true} {
		w := newWorld(pathprofile.Config{}, 1)
		p := w.book.Make(key(1), w.now)
		var s pathprofile.Seat
		came := func(id int64) (news pathprofile.News, hold time.Duration) {
			news = s.Came(p, w.now, pathprofile.Came{Serial: id, Ack: -1})
			return news, s.Hold(p, w.now, 30*second)
		}
		cut := func() {
			w.now = w.now.Add(20 * second)
			if !open {
				s.Left(p, w.now, 20*second)
			}
			w.now = w.now.Add(5 * second)
		}
		_, hold := came(-7)
		require.Equal(t, 30*second, hold)
		cut()
		news, hold := came(-7)
		require.Equal(t, pathprofile.Cut, news)
		require.Equal(t, 30*second, hold)
		cut()
		news, hold = came(-7)
		require.Equal(t, pathprofile.Cut|pathprofile.CeilingSet|pathprofile.CeilingShared, news)
		require.Equal(t, 16*second, hold)
		w.now = w.now.Add(16 * second)
		s.Held(p, w.now, true)
		news, hold = came(-8)
		require.Zero(t, news)
		require.Equal(t, 16*second, hold)

		// One whose connects all have the same id.
		for range 5 {
			w.now = w.now.Add(16 * second)
			s.Held(p, w.now, true)
			news, _ = came(-8)
			require.Zero(t, news)
		}
		// Another id is another connect.
		s.Left(p, w.now, 10*second)
		news, _ = came(-9)
		require.Equal(t, pathprofile.Ignored, news)
		s.Left(p, w.now, 10*second)
		news, _ = came(9)
		require.Equal(t, pathprofile.Ignored, news)
		s.Left(p, w.now, 10*second)
		news, _ = came(9)
		require.Equal(t, pathprofile.Cut, news)
		s.Left(p, w.now, 10*second)
		require.Equal(t, pathprofile.Ignored, s.Came(p, w.now, pathprofile.Came{Serial: 9, Retry: true, Ack: -1}), "a reloaded page")
	}
}

// Without adaptation the same schedule is cut eight times and more.
func TestCutsMatter(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(pathprofile.Config{Off: pathprofile.Holds}, seed)
		cl := w.client(20*second, 30*second)
		cl.run(10 * minute)
		require.GreaterOrEqual(t, cl.failed, 8)
	}
}

// A cut that becomes shorter costs two more failures.
func TestShorterCut(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	cl := w.client(20*second, 30*second)
	cl.run(5 * minute)
	require.Equal(t, 2, cl.failed)
	cl.cut = 8 * second
	cl.run(5 * minute)
	require.Equal(t, 4, cl.failed)
	require.Equal(t, 6400*time.Millisecond, cl.longest(5))
	late := w.client(8*second, 30*second)
	late.run(5 * minute)
	require.Zero(t, late.failed)
}

// One that becomes longer is found by trying, which costs a failure each time
// until then.
func TestLongerCut(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: 2 * minute}, 1)
	cl := w.client(8*second, 120*second)
	cl.idle(5 * minute)
	require.LessOrEqual(t, cl.failed, 2+2)
	cl.cut = 60 * second
	before := cl.failed
	cl.idle(15 * minute)
	require.Greater(t, cl.longest(3), 20*second)
	require.LessOrEqual(t, cl.failed-before, 4, "a failure each try, after two and four minutes")
	require.NotZero(t, cl.news&pathprofile.ProbeHeld)

	cl.cut = 0
	cl.idle(3 * time.Hour)
	require.Equal(t, 120*second, cl.longest(1), "nothing is cut any more")
}

// Tries that fail become rarer.
func TestTriesBecomeRarer(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: minute}, 1)
	cl := w.client(10*second, 120*second)
	cl.idle(10 * time.Hour)
	require.Greater(t, cl.failed, 2+5)
	require.Less(t, cl.failed, 2+5+10*60/16+1)
	require.Equal(t, 8*second, cl.longest(5))

	never := newWorld(pathprofile.Config{ProbeEvery: -1}, 1).client(10*second, 120*second)
	never.idle(10 * time.Hour)
	require.Equal(t, 2, never.failed)
}

// Where nothing can be held clients poll, less often while nothing comes.
func TestShortPolls(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	cl := w.client(700*time.Millisecond, 30*second)
	cl.idle(10 * minute)
	require.Equal(t, 2, cl.failed)
	require.NotZero(t, cl.news&pathprofile.ShortPolling)
	require.InDelta(t, 60, cl.pauses, 10, "ten seconds, nearly always")
	require.Equal(t, 10*second, cl.seat.Pause(cl.path()))
	cl.seat.Wrote(cl.key, 100, true, -1)
	require.Equal(t, second, cl.seat.Pause(cl.path()), "something came")
	require.Equal(t, 1500*time.Millisecond, cl.seat.Pause(cl.path()))
	require.Equal(t, 1, w.book.Stats(w.now).ShortPolls)

	cl.cut = 0
	cl.idle(2 * time.Hour)
	require.Equal(t, 30*second, cl.longest(1), "and holds again when it can")

	off := newWorld(pathprofile.Config{Off: pathprofile.ShortPolls}, 1).client(1100*time.Millisecond, 30*second)
	off.idle(minute)
	require.Equal(t, second, off.longest(1))
	require.Zero(t, off.pauses)
}

// What is not a cut teaches nothing: pages that are reloaded, tabs that are closed,
// networks that are changed.
func TestNoise(t *testing.T) {
	const seeds = 200
	ceilings := 0
	for seed := range uint64(seeds) {
		w := newWorld(pathprofile.Config{}, seed)
		cl := w.client(0, 30*second)
		for range 50 {
			cl.come(30 * second)
			age := time.Duration(w.rnd.Int64N(int64(30 * second)))
			cl.abort(age)
			switch w.rnd.IntN(3) {
			case 0: // a reload: ids begin anew
				cl.serial = 1
			case 1: // a closed tab, and another client
				cl = w.client(0, 30*second)
			case 2: // another network, and back
				cl.key = key(2)
				cl.poll(time.Hour)
				cl.poll(time.Hour)
				cl.key = key(1)
			}
			cl.poll(time.Hour)
		}
		ceilings += w.book.Stats(w.now).Ceilings
	}
	require.Zero(t, ceilings)
}

// Not even a client that loses its connection again and again, at all ages, makes
// a ceiling but by rare chance.
func TestFlapping(t *testing.T) {
	ceilings := 0
	for seed := range uint64(200) {
		w := newWorld(pathprofile.Config{}, seed)
		cl := w.client(0, 30*second)
		for range 50 {
			cl.come(30 * second)
			cl.abort(time.Duration(w.rnd.Int64N(int64(30 * second))))
			cl.poll(time.Hour)
		}
		ceilings += w.book.Stats(w.now).Ceilings
	}
	require.Less(t, ceilings, 60, "of 200 clients with 50 losses each")
}

// A client that leaves its own polls where another has held in full changes
// nobody's holds but its own.
func TestSelfCutter(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	full := w.client(0, 30*second)
	full.idle(minute)
	odd := w.client(7*second, 30*second)
	odd.run(10 * minute)
	require.Equal(t, 2, odd.failed)
	require.Zero(t, w.book.Stats(w.now).Ceilings)
	late := w.client(0, 30*second)
	late.idle(minute)
	full.idle(minute)
	require.Equal(t, 30*second, late.longest(1))
	require.Equal(t, 30*second, full.longest(1))
	require.Equal(t, 30*second, late.holds[0])
}

// A hold of which the client did not have the end is no proof of anything.
func TestUnheard(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	before := w.client(20*second, 30*second)
	before.poll(second)
	w.client(20*second, 30*second).idle(2 * minute)
	require.Equal(t, 1, w.book.Stats(w.now).Ceilings)
	var old pathprofile.Seat // it was there before
	held := func(serial int64, retry bool) pathprofile.News {
		return old.Came(before.path(), w.now, pathprofile.Came{Serial: serial, Retry: retry, Ack: -1})
	}
	wait := func(due bool) {
		require.Equal(t, 30*second, old.Hold(before.path(), w.now, 30*second))
		w.now = w.now.Add(29 * second)
		old.Held(before.path(), w.now, due)
		w.now = w.now.Add(second)
	}
	held(1, false)
	wait(true)
	require.Equal(t, pathprofile.Cut, held(2, true))
	held(3, false)
	wait(false)
	require.Equal(t, pathprofile.Ignored, held(4, true), "a message came, and went nowhere")
	require.Equal(t, 1, w.book.Stats(w.now).Ceilings)
	held(5, false)
	wait(false)
	require.Equal(t, pathprofile.CeilingWithdrawn, held(6, false))
	require.Zero(t, w.book.Stats(w.now).Ceilings)
}

// A try whose client goes away makes the next one no rarer, and others do not try
// at once.
func TestTriesThatEndOtherwise(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: minute}, 1)
	w.client(10*second, 120*second).idle(minute / 2)
	tries := 0
	for range 60 * 4 {
		c := w.client(10*second, 120*second)
		if c.come(120*second) == 12*second {
			tries++
		}
		c.seat.Left(c.path(), w.now, -1)
		w.now = w.now.Add(15 * second)
	}
	require.InDelta(t, 60, tries, 2)
}

// Three that have learned the same count, whatever one has seen.
func TestThreeAgree(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	full := w.client(0, 30*second)
	full.idle(minute)
	for i := range 3 {
		require.Zero(t, w.book.Stats(w.now).Ceilings, i)
		w.client(20*second, 30*second).idle(2 * minute)
	}
	require.Equal(t, 1, w.book.Stats(w.now).Ceilings)
	late := w.client(20*second, 30*second)
	late.idle(5 * minute)
	require.Zero(t, late.failed)
	require.Equal(t, 16*second, late.longest(1))
	require.Zero(t, full.seat.Came(full.path(), w.now, pathprofile.Came{Serial: full.serial + 1, Ack: -1}))
}

// Where newcomers begin with something that somebody has seen pass, less takes three
// as well, and what one says meanwhile is forgotten when more passes.
func TestRivals(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	w.client(20*second, 30*second).idle(2 * minute)
	newcomer := func() time.Duration {
		c := w.client(20*second, 30*second)
		c.idle(minute)
		require.Zero(t, c.failed)
		return c.holds[0]
	}
	require.Equal(t, 16*second, newcomer())
	odd := func() { w.client(7*second, 30*second).idle(minute) }
	for range 5 {
		odd()
		require.Equal(t, 16*second, newcomer(), "which is longer than the odd one's cut")
	}
	odd()
	odd()
	require.Equal(t, 16*second, newcomer())
	for range 3 {
		odd()
	}
	require.Equal(t, 5600*time.Millisecond, newcomer())
}

// One that was first and cuts itself costs newcomers shorter holds, until one of
// them holds longer.
func TestFirstComer(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: 5 * minute}, 1)
	odd := w.client(7*second, 30*second)
	odd.idle(minute)
	require.Equal(t, 1, w.book.Stats(w.now).Ceilings)
	late := w.client(0, 30*second)
	late.idle(4 * minute)
	require.Equal(t, 5600*time.Millisecond, late.longest(1))
	late.idle(5 * minute)
	require.Equal(t, 30*second, late.longest(1), "after its first try")
	require.Zero(t, w.book.Stats(w.now).Ceilings)
	later := w.client(0, 30*second)
	later.idle(minute)
	require.Equal(t, 30*second, later.holds[0])
	odd.cut = 7 * second
	before := odd.failed
	odd.idle(4 * minute)
	require.LessOrEqual(t, odd.failed-before, 1, "who was cut stays below, but for a try")
	require.Equal(t, 5600*time.Millisecond, odd.longest(3))
}

// Of a socket it is the silence that counts; and what polls have learned does not.
func TestSockets(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	p := w.book.Make(key(1), w.now)
	var s pathprofile.Seat
	s.Newcomer()
	turn := func(serial int64, retry bool, want time.Duration) time.Duration {
		s.Came(p, w.now, pathprofile.Came{Lane: pathprofile.Socket, Serial: serial, Retry: retry, Ack: -1})
		if retry {
			return 0
		}
		return s.Hold(p, w.now, want)
	}
	lose := func(age time.Duration) {
		w.now = w.now.Add(10 * second)
		s.Left(p, w.now, age)
		w.now = w.now.Add(second)
	}
	require.Equal(t, 30*second, turn(1, false, 30*second))
	lose(-1) // a message went out meanwhile
	require.Zero(t, turn(2, true, 0))
	for i := range int64(2) {
		require.Equal(t, 30*second, turn(3+2*i, false, 30*second))
		lose(10 * second)
		require.Zero(t, turn(4+2*i, true, 0))
	}
	require.Equal(t, 8*second, turn(9, false, 30*second))
	var poll pathprofile.Seat
	poll.Newcomer()
	poll.Came(p, w.now, pathprofile.Came{Serial: 1, Ack: -1})
	require.Equal(t, 30*second, poll.Hold(p, w.now, 30*second))
}

// All of it can be switched off.
func TestOff(t *testing.T) {
	off := newWorld(pathprofile.Config{Off: pathprofile.Holds | pathprofile.Responses | pathprofile.Upgrades}, 1)
	cl := off.client(8*second, 30*second)
	cl.idle(minute)
	require.Equal(t, 30*second, cl.planned)
	cl.seat.Wrote(cl.key, 100_000, false, -1)
	require.Equal(t, 1_000_000, cl.seat.Limit(cl.path(), off.now, 1_000_000))
	for range 5 {
		cl.path().Dead(off.now)
	}
	require.True(t, cl.path().Upgrade(off.now))
}
