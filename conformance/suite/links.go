package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

const (
	callback = "bxCallback"
	// keepFor is how long an idle connection is used again; a server that
	// closes it just then would look as if it gave no answer.
	keepFor = time.Second
)

// request builds the HTTP request of a body.
func (c *Client) request(body []byte) *wire.Request {
	var req *wire.Request
	if c.on == CP {
		u := *c.t.run.target.URL
		q := u.Query()
		q.Set(c.t.run.facts.Callback(), callback)
		q.Set("message", string(body))
		u.RawQuery = q.Encode()
		req = &wire.Request{Method: http.MethodGet, Path: u.RequestURI(), Header: [][2]string{{"Accept", "*/*"}}}
	} else {
		req = &wire.Request{Body: body, Header: [][2]string{{"Content-Type", contentType}, {"Accept", "application/json"}}}
	}
	if c.t.run.opts.AppendType {
		req.Path = appendType(c.t.run.target.URL, req.Path, body)
	}
	if cookies := c.cookieHeader(); cookies != "" {
		req.Add("Cookie", cookies)
	}
	if c.OnHTTP != nil {
		c.OnHTTP(req)
	}
	return req
}

// appendType puts the type of the first message behind the address, as many
// clients do: /meta/connect goes to /connect below it.
func appendType(base *url.URL, path string, body []byte) string {
	var all []struct {
		Channel string `json:"channel"`
	}
	if json.Unmarshal(body, &all) != nil || len(all) == 0 {
		return path
	}
	kind, ok := strings.CutPrefix(all[0].Channel, "/meta/")
	if !ok || strings.Contains(kind, "/") {
		return path
	}
	u := *base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + kind
	if _, query, ok := strings.Cut(path, "?"); ok {
		u.RawQuery = query
	}
	return u.RequestURI()
}

// httpLink sends each body as an HTTP request of its own. Like a browser it
// keeps connections, and opens one more for each request that is under way.
type httpLink struct {
	c    *Client
	mu   sync.Mutex
	idle []idleConn
	busy map[*Pending]*wire.Conn
	shut bool
}

type idleConn struct {
	conn  *wire.Conn
	since time.Time
}

func (l *httpLink) send(p *Pending, body []byte) {
	req := l.c.request(body)
	go func() {
		res, err := l.exchange(p, req)
		l.c.response(p, res, err)
	}()
}

func (l *httpLink) exchange(p *Pending, req *wire.Request) (*wire.Response, error) {
	conn, err := l.conn(p)
	if err != nil {
		return nil, err
	}
	res, err := conn.RoundTrip(p.ctx, l.c.t.run.target, req)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, p)
	if err != nil || !res.Keep || l.shut {
		_ = conn.Close()
		return res, err
	}
	l.idle = append(l.idle, idleConn{conn, time.Now()})
	return res, nil
}

// conn returns a connection that is free, or a new one.
func (l *httpLink) conn(p *Pending) (*wire.Conn, error) {
	l.mu.Lock()
	for len(l.idle) > 0 {
		last := l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
		if time.Since(last.since) < keepFor {
			l.hold(p, last.conn)
			l.mu.Unlock()
			return last.conn, nil
		}
		_ = last.conn.Close()
	}
	l.mu.Unlock()
	conn, err := l.c.t.run.target.Dial(p.ctx, l.c.t.tape)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		_ = conn.Close()
		return nil, errors.New("the client was closed")
	}
	l.hold(p, conn)
	return conn, nil
}

func (l *httpLink) hold(p *Pending, conn *wire.Conn) {
	if l.busy == nil {
		l.busy = map[*Pending]*wire.Conn{}
	}
	l.busy[p] = conn
}

func (l *httpLink) abort(p *Pending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn := l.busy[p]; conn != nil {
		_ = conn.Abort()
	}
	p.cancel()
}

func (l *httpLink) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = true
	for _, i := range l.idle {
		_ = i.conn.Close()
	}
	for _, conn := range l.busy {
		_ = conn.Close()
	}
	l.idle = nil
}

// h2Link sends each body as a stream of one HTTP/2 connection.
type h2Link struct {
	c  *Client
	h2 *wire.HTTP2
}

func (l *h2Link) send(p *Pending, body []byte) {
	req := l.c.request(body)
	go func() {
		res, err := l.h2.RoundTrip(p.ctx, req)
		l.c.response(p, res, err)
	}()
}

func (l *h2Link) abort(p *Pending) { p.cancel() }

func (l *h2Link) close() {
	l.c.mu.Lock()
	for _, p := range l.c.pending {
		p.cancel()
	}
	l.c.mu.Unlock()
	l.h2.Close()
}

