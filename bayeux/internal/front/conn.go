package front

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// errAgain says that there is nothing to read, or no room to write.
var errAgain = errors.New("not now")

// state says who looks after a connection.
type state uint8

const (
	// idle: the poller. A request, or the rest of one, is awaited.
	idle state = iota
	// busy: a goroutine of the pool.
	busy
	// held: the poller. The answer to a request is not due yet.
	held
	// taken: who has hijacked it.
	taken
	// armed: the poller, for who has hijacked it.
	armed
	// lingering: nobody. The answer has been written, and what the client still
	// sends is not read; it is closed soon.
	lingering
	// listening: the accept loop. It is no connection at all.
	listening
	// over: nobody. It is closed, or net/http's.
	over
)

// errand is what a goroutine of the pool is to do with a connection.
type errand uint8

const (
	toServe  errand = iota // read, and serve what comes
	toAnswer               // the answer to a held request is due
	toLeave                // the client has left while a request was held
	toReady                // call ready
	toPass                 // it is nothing for the engine
)

// event is what the poller tells.
type event struct {
	in, out bool
	hup     bool // the peer has ended its side
	dead    bool // the connection is broken
}

// side is what reading, or writing, waits for.
type side struct {
	ready    bool          // something has come since it was last tried
	deadline instant.Time  // zero: none
	wake     chan struct{} // who waits
}

// Held is a request whose handler has returned without an answer.
type Held interface {
	// Answer writes the answer, as a handler does, when Conn.Due was called.
	Answer(w *Response)
	// Left says instead that there is no client to answer any more.
	Left()
}

// Conn is a connection of the engine. It is a net.Conn for who has hijacked it;
// it has then the usual methods and is safe for concurrent use as they are.
type Conn struct {
	s      *Server
	way    *way  // to net/http, and the listener it came by
	pump   *pump // instead of a descriptor
	next   *Conn // in the pool's queue, guarded by its lock
	fd     int32
	refs   atomic.Int32 // system calls under way, and closedBit
	remote netip.AddrPort

	mu sync.Mutex
	// Guarded by mu, a leaf but for the locks of the pool and of the clock.
	state  state
	errand errand
	late   bool         // the held answer is due
	hup    bool         // the peer has ended its side, as far as the poller knows
	dead   bool         // the connection is broken
	fresh  bool         // no request has come yet
	by     instant.Time // when what is awaited must have come whole; zero: never
	due    instant.Time // when the poller gives up; zero: never
	asked  instant.Time // when the clock looks at it, at the latest; zero: not at all
	place  int32        // in the clock's agenda; guarded by its lock
	mark   int32        // what the poller knows it by, beside fd; guarded by its lock
	held   Held
	lines  headerLines     // of the answer to come
	ctx    *requestContext // of the request that is served
	in     side
	out    side
	ready  func()
	half   *half
}

// half is a head that has not come whole.
type half struct {
	buf    *buffer
	pieces int
}

var _ net.Conn = (*Conn)(nil)

// AgendaPlace implements agenda.Item.
func (c *Conn) AgendaPlace() *int32 { return &c.place }

// event is called by the poller. It never blocks.
func (c *Conn) event(ev event) {
	c.mu.Lock()
	c.hup, c.dead = c.hup || ev.hup, c.dead || ev.dead
	c.in.note(ev.in)
	c.out.note(ev.out)
	switch c.state {
	case idle:
		if ev.in {
			c.send(toServe)
		}
	case held:
		if c.hasLeft() { // [R-CN-21]
			c.send(toLeave)
		}
	case armed:
		if ev.in {
			c.in.ready = false
			c.send(toReady)
		}
	case busy:
		if c.ctx != nil && c.hasLeft() {
			c.ctx.Cancel() // as net/http does when it sees that the client has gone
		}
	case taken, lingering, listening, over:
	}
	c.mu.Unlock()
}

// note wakes who waits.
func (s *side) note(happened bool) {
	if !happened {
		return
	}
	s.ready = true
	s.rouse()
}

func (s *side) rouse() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// send has a goroutine of the pool do something. The lock is held.
func (c *Conn) send(what errand) {
	c.errand = what
	c.state = busy
	if what == toReady {
		c.state = taken
	}
	c.due = 0
	c.s.pool.run(c)
}

// run does what the connection was sent to the pool for.
func (c *Conn) run() {
	c.mu.Lock()
	what, ready := c.errand, c.ready
	c.mu.Unlock()
	switch what {
	case toServe:
		c.serve()
	case toAnswer:
		if c.answer() {
			c.serve()
		}
	case toLeave:
		c.leave()
	case toReady:
		ready()
	case toPass:
		c.pass(nil)
	}
}

// Due says that the answer to a held request is due: Held.Answer is called on a
// goroutine of the engine, once the handler has returned. It never blocks, and
// does nothing when h is not held, or not any more.
func (c *Conn) Due(h Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.held != h:
	case c.state == held:
		c.send(toAnswer)
	case c.state == busy:
		c.late = true
	}
}

