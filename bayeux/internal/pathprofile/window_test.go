package pathprofile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/pathprofile"
)

// behind drives a stock client behind a proxy that cuts it and leaves the server's
// side open: it is back a second later. It returns how many of n connects failed.
func behind(w *world, p *pathprofile.Path, s *pathprofile.Seat, serial *int64, cut, want time.Duration, n int) (failed int) {
	retry := false
	for range n {
		*serial++
		s.Came(p, w.now, pathprofile.Came{Serial: *serial, Retry: retry, Ack: -1})
		if retry { // answered at once
			retry = false
			*serial++
			s.Came(p, w.now, pathprofile.Came{Serial: *serial, Ack: -1})
		}
		hold := s.Hold(p, w.now, want)
		switch {
		case hold == 0:
			w.now = w.now.Add(s.Pause(p))
		case hold < cut:
			w.now = w.now.Add(hold)
			s.Held(p, w.now, true)
		default:
			failed, retry = failed+1, true
			if back := cut + time.Second; hold < back { // the answer goes nowhere
				w.now = w.now.Add(hold)
				s.Held(p, w.now, true)
				w.now = w.now.Add(back - hold)
			} else {
				w.now = w.now.Add(back)
			}
		}
	}
	return failed
}

// A client that is cut comes back a second later, if that is how it is seen.
func TestShortCutsServersSideOpen(t *testing.T) {
	for _, cut := range []time.Duration{1500 * time.Millisecond, 2 * second, 3 * second, 3900 * time.Millisecond} {
		w := newWorld(pathprofile.Config{ProbeEvery: -1}, 1)
		p := w.book.Make(key(1), w.now)
		var s pathprofile.Seat
		var serial int64
		require.LessOrEqual(t, behind(w, p, &s, &serial, cut, 30*second, 100), 2, cut)
	}
}

// What is answered after the client was cut, and before it is back, was not carried.
func TestTryInTheWindow(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: time.Minute}, 1)
	p := w.book.Make(key(1), w.now)
	var s pathprofile.Seat
	var serial int64
	behind(w, p, &s, &serial, 20*second, 30*second, 3) // learned: tries are about 24 s
	failed := behind(w, p, &s, &serial, 24*second+500*time.Millisecond, 30*second, 200)
	require.LessOrEqual(t, failed, 20)
}

// A try that a message ended early has shown nothing: the next is not sooner.
func TestInterruptedTries(t *testing.T) {
	w := newWorld(pathprofile.Config{ProbeEvery: time.Minute}, 1)
	p := w.book.Make(key(1), w.now)
	var s pathprofile.Seat
	serial, tries, retry := int64(0), 0, false
	for i := range 3000 {
		serial++
		s.Came(p, w.now, pathprofile.Came{Serial: serial, Retry: retry, Ack: -1})
		hold := s.Hold(p, w.now, 30*second)
		retry = false
		switch {
		case hold > 20*second && i > 3 && i%2 == 0: // a message
			w.now = w.now.Add(second)
			s.Held(p, w.now, false)
		case hold > 20*second:
			w.now = w.now.Add(20 * second)
			s.Left(p, w.now, 20*second)
			w.now = w.now.Add(second)
			tries, retry = tries+1, true
		default:
			w.now = w.now.Add(hold)
			s.Held(p, w.now, true)
		}
	}
	// 13 h; with 16 min between them, and more often at first.
	require.LessOrEqual(t, tries, 70)
}
