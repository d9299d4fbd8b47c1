package transport

import (
	"runtime"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/rawio"
)

// task is something to be done soon: what is queued for a connection leaves.
type task interface {
	// run does it. The task may be submitted again from here on, by itself too.
	run(r *runner)
	// place is where the queue keeps what it has to know of the task: always the
	// same.
	place() *taskPlace
}

// taskPlace is a task's place in the queue. The zero value is in none.
type taskPlace struct{ next task }

// runners do tasks in the order of their coming, on few goroutines, one for
// each processor, which exist only while there is something to do. So their
// stacks have grown already when the next task comes, and what is queued for a
// connection until its turn comes leaves together.
//
// No task holds up the others for long. One that is about to wait says so
// (runner.leave); where few get done, because they are stuck in code that is
// not ours, there will be more runners after some milliseconds, at most one
// for each task. It is safe for concurrent use; the zero value works.
type runners struct {
	mu sync.Mutex
	// Guarded by mu.
	head, tail task
	waiting    int // length of the queue
	most       int // processors
	// The runners, by when they took their task: since the watch last looked,
	// before that, and before the time that it looked before.
	fresh, older, stuck int
	excess              int    // how many are to end
	done                uint64 // tasks taken out so far
	watch               *time.Timer
	watching            bool
	looks               uint64 // how often the watch has looked
	seen                uint64 // done, when it last did
}

const (
	// runnersPatience is how long tasks may wait before it is asked whether the
	// runners are stuck.
	runnersPatience = 5 * time.Millisecond
	// runnersSlow is the number of tasks in that time below which they are. A
	// runner that gets a third of a processor does a hundred and more.
	runnersSlow = 16
	// runnersMany is for how many runners of each processor that counts. More of
	// them get no more done: where it is the machine that is busy, each would call
	// for another one, up to one for each task.
	runnersMany = 4
)

// submit queues a task, which must not be in the queue. It never blocks and
// may be called with a lock held.
func (r *runners) submit(t task) {
	r.mu.Lock()
	first := r.tail == nil
	if first {
		r.head = t
	} else {
		r.tail.place().next = t
	}
	r.tail = t
	r.waiting++
	if r.fresh+r.older == 0 {
		r.most = runtime.GOMAXPROCS(0)
	}
	start := r.fresh+r.older < r.most
	// The first one is what the runner that is started now will take.
	if !r.watching && (!start || !first) {
		r.lookLater()
	}
	if start {
		r.start(1)
	}
	r.mu.Unlock()
}

// start starts runners. The lock is held.
func (r *runners) start(n int) {
	r.fresh += n
	for range n {
		go (&runner{of: r, looks: r.looks}).work() // ends when there is nothing to do
	}
}

// lookLater sets the watch. The lock is held.
func (r *runners) lookLater() {
	r.watching, r.seen = true, r.done
	if r.watch == nil {
		r.watch = time.AfterFunc(runnersPatience, r.look)
	} else {
		r.watch.Reset(runnersPatience)
	}
}

// look doubles the runners while few tasks get done, and has some end when
// there are too many.
func (r *runners) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks++
	r.stuck, r.older, r.fresh = r.stuck+r.older, r.fresh, 0
	r.excess = max(r.older-r.most, 0)
	if r.watching = r.waiting > 0; !r.watching {
		return
	}
	expected := runnersSlow * min(max(r.older, 1), runnersMany*r.most)
	if int(r.done-r.seen) < expected { //nolint:gosec // tasks of some milliseconds
		r.excess = 0
		r.start(min(r.older+r.stuck, r.waiting))
	}
	r.lookLater()
}

// runner is a goroutine that does one task at a time. A nil one was started for
// its task alone.
type runner struct {
	of    *runners // nil: it has left
	looks uint64   // as they were when the task was taken
	tasks int      // how many it has done
}

// runnersTurn is after how many tasks a runner lets other goroutines have the
// processor: those that read, for example.
const runnersTurn = 32

// work does tasks until there are none.
func (me *runner) work() {
	var spell rawio.Spell
	for t := me.next(); t != nil; t = me.next() {
		t.run(me)
		spell.Step()
		if me.tasks++; me.tasks%runnersTurn == 0 {
			runtime.Gosched()
		}
	}
}

// next returns the next task, or nil when the runner is to end.
func (me *runner) next() task {
	r := me.of
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	many := r.excess > 0 && r.fresh+r.older > r.most
	me.count(-1)
	t := r.head
	switch {
	case t == nil:
		return nil
	case many:
		r.excess--
		return nil
	}
	p := t.place()
	if r.head, p.next = p.next, nil; r.head == nil {
		r.tail = nil
	}
	r.waiting--
	r.done++
	me.looks = r.looks
	me.count(1)
	return t
}

// count counts the runner in or out. The lock is held.
func (me *runner) count(by int) {
	switch r := me.of; r.looks - me.looks {
	case 0:
		r.fresh += by
	case 1:
		r.older += by
	default:
		r.stuck += by
	}
}

// serves tells whether other tasks wait for the runner.
func (me *runner) serves() bool { return me != nil && me.of != nil }

// leave says that the task is about to wait for somebody else: another runner
// goes on in place of this one, which ends with its task.
func (me *runner) leave() {
	if !me.serves() {
		return
	}
	r := me.of
	r.mu.Lock()
	defer r.mu.Unlock()
	me.count(-1)
	me.of = nil
	if r.head != nil {
		r.start(1)
	}
}
