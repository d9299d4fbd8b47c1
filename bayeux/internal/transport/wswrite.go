package transport

import (
	"errors"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/rawio"
)

// Bits of wsConn.state. They are changed atomically, so that Wake needs no
// lock: it may be called with one held.
const (
	linkRunning uint32 = 1 << iota // a flusher is at work
	linkQueued                     // a flusher will come: a runner, or a goroutine that was started
	linkDirty                      // there is something to do for it
	linkWaiting                    // the reader waits for the end of a round
	linkStopped                    // the connection has ended
)

const (
	// linkRoundTakes bounds a round, so that the reader gets its turn while
	// messages never cease.
	linkRoundTakes = 8
	// frameWriteSize is the size from which collected frames are written, and
	// that of a frame which is not copied to be collected.
	frameWriteSize = 64 << 10
	frameCopyMax   = 16 << 10
	// frameKeepCap bounds the buffers that go back to a pool.
	frameKeepCap   = 128 << 10
	frameKeepParts = 512 // all of them are cleared each time
	// frameChunk is what one deadline holds for.
	frameChunk = 256 << 10
)

// Wake implements Link. What is queued until the flusher comes leaves
// together; where nothing else has to leave, it comes at once.
func (c *wsConn) Wake() {
	for {
		old := c.state.Load()
		next := old | linkDirty
		if old&(linkRunning|linkQueued|linkStopped) == 0 {
			next |= linkQueued
		}
		if next == old {
			return // whoever is coming takes it along
		}
		if c.state.CompareAndSwap(old, next) {
			if (next^old)&linkQueued != 0 {
				c.callFlusher()
			}
			return
		}
	}
}

// triable is a connection without a descriptor that can try to write, without
// waiting, as much as there is room for: one in memory.
type triable interface {
	TryWrite(p []byte) (n int, err error)
}

// callFlusher has run called. Only writes that can be tried without waiting
// are for the runners.
func (c *wsConn) callFlusher() {
	if _, ok := c.Conn.(triable); c.raw == nil && !ok {
		go c.run(nil) // ends when there is nothing to write; finish waits for it
		return
	}
	c.carrier.runners.submit(c)
}

// run implements task: it is the flusher, unless the reader is.
func (c *wsConn) run(me *runner) {
	if !c.beFlusher() {
		return
	}
	for c.flushRound(me) {
		// More came in meanwhile. Others that wait are first.
		if me.serves() && c.leaveFlusher() {
			return
		}
	}
}

// place implements task.
func (c *wsConn) place() *taskPlace { return &c.queue }

// beFlusher begins the work of a flusher that was called. It reports false when
// the reader has done it, or does.
func (c *wsConn) beFlusher() bool {
	for {
		old := c.state.Load()
		next := old &^ linkQueued
		work := old&(linkRunning|linkStopped) == 0 && old&(linkDirty|linkWaiting) != 0
		if work {
			next |= linkRunning
		}
		if c.state.CompareAndSwap(old, next) {
			return work
		}
	}
}

// leaveFlusher leaves what there is to do to another flusher. It reports false
// if the reader waits for this one.
func (c *wsConn) leaveFlusher() bool {
	for {
		old := c.state.Load()
		if old&(linkWaiting|linkStopped) != 0 {
			return false
		}
		if c.state.CompareAndSwap(old, old&^linkRunning|linkQueued) {
			if old&linkQueued == 0 {
				c.callFlusher()
			}
			return true
		}
	}
}

// endFlusher ends the work of a flusher. It reports false if there is more.
func (c *wsConn) endFlusher() bool {
	for {
		old := c.state.Load()
		if old&(linkDirty|linkWaiting|linkStopped) != 0 {
			return false
		}
		if c.state.CompareAndSwap(old, old&^linkRunning) {
			return true
		}
	}
}

// releaseFlusher starts the flusher's life: the connection was made with it
// held.
func (c *wsConn) releaseFlusher() {
	if !c.endFlusher() {
		c.leaveFlusher()
	}
}

// flushSync returns when what was queued before has been written, by the
// caller or by the flusher that is at work, or when the connection is broken.
// The goroutine that reads calls it; it does not wait for a flusher that is
// still to come.
func (c *wsConn) flushSync() {
	c.waiter.Add(1)
	if c.state.Or(linkRunning|linkDirty|linkWaiting)&linkRunning == 0 && c.flushRound(nil) {
		c.leaveFlusher() // more came in meanwhile
	}
	c.waiter.Wait()
}

// stopFlusher waits for the flusher and lets none start again.
func (c *wsConn) stopFlusher() {
	c.waiter.Add(1)
	if c.state.Or(linkStopped|linkWaiting)&linkRunning == 0 {
		c.waiter.Done()
	}
	c.waiter.Wait()
}

