// Package doctor finds out what lies between here and a push server: it makes requests that take long, are silent, are
// large or want to become WebSockets, looks at what becomes of them (Observations), and judges (Judge). It prints
// nothing. With the probe endpoint of the server (internal/probe) it sees all; against any other Bayeux server it does
// what stock messages allow.
package doctor

import "time"

// Plan is how long and how large the probes are.
type Plan struct {
	// Holds are how long answers are held, all at the same time, in ascending order. The last two should be the same,
	// so that one failure alone is none.
	Holds []time.Duration
	// Silences are how long WebSockets are silent, as Holds.
	Silences []time.Duration
	// Long is how long an answer flows, and a WebSocket talks, with something every Beat.
	Long, Beat time.Duration
	// Drips are answers in pieces.
	Drips []DripPlan
	// Body is the largest body that is asked for, in bytes; SmallBody the smallest. Frame is the size of a frame.
	Body, SmallBody, Frame int64
	// Patience is how much later than due an answer may come before it counts as lost.
	Patience time.Duration
	// Limit bounds all together.
	Limit time.Duration
}

// DripPlan is an answer of Count pieces of Bytes each, one every Every.
type DripPlan struct {
	Every time.Duration
	Count int
	Bytes int64
}

// Steps of the ladders: where connections are dropped without a word, only the
// longest hold that was answered and the shortest that was not are known, and
// what lies between is told within half a step.
const (
	holdStep    = 1.35
	silenceStep = 1.4
)

// Quick takes less than a minute, and finds cuts of up to 50 seconds.
func Quick() Plan {
	const longest = 50 * time.Second
	p := common()
	p.Holds = ladder(2*time.Second, longest, holdStep)
	p.Silences = ladder(3*time.Second, longest, silenceStep)
	p.Long, p.Limit = longest, 59*time.Second
	return p
}

// Thorough takes five minutes, and finds cuts of up to four.
func Thorough() Plan {
	const longest = 4 * time.Minute
	p := common()
	p.Holds = ladder(2*time.Second, longest, holdStep)
	p.Silences = ladder(3*time.Second, longest, silenceStep)
	p.Long, p.Limit = longest, 5*time.Minute
	p.Body = 8 << 20
	return p
}

func common() Plan {
	return Plan{
		Beat: time.Second,
		Drips: []DripPlan{
			{Every: 400 * time.Millisecond, Count: 8, Bytes: 64},
			{Every: 300 * time.Millisecond, Count: 12, Bytes: 4 << 10},
		},
		Body: 2 << 20, SmallBody: 1 << 10, Frame: 60000,
		Patience: 4 * time.Second,
	}
}

// ladder goes from low to high by the factor step, and has high twice.
func ladder(low, high time.Duration, step float64) []time.Duration {
	var all []time.Duration
	for d := float64(low); d < float64(high)/1.1; d *= step {
		all = append(all, time.Duration(d).Round(10*time.Millisecond))
	}
	return append(all, high, high)
}
