package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shapes are all that scenarios draw schedules from, with the cut and the hold that their clients meet.
func shapes() map[string]struct {
	shape
	path
} {
	type drawn = struct {
		shape
		path
	}
	all := map[string]drawn{
		"cut":         {steady(10 * time.Minute), path{20 * time.Second, 30 * time.Second, time.Second}},
		"moving-down": {steady(10 * time.Minute), path{20 * time.Second, 30 * time.Second, time.Second}},
		"moving-up":   {steady(18 * time.Minute), path{8 * time.Second, 2 * time.Minute, time.Second}},
	}
	for _, c := range sideBySide() {
		all[c.name()] = drawn{c.shape, path{c.cut, 2 * time.Minute, time.Second}}
	}
	return all
}

func TestPlans(t *testing.T) {
	for name, d := range shapes() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				plan, err := d.plan(rand.New(rand.NewPCG(seed, 1)))
				require.NoError(t, err)
				var last time.Duration
				messages := 0
				for _, b := range plan {
					require.GreaterOrEqual(t, b.at-last, d.minSilence)
					require.LessOrEqual(t, b.at-last, d.maxSilence)
					require.GreaterOrEqual(t, b.count, d.minBurst)
					require.LessOrEqual(t, b.count, d.maxBurst)
					messages += b.count
					last = b.at
				}
				require.Equal(t, d.messages, messages)
				require.Equal(t, d.total, last)
				require.GreaterOrEqual(t, d.cuts(plan), leastCuts, "seed %d proves nothing", seed)
			}
		})
	}
}

// TestPlansAllowLongPolls has a client that knows the cut poll at four fifths of it: there must be room for as many long polls
// as are asked for.
func TestPlansAllowLongPolls(t *testing.T) {
	for name, d := range shapes() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				plan, err := d.plan(rand.New(rand.NewPCG(seed, 1)))
				require.NoError(t, err)
				require.GreaterOrEqual(t, longPolls(plan, scale(d.cut, 0.8), scale(d.cut, longShare)), leastLong+3, "seed %d", seed)
			}
		})
	}
}

// longPolls counts polls that last longer than least where each is held for so long unless a message ends it.
func longPolls(plan []burst, hold, least time.Duration) int {
	n := 0
	var at time.Duration
	for _, b := range plan {
		for ; at < b.at; at = min(at+hold, b.at) {
			if min(hold, b.at-at) > least {
				n++
			}
		}
	}
	return n
}

func TestPlanIsTheSame(t *testing.T) {
	draw := func(seed uint64) []burst {
		plan, err := steady(10 * time.Minute).plan(rand.New(rand.NewPCG(seed, 1)))
		require.NoError(t, err)
		return plan
	}
	one, again := draw(1), draw(1)
	require.Equal(t, one, again)
	require.NotEqual(t, draw(1), draw(2))
}

func TestPlanShrunk(t *testing.T) {
	const by = 0.05
	sh := steady(10 * time.Minute).scaled(by)
	require.Equal(t, 30*time.Second, sh.total)
	plan, err := sh.plan(rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	require.GreaterOrEqual(t, path{time.Second, 1500 * time.Millisecond, 50 * time.Millisecond}.cuts(plan), leastCuts)
}

func TestPlanThatCannotBe(t *testing.T) {
	for name, sh := range map[string]shape{
		"too many messages":   {time.Minute, 1000, 1, 10, 10 * time.Second, 20 * time.Second},
		"too few messages":    {time.Hour, 2, 1, 10, time.Second, time.Minute},
		"silence without end": {time.Second, 5, 1, 5, time.Minute, time.Hour},
	} {
		_, err := sh.plan(rand.New(rand.NewPCG(1, 1)))
		require.ErrorContains(t, err, "no schedule has", name)
	}
}

func TestCuts(t *testing.T) {
	p := path{cut: 20 * time.Second, hold: 30 * time.Second, backoff: time.Second}
	for _, c := range []struct {
		name string
		path path
		at   []int // seconds of the bursts
		want int
	}{
		{"before the cut", p, []int{15}, 0},
		{"at the cut, the message is first", p, []int{20}, 0},
		{"one", p, []int{25}, 1},
		{"one, and the next poll is woken", p, []int{40}, 1},
		{"two", p, []int{45}, 2},
		{"after a burst the poll is new", p, []int{15, 30, 45}, 0},
		{"each silence", p, []int{25, 50, 75, 150}, 6},
		{"no cut", path{hold: 30 * time.Second}, []int{500}, 0},
		{"the server answers first", path{cut: 20 * time.Second, hold: 10 * time.Second}, []int{500}, 0},
		{"nothing is published", p, nil, 0},
	} {
		var plan []burst
		for _, at := range c.at {
			plan = append(plan, burst{time.Duration(at) * time.Second, 1})
		}
		require.Equal(t, c.want, c.path.cuts(plan), c.name)
	}
}
