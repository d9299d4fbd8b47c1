package transport

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/front"
	"github.com/halleypush/halley/internal/testkit"
)

// fakeHub answers each request with what the script makes of it, and records
// what came.
type fakeHub struct {
	script func(ctx context.Context, from Origin, batch []*bayeux.Message) (Exchange, error)

	mu      sync.Mutex
	origins []Origin
	batches [][]*bayeux.Message
}

func (f *fakeHub) Request(ctx context.Context, from Origin, batch []*bayeux.Message) (Exchange, error) {
	f.mu.Lock()
	f.origins = append(f.origins, from)
	f.batches = append(f.batches, batch)
	f.mu.Unlock()
	return f.script(ctx, from, batch)
}

func (f *fakeHub) Attach(Origin, Link) Port { return nil }

func (f *fakeHub) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.batches)
}

// last returns the origin and the ids of the last batch.
func (f *fakeHub) last(t *testing.T) (Origin, []string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NotEmpty(t, f.batches, "the hub was not asked")
	var ids []string
	for _, m := range f.batches[len(f.batches)-1] {
		ids = append(ids, m.ID)
	}
	return f.origins[len(f.origins)-1], ids
}

type doneCall struct {
	Sent    int
	Replied bool
}

// fakeExchange is a scripted answer.
type fakeExchange struct {
	out    Output
	held   bool
	take   func(ctx context.Context) // runs within Take
	onWait func()                    // runs within Await, before it returns

	mu        sync.Mutex
	wake      func()
	limit     int
	takes     int
	abandoned int
	dones     []doneCall
}

func (e *fakeExchange) Await(wake func()) bool {
	if wake == nil {
		return e.held
	}
	e.mu.Lock()
	e.wake = wake
	e.mu.Unlock()
	if e.onWait != nil {
		e.onWait()
	}
	return e.held
}

func (e *fakeExchange) Abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.abandoned++
}

func (e *fakeExchange) Take(ctx context.Context, limit int) Output {
	e.mu.Lock()
	e.takes++
	e.limit = limit
	e.mu.Unlock()
	if e.take != nil {
		e.take(ctx)
	}
	out := e.out
	out.Done = func(sent int, replied bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.dones = append(e.dones, doneCall{sent, replied})
	}
	return out
}

func (e *fakeExchange) wakeUp() {
	e.mu.Lock()
	wake := e.wake
	e.mu.Unlock()
	wake()
}

// taken and ended count the calls of Take and of Done.
func (e *fakeExchange) taken() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.takes
}

func (e *fakeExchange) ended() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.dones)
}

// requireDone checks that the lease was ended once and not abandoned.
func (e *fakeExchange) requireDone(t *testing.T, sent int, replied bool) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Equal(t, []doneCall{{sent, replied}}, e.dones)
	require.Equal(t, 1, e.takes)
	require.Zero(t, e.abandoned)
}

// requireAbandoned checks that nothing was taken.
func (e *fakeExchange) requireAbandoned(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Equal(t, 1, e.abandoned)
	require.Zero(t, e.takes)
	require.Empty(t, e.dones)
}

// hubOf returns a hub that gives this answer to all.
func hubOf(e Exchange) *fakeHub {
	return &fakeHub{script: func(context.Context, Origin, []*bayeux.Message) (Exchange, error) { return e, nil }}
}

// simpleHub answers each request with one reply.
func simpleHub() *fakeHub {
	return &fakeHub{script: func(context.Context, Origin, []*bayeux.Message) (Exchange, error) {
		return &fakeExchange{out: replies(`{"successful":true}`)}, nil
	}}
}

func replies(json ...string) Output {
	var group [][]byte
	for _, j := range json {
		group = append(group, []byte(j))
	}
	return Output{Replies: [][][]byte{group}}
}

func frozen(json ...string) []*bayeux.Frozen {
	var out []*bayeux.Frozen
	for _, j := range json {
		out = append(out, &bayeux.Frozen{JSON: []byte(j)})
	}
	return out
}

// counts is an Observer.
type counts struct {
	mu      sync.Mutex
	events  map[string]int
	limits  map[string]int
	in, out int
}

