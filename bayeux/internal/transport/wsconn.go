package transport

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/channels"
)

// wsControlMax is the size of unsent pongs that makes the reader send them
// before it goes on.
const wsControlMax = 1 << 10

// wsOwesMax is how many messages may wait for their replies to leave together.
// Compressed, very many come with one read.
const wsOwesMax = 256

// wsDeafWait is how long what was written has until the end of the connection
// overtakes it.
const wsDeafWait = 100 * time.Millisecond

// wsClosing is why a connection ends; the first reason counts.
type wsClosing struct {
	code   int
	reason string
	end    End
	// drain takes from the port once more before the close frame.
	drain bool
	// deaf peers are waited for no longer than wsDeafWait.
	deaf bool
	// echo answers the peer's close frame: nothing is to come after it.
	echo bool
}

// wsConn is one connection: the Link that the server's Port talks to.
//
// One goroutine at a time reads (serve), one at a time writes (the flusher, see
// wswrite.go); neither exists while there is nothing to do and a Poller keeps
// the connection.
type wsConn struct {
	Parked

	// Immutable after start.
	carrier *WebSocketCarrier
	port    Port
	raw     syscall.RawConn // nil: all goes through Conn
	deflate bool
	ctx     wsContext // of all that is done for the connection
	leave   func()    // gives the place of the connection back; may be nil

	// Owned by the goroutine that reads.
	in     *wsInput     // nil: nothing is half read
	idleBy instant.Time // zero: never
	heard  bool         // a frame came since the deadline was set
	owes   int          // messages whose replies wait for those to the frames that were read with theirs

	// Guarded by mu, a leaf: nothing is called with it held.
	mu    sync.Mutex
	aside *wsAside // nil: nothing of it is there
	ended bool

	// Guarded by the runners.
	queue taskPlace

	// Atomic.
	state     atomic.Uint32 // see wswrite.go
	watched   atomic.Bool   // there is a watch
	closing   atomic.Pointer[wsClosing]
	closeSent atomic.Bool
	dead      atomic.Bool

	// index is where the carrier has the connection; guarded by its lock.
	index int

	// waiter is where the reader waits for the flusher.
	waiter sync.WaitGroup
}

var _ Link = (*wsConn)(nil)

// Close implements Link.
func (c *wsConn) Close(code int, reason string) {
	c.close(&wsClosing{code: code, reason: reason, drain: true})
}

// Leave implements Link.
func (c *wsConn) Leave(code int, reason string) {
	c.close(&wsClosing{code: code, reason: reason, drain: true, deaf: true})
}

// Cut implements Link.
func (c *wsConn) Cut(reason string) {
	c.closing.CompareAndSwap(nil, &wsClosing{code: wsAbnormal, reason: reason, end: EndCut})
	c.cut()
}

// close asks for the end of the connection; it does not wait for it.
func (c *wsConn) close(why *wsClosing) {
	if c.closing.CompareAndSwap(nil, why) {
		c.Wake()
	}
}

// start is the first goroutine of a connection. early is what the client has
// sent behind its upgrade.
func (c *wsConn) start(early []byte) {
	if d := c.carrier.o.PingInterval; d > 0 {
		c.after(0, d, c.ping)
	}
	c.watch()
	c.heard = true
	// The flusher was held until the port was known.
	c.releaseFlusher()
	if !c.consume(early) {
		c.finish()
		return
	}
	if !c.park() {
		c.serve()
	}
}

// serve reads until the connection ends or is parked.
func (c *wsConn) serve() {
	for c.onReadable() {
		if c.park() {
			return
		}
	}
	c.finish()
}

// park leaves the connection to the poller and tells whether it could: then
// serve is called again, by another goroutine.
func (c *wsConn) park() bool {
	poller := pollerOf(c.Conn, c.carrier.o.Poller)
	if poller == nil || c.dead.Load() {
		return false
	}
	c.refreshIdle()
	c.restInput()
	if !poller.Arm(&c.Parked, c.idleTime()) {
		return false
	}
	// Whoever cut the connection meanwhile may have found it not armed yet.
	return !c.dead.Load() || !poller.Disarm(&c.Parked)
}

// cut ends the connection without a word.
func (c *wsConn) cut() {
	if c.dead.Swap(true) {
		return
	}
	poller := pollerOf(c.Conn, c.carrier.o.Poller)
	parked := poller != nil && poller.Disarm(&c.Parked)
	_ = c.Conn.Close() // the reader finds out
	if parked {
		go c.serve() // ends at once: the connection is closed
	}
}

