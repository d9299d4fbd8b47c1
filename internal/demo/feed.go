package demo

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// feedPace is the time between two values of an instrument.
	feedPace = 250 * time.Millisecond
	// feedKept is how many values a page gets when it joins.
	feedKept = 160
)

// instrument is a made-up price in hundredths. It wanders, and is drawn back
// to where it began.
type instrument struct {
	name  string
	base  float64
	swing float64
	value float64
	drift float64
	kept  []int
}

// feed moves the instruments.
type feed struct {
	mu  sync.Mutex
	all []*instrument
}

// newFeed begins with a history, so that the first page has a chart to show.
func newFeed() *feed {
	f := &feed{}
	for _, i := range []instrument{
		{name: "aurora", base: 18250, swing: 0.0011},
		{name: "borealis", base: 9640, swing: 0.0016},
		{name: "cassini", base: 14275, swing: 0.0021},
		{name: "dione", base: 6130, swing: 0.0028},
	} {
		i.value = i.base
		f.all = append(f.all, &i)
	}
	for range feedKept {
		f.step()
	}
	return f
}

// tick is a new value of an instrument.
type tick struct {
	channel string
	Value   int `json:"v"`
}

// step moves each instrument once.
func (f *feed) step() []tick {
	f.mu.Lock()
	defer f.mu.Unlock()
	ticks := make([]tick, len(f.all))
	for n, i := range f.all {
		i.drift = 0.88*i.drift + rand.NormFloat64()*i.swing*0.12 //nolint:gosec // a toy market
		pull := 0.012 * (i.base - i.value) / i.base
		i.value *= 1 + pull + i.drift + rand.NormFloat64()*i.swing*0.45 //nolint:gosec // a toy market
		i.value = min(max(i.value, i.base/2), i.base*2)
		v := int(math.Round(i.value))
		if len(i.kept) == feedKept {
			i.kept = slices.Delete(i.kept, 0, 1)
		}
		i.kept = append(i.kept, v)
		ticks[n] = tick{feedPrefix + i.name, v}
	}
	return ticks
}

// history returns the last values of each instrument, the newest last.
func (f *feed) history() map[string][]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string][]int, len(f.all))
	for _, i := range f.all {
		all[i.name] = slices.Clone(i.kept)
	}
	return all
}

// run publishes until ctx ends.
func (f *feed) run(ctx context.Context, srv Server) {
	pace := time.NewTicker(feedPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		for _, t := range f.step() {
			_ = srv.Publish(ctx, t.channel, t) // Refused only while the server stops.
		}
	}
}
