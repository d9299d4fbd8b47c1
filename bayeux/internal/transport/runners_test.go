package transport

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// errand is a task that runs a function.
type errand struct {
	do    func(me *runner)
	queue taskPlace
}

func (e *errand) run(me *runner)    { e.do(me) }
func (e *errand) place() *taskPlace { return &e.queue }

// log notes numbers.
type numbers struct {
	mu   sync.Mutex
	list []int
}

func (n *numbers) add(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, i)
}

func (n *numbers) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.list)
}

// note is a task that notes a number.
func (n *numbers) note(i int) *errand { return &errand{do: func(*runner) { n.add(i) }} }

// all returns the number of runners.
func (r *runners) all() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fresh + r.older + r.stuck
}

// idle checks that nothing is left of the work.
func (r *runners) idle(t *testing.T) {
	t.Helper()
	require.Zero(t, r.all())
	require.Zero(t, r.waiting)
	require.Nil(t, r.head)
	require.Nil(t, r.tail)
}

// Tasks are done once each, in the order in which they came.
func TestRunnersOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		var n numbers
		gate := make(chan struct{})
		// One runner is left to do the tasks.
		for range runtime.GOMAXPROCS(0) - 1 {
			r.submit(&errand{do: func(*runner) { <-gate }})
		}
		synctest.Wait()
		var want []int
		for i := range 100 {
			r.submit(n.note(i))
			want = append(want, i)
		}
		synctest.Wait()
		require.Equal(t, want, n.list)
		close(gate)
		synctest.Wait()
		r.idle(t)
	})
}

// A task may submit itself while it runs: it goes behind the others.
func TestRunnersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		var n numbers
		left := 1000
		again := &errand{}
		again.do = func(*runner) {
			if left--; left > 0 {
				r.submit(again)
			} else {
				n.add(0)
			}
		}
		r.submit(again)
		synctest.Wait()
		require.Equal(t, []int{0}, n.list)
		r.idle(t)
	})
}

// A task that waits and says so holds up nobody, however many there are.
func TestRunnersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		var n numbers
		start, gate := time.Now(), make(chan struct{})
		for i := range 100 {
			r.submit(&errand{do: func(me *runner) {
				me.leave()
				<-gate
				me.leave() // once more does nothing
				n.add(100 + i)
			}})
			r.submit(n.note(i))
		}
		synctest.Wait()
		require.Equal(t, 100, n.count())
		require.Zero(t, time.Since(start))
		r.idle(t)
		close(gate)
		synctest.Wait()
		require.Equal(t, 200, n.count())
		r.idle(t)
	})
}

// Tasks that are stuck without a word hold up the others for some
// milliseconds; as many as there are, once they are over few runners are left.
func TestRunnersStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		var n numbers
		gate := make(chan struct{})
		for i := range 1000 {
			r.submit(&errand{do: func(*runner) { <-gate }})
			r.submit(n.note(i))
		}
		time.Sleep(20 * runnersPatience)
		require.Equal(t, 1000, n.count())
		require.Equal(t, 1000, r.all())
		r.submit(n.note(1000)) // the first one to come when all are stuck
		time.Sleep(2 * runnersPatience)
		require.Equal(t, 1001, n.count())

		close(gate)
		synctest.Wait()
		r.idle(t)
	})
}

// While there is always something to do, runners that were started because
// others were stuck end all the same.
func TestRunnersBecomeFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		gate, stop := make(chan struct{}), make(chan struct{})
		const slow = 10 // runners that a task takes a while in, besides the stuck ones
		for range 100 {
			r.submit(&errand{do: func(*runner) { <-gate }})
		}
		// A steady load: each takes some time and comes again.
		for range slow * runtime.GOMAXPROCS(0) {
			e := &errand{}
			e.do = func(*runner) {
				select {
				case <-stop:
				case <-time.After(runnersPatience / runnersSlow / 4):
					r.submit(e)
				}
			}
			r.submit(e)
		}
		time.Sleep(time.Second)
		require.Equal(t, 100+runtime.GOMAXPROCS(0), r.all())
		close(gate)
		time.Sleep(time.Second)
		require.Equal(t, runtime.GOMAXPROCS(0), r.all())
		close(stop)
		synctest.Wait()
		r.idle(t)
	})
}

// Tasks that all take a while, as on a busy machine, call for some runners more,
// not for one each.
func TestRunnersSlowMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		stop := make(chan struct{})
		for range 1000 * runtime.GOMAXPROCS(0) {
			e := &errand{}
			e.do = func(*runner) {
				select {
				case <-stop:
				case <-time.After(runnersPatience / 5):
					r.submit(e)
				}
			}
			r.submit(e)
		}
		for range 100 {
			time.Sleep(runnersPatience)
			require.LessOrEqual(t, r.all(), 8*runnersMany*runtime.GOMAXPROCS(0))
		}
		close(stop)
		synctest.Wait()
		r.idle(t)
	})
}

// One runner comes for each processor, not for each task.
func TestRunnersFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runners
		var mu sync.Mutex
		seen := make(map[*runner]bool)
		gate := make(chan struct{})
		for range 1000 {
			r.submit(&errand{do: func(me *runner) {
				<-gate
				mu.Lock()
				defer mu.Unlock()
				seen[me] = true
			}})
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		require.LessOrEqual(t, len(seen), runtime.GOMAXPROCS(0))
		r.idle(t)
	})
}