// refreshIdle sets the deadline anew if a frame has come [R-WS-17].
func (c *wsConn) refreshIdle() {
	if !c.heard {
		return
	}
	c.heard = false
	idle := c.carrier.o.IdleTimeout
	if idle == 0 {
		idle = c.port.Idle()
	}
	c.idleBy = 0
	if idle > 0 {
		c.idleBy = c.carrier.clock.Now().Add(idle)
	}
}

// idleTime is idleBy on the clock of the system, zero for never.
func (c *wsConn) idleTime() time.Time {
	if c.idleBy.IsZero() {
		return time.Time{}
	}
	return c.carrier.clock.Time(c.idleBy)
}

// onReadable reads once and processes what is whole. It reports false when
// the connection has ended.
func (c *wsConn) onReadable() bool {
	c.refreshIdle()
	if err := c.Conn.SetReadDeadline(c.idleTime()); err != nil {
		return c.readFailed(err)
	}
	in := c.input()
	p, buf, err := in.reader.read(!in.frames.inFrame)
	defer c.carrier.buffers.put(buf)
	if len(p) > 0 {
		c.carrier.o.Observer.Bytes(len(p), 0)
		if !c.consume(p) {
			return false
		}
	}
	return err == nil || c.readFailed(err)
}

// readFailed ends the connection after a failed read, by a close frame where
// the peer was only silent.
func (c *wsConn) readFailed(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.closeSent.Load() {
		c.idleBy, c.heard = 0, false // the close has its own timer
		// [R-WS-17]
		c.giveUp(&wsClosing{code: wsGoingAway, reason: "idle timeout", end: EndIdle})
		return !c.dead.Load()
	}
	c.lost()
	return false
}

// consume processes the frames in p, behind what was left of the last read.
func (c *wsConn) consume(p []byte) bool {
	if len(p) > 0 && c.watched.Load() {
		c.watchHeard()
	}
	in := c.input()
	for in.stashed > 0 && len(p) > 0 {
		// Complete the header byte by byte: it is short.
		in.stash[in.stashed] = p[0]
		in.stashed++
		p = p[1:]
		head := in.stash[:in.stashed]
		n, event, fault := in.frames.next(head)
		if n == 0 && fault == nil {
			continue
		}
		in.stashed = 0
		if !c.handle(event, fault) {
			return false
		}
	}
	for len(p) > 0 {
		n, event, fault := in.frames.next(p)
		if n == 0 && fault == nil {
			in.stashed = copy(in.stash[:], p)
			break
		}
		p = p[n:]
		if !c.handle(event, fault) {
			return false
		}
	}
	if c.owes > 0 || c.controlSize() > 0 {
		c.flushReplies()
	}
	return true
}

// flushReplies writes what is owed to the peer, and pongs.
func (c *wsConn) flushReplies() {
	c.owes = 0
	c.flushSync()
}

// handle acts on what frameReader.next has found.
func (c *wsConn) handle(event frameEvent, fault *frameFault) bool {
	if fault != nil {
		if fault.code == wsTooBig {
			c.carrier.o.Observer.Limit(wsLimitSize)
		}
		c.refuse(fault.code, fault.reason)
		return true
	}
	if event == frameNone {
		return true
	}
	c.heard = true
	switch event {
	case framePing:
		c.queueControl(ws.OpPong, c.input().frames.ctl)
		if c.controlSize() > wsControlMax {
			c.flushSync()
		}
	case frameClose:
		return c.peerCloses()
	case frameText:
		c.receive()
	case frameNone, framePart:
	}
	return true
}

// peerCloses answers the peer's close frame, if ours was not sent before.
func (c *wsConn) peerCloses() bool {
	if c.owes > 0 {
		c.flushReplies()
	}
	if c.closeSent.Load() {
		return false
	}
	code, fault := frameCloseCode(c.input().frames.ctl)
	if fault != nil {
		c.input().frames.lost = true
		c.refuse(fault.code, fault.reason)
		return true
	}
	c.close(&wsClosing{code: code, reason: "closed by the peer", echo: true})
	c.flushSync()
	return false
}

// refuse closes because of what the peer did.
func (c *wsConn) refuse(code int, reason string) { c.giveUp(&wsClosing{code: code, reason: reason}) }

