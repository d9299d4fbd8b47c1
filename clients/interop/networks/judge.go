package main

import (
	"fmt"
	"slices"
	"time"
)

// seen is what was seen of a scenario on a server.
type seen struct {
	Clients []figures `json:"clients"`
	// Marks are moments of the run, since its beginning.
	Marks map[string]time.Duration `json:"marks,omitempty"`
	// Cuts says how many polls the schedule of a client has cut where nobody adapts.
	Cuts map[string]int `json:"cuts,omitempty"`
}

// The names of marks.
const (
	markChanged  = "changed"  // the network became another
	markReleased = "released" // the backlog was let go
)

// of returns the figures of a client, those of nobody where it is missing.
func (s seen) of(name string) figures {
	i := slices.IndexFunc(s.Clients, func(f figures) bool { return f.Client == name })
	if i < 0 {
		return figures{Client: name + " (missing)", Failed: -1, Lost: -1, First: -1}
	}
	return s.Clients[i]
}

// finding is one thing that had to be so, and whether it was.
type finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
}

func (f finding) String() string {
	if f.OK {
		return "ok      " + f.What
	}
	return "MISSED  " + f.What
}

// judge collects findings.
type judge struct{ list []finding }

func (j *judge) want(ok bool, format string, args ...any) {
	j.list = append(j.list, finding{fmt.Sprintf(format, args...), ok})
}

// The bounds of the issue.
const (
	leastCuts   = 8   // of an unadapted server, or the schedule proves nothing
	mostFailed  = 2   // until a cut is known, and once more when it becomes shorter
	leastLong   = 12  // polls that show that nobody wins by short polling
	longShare   = 0.6 // of the cut, which such a poll lasts at least
	fullShare   = 0.95
	mostTries   = 5 // with responses that are too large
	pageWithin  = 2 * time.Second
	looseWithin = 5 * time.Second
	leastReach  = 20 * time.Second // holds longer than that when a cut of 8 s has become one of 60 s
)

// whole wants all messages, once and in order, in one session.
func (j *judge) whole(f figures) {
	j.want(f.Due > 0 && f.Lost == 0 && f.Doubled == 0 && f.Ordered, "%s: of %d messages %d lost, %d doubled, in order %t", f.Client, f.Due, f.Lost, f.Doubled, f.Ordered)
	j.want(f.Handshakes == 1 && f.HandshakesFailed == 0, "%s: one handshake (%d, %d failed)", f.Client, f.Handshakes, f.HandshakesFailed)
}

// failed wants no more failed connects than that.
func (j *judge) failed(f figures, most int) {
	j.want(f.Failed >= 0 && f.Failed <= most, "%s: failed connects %d, at most %d", f.Client, f.Failed, most)
}

// direct wants a client that nothing is done to: no failure, and each poll without a message is held in full.
func (j *judge) direct(f figures, hold time.Duration) {
	j.failed(f, 0)
	j.unshortened(f, hold, 0, 1)
}

// unshortened wants at least n polls from a moment on that nothing but their time ended, none of them shortened.
func (j *judge) unshortened(f figures, hold, from time.Duration, n int) {
	got, least := f.full(from)
	j.want(got >= n && least >= scale(hold, fullShare), "%s: %d polls held in full, at least %d; the shortest lasted %s of %s", f.Client, got, n, seconds(least), seconds(hold))
}

// behind wants what the issue says of a client behind a cut, and of the second one on its path.
func (j *judge) behind(s seen, name string, cut time.Duration) {
	f := s.of(name)
	j.want(s.Cuts[name] >= leastCuts, "%s: the schedule cuts an unadapted server %d times, at least %d", name, s.Cuts[name], leastCuts)
	j.failed(f, mostFailed)
	j.whole(f)
	long := scale(cut, longShare)
	j.want(f.long(long) >= leastLong, "%s: %d polls held longer than %s, at least %d", name, f.long(long), seconds(long), leastLong)
	second := s.of(name + "-second")
	j.failed(second, 0)
	j.whole(second)
}

func judgeCut(s seen, by float64) []finding {
	var j judge
	j.behind(s, "cut-20", scale(20*time.Second, by))
	j.direct(s.of("direct"), scale(30*time.Second, by))
	return j.list
}

// suffersCut is for a server that does not adapt: the same schedule must harm it.
func suffersCut(s seen, _ float64) []finding {
	var j judge
	j.suffers(s, "cut-20")
	return j.list
}

func (j *judge) suffers(s seen, name string) {
	f := s.of(name)
	j.want(f.Failed >= leastCuts, "%s: an unadapted server is cut %d times, at least %d (by the schedule %d)", name, f.Failed, leastCuts, s.Cuts[name])
}

func judgeCuts(s seen, by float64) []finding {
	var j judge
	for _, c := range sideBySide() {
		j.behind(s, c.name(), scale(c.cut, by))
	}
	j.direct(s.of("direct"), scale(2*time.Minute, by))
	return j.list
}

func suffersCuts(s seen, _ float64) []finding {
	var j judge
	for _, c := range sideBySide() {
		j.suffers(s, c.name())
	}
	return j.list
}

