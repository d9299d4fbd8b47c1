package front

import (
	"io"
	"net/http"
	"net/url"
	"runtime"
	"sync"
)

// serving is a request that is served: all that the engine makes for it.
type serving struct {
	ctx  requestContext
	url  url.URL
	body body
	w    Response
}

// handle serves a request and tells whether there is more to do at once.
func (c *Conn) handle(r *ordinary, read []byte) bool {
	now := new(serving)
	now.ctx.c = c
	defer now.ctx.Cancel()
	req, err := r.request(&now.ctx, &now.url)
	if err != nil {
		c.pass(read)
		return false
	}
	if !c.begin() {
		return false
	}
	now.body = body{c: c, ctx: &now.ctx, rest: r.body, missing: r.missing}
	if req.ContentLength > 0 {
		req.Body = &now.body
	}
	if r.missing == 0 {
		c.attend(&now.ctx)
	}
	req.RemoteAddr = c.peer()
	w := &now.w
	w.begin(c, req)
	w.from = &now.body
	ok := c.guarded(func() { c.s.handler().ServeHTTP(w, req) })
	w.unread = now.body.unread()
	now.body.end()
	return c.after(w, ok)
}

// begin notes that a request is served, unless the connection has been closed.
func (c *Conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == over {
		return false
	}
	c.fresh, c.late = false, false
	c.in.deadline = c.s.clock.after(c.s.hs.ReadTimeout)
	c.out.deadline = c.s.clock.after(c.s.hs.WriteTimeout)
	return true
}

// attend has the request's context end when the client leaves, now that the
// request has come whole.
func (c *Conn) attend(ctx *requestContext) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.deadline = 0
	c.ctx = ctx
	if c.hasLeft() {
		ctx.Cancel() // net/http sees it as well, a little later
	}
}

// after ends a request whose handler has returned, and tells whether there is
// more to do at once. ok: it did not panic.
func (c *Conn) after(w *Response, ok bool) bool {
	if w.hijacked {
		return false
	}
	if !ok {
		c.drop(w)
		return false
	}
	if c.held != nil { // set by Hold, on this goroutine
		switch c.hold(w) {
		case toServe:
			return false
		case toLeave:
			c.leave()
			return false
		case toAnswer:
			return c.answer()
		case toReady, toPass:
		}
	}
	return c.finish(w)
}

// drop ends a connection whose request has failed.
func (c *Conn) drop(w *Response) {
	c.mu.Lock()
	h := c.held
	c.held = nil
	c.mu.Unlock()
	if h != nil {
		c.guarded(h.Left)
	}
	w.release()
	c.end()
}

// hold leaves a held request to the poller, which is told by toServe. If the
// answer is due already, or the client has left, it says what is to be done.
func (c *Conn) hold(w *Response) errand {
	w.keep()
	w.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = nil
	switch {
	case c.state == over, c.hasLeft():
		return toLeave
	case c.late:
		return toAnswer
	}
	c.state = held
	return toServe
}

// answer answers a held request, and tells whether there is more to do at once.
func (c *Conn) answer() bool {
	c.mu.Lock()
	h := c.held
	c.held, c.late = nil, false
	c.out.deadline = c.s.clock.after(c.s.hs.WriteTimeout)
	c.mu.Unlock()
	w := new(Response)
	w.begin(c, nil)
	w.lines, c.lines = c.lines.text(), headerLines{}
	if !c.guarded(func() { h.Answer(w) }) || w.status == 0 {
		c.drop(w) // there is no answer
		return false
	}
	return c.finish(w)
}

// finish ends an answer, and has the connection go on.
func (c *Conn) finish(w *Response) bool {
	good := w.finish()
	w.release()
	c.mu.Lock()
	c.ctx = nil
	c.in.deadline = 0
	c.by = c.s.idleTime()
	c.mu.Unlock()
	switch {
	case w.unread && w.err == nil:
		c.linger()
		return false
	case !good, c.s.stopping.Load():
		c.end()
		return false
	}
	return !c.rest()
}

// guarded calls a handler. A panic is logged as net/http does it.
func (c *Conn) guarded(f func()) (ok bool) {
	defer func() {
		if ok {
			return
		}
		err := recover()
		switch err {
		case nil: // runtime.Goexit: nobody comes back here
			c.end()
			return
		case http.ErrAbortHandler:
			return
		}
		stack := make([]byte, 64<<10)
		stack = stack[:runtime.Stack(stack, false)]
		c.s.logf("http: panic serving %v: %v\n%s", c.peer(), err, stack)
	}()
	f()
	return true
}

// peer is the address of the client.
func (c *Conn) peer() string {
	if c.pump != nil {
		return c.pump.conn.RemoteAddr().String()
	}
	return c.remote.String()
}

// body is the body of a request: what came with the head, and what is still to
// come.
type body struct {
	c   *Conn
	ctx *requestContext

	mu      sync.Mutex
	rest    []byte
	missing int
	ended   bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return 0, http.ErrBodyReadAfterClose
	case len(p) == 0:
		return 0, nil
	case len(b.rest) > 0:
		n := copy(p, b.rest)
		b.rest = b.rest[n:]
		return n, b.left()
	case b.missing == 0:
		return 0, io.EOF
	}
	n, err := b.c.Read(p[:min(len(p), b.missing)])
	b.missing -= n
	if b.missing == 0 {
		b.c.attend(b.ctx)
	}
	if isEnd(err) {
		return n, io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, err
	}
	return n, b.left()
}

// left is io.EOF when there is nothing left.
func (b *body) left() error {
	if len(b.rest) == 0 && b.missing == 0 {
		return io.EOF
	}
	return nil
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.end()
	return nil
}

// end gives the buffer below back to who has it.
func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest, b.ended = nil, true
}

// unread tells whether something of the body is still to come.
func (b *body) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.missing > 0
}
