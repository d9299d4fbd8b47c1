package hostileproxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"syscall"
	"time"
)

var errBody = errors.New("hostileproxy: a body of more than 64 MiB")

// run is one request and its response, or tunnel.
type run struct {
	c      *client
	req    *http.Request
	rules  Rules
	up     bool // asks for an upgrade, and may.
	keep   bool // the client's connection can be used again.
	start  time.Time
	ctx    context.Context // ends with the run, or when it is cut.
	cancel context.CancelFunc
	body   chan struct{} // closed when the request's body is sent, or will not be; then clean is set.
	clean  bool          // the request was read to its end.
	whole  bool
	answer int // the status that left; zero is none.

	sent, received, frames atomic.Int64

	// c.mu is the lock of what follows.
	cut       Rule
	status    int // of the proxy's own answer, once it is condemned to one.
	answering bool
	forwarded bool // the request has left whole.
	tunnel    bool
	opened    time.Time // the moment of the 101.
}

// begin makes a run of a request whose head has come.
func (c *client) begin(req *http.Request) *run {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{c: c, req: req, rules: c.rules(), start: time.Now(), ctx: ctx, cancel: cancel, body: make(chan struct{})}
	r.keep = !req.Close && !r.rules.HTTP10 && !r.rules.HalfCloseClient && !r.rules.HalfCloseServer
	c.mu.Lock()
	c.run = r
	c.mu.Unlock()
	tell(c.poke)
	c.p.count(c.addr, func(n *Counts) { n.Requests++; n.Running++ })
	return r
}

// finish records the run.
func (c *client) finish(r *run) {
	r.cancel()
	c.mu.Lock()
	c.run = nil
	x := Exchange{
		Client: c.addr, Method: r.req.Method, Path: r.req.RequestURI[:min(len(r.req.RequestURI), 256)], Status: r.answer,
		Start: r.start, Took: time.Since(r.start), Sent: r.sent.Load(), Received: r.received.Load(), Cut: r.cut,
		Whole: r.whole && r.cut == "",
	}
	c.mu.Unlock()
	c.touch()
	tell(c.poke)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.book.remember(x)
	c.p.book.count(c.addr, func(n *Counts) { n.Running-- })
}

// serve has the request answered, and says whether the connection can be used again.
func (r *run) serve() bool {
	if r.req.Method == http.MethodConnect {
		return r.reply(http.StatusMethodNotAllowed)
	}
	if !r.upgrade() {
		return r.reply(r.rules.refusal())
	}
	server, err := r.forward()
	if err != nil {
		return r.fail(err)
	}
	resp, err := r.response(server)
	if err != nil {
		return r.fail(err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		r.pass(server, resp)
		return false
	}
	return r.relay(server, resp) && r.settled()
}

// upgrade settles what becomes of an upgrade, and says whether the request goes on.
func (r *run) upgrade() bool {
	if !asksUpgrade(r.req.Header) {
		return true
	}
	switch {
	case r.rules.Upgrades == UpgradesRefused:
		r.did(RuleUpgradeRefused, 0)
		return false
	case r.rules.Upgrades == UpgradesStripped || r.rules.HTTP10:
		r.did(RuleUpgradeStripped, 0)
	default:
		r.up = true
	}
	return true
}

func (r Rules) refusal() int {
	if r.RefuseStatus == 0 {
		return http.StatusForbidden
	}
	return r.RefuseStatus
}

func (r *run) did(rule Rule, bytes int64) {
	r.c.p.count(r.c.addr, did(rule, time.Since(r.start), bytes))
}

// forward sends the request; its body goes on by a goroutine of its own.
func (r *run) forward() (*backend, error) {
	if r.rules.HTTP10 {
		r.did(RuleHTTP10, 0)
		if err := r.storeBody(); err != nil {
			return nil, err
		}
	}
	server, err := r.c.reach(r)
	if err != nil {
		return nil, err
	}
	if _, err := server.raw.Write(r.requestHead(server.target)); err != nil {
		return nil, err
	}
	if r.req.ContentLength == 0 {
		r.allSent(server, true)
		return server, nil
	}
	r.c.wg.Go(func() {
		err := r.copyBody(server)
		if err != nil {
			server.close(false)
		}
		r.allSent(server, err == nil)
	})
	return server, nil
}

// storeBody reads the whole body of the request, so that its length is known.
func (r *run) storeBody() error {
	if r.req.ContentLength == 0 {
		return nil
	}
	if r.req.Header.Get("Expect") != "" {
		if err := r.c.send([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return err
		}
	}
	text, err := io.ReadAll(io.LimitReader(r.req.Body, int64(r.c.p.keep)+1))
	if err != nil {
		return err
	}
	if len(text) > r.c.p.keep {
		return errBody
	}
	r.req.Body, r.req.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return nil
}

func (r *run) copyBody(server *backend) error {
	var to io.Writer = server.raw
	if r.req.ContentLength < 0 {
		chunks := httputil.NewChunkedWriter(server.raw)
		to = chunks
		defer func() { _, _ = io.WriteString(server.raw, "\r\n") }()
		defer chunks.Close()
	}
	buf := make([]byte, pieceSize)
	for {
		n, err := r.req.Body.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return werr
			}
			r.sent.Add(int64(n))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			server.close(false) // Before the end of the chunks, which would make it a whole body.
			return err
		}
	}
}