// giveUp closes. Nothing more is taken for this connection: the session gets it
// by its next one. What still comes in is dropped until the peer closes too, or
// the time for that is over.
func (c *wsConn) giveUp(why *wsClosing) {
	if c.owes > 0 {
		c.flushReplies() // what came before was good
	}
	c.input().frames.discard = true
	c.close(why)
	c.flushSync()
}

// receive processes a message, and sends what it caused before more is read, so
// that a peer that does not read is not read either [R-WS-7, R-WS-24]. The
// replies to publishes that were read together leave together.
func (c *wsConn) receive() {
	body, packed := c.input().frames.take()
	if c.closing.Load() != nil {
		return
	}
	if packed {
		var err error
		body, err = c.carrier.deflater.unpack(body, c.input().frames.limit)
		switch {
		case errors.Is(err, errWSBomb):
			c.carrier.o.Observer.Limit(wsLimitSize)
			c.refuse(wsTooBig, err.Error()) // [R-WS-9]
			return
		case err != nil:
			c.refuse(wsBadPayload, err.Error())
			return
		}
	}
	if !utf8.Valid(body) {
		c.refuse(wsBadPayload, "text is not UTF-8")
		return
	}
	if code, reason := c.deliver(body); code != 0 {
		c.refuse(code, reason) // [R-WS-8] the session lives on
	}
}

// publishes tells whether a batch has nothing but publishes in it, whose replies
// nothing that follows depends on.
func publishes(batch []*bayeux.Message) bool {
	for _, m := range batch {
		if strings.HasPrefix(m.Channel, channels.MetaPrefix) {
			return false
		}
	}
	return true
}

// deliver gives the batch to the port and returns the close code of a refusal.
func (c *wsConn) deliver(body []byte) (code int, reason string) {
	batch, err := bayeux.DecodeText(body, c.carrier.o.Limits)
	if err != nil {
		var broken *bayeux.DecodeError
		if errors.As(err, &broken) && broken.Kind == bayeux.DecodeBatch {
			c.carrier.o.Observer.Limit(limitBatch)
			return wsPolicy, err.Error()
		}
		if broken != nil && broken.Kind == bayeux.DecodeDepth {
			c.carrier.o.Observer.Limit(limitDepth)
		}
		return wsServerError, err.Error()
	}
	if len(batch) == 0 {
		return 0, "" // `[]`, a keep-alive of some clients (WIRE 16)
	}
	if c.watched.Load() {
		c.watchBatch(batch)
		defer c.watchBatchDone()
	}
	meta := !publishes(batch)
	if meta && c.owes > 0 {
		c.flushReplies()
	}
	if err = c.port.Receive(&c.ctx, batch); err == nil {
		if c.owes += len(batch); meta || c.owes >= wsOwesMax {
			c.flushReplies()
		}
		return 0, ""
	}
	refused, ok := errors.AsType[*StatusError](err)
	if ok && (refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusRequestEntityTooLarge) {
		return wsPolicy, refused.Reason
	}
	return wsServerError, err.Error()
}

// lost notes that the connection is gone, if nothing else has ended it.
func (c *wsConn) lost() {
	c.closing.CompareAndSwap(nil, &wsClosing{code: wsAbnormal, reason: "connection lost", end: EndLost})
}

// finish is the end of the goroutine that reads, and of the connection.
func (c *wsConn) finish() {
	c.lost()
	c.ctx.Cancel()
	c.dead.Store(true)
	_ = c.Conn.Close()
	c.stopTimers()
	c.stopFlusher()
	c.restInput()
	c.in = nil // what is half read must not be the next connection's
	why := c.closing.Load()
	if p, ok := c.port.(Ender); ok {
		p.Ended(why.end)
	}
	c.port.Closed(why.reason) // [R-WS-18] the session is not removed
	c.carrier.o.Observer.Count(EventWSClosed + strconv.Itoa(why.code))
	c.carrier.forget(c)
}

// newWSConn makes a connection whose flusher is held until start.
func newWSConn(carrier *WebSocketCarrier, conn net.Conn, req *bayeux.Request, deflate bool) *wsConn {
	c := &wsConn{carrier: carrier, ctx: wsContext{request: bayeux.Seal(req)}, deflate: deflate, raw: rawOf(conn)}
	c.Conn, c.Ready = conn, c.serve
	c.state.Store(linkRunning)
	return c
}
