package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// burst is what is published at one moment after the beginning.
type burst struct {
	at    time.Duration
	count int
}

// shape says what a schedule of bursts is like. A silence stands before each burst; together they last total.
type shape struct {
	total                  time.Duration
	messages               int
	minBurst, maxBurst     int
	minSilence, maxSilence time.Duration
}

// plan draws a schedule: all messages, all silences, each within its bounds. There are more bursts than must be, so that
// they differ, and fewer than can be, so that silences do.
func (s shape) plan(rng *rand.Rand) ([]burst, error) {
	low := max(ceil(s.messages, s.maxBurst), ceil(s.total, s.maxSilence))
	high := min(s.messages/s.minBurst, int(s.total/s.minSilence))
	if low > high || low < 1 {
		return nil, fmt.Errorf("no schedule has %d messages in bursts of %d to %d with silences of %s to %s in %s",
			s.messages, s.minBurst, s.maxBurst, s.minSilence, s.maxSilence, s.total)
	}
	n := low + (high-low)/3
	counts := deal(rng, n, int64(s.messages), int64(s.minBurst), int64(s.maxBurst))
	silences := deal(rng, n, int64(s.total), int64(s.minSilence), int64(s.maxSilence))
	bursts := make([]burst, n)
	var at time.Duration
	for i := range bursts {
		at += time.Duration(silences[i])
		bursts[i] = burst{at, int(counts[i])}
	}
	return bursts, nil
}

func ceil[T int | time.Duration](a, b T) int { return int((a + b - 1) / b) }

// deal draws n numbers from low to high with that sum, which must be possible.
func deal(rng *rand.Rand, n int, sum, low, high int64) []int64 {
	parts := make([]int64, n)
	for i := range parts {
		parts[i] = low
	}
	for rest := sum - int64(n)*low; rest > 0; {
		i := rng.IntN(n)
		if room := min(high-parts[i], rest); room > 0 {
			more := 1 + rng.Int64N(room)
			parts[i] += more
			rest -= more
		}
	}
	return parts
}

// scaled is the shape with all times multiplied.
func (s shape) scaled(by float64) shape {
	for _, d := range []*time.Duration{&s.total, &s.minSilence, &s.maxSilence} {
		*d = scale(*d, by)
	}
	return s
}

func scale(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }

// path is what a network and a server make of polls when nobody adapts.
type path struct {
	cut     time.Duration // polls that last so long fail; 0: none does
	hold    time.Duration // the server answers an empty poll after that
	backoff time.Duration // the client's pause after a failure
}

// cuts is how many polls of a stock client fail by a schedule, until its last burst: it comes back after its pause with a
// connect that is answered at once, and polls again.
func (p path) cuts(bursts []burst) int {
	n, next := 0, 0
	for at := time.Duration(0); ; {
		for next < len(bursts) && bursts[next].at <= at {
			next++
		}
		if next == len(bursts) {
			return n
		}
		answer := min(at+p.hold, bursts[next].at)
		if p.cut > 0 && at+p.cut < answer {
			n++
			at += p.cut + p.backoff
			continue
		}
		at = answer
	}
}