// allSent notes that the request has left, and ends halves of connections where a rule or the client does so then.
func (r *run) allSent(server *backend, clean bool) {
	defer close(r.body)
	r.clean = clean
	c := r.c
	c.mu.Lock()
	r.forwarded = true
	if !r.up {
		r.halves(server)
	}
	c.mu.Unlock()
	c.passEnd()
}

// halves ends the halves that a rule ends; c.mu is held.
func (r *run) halves(server *backend) {
	if r.rules.HalfCloseServer {
		server.closeWrite()
		r.did(RuleHalfServer, 0)
	}
	if r.rules.HalfCloseClient {
		r.c.mute = true
		r.c.out.finish(io.EOF)
		r.did(RuleHalfClient, 0)
	}
}

// response reads the head of the response, and passes on those that come before it.
func (r *run) response(server *backend) (*http.Response, error) {
	for {
		resp, err := head(server.socket, func(br *bufio.Reader) (*http.Response, error) { return http.ReadResponse(br, r.req) })
		if err != nil {
			return nil, err
		}
		switch {
		case resp.StatusCode == http.StatusSwitchingProtocols && r.up, resp.StatusCode >= 200:
			return resp, nil
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("hostileproxy: an upgrade that nobody asked for")
		}
		if r.req.ProtoAtLeast(1, 1) && !r.rules.HTTP10 {
			text := new(bytes.Buffer)
			fmt.Fprintf(text, "HTTP/1.1 %s\r\n", resp.Status)
			_ = resp.Header.Write(text)
			if err := r.c.send(append(text.Bytes(), "\r\n"...)); err != nil {
				return nil, err
			}
		}
	}
}

// claim takes the right to answer the client; the proxy's own answer is for who is condemned to it, or fails.
func (r *run) claim(own bool) bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if r.answering || r.c.over || r.status != 0 && !own {
		return false
	}
	r.answering = true
	return true
}

// fail ends a run that gets no whole response: by the answer that it was condemned to, by 502, or by the end of the
// connection, for the same reason as the server's.
func (r *run) fail(err error) bool {
	r.c.mu.Lock()
	over, status, server := r.c.over, r.status, r.c.server
	r.c.mu.Unlock()
	if over {
		return false
	}
	server.close(false)
	if status == 0 {
		status = http.StatusBadGateway
		if errors.Is(err, errBody) {
			status = http.StatusRequestEntityTooLarge
		}
		if !r.c.socket.over() {
			r.c.p.count(r.c.addr, func(n *Counts) { n.Failed++ })
		}
	}
	if r.claim(true) {
		return r.write(status)
	}
	if errors.Is(err, syscall.ECONNRESET) {
		r.c.end(ByReset)
	} else {
		r.c.end(ByFIN)
	}
	return false
}

// reply has the proxy answer a request that goes no further.
func (r *run) reply(status int) bool {
	r.clean = r.req.ContentLength == 0
	close(r.body)
	return r.claim(true) && r.write(status)
}

// write sends the proxy's own answer.
func (r *run) write(status int) bool {
	select {
	case <-r.body:
		r.keep = r.keep && r.clean
	default:
		r.keep = false
	}
	proto := "HTTP/1.1"
	if !r.req.ProtoAtLeast(1, 1) {
		proto = "HTTP/1.0"
	}
	r.answer = status
	r.whole = r.c.send(answer(proto, status, !r.keep)) == nil
	return r.keep && r.whole
}

// settled waits until the body of the request is sent too.
func (r *run) settled() bool {
	if !r.keep {
		return false
	}
	select {
	case <-r.body:
		return r.clean
	case <-r.c.in.gone:
		return false
	}
}

// answer is a response of the proxy itself.
func answer(proto string, status int, last bool) []byte {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	connection := "keep-alive"
	if last {
		connection = "close"
	}
	return fmt.Appendf(nil, "%s %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s",
		proto, status, http.StatusText(status), len(text), connection, text)
}