// esLink sends by long-polling and, before the first connect, opens Faye's
// event stream, on which messages come.
type esLink struct {
	httpLink
	once   sync.Once
	stream *wire.EventSource
}

func (l *esLink) send(p *Pending, body []byte) {
	if p.has("/meta/connect") {
		l.once.Do(l.open)
	}
	l.httpLink.send(p, body)
}

func (l *esLink) open() {
	t := l.c.t
	req := &wire.Request{Path: strings.TrimSuffix(t.run.target.URL.Path, "/") + "/" + url.PathEscape(l.c.ID)}
	stream, res, err := t.run.target.OpenEventSource(t.ctx, t.tape, req)
	if err != nil || stream == nil {
		t.Failf("no event stream at %s: %v", req.Path, orStatus(res, err))
		return
	}
	l.mu.Lock()
	l.stream = stream
	shut := l.shut
	l.mu.Unlock()
	if shut {
		_ = stream.Close()
		return
	}
	go func() {
		for {
			e, err := stream.Next(t.ctx)
			if err != nil {
				return
			}
			if err := l.c.unit([]byte(e.Data), nil); err != nil {
				t.Failf("event stream: %v", err)
			}
		}
	}()
}

func orStatus(res *wire.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("HTTP %d %s", res.Status, res.Header.Get("Content-Type"))
}

func (l *esLink) close() {
	l.httpLink.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		_ = l.stream.Close()
	}
}

// wsLink sends all over one WebSocket, which it opens at the first message.
type wsLink struct {
	c    *Client
	mu   sync.Mutex
	w    *wire.WebSocket
	done chan struct{} // the reader has ended
}

func (l *wsLink) send(p *Pending, body []byte) {
	w, err := l.socket()
	if err == nil {
		err = w.WriteText(string(body))
	}
	if err != nil {
		l.c.mu.Lock()
		p.err = err
		l.c.end(p)
		l.c.mu.Unlock()
	}
}

// socket returns the open socket, or opens one.
func (l *wsLink) socket() (*wire.WebSocket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w != nil {
		return l.w, nil
	}
	t := l.c.t
	ctx, cancel := context.WithTimeout(t.ctx, t.Patience())
	defer cancel()
	o := wire.WebSocketOptions{Protocols: l.c.Socket.Protocols, Extensions: l.c.Socket.Extensions, Edit: l.c.OnHTTP}
	if cookies := l.c.cookieHeader(); cookies != "" {
		o.Header = [][2]string{{"Cookie", cookies}}
	}
	w, res, err := t.run.target.OpenWebSocket(ctx, t.tape, o)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return nil, fmt.Errorf("the WebSocket upgrade was answered with HTTP %d", res.Status)
	}
	l.w, l.done = w, make(chan struct{})
	go l.read(w, l.done)
	return w, nil
}

func (l *wsLink) read(w *wire.WebSocket, done chan struct{}) {
	defer close(done)
	for {
		op, text, err := w.ReadMessage(l.c.t.ctx)
		if err != nil {
			end, _ := errors.AsType[*wire.CloseError](err)
			l.forget(w)
			l.c.lost(end, err)
			return
		}
		if op != wire.Text {
			l.c.t.Failf("the server sent a %s message", op)
			continue
		}
		if err := l.c.unit(text, nil); err != nil {
			l.c.t.Failf("a WebSocket message: %v", err)
		}
	}
}

// forget lets the next message open a new socket.
func (l *wsLink) forget(w *wire.WebSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == w {
		l.w = nil
	}
	_ = w.Close()
}

func (l *wsLink) abort(*Pending) {
	l.mu.Lock()
	w, done := l.w, l.done
	l.w = nil
	l.mu.Unlock()
	if w != nil {
		_ = w.Abort()
		<-done
	}
}

func (l *wsLink) close() {
	l.mu.Lock()
	w, done := l.w, l.done
	l.w = nil
	l.mu.Unlock()
	if w != nil {
		_ = w.Close()
		<-done
	}
}

// WebSocket returns the client's socket, which is opened if need be, to send
// frames of one's own on it. It is nil on other carriers.
func (c *Client) WebSocket() *wire.WebSocket {
	l, ok := c.link.(*wsLink)
	if !ok {
		return nil
	}
	w, err := l.socket()
	if err != nil {
		if _, dial := errors.AsType[*wire.DialError](err); dial {
			c.t.Brokenf("%v", err)
		}
		c.t.Fatalf("%v", err)
	}
	return w
}

// HTTPRequest returns the request in which the client sends messages, cookies
// included, for connections of one's own.
func (c *Client) HTTPRequest(messages ...M) *wire.Request {
	body, err := json.Marshal(messages)
	if err != nil {
		c.t.Brokenf("the case sends what is no JSON: %v", err)
	}
	return c.request(body)
}