func newCounts() *counts {
	return &counts{events: map[string]int{}, limits: map[string]int{}}
}

func (c *counts) Count(event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[event]++
}

func (c *counts) Limit(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits[name]++
}

func (c *counts) Bytes(in, out int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in += in
	c.out += out
}

func (c *counts) event(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[name]
}

func (c *counts) limit(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits[name]
}

// frontEnv, when set, has an engine serve the pipes.
const frontEnv = "HALLEY_TEST_FRONT"

// TestFront runs all other tests once more, with an engine in front of net/http.
func TestFront(t *testing.T) {
	testkit.RunAgain(t, frontEnv, "")
}

// pipeServer is an http.Server whose connections are pipes in memory, so that
// it works in synctest bubbles.
type pipeServer struct {
	http.Server
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	dials atomic.Int32
}

type pipeConn struct {
	net.Conn
	remote net.Addr
}

func (c pipeConn) RemoteAddr() net.Addr { return c.remote }

// servePipes starts a server that ends with the test, which has to be a bubble:
// then ending costs no time.
func servePipes(t *testing.T, h http.Handler, configure ...func(*http.Server)) *pipeServer {
	t.Helper()
	s := &pipeServer{conns: make(chan net.Conn), done: make(chan struct{})}
	s.Handler = h
	s.ErrorLog = log.New(io.Discard, "", 0)
	for _, c := range configure {
		c(&s.Server)
	}
	serve, end := s.Server.Serve, s.Server.Close
	if os.Getenv(frontEnv) != "" {
		engine := front.New(&s.Server, "/")
		engine.Pumped()
		serve, end = engine.Serve, engine.Close
	}
	go func() { _ = serve(s) }()
	t.Cleanup(func() {
		_ = end()
		_ = s.Close()
		time.Sleep(time.Second) // net/http lingers at connections that it closes.
	})
	return s
}

// Accept, Close and Addr implement net.Listener.
func (s *pipeServer) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *pipeServer) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func (s *pipeServer) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns the client's end of a new connection from 192.0.2.1:1234.
func (s *pipeServer) dial(t *testing.T) *client {
	t.Helper()
	return s.dialFrom(t, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234})
}

func (s *pipeServer) dialFrom(t *testing.T, remote net.Addr) *client {
	t.Helper()
	near, far := net.Pipe()
	s.dials.Add(1)
	s.conns <- pipeConn{Conn: far, remote: remote}
	t.Cleanup(func() { _ = near.Close() })
	return &client{Conn: near, r: bufio.NewReader(near)}
}

// client writes requests byte by byte as a test wants them.
type client struct {
	net.Conn
	r *bufio.Reader
}

// send writes text; the server may stop reading before its end.
func (c *client) send(text string) { _, _ = io.WriteString(c.Conn, text) }

// response reads one response with its body.
func (c *client) response(t *testing.T) (*http.Response, string) {
	t.Helper()
	return c.responseTo(t, http.MethodGet)
}

// responseTo reads the response to that method: the one to HEAD has no body.
func (c *client) responseTo(t *testing.T, method string) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	return r, string(body)
}

// requireClosed checks that nothing more comes.
func (c *client) requireClosed(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(c.r)
	require.NoError(t, err)
	require.Empty(t, string(rest))
}

// ask sends one request on a connection of its own, and returns when the
// handler has too. It is a bubble of its own.
func ask(t *testing.T, h http.Handler, request string) (r *http.Response, body string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		conn := servePipes(t, h).dial(t)
		go conn.send(request)
		method, _, _ := strings.Cut(request, " ")
		r, body = conn.responseTo(t, method)
		synctest.Wait()
	})
	return r, body
}

// post returns a POST request; each header is a whole line.
func post(body string, headers ...string) string {
	return request("POST /cometd", body, headers...)
}

func request(target, body string, headers ...string) string {
	var b strings.Builder
	b.WriteString(target + " HTTP/1.1\r\nHost: example.org\r\n")
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func get(target string, headers ...string) string { return request("GET "+target, "", headers...) }
