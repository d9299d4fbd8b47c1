package doctor

import (
	"math"
	"slices"
)

// estimate is where something ends: a time, or a size.
type estimate struct {
	// at is the best guess; low and high are between what it lies.
	at, low, high float64
	// unsteady: longer ones went through.
	unsteady bool
	// status is what a proxy answered with, 0 where it just ended.
	status int
}

// agree is how far the failures that were seen may be apart, as a ratio, to be
// those of one limit.
const agree = 1.4

// cutOf tells when requests that take long are cut. Failures much sooner than
// the shortest that was asked for have another reason (turnedAway). One failure
// alone says nothing.
func cutOf(tries []Try) (estimate, bool) {
	away := turnedAway(tries)
	if ok := count(tries, func(t Try) bool { return t.Outcome == OK || t.Outcome == Early }); ok == 0 {
		away = nil // all that there is
	}
	var seen, late, passed []Try
	for i, t := range tries {
		switch {
		case slices.Contains(away, i):
		case t.Outcome == OK:
			passed = append(passed, t)
		case t.Outcome == Late || failed(t) && t.Took >= t.Asked:
			late = append(late, t)
		case failed(t):
			seen = append(seen, t)
		}
	}
	if len(seen)+len(late) < 2 {
		return estimate{}, false
	}
	if len(seen) >= 2 {
		return sighted(seen, passed), true
	}
	return unsighted(append(late, seen...), passed), true
}

func failed(t Try) bool { return t.Outcome == Cut || t.Outcome == Refused }

func count(tries []Try, is func(Try) bool) int {
	n := 0
	for _, t := range tries {
		if is(t) {
			n++
		}
	}
	return n
}

// sighted takes the middle of the times at which connections were seen to end.
func sighted(seen, passed []Try) estimate {
	times := make([]float64, 0, len(seen))
	for _, t := range seen {
		times = append(times, float64(t.Took))
	}
	slices.Sort(times)
	e := estimate{at: times[len(times)/2], low: times[0], high: times[len(times)-1], status: seen[len(seen)-1].Status}
	above := slices.ContainsFunc(passed, func(t Try) bool { return float64(t.Asked) > e.at*agree })
	e.unsteady = above || e.low > 0 && e.high/e.low > agree
	return e
}

// unsighted takes the middle, as a ratio, of the longest that was answered and
// the shortest that was not.
func unsighted(lost, passed []Try) estimate {
	e := estimate{high: math.Inf(1)}
	for _, t := range lost {
		e.high = min(e.high, float64(t.Asked))
	}
	for _, t := range passed {
		if asked := float64(t.Asked); asked < e.high {
			e.low = max(e.low, asked)
		} else if asked > e.high*agree {
			e.unsteady = true
		}
	}
	e.at = math.Sqrt(e.low * e.high)
	if e.low == 0 {
		e.at = e.high * 0.7
	}
	return e
}

// turnedAway are requests that failed at once, long before the shortest of them
// was due: there was no room for so many at a time.
func turnedAway(tries []Try) []int {
	shortest := Seconds(math.Inf(1))
	for _, t := range tries {
		if t.Asked > 0 {
			shortest = min(shortest, t.Asked)
		}
	}
	var away []int
	for i, t := range tries {
		if failed(t) && t.Took < shortest/2 {
			away = append(away, i)
		}
	}
	return away
}

// queued are requests that were answered much later than they asked for: they
// had to wait for others.
func queued(tries []Try) int {
	const share, atLeast = 0.15, 2.5
	return count(tries, func(t Try) bool {
		return t.Outcome == OK && float64(t.Took-t.Asked) > max(atLeast, share*float64(t.Asked))
	})
}

// holding is how an answer in pieces was held back.
type holding struct {
	// pieces are how many from the first came later than they were sent; all:
	// none came before the last.
	pieces int
	all    bool
	// trailing: each came only with one that was sent later, lagging behind it.
	trailing bool
	lagging  int64
	// bytes were held at the beginning, and a piece of so many more let them go;
	// seconds is how long they were held.
	bytes, more int64
	seconds     float64
}

// held compares when pieces were sent with when they came. The last comes when
// nothing follows that it could be held for, so the others are compared with
// it.
func (d Drip) held() holding {
	last := len(d.Came) - 1
	if d.Outcome != OK || last < 2 || len(d.Sent) != len(d.Came) {
		return holding{}
	}
	slack := 0.6 * d.Every
	lag := func(i int) Seconds { return (d.Came[i] - d.Came[last]) - (d.Sent[i] - d.Sent[last]) }
	h := holding{}
	for h.pieces < last && lag(h.pieces) > slack {
		h.pieces++
	}
	if h.pieces == 0 {
		return h
	}
	h.bytes, h.more, h.seconds = int64(h.pieces)*d.Bytes, d.Bytes, float64(lag(0))
	// The last but one may have been sent just before the end.
	h.all = d.Came[last]-d.Came[0] < slack
	h.trailing = !h.all && h.pieces >= last-1 && d.Came[last]-d.Came[0] > d.Asked/2
	h.lagging = int64(math.Round(h.seconds / float64(d.Every)))
	return h
}