// rest leaves the connection to the poller, to wait for a request. It reports
// false when there is something to read already.
func (c *Conn) rest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == over:
	case c.in.ready || c.hup:
		c.in.ready = false
		return false
	case c.s.stopping.Load() && c.half == nil:
		return false // what follows closes it
	default:
		c.state = idle
		c.expireAt(c.by)
	}
	return true
}

// expireAt sets when the poller gives up; zero: never. The lock is held.
func (c *Conn) expireAt(at instant.Time) {
	c.due = at
	if !at.IsZero() && (c.asked.IsZero() || at.Before(c.asked)) {
		c.asked = at
		c.s.clock.set(c, at)
	}
}

// expire is called when due may have passed.
func (c *Conn) expire(now instant.Time) {
	c.mu.Lock()
	c.asked = 0
	if c.due.IsZero() || c.due.After(now) {
		c.expireAt(c.due)
		c.mu.Unlock()
		return
	}
	c.due = 0
	switch c.state {
	case armed:
		c.send(toReady)
	case idle, lingering:
		c.mu.Unlock()
		c.end()
		return
	case busy, held, taken, listening, over:
	}
	c.mu.Unlock()
}

// end closes the connection, whoever has it. It is idempotent.
func (c *Conn) end() {
	c.mu.Lock()
	before := c.state
	if before == over {
		c.mu.Unlock()
		return
	}
	c.state = over
	c.due = 0
	c.in.rouse()
	c.out.rouse()
	ctx, h := c.ctx, c.half
	c.ctx, c.half = nil, nil
	c.mu.Unlock()
	if h != nil {
		c.s.buffers.put(h.buf)
	}
	if ctx != nil {
		ctx.Cancel()
	}
	c.s.forget(c, before == taken || before == armed)
	c.shut()
}

// lingerTime is how long a client has, whose body was not read, to read the
// answer: to close at once would reset the connection, and the answer be lost.
const lingerTime = 500 * time.Millisecond

// linger closes the connection for the client, and a little later for us.
func (c *Conn) linger() {
	if c.pump == nil {
		if !c.enter() {
			return
		}
		sysCloseWrite(int(c.fd))
		c.exit()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != over {
		c.state = lingering
		c.expireAt(c.s.clock.after(lingerTime))
	}
}

// leave ends a held request whose client has gone.
func (c *Conn) leave() {
	c.mu.Lock()
	h := c.held
	c.held = nil
	c.mu.Unlock()
	defer c.end()
	if h != nil {
		c.guarded(h.Left)
	}
}

// cut ends the connection for the server's own reasons.
func (c *Conn) cut() {
	c.mu.Lock()
	switch c.state {
	case held:
		c.send(toLeave)
		c.mu.Unlock()
	case taken, armed, listening, over:
		c.mu.Unlock()
	case idle, busy, lingering:
		c.mu.Unlock()
		c.end()
	}
}

// closeIdle ends the connection if no request is under way.
func (c *Conn) closeIdle() {
	c.mu.Lock()
	if c.state != idle || c.half != nil {
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.end()
}

// closedBit stands in refs when the connection is closed, passedBit beside it
// when the descriptor is closed by somebody else.
const (
	closedBit = 1 << 30
	passedBit = 1 << 29
)

// enter begins a system call: the descriptor stays until exit.
func (c *Conn) enter() bool {
	for {
		n := c.refs.Load()
		if n&closedBit != 0 {
			return false
		}
		if c.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *Conn) exit() {
	if c.refs.Add(-1) == closedBit {
		c.release()
	}
}

// shut closes the descriptor as soon as nobody uses it.
func (c *Conn) shut() {
	if c.pump != nil {
		close(c.pump.stop)
		_ = c.pump.conn.Close()
	}
	if c.refs.Or(closedBit) == 0 {
		c.release()
	}
}

func (c *Conn) release() {
	if c.pump == nil {
		sysClose(int(c.fd))
	}
}

// tryRead reads what there is.
func (c *Conn) tryRead(p []byte) (int, error) {
	if c.pump != nil {
		return c.pump.read(p)
	}
	if !c.enter() {
		return 0, net.ErrClosed
	}
	defer c.exit()
	return sysRead(int(c.fd), p)
}

// tryWrite writes what there is room for.
func (c *Conn) tryWrite(p []byte) (int, error) {
	if c.pump != nil {
		return c.pump.write(p, c.s.clock.date(c.deadline(&c.out)))
	}
	if !c.enter() {
		return 0, net.ErrClosed
	}
	defer c.exit()
	return sysWrite(int(c.fd), p)
}

// hasLeft tells whether the client has gone. Where it has sent something before,
// which waits, that cannot be known, unless the connection is broken. The lock
// is held.
func (c *Conn) hasLeft() bool { return c.dead || c.hup && c.ended() }

// ended tells whether nothing more will come.
func (c *Conn) ended() bool {
	if c.pump != nil {
		return c.pump.ended()
	}
	if !c.enter() {
		return true
	}
	defer c.exit()
	return sysEnded(int(c.fd))
}

// isEnd tells whether a read has met the end in good order.
func isEnd(err error) bool { return err == io.EOF } //nolint:errorlint // as our own reads return it