// flushRound writes what there is and reports whether to go once more.
func (c *wsConn) flushRound(me *runner) bool {
	old := c.state.And(^(linkDirty | linkWaiting))
	if old&linkStopped == 0 {
		c.flush(me)
	}
	if old&linkWaiting != 0 {
		c.waiter.Done()
	}
	if old&linkStopped != 0 {
		return false
	}
	return !c.endFlusher()
}

// flush takes and writes, one lease at a time, until there is nothing left.
func (c *wsConn) flush(me *runner) {
	limit := c.carrier.o.takeLimit()
	for range linkRoundTakes {
		if c.closeSent.Load() || c.dead.Load() {
			return
		}
		why := c.closing.Load()
		if why != nil && !why.drain {
			c.sendClose(me, why)
			return
		}
		out := c.port.Take(&c.ctx, limit)
		if out.Empty() {
			if why != nil {
				c.sendClose(me, why)
			} else {
				c.sendControl(me)
			}
			return
		}
		if !c.send(me, &out) || !out.More && c.closing.Load() == nil {
			return
		}
	}
	if why := c.closing.Load(); why != nil {
		c.sendClose(me, why)
		return
	}
	c.state.Or(linkDirty)
}

// send writes an Output and ends its lease.
func (c *wsConn) send(me *runner, out *Output) bool {
	if out.Err != nil {
		out.Done(0, false)
		c.closing.CompareAndSwap(nil, &wsClosing{code: wsServerError, reason: out.Err.Reason})
		return true
	}
	w := c.carrier.writer(c, me)
	w.buf = c.takeControl(w.buf)
	w.output(out)
	w.write()
	sent, groups := w.messages, w.groups == w.allGroups
	replied := groups && (w.groups > 0 || w.err == nil)
	bytes, answers := w.total, w.groups > 0
	ok := c.wrote(w)
	if ok && c.watched.Load() {
		c.watchSent(bytes, answers)
	}
	out.Done(sent, replied)
	return ok
}

// sendControl writes control frames when there is nothing else.
func (c *wsConn) sendControl(me *runner) {
	if c.controlSize() == 0 {
		return
	}
	w := c.carrier.writer(c, me)
	w.buf = c.takeControl(w.buf)
	w.write()
	c.wrote(w)
}

// sendClose writes the close frame, the last of all, and gives the peer some
// time to answer it.
func (c *wsConn) sendClose(me *runner, why *wsClosing) {
	w := c.carrier.writer(c, me)
	w.buf = frameAppendClose(c.takeControl(w.buf), why.code, wsReason(why))
	w.write()
	c.closeSent.Store(true)
	if c.wrote(w) && !why.echo {
		wait := c.carrier.o.CloseTimeout
		if why.deaf {
			wait = min(wait, wsDeafWait)
		}
		c.after(1, wait, c.cut)
	}
}

// wsReason returns the text for the peer; to its own close there is none.
func wsReason(why *wsClosing) string {
	if why.echo {
		return ""
	}
	return why.reason
}

// wrote gives the writer back and cuts the connection if it has failed.
func (c *wsConn) wrote(w *frameWriter) bool {
	err := w.err
	c.carrier.o.Observer.Bytes(0, w.total)
	c.carrier.putWriter(w)
	if err != nil {
		end := EndLost
		if errors.Is(err, os.ErrDeadlineExceeded) {
			end = EndStuck
		}
		c.closing.CompareAndSwap(nil, &wsClosing{code: wsAbnormal, reason: "write: " + err.Error(), end: end})
		c.cut()
	}
	return err == nil
}

// frameMark says what is done when the buffer is written up to end.
type frameMark struct{ end, messages, groups int }

// frameWriter collects the frames of one Output, writes them in as few writes
// as possible and knows which of them the kernel took whole. It is used by one
// goroutine; the carrier keeps used ones.
type frameWriter struct {
	c     *wsConn
	me    *runner // whose goroutine it is used by; nil: of the connection alone
	buf   []byte
	marks []frameMark
	parts [][]byte // scratch: the elements of one frame
	plain []byte   // scratch: a payload to be compressed

	// Collected so far, and what of it was written whole: messages, and groups
	// of replies, the handshake's counted as one.
	allMessages, messages int
	allGroups, groups     int
	total                 int // bytes written
	err                   error

	// What try is to write and has written; it is bound once.
	try  func(fd uintptr)
	rest []byte
}

// output collects an Output: handshake reply, messages, replies
// [R-WS-10, R-WS-11, R-WS-12].
func (w *frameWriter) output(out *Output) {
	if out.Handshake != nil {
		w.parts = append(w.parts[:0], out.Handshake)
		w.array(0, 1)
	}
	if out.Joined && !w.c.carrier.o.AckFramesSeparate {
		w.joined(out)
		return
	}
	w.pushed(out.Messages)
	for _, group := range out.Replies {
		w.parts = append(w.parts[:0], group...)
		w.array(0, 1)
	}
}

