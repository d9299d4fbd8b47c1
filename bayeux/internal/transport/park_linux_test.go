package transport

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/front"
)

// parkEnv is an engine over TCP whose handler holds what comes, but for
// handshakes, which are answered at once.
type parkEnv struct {
	t    *testing.T
	held chan *fakeExchange
	out  Output
	// every is how often blanks are sent.
	every time.Duration
	seen  *counts
	hs    *http.Server
	addr  string
}

func (e *parkEnv) Request(_ context.Context, _ Origin, batch []*bayeux.Message) (Exchange, error) {
	if batch[0].Channel == "/meta/handshake" {
		return &fakeExchange{out: replies(`{"now":1}`)}, nil
	}
	x := &fakeExchange{held: true, out: e.out}
	e.held <- x
	if e.every > 0 {
		return &trickling{fakeExchange: x, every: e.every}, nil
	}
	return x, nil
}

func (*parkEnv) Attach(Origin, Link) Port { return nil }

func newParkEnv(t *testing.T, o Options, wrap func(http.Handler) http.Handler) *parkEnv {
	t.Helper()
	e := &parkEnv{t: t, seen: newCounts(), held: make(chan *fakeExchange, 10), out: replies(`{"id":"7"}`)}
	e.out.Messages = frozen(`{"data":1}`)
	o.Observer = e.seen
	h := NewHandler(e, o)
	if wrap != nil {
		h = wrap(h)
	}
	e.hs = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e.addr = l.Addr().String()
	engine := front.New(e.hs, "/cometd")
	done := make(chan error, 1)
	go func() { done <- engine.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, engine.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return e
}

func (e *parkEnv) dial() *client {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(e.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return &client{Conn: conn, r: bufio.NewReader(conn)}
}

func (e *parkEnv) eventually(cond func() bool) {
	e.t.Helper()
	require.Eventually(e.t, cond, time.Minute, time.Millisecond)
}

// hold sends a connect and waits until it is held.
func (e *parkEnv) hold(c *client) *fakeExchange {
	e.t.Helper()
	n := e.seen.event(EventHeld)
	c.send(post(connectJSON))
	x := <-e.held
	e.eventually(func() bool { return e.seen.event(EventHeld) > n })
	return x
}

// TestParked goes on with one connection through polls and other requests, with
// answers small and large.
func TestParked(t *testing.T) { // [R-HT-13]
	e := newParkEnv(t, Options{}, nil)
	c := e.dial()
	for _, size := range []int{1, 10, 10 * writeChunk} {
		e.out.Messages = frozen(`"` + strings.Repeat("x", size) + `"`)
		x := e.hold(c)
		x.wakeUp()
		r, body := c.response(t)
		require.Equal(t, 200, r.StatusCode)
		require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.False(t, r.Close)
		require.EqualValues(t, len(body), r.ContentLength)
		require.Len(t, body, size+len(`["",{"id":"7"}]`))
		e.eventually(func() bool { return x.ended() == 1 })
		x.requireDone(t, 1, true)
		c.send(post(`[{"channel":"/meta/handshake"}]`))
		_, body = c.response(t)
		require.Equal(t, `[{"now":1}]`, body)
	}
}

// TestParkedCallback is a script, when it is late too.
func TestParkedCallback(t *testing.T) {
	e := newParkEnv(t, Options{}, nil)
	c := e.dial()
	c.send(get("/cometd?jsonp=f&message=%5B%7B%7D%5D"))
	(<-e.held).wakeUpLate(e)
	r, body := c.response(t)
	require.Equal(t, "f("+heldAnswer+")", body)
	require.Contains(t, r.Header.Get("Content-Type"), "javascript")
}

// wakeUpLate wakes when somebody waits.
func (e *fakeExchange) wakeUpLate(env *parkEnv) {
	env.eventually(func() bool { return env.seen.event(EventHeld) > 0 })
	e.wakeUp()
}

// TestParkedKeepsHeaders: those that were set in front are sent, and the handler
// in front may return.
func TestParkedKeepsHeaders(t *testing.T) { // [R-HT-4]
	returned := make(chan struct{}, 1)
	e := newParkEnv(t, Options{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Set("Access-Control-Allow-Origin", "http://example.org")
			w.Header().Set("X-Split", "a\r\nInjected: 1")
			h.ServeHTTP(w, r.WithContext(bayeux.WithPrincipal(r.Context(), "ann")))
			returned <- struct{}{}
		})
	})
	e.out.SetBrowser = "me"
	c := e.dial()
	x := e.hold(c)
	<-returned
	x.take = func(ctx context.Context) {
		if bayeux.PrincipalFrom(ctx) != "ann" || ctx.Err() != nil {
			t.Error("the context lacks the principal, or is over")
		}
	}
	x.wakeUp()
	r, body := c.response(t)
	require.Equal(t, heldAnswer, body)
	require.Equal(t, []string{"a=1", "b=2", "BAYEUX_BROWSER=me; Path=/; HttpOnly"}, r.Header["Set-Cookie"])
	require.Equal(t, "http://example.org", r.Header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, r.Header.Get("Injected"))
}