func judgeDown(s seen, by float64) []finding {
	var j judge
	f, changed := s.of("cut-20-8"), s.Marks[markChanged]
	after := f.failedAfter(changed)
	j.want(changed > 0 && f.Failed-after <= mostFailed, "%s: failed connects %d while the cut is 20 s, at most %d", f.Client, f.Failed-after, mostFailed)
	j.want(after <= mostFailed, "%s: failed connects %d since it is 8 s, at most %d", f.Client, after, mostFailed)
	j.whole(f)
	j.direct(s.of("direct"), scale(30*time.Second, by))
	return j.list
}

func judgeUp(s seen, by float64) []finding {
	var j judge
	f, changed := s.of("cut-8-60"), s.Marks[markChanged]
	after := f.failedAfter(changed)
	most := mostFailed + int(changed/scale(probeEvery, by)) // probes fail as long as the cut stays
	j.want(changed > 0 && f.Failed-after <= most, "%s: failed connects %d while the cut is 8 s, at most %d", f.Client, f.Failed-after, most)
	reach, reached := scale(leastReach, by), time.Duration(-1)
	for _, h := range f.Holds {
		if h.OK && h.At > changed && h.Lasted > reach {
			reached = h.At - changed
			break
		}
	}
	j.want(reached >= 0 && reached <= scale(15*time.Minute, by), "%s: a hold longer than %s after %s, within %s", f.Client, seconds(reach), seconds(reached), seconds(scale(15*time.Minute, by)))
	apart := spaced(f.FailedAt, changed)
	j.want(apart < 0 || apart >= scale(probeEvery, by*0.9), "%s: at most one failure a probe (%d failures, the nearest two %s apart)", f.Client, after, seconds(apart))
	j.whole(f)
	j.direct(s.of("direct"), scale(2*time.Minute, by))
	return j.list
}

// spaced is the least time between two moments behind one; negative if there are no two.
func spaced(at []time.Duration, from time.Duration) time.Duration {
	least, last := time.Duration(-1), time.Duration(-1)
	for _, d := range at {
		if d <= from {
			continue
		}
		if last >= 0 && (least < 0 || d-last < least) {
			least = d - last
		}
		last = d
	}
	return least
}

func judgeCap(s seen, _ float64) []finding {
	var j judge
	for _, name := range []string{"answered-502", "truncated"} {
		f := s.of(name)
		j.whole(f)
		j.failed(f, mostTries)
		last := 0
		for _, got := range f.GotAtFailure {
			last = max(last, got)
		}
		j.want(last <= f.Due/10, "%s: all failures at the start, the last with %d of %d messages there", name, last, f.Due)
	}
	f := s.of("direct")
	j.whole(f)
	j.failed(f, 0)
	return j.list
}

// suffersCap wants that nothing arrives where nobody adapts.
func suffersCap(s seen, _ float64) []finding {
	var j judge
	for _, name := range []string{"answered-502", "truncated"} {
		f := s.of(name)
		j.want(f.Lost > f.Due/2 || f.Failed > mostTries, "%s: an unadapted server loses %d of %d messages by %d failures", name, f.Lost, f.Due, f.Failed)
	}
	return j.list
}

func judgeJava(s seen, _ float64) []finding {
	var j judge
	f := s.of("java")
	j.want(f.Due > 0 && f.Lost == 0 && f.Doubled == 0 && f.Ordered, "java: of %d messages %d lost, %d doubled, in order %t", f.Due, f.Lost, f.Doubled, f.Ordered)
	j.failed(f, 0)
	return j.list
}

func judgeHole(s seen, _ float64) []finding {
	var j judge
	for _, h := range holes() {
		for _, name := range h.later() {
			f := s.of(name)
			j.want(f.First >= 0 && f.First <= pageWithin && f.Transport == "long-polling", "%s: the first message after %s by %q, by long-polling within %s", name, seconds(f.First), f.Transport, seconds(pageWithin))
		}
		f := s.of(h.loose())
		j.want(f.First >= 0 && f.First <= looseWithin, "%s: the first message after %s, within %s", f.Client, seconds(f.First), seconds(looseWithin))
	}
	f := s.of("direct")
	j.want(f.First >= 0 && f.First <= pageWithin && f.Transport == "websocket", "direct: the first message after %s by %q, by a WebSocket", seconds(f.First), f.Transport)
	return j.list
}

func judgeStore(s seen, by float64) []finding {
	var j judge
	hold := scale(30*time.Second, by)
	f := s.of("stored")
	j.want(f.First >= 0 && f.Lag <= hold, "stored: the latest message came after %s, within one hold of %s", seconds(f.Lag), seconds(hold))
	j.failed(f, 0)
	j.whole(f)
	j.direct(s.of("direct"), hold)
	return j.list
}

func judgeNoise(s seen, by float64) []finding {
	var j judge
	hold := scale(30*time.Second, by)
	for _, name := range []string{"newcomer", "newcomer-8"} { // on the paths of reloads, tabs and network changes
		f := s.of(name)
		j.failed(f, 0)
		j.unshortened(f, hold, 0, 2)
	}
	for _, name := range []string{"beside", "held"} { // on the path of one who cuts its own polls, and was there first
		f := s.of(name)
		j.failed(f, 0)
		j.unshortened(f, hold, 0, 2)
	}
	late := s.of("late") // on the path of one who cut its own polls before
	j.failed(late, 0)
	j.want(late.longest() >= scale(hold, fullShare), "late: the longest hold is %s of %s in the end", seconds(late.longest()), seconds(hold))
	j.direct(s.of("direct"), hold)
	return j.list
}
