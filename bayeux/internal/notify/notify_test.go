package notify

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		require.NoError(t, g.Wait(t.Context()), "nothing to wait for")
		stop := make(chan struct{})
		for range 3 {
			g.Go(func() { <-stop })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, g.Wait(ctx), context.DeadlineExceeded)
		var waiters sync.WaitGroup
		for range 2 {
			waiters.Go(func() { require.NoError(t, g.Wait(t.Context())) })
		}
		synctest.Wait()
		g.Go(func() {}) // while somebody waits
		close(stop)
		waiters.Wait()
		require.NoError(t, g.Wait(t.Context()))
	})
}

func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		var l Line
		var got []int // of the line's goroutine
		stop := make(chan struct{})
		l.Add(&g, func() { <-stop })
		var last <-chan struct{}
		for i := range 100 {
			last = l.Add(&g, func() {
				got = append(got, i)
				if i == 50 { // a call may add another, which comes after what waits
					l.Add(&g, func() { got = append(got, -1) })
				}
			})
		}
		synctest.Wait()
		require.Empty(t, got, "one at a time")
		close(stop)
		<-last
		synctest.Wait()
		require.Len(t, got, 101)
		require.True(t, slices.IsSorted(got[:100]))
		require.Equal(t, -1, got[100])
		require.NoError(t, g.Wait(t.Context()), "it has no goroutine left")
		require.Nil(t, l.calls)
	})
}

// world is what a Presence tells of: which of some things are there.
type world struct {
	Presence[int]

	group Group
	mu    sync.Mutex
	there map[int]bool
	told  map[int][]bool
	busy  map[int]bool
	block func(k int)
	t     *testing.T
}

func newWorld(t *testing.T, limit int) *world {
	w := &world{there: map[int]bool{}, told: map[int][]bool{}, busy: map[int]bool{}, t: t}
	w.Present = func(k int) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.there[k]
	}
	w.Tell = w.tell
	w.Group, w.Limit = &w.group, limit
	return w
}

func (w *world) tell(k int, there bool) {
	w.mu.Lock()
	if w.busy[k] {
		w.t.Error("two calls for one thing at a time")
	}
	w.busy[k] = true
	w.told[k] = append(w.told[k], there)
	w.mu.Unlock()
	if w.block != nil {
		w.block(k)
	}
	w.mu.Lock()
	w.busy[k] = false
	w.mu.Unlock()
}

func (w *world) set(k int, there bool) {
	w.mu.Lock()
	changed := w.there[k] != there
	w.there[k] = there
	w.mu.Unlock()
	if changed {
		w.Changed(k, there)
	}
}

// What comes and goes is told, each in turn, also where it goes at once.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		w.set(1, true)
		w.set(1, false)
		w.set(2, true)
		synctest.Wait()
		require.Equal(t, map[int][]bool{1: {true, false}, 2: {true}}, w.told)
		require.Equal(t, 1, w.Len())
		w.set(2, false)
		w.set(1, true)
		synctest.Wait()
		require.Equal(t, map[int][]bool{1: {true, false, true}, 2: {true, false}}, w.told)
	})
}

// While a call is under way what cancels out is not told, and nothing piles up.
func TestPresenceWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		stop := make(chan struct{})
		w.block = func(k int) {
			if k == 1 {
				<-stop
			}
		}
		w.set(1, true)
		synctest.Wait()
		for range 100 {
			w.set(1, false)
			w.set(1, true)
		}
		w.set(2, true) // others are told meanwhile
		synctest.Wait()
		require.Equal(t, map[int][]bool{1: {true}, 2: {true}}, w.told)
		require.Empty(t, w.waiting)
		close(stop)
		synctest.Wait()
		require.Equal(t, []bool{true}, w.told[1])
		w.set(1, false)
		synctest.Wait()
		require.Equal(t, []bool{true, false}, w.told[1])
	})
}

// The order of the reports does not matter, only how things stand.
func TestPresenceReportsOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.Changed(1, false) // it came and went; the report of the end is first
		w.Changed(1, true)
		synctest.Wait()
		require.Equal(t, []bool{true, false}, w.told[1])
		w.there[2] = true
		w.Changed(2, true)
		synctest.Wait()
		w.Changed(2, true) // it went and came back, the other way round
		w.Changed(2, false)
		synctest.Wait()
		require.Equal(t, []bool{true, false, true}, w.told[2])
	})
}

func TestPresenceKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.there[1] = true
		w.Known(1)
		w.Known(1)
		w.Known(2) // gone meanwhile
		synctest.Wait()
		require.Equal(t, map[int][]bool{2: {false}}, w.told)
		w.set(1, false)
		w.set(2, true)
		synctest.Wait()
		require.Equal(t, map[int][]bool{1: {false}, 2: {false, true}}, w.told)
	})
}

// TestPresenceUnderRaces has many goroutines change things at once: each thing
// is told of in turn, and in the end as it is.
func TestPresenceUnderRaces(t *testing.T) {
	const things, workers, steps = 5, 8, 2000
	w := newWorld(t, 3)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 5))
			for range steps {
				w.set(r.IntN(things), r.IntN(2) == 0)
			}
		})
	}
	all.Wait()
	require.NoError(t, w.group.Wait(t.Context()))
	there := 0
	for k := range things {
		told := w.told[k]
		for i, is := range told {
			require.Equal(t, i%2 == 0, is, "in turn, coming first")
		}
		last := len(told) > 0 && told[len(told)-1]
		require.Equal(t, w.there[k], last, "the last call tells how things stand")
		if last {
			there++
		}
	}
	require.Equal(t, there, w.Len(), "only what is there is remembered")
}