// TestParkedWrapped: behind a ResponseWriter of middleware a goroutine waits, and
// sees the client leave.
func TestParkedWrapped(t *testing.T) { // [R-CN-21]
	e := newParkEnv(t, Options{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	})
	c := e.dial()
	e.hold(c).wakeUp()
	_, body := c.response(t)
	require.Equal(t, heldAnswer, body)
	x := e.hold(c)
	require.NoError(t, c.Close())
	e.eventually(func() bool { return e.seen.event(EventAborted) == 1 })
	e.eventually(func() bool { x.mu.Lock(); defer x.mu.Unlock(); return x.abandoned == 1 })
	x.requireAbandoned(t)
}

// TestParkedDuplicate is answered with the status of a refusal.
func TestParkedDuplicate(t *testing.T) { // [R-CN-20]
	e := newParkEnv(t, Options{}, nil)
	e.out = Output{Err: &StatusError{Status: 408, Reason: "taken over"}}
	c := e.dial()
	for range 2 {
		e.hold(c).wakeUp()
		r, body := c.response(t)
		require.Equal(t, 408, r.StatusCode)
		require.Equal(t, "taken over\n", body)
	}
}

func TestParkedAbort(t *testing.T) { // [R-CN-21]
	for name, leave := range map[string]func(*net.TCPConn) error{
		"closed": (*net.TCPConn).Close,
		"half":   (*net.TCPConn).CloseWrite,
		"reset":  func(c *net.TCPConn) error { _ = c.SetLinger(0); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			e := newParkEnv(t, Options{}, nil)
			c := e.dial()
			x := e.hold(c)
			tcp, _ := c.Conn.(*net.TCPConn)
			require.NoError(t, leave(tcp))
			e.eventually(func() bool { x.mu.Lock(); defer x.mu.Unlock(); return x.abandoned == 1 })
			x.requireAbandoned(t)
			require.Equal(t, 1, e.seen.event(EventAborted))
			x.wakeUp() // too late, and without effect
			x.requireAbandoned(t)
		})
	}
}

// TestParkedSlowReader: who does not read loses the connection in time, and
// holds nobody up.
func TestParkedSlowReader(t *testing.T) { // [R-CN-22], DESIGN 4.4
	e := newParkEnv(t, Options{WriteTimeout: 100 * time.Millisecond}, nil)
	e.out.Messages = frozen(`"` + strings.Repeat("x", 64<<20) + `"`)
	slow := e.hold(e.dial())
	e.out.Messages = frozen(`{"data":1}`)
	slow.wakeUp()
	c := e.dial()
	e.hold(c).wakeUp()
	_, body := c.response(t)
	require.Equal(t, heldAnswer, body)
	e.eventually(func() bool { return slow.ended() == 1 })
	slow.requireDone(t, 0, false)
	require.Equal(t, 1, e.seen.event(EventWriteFailed))
}

// TestParkedTrickle has the engine's own answers trickle, on connections that go on.
func TestParkedTrickle(t *testing.T) {
	e := newParkEnv(t, Options{}, nil)
	e.every = time.Millisecond
	c := e.dial()
	for range 2 {
		x := e.hold(c)
		r, err := http.ReadResponse(c.r, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"chunked"}, r.TransferEncoding)
		_, err = io.ReadFull(r.Body, make([]byte, 3))
		require.NoError(t, err)
		x.wakeUp()
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, heldAnswer, strings.TrimLeft(string(body), " "))
		e.eventually(func() bool { return x.ended() == 1 })
		x.requireDone(t, 1, true)
	}
	x := e.hold(c)
	require.NoError(t, c.Close())
	e.eventually(func() bool { return e.seen.event(EventAborted) == 1 })
	e.eventually(func() bool { x.mu.Lock(); defer x.mu.Unlock(); return x.abandoned == 1 })
	x.requireAbandoned(t)
}