// pushed collects queued messages in frames of MessagesPerFrame. Deliver-only
// sessions get them so too, ahead of the connect reply [R-WS-15].
func (w *frameWriter) pushed(messages []*bayeux.Frozen) {
	n := w.c.carrier.o.MessagesPerFrame
	if n < 0 {
		n = len(messages)
	}
	for len(messages) > 0 && w.err == nil {
		some := messages[:min(n, len(messages))]
		messages = messages[len(some):]
		if len(some) == 1 {
			w.shared(some[0])
			continue
		}
		w.parts = w.parts[:0]
		for _, m := range some {
			w.parts = append(w.parts, m.JSON)
		}
		w.array(len(some), 0)
	}
}

// joined collects messages and replies as one WebSocket message, so that they
// are received together or not at all [R-ACK-11] (WIRE 16).
func (w *frameWriter) joined(out *Output) {
	w.parts = w.parts[:0]
	for _, m := range out.Messages {
		w.parts = append(w.parts, m.JSON)
	}
	for _, group := range out.Replies {
		w.parts = append(w.parts, group...)
	}
	if len(w.parts) > 0 {
		w.array(len(out.Messages), len(out.Replies))
	}
}

// shared collects a message in its prepared form.
func (w *frameWriter) shared(m *bayeux.Frozen) {
	var frame []byte
	if w.c.deflate && len(m.JSON) >= wsDeflateFrom {
		frame = m.Form(bayeux.FormDeflated, w.c.carrier.deflater.build)
	} else {
		frame = m.Form(bayeux.FormFrame, frameBuild)
	}
	if len(frame) < frameCopyMax {
		w.buf = append(w.buf, frame...)
		w.mark(1, 0)
		return
	}
	// A large frame is written from where it is.
	w.write()
	w.allMessages++
	if w.put(frame) == len(frame) {
		w.messages++
	}
}

// array collects w.parts as one frame.
func (w *frameWriter) array(messages, groups int) {
	size := frameArraySize(w.parts)
	if w.c.deflate && size >= wsDeflateFrom {
		w.plain = frameAppendArray(w.plain[:0], w.parts)
		w.buf = append(w.buf, w.c.carrier.deflater.frame(w.plain)...)
	} else {
		w.buf = frameAppendHead(w.buf, frameFin|byte(ws.OpText), size)
		w.buf = frameAppendArray(w.buf, w.parts)
	}
	w.mark(messages, groups)
}

// mark notes what the frame just collected was good for.
func (w *frameWriter) mark(messages, groups int) {
	w.allMessages += messages
	w.allGroups += groups
	w.marks = append(w.marks, frameMark{len(w.buf), w.allMessages, w.allGroups})
	if len(w.buf) >= frameWriteSize {
		w.write()
	}
}

// write writes what is collected and counts the frames that went whole.
func (w *frameWriter) write() {
	n := w.put(w.buf)
	for _, m := range w.marks {
		if m.end <= n {
			w.messages, w.groups = m.messages, m.groups
		}
	}
	w.buf, w.marks = w.buf[:0], w.marks[:0]
}

// put writes p and returns how much of it the kernel took. After a failure
// nothing is written any more.
func (w *frameWriter) put(p []byte) (n int) {
	if w.err == nil && len(p) > 0 {
		n = w.putNow(p)
	}
	if w.err == nil && n < len(p) {
		w.me.leave()
		n += w.putSlow(p[n:])
	}
	w.total += n
	return n
}

// putNow writes what there is room for, and waits for nobody: there is no
// deadline to be set.
func (w *frameWriter) putNow(p []byte) int {
	raw := w.c.raw
	if raw == nil {
		return w.tryOther(p)
	}
	if w.try == nil {
		w.try = w.tryWrite
	}
	w.rest = p
	if err := raw.Control(w.try); err != nil && w.err == nil {
		w.err = err
	}
	n := len(p) - len(w.rest)
	w.rest = nil
	return n
}

// tryOther is putNow without a descriptor.
func (w *frameWriter) tryOther(p []byte) (n int) {
	if c, ok := w.c.Conn.(triable); ok {
		n, w.err = c.TryWrite(p)
	}
	return n
}

// tryWrite writes until there is no room.
func (w *frameWriter) tryWrite(fd uintptr) {
	for len(w.rest) > 0 && w.err == nil {
		n, again, err := rawio.Send(fd, w.rest)
		if again {
			return
		}
		w.rest, w.err = w.rest[n:], err
	}
}

// putSlow writes and waits for the peer to make room.
func (w *frameWriter) putSlow(p []byte) (n int) {
	for n < len(p) && w.err == nil {
		chunk := p[n:min(len(p), n+frameChunk)]
		// [R-WS-24] A reader that is too slow loses its connection.
		if w.err = w.c.Conn.SetWriteDeadline(time.Now().Add(w.c.carrier.o.WriteTimeout)); w.err != nil {
			break
		}
		var k int
		k, w.err = w.c.Conn.Write(chunk)
		n += k
	}
	return n
}
