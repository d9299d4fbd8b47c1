package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newStage(by float64) *stage {
	return &stage{
		conf: &config{scale: by}, rng: rand.New(rand.NewPCG(1, 1)), began: time.Now(),
		sent: map[string][]sending{}, marks: map[string]time.Duration{}, cuts: map[string]int{},
	}
}

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(1)
		var told []string
		tells := func(at time.Duration, what string, takes time.Duration) cue {
			return cue{at, func(ctx context.Context) error {
				told = append(told, what+" "+s.now().String())
				return pause(ctx, takes)
			}}
		}
		err := s.play(t.Context(), sorted([]cue{tells(3*time.Second, "c", 0), tells(time.Second, "a", 3*time.Second), tells(9*time.Second, "d", 0), tells(time.Second, "b", 0)}))
		require.NoError(t, err)
		require.Equal(t, []string{"a 1s", "b 4s", "c 4s", "d 9s"}, told, "what is late follows at once, in order")

		wrong := errors.New("wrong")
		err = s.play(t.Context(), []cue{{0, func(context.Context) error { return wrong }}, tells(0, "never", 0)})
		require.ErrorIs(t, err, wrong)
		require.Len(t, told, 4)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.play(ctx, []cue{tells(time.Hour, "never", 0)}), context.DeadlineExceeded)
	})
}

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(1)
		c := &client{spec: spec{name: "one", channel: "/a"}, diary: newDiary()}
		c.diary.add(event{Kind: kindSubscribed, OK: true, At: stamp(time.Now())})
		require.Equal(t, 1, s.note("/a", 2))
		require.Equal(t, 3, s.note("/a", 1))
		require.Equal(t, 1, s.note("/b", 1))
		go func() {
			for n := range 3 {
				time.Sleep(950 * time.Millisecond)
				c.diary.add(event{Kind: kindMessage, N: n + 1, At: stamp(time.Now())})
			}
		}()
		began := time.Now()
		require.NoError(t, s.settle(t.Context(), time.Minute, c))
		require.Equal(t, 2900*time.Millisecond, time.Since(began))
		require.Equal(t, 2850*time.Millisecond, s.figures(c).Lag)

		s.note("/a", 1)
		require.NoError(t, s.settle(t.Context(), time.Minute, c))
		require.Equal(t, time.Minute, time.Since(began)-2900*time.Millisecond)
		require.Equal(t, 1, s.figures(c).Lost)
	})
}

func TestChange(t *testing.T) {
	s := newStage(0.5)
	plan := []burst{{10 * time.Second, 1}, {20 * time.Second, 1}, {30 * time.Second, 1}}
	c, err := s.change(plan, 30*time.Second, 1, time.Minute)
	require.NoError(t, err)
	require.Equal(t, 20*time.Second+500*time.Millisecond, c.at)
	_, err = s.change(plan, 2*time.Minute, 1, time.Minute)
	require.Error(t, err)
}

func TestSchedule(t *testing.T) {
	s := newStage(0.1)
	plan, err := s.schedule(steady(10*time.Minute), "one", 20*time.Second, 30*time.Second)
	require.NoError(t, err)
	require.Equal(t, time.Minute, plan[len(plan)-1].at)
	require.GreaterOrEqual(t, s.cuts["one"], leastCuts)
	require.Equal(t, s.cuts, s.seen().Cuts)
}

func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := func(d time.Duration) func(context.Context) error {
			return func(ctx context.Context) error { return pause(ctx, d) }
		}
		began := time.Now()
		require.NoError(t, together(t.Context(), waits(time.Second), waits(2*time.Second)))
		require.Equal(t, 2*time.Second, time.Since(began))
		wrong := errors.New("wrong")
		err := together(t.Context(), waits(time.Hour), func(context.Context) error { return wrong })
		require.Equal(t, wrong, err, "the cause, not what came of it")
		require.Equal(t, 2*time.Second, time.Since(began))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, together(ctx, waits(time.Hour)), context.Canceled)
	})
}

func TestHoles(t *testing.T) {
	names := map[string]bool{}
	for _, h := range holes() {
		for _, name := range append(h.later(), h.first(), h.loose()) {
			require.False(t, names[name], name)
			names[name] = true
		}
	}
	require.Len(t, names, 10)
}
