package pathprofile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/pathprofile"
)

// fetch is a client that fetches a backlog of messages of a size through a path
// with a cap: the answers, and how many failed.
type fetch struct {
	w     *world
	seat  pathprofile.Seat
	cap   int
	ack   bool
	whole bool // the server sees no failure

	failed, answers, lastFailed int
	serial, batch, acked        int64
}

// run fetches so many messages of 4 KiB and tells how many were lost.
func (f *fetch) run(t *testing.T, messages int) (lost int) {
	t.Helper()
	const size = 4096
	p := f.w.book.Make(key(1), f.w.now)
	retry := true
	for f.answers = 0; messages > 0; f.answers++ {
		require.Less(t, f.answers, 10_000)
		f.serial++
		came := pathprofile.Came{Serial: f.serial, Retry: retry, Ack: -1}
		if f.ack {
			came.Ack = f.acked
		}
		f.seat.Came(p, f.w.now, came)
		n := min(max(1, f.seat.Limit(p, f.w.now, 1_000_000)/size), messages)
		f.batch++
		batch := int64(-1)
		if f.ack {
			batch = f.batch
		}
		arrives := n*size <= f.cap
		f.seat.Wrote(key(1), n*size, arrives || f.whole, batch)
		retry = !arrives
		switch {
		case arrives:
			f.acked = f.batch
			messages -= n
		case f.ack || !f.whole:
			f.failed++
			f.lastFailed = f.answers
		default:
			f.failed++
			lost += n
			messages -= n
		}
		f.w.now = f.w.now.Add(100 * time.Millisecond)
		if !arrives {
			f.w.now = f.w.now.Add(second)
		}
	}
	return lost
}

func TestSizes(t *testing.T) {
	for _, most := range []int{16 << 10, 40 << 10, 64 << 10, 100_000, 256 << 10, 1 << 20} {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, server sees nothing %v", most, whole), func(t *testing.T) {
				w := newWorld(pathprofile.Config{}, 1)
				f := &fetch{w: w, cap: most, ack: true, whole: whole}
				f.seat.Newcomer()
				require.Zero(t, f.run(t, 1250))
				require.LessOrEqual(t, f.failed, 5)
				require.LessOrEqual(t, f.lastFailed, 10, "all at the start")
				if most < 1_000_000 {
					require.NotZero(t, f.failed)
					require.Equal(t, 1, w.book.Stats(w.now).Sizes)
				}
				next := &fetch{w: w, cap: most, ack: true, whole: whole}
				next.seat.Newcomer()
				require.Zero(t, next.run(t, 1250))
				require.LessOrEqual(t, next.failed, 2, "the next one on the path")
			})
		}
	}
}

// Without acknowledgements what left whole and did not arrive is lost, but no more
// of it than has to be for the size to be found.
func TestSizesWithoutAcknowledgement(t *testing.T) {
	f := &fetch{w: newWorld(pathprofile.Config{}, 1), cap: 64 << 10, whole: true}
	lost := f.run(t, 1250)
	require.Positive(t, lost)
	require.Less(t, lost, 400)
	require.LessOrEqual(t, f.failed, 5)
}

// A message that is too large by itself fails three times, and is the server's to
// give up.
func TestTooLargeByItself(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	p := w.book.Make(key(1), w.now)
	var s pathprofile.Seat
	for i := range int64(3) {
		require.Less(t, s.Failures(), 3)
		s.Came(p, w.now, pathprofile.Came{Serial: i + 1, Retry: true, Ack: 0})
		s.Wrote(key(1), 100_000, true, i+1)
	}
	s.Came(p, w.now, pathprofile.Came{Serial: 4, Retry: true, Ack: 0})
	require.Equal(t, 3, s.Failures())
	limit := s.Limit(p, w.now, 1_000_000)
	s.GaveUp()
	require.Zero(t, s.Failures())
	require.Equal(t, 25_000, limit)
}

// A page that is reloaded right after a large answer, and a client that comes as
// ever, have not lost it.
func TestNoLoss(t *testing.T) {
	for name, came := range map[string]pathprofile.Came{
		"as ever":             {Serial: 8, Ack: -1},
		"a reload":            {Serial: 2, Retry: true, Ack: -1},
		"acknowledged":        {Serial: 8, Retry: true, Ack: 5},
		"acknowledged, later": {Serial: 8, Retry: true, Ack: 6},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(pathprofile.Config{}, 1)
			p := w.book.Make(key(1), w.now)
			var s pathprofile.Seat
			s.Came(p, w.now, pathprofile.Came{Serial: 7, Ack: -1})
			s.Wrote(key(1), 500_000, true, 5)
			require.Equal(t, name != "a reload", s.Done(came) && !came.Retry || came.Ack >= 5, "no more use, where that can be told")
			require.Zero(t, s.Came(p, w.now, came))
			require.Equal(t, 1_000_000, s.Limit(p, w.now, 1_000_000))
		})
	}
}

// A network whose cap has gone is found by trying.
func TestSizeTries(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: minute}, 1)
	f := &fetch{w: w, cap: 64 << 10, ack: true}
	f.run(t, 1250)
	before := f.failed
	f.cap = 1 << 30
	w.now = w.now.Add(2 * minute)
	f.run(t, 5000)
	require.Equal(t, before, f.failed)
	require.Equal(t, 1_000_000, f.seat.Limit(w.book.Make(key(1), w.now), w.now, 1_000_000))
	require.Zero(t, w.book.Stats(w.now).Sizes)

	f.cap = 64 << 10
	f.run(t, 1250)
	require.LessOrEqual(t, f.failed-before, 5)
}

// A client that always asks for an answer at once has not lost what it had before.
func TestHabit(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	p := w.book.Make(key(1), w.now)
	var s pathprofile.Seat
	for serial := range int64(40) {
		s.Came(p, w.now, pathprofile.Came{Serial: serial + 1, Retry: true, Ack: -1})
		require.Less(t, s.Failures(), 1)
		bytes := min(100_000, s.Limit(p, w.now, 1_000_000))
		if serial == 0 || serial%9 == 8 {
			bytes = 50
		}
		s.Wrote(key(1), bytes, true, -1)
		w.now = w.now.Add(second)
	}
	require.Equal(t, 1_000_000, s.Limit(p, w.now, 1_000_000))
	require.Zero(t, w.book.Stats(w.now).Sizes)

	// What others have found stays.
	f := &fetch{w: w, cap: 64 << 10, ack: true}
	f.run(t, 1250)
	require.Equal(t, 1, w.book.Stats(w.now).Sizes)
	var one pathprofile.Seat
	for serial := range int64(20) {
		one.Came(p, w.now, pathprofile.Came{Serial: serial + 1, Retry: true, Ack: -1})
		one.Wrote(key(1), []int{90_000, 50}[serial/10], true, -1)
	}
	require.Equal(t, 1, w.book.Stats(w.now).Sizes)

	// One that comes when it is known by nothing but large answers is found out a
	// little later.
	var late pathprofile.Seat
	for serial := range int64(40) {
		late.Came(p, w.now, pathprofile.Came{Serial: serial + 1, Retry: true, Ack: -1})
		bytes := min(100_000, late.Limit(p, w.now, 1_000_000))
		if serial == 20 {
			bytes = 50
		}
		late.Wrote(key(1), bytes, true, -1)
	}
	require.Equal(t, 1_000_000, late.Limit(p, w.now, 1_000_000))
	require.Zero(t, w.book.Stats(w.now).Sizes)
}
