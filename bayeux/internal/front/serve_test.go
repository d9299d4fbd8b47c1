//go:build linux

package front

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServe goes on with one connection through requests of many kinds.
func TestServe(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	for i, body := range []string{"", "x", strings.Repeat("y", 300_000), "z"} {
		c.send(post("/b/echo", body))
		resp, got := c.answer(200)
		require.Equal(t, c.LocalAddr().String()+" "+body, got)
		require.Equal(t, i+1, r.served("engine"))
		require.False(t, resp.Close)
		_, err := http.ParseTime(resp.Header.Get("Date"))
		require.NoError(t, err)
		require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
	}
	for range 100 {
		c.send(post("/b/hold", "late"))
		(<-r.held).due()
		_, got := c.answer(200)
		require.Equal(t, "late", got)
	}
	c.send(post("/elsewhere", "x")) // the connection is net/http's from here on
	_, got := c.answer(200)
	require.Equal(t, c.LocalAddr().String()+" x", got)
	r.keepsNone()
	c.send(post("/b/echo", "x"))
	c.answer(200)
	require.Equal(t, 2, r.served("net/http"))
}

func (h *wait) due() { h.c.Due(h) }

// TestPassedOn: what is not ordinary gets net/http's answer, from its first byte.
func TestPassedOn(t *testing.T) {
	for text, status := range map[string]int{
		"garbage\r\n\r\n":                                   400,
		"GET / HTTP/1.0\r\n\r\n":                            200,
		post("/b/echo", "x") + post("/b/echo", "y"):         200,
		post("/b/echo", "x", "Transfer-Encoding: identity"): 501,
		post("/b/echo", "x", "Host: b"):                     400,
		post("/b/echo", "x", "X-A : b"):                     400,
		post("/b/echo", "x", "Content-Length: 2"):           400,
		"POST /b/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n": 200,
		post("/b/echo", "x", "X: "+strings.Repeat("x", 20_000)):                                  200,
	} {
		t.Run(text[:min(len(text), 100)], func(t *testing.T) {
			r := newRig(t, func(s *http.Server) { s.MaxHeaderBytes = 64 << 10 })
			c := r.dial()
			c.send(text)
			c.answer(status)
			require.Zero(t, r.served("engine"), "%.60q", text)
			r.keepsNone()
		})
	}
}

func TestHeadTooLarge(t *testing.T) {
	r := newRig(t, func(s *http.Server) { s.MaxHeaderBytes = 1000 })
	c := r.dial()
	go func() { _, _ = io.WriteString(c, post("/b/echo", "x", "X: "+strings.Repeat("x", 5500))) }()
	c.answer(431)
}

func TestBare(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.Same(t, a, Bare(a))
	c := replay(a, []byte("xy"))
	require.Same(t, c, Bare(c))
	_, err := io.ReadFull(c, make([]byte, 2))
	require.NoError(t, err)
	require.Same(t, a, Bare(c))
}

// TestPieces: a request may come in any pieces.
func TestPieces(t *testing.T) {
	text := post("/b/echo", strings.Repeat("x", 30))
	for _, size := range []int{1, 2, 7, 50, len(text) - 1} {
		r := newRig(t)
		c := r.dial()
		for range 3 {
			for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
				c.send(rest[:min(size, len(rest))])
				runtime.Gosched()
			}
			c.answer(200)
		}
	}
}

// TestUnread: who sends a body that is not read gets the answer, and no more.
func TestUnread(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	text := post("/b/panic", strings.Repeat("x", 1000))
	c.send(text[:len(text)-1])
	require.NoError(t, c.CloseWrite())
	c.closed()
	require.Contains(t, r.log.String(), "panic serving "+c.LocalAddr().String()+": on purpose")
	r.keepsNone()
}

func TestPanics(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	c.send(post("/b/panic", ""))
	c.closed()
	require.Contains(t, r.log.String(), "panic serving "+c.LocalAddr().String()+": on purpose")
	require.Contains(t, r.log.String(), "goroutine ")
	before := r.log.String()
	c = r.dial()
	c.send(post("/b/abort", ""))
	c.closed()
	require.Equal(t, before, r.log.String())
}

// TestLeaves: a client that leaves while its request is held, or its handler
// waits, is noticed, however it does so ([R-CN-21] rests on it).
func TestLeaves(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn) error{
		"closed": (*net.TCPConn).Close,
		"half":   (*net.TCPConn).CloseWrite,
		"reset":  func(c *net.TCPConn) error { _ = c.SetLinger(0); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := r.dial()
			c.send(post("/b/hold", ""))
			h := <-r.held
			r.inState(held)
			require.NoError(t, leave(c.TCPConn))
			<-h.left
			r.keepsNone()
			h.due() // too late, and without effect

			c = r.dial()
			c.send(post("/b/block", ""))
			r.eventually(func() bool { return r.served("engine") == 2 }, "it waits")
			require.NoError(t, leave(c.TCPConn))
			<-r.gone
			r.keepsNone()

			c = r.dial()
			c.send(post("/b/hold", "x"))
			if leave(c.TCPConn) == nil && name != "reset" { // which may lose the request
				<-(<-r.held).left
			}
			r.keepsNone()
		})
	}
}

// TestAhead: what comes behind a held request waits for its answer, and is not
// lost; a client that has sent it and leaves has not gone yet, as with net/http.
func TestAhead(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	c.send(post("/b/hold", "1"))
	h := <-r.held
	r.inState(held)
	c.send(post("/b/hold", "2") + post("/b/echo", "3"))
	require.NoError(t, c.CloseWrite())
	require.Empty(t, r.held)
	h.due()
	_, got := c.answer(200)
	require.Equal(t, "1", got)
	r.eventually(func() bool { return r.served("net/http") == 2 }, "two requests at once are net/http's")
}

// TestDueAtOnce: the answer may be due before the handler returns, or before it
// has said so.
func TestDueAtOnce(t *testing.T) {
	r := newRig(t, func(s *http.Server) {
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := &wait{text: "now", left: make(chan struct{})}
			ours, _ := w.(*Response)
			w.Header().Set("X-A", "b")
			h.c = ours.Hold(h)
			h.due()
			h.due()
			h.c.Due(&wait{}) // another's
		})
	})
	c := r.dial()
	for range 50 {
		c.send(post("/b/", ""))
		resp, got := c.answer(200)
		require.Equal(t, "now", got)
		require.Equal(t, "b", resp.Header.Get("X-A"))
	}
}

func TestHijack(t *testing.T) {
	for _, how := range []string{"hijack", "switch"} {
		t.Run(how, func(t *testing.T) { testHijack(t, how) })
	}
}

func testHijack(t *testing.T, how string) {
	t.Helper()
	r := newRig(t)
	c := r.dial()
	c.send(post("/b/"+how, ""))
	line, err := c.r.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "101")
	for line != "\r\n" {
		line, err = c.r.ReadString('\n')
		require.NoError(t, err)
	}
	big := strings.Repeat("0123456789", 300_000)
	go func() { _, _ = io.WriteString(c, big) }()
	got := make([]byte, len(big))
	_, err = io.ReadFull(c.r, got)
	require.NoError(t, err)
	require.Equal(t, big, string(got))
	require.NoError(t, r.s.Shutdown(within(t)), "it is its owner's")
	c.send("x")
	b, err := c.r.ReadByte()
	require.NoError(t, err)
	require.Equal(t, byte('x'), b)
	require.NoError(t, c.CloseWrite())
	c.closed()
}

// TestTimes: a connection that says nothing, or half of something, does not
// stay.
func TestTimes(t *testing.T) {
	r := newRig(t, func(s *http.Server) {
		s.ReadHeaderTimeout, s.IdleTimeout = 60*time.Millisecond, 60*time.Millisecond
	})
	fresh, partial, idle := r.dial(), r.dial(), r.dial()
	partial.send("POST /b/echo HT")
	idle.send(post("/b/echo", "x"))
	idle.answer(200)
	fresh.closed()
	partial.closed()
	idle.closed()
	waits := r.dial()
	waits.send(post("/b/hold", "x"))
	h := <-r.held
	fresh = r.dial()
	fresh.closed() // so much time has passed
	h.due()
	waits.answer(200)
	r.keepsNone()
}

func TestShutdown(t *testing.T) {
	r := newRig(t)
	idle, busy, fresh := r.dial(), r.dial(), r.dial()
	idle.send(post("/b/echo", "x"))
	idle.answer(200)
	busy.send(post("/b/hold", "x"))
	h := <-r.held
	done := make(chan error, 1)
	go func() { done <- r.s.Shutdown(within(t)) }()
	idle.closed()
	fresh.closed()
	require.Empty(t, done)
	h.due()
	resp, _ := busy.answer(200)
	require.True(t, resp.Close)
	busy.closed()
	require.NoError(t, <-done)
	_, err := net.Dial("tcp", r.addr)
	require.Error(t, err)

	r = newRig(t)
	r.dial().send(post("/b/hold", "x"))
	h = <-r.held
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.s.Shutdown(ctx), context.Canceled)
	require.NoError(t, r.s.Close())
	<-h.left
}

// TestServerEnds: http.Server.Shutdown and Close end the listener and what is
// idle, whoever calls them.
func TestServerEnds(t *testing.T) {
	for _, end := range []func(*http.Server) error{
		(*http.Server).Close, func(s *http.Server) error { return s.Shutdown(t.Context()) },
	} {
		r := newRig(t)
		idle, busy := r.dial(), r.dial()
		idle.send(post("/b/echo", "x"))
		idle.answer(200)
		busy.send(post("/b/hold", "x"))
		h := <-r.held
		require.NoError(t, end(r.hs))
		idle.closed()
		h.due()
		busy.answer(200)
		busy.closed()
	}
}

// echoed serves a listener of the server, of which one connection has had an
// answer.
func echoed(t *testing.T, hs *http.Server) (s *Server, l net.Listener, c *client, done chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s = New(hs, "/b")
	done = make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	r := &rig{t: t, addr: l.Addr().String()}
	c = r.dial()
	c.send(post("/b/echo", "x"))
	c.answer(200)
	return s, l, c, done
}

// TestListenerClosed: when somebody else closes the listener, Serve returns,
// and connections live on.
func TestListenerClosed(t *testing.T) {
	hs := &http.Server{Handler: &rig{t: t, by: map[string]int{}}}
	s, l, c, done := echoed(t, hs)
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-done, net.ErrClosed)
	c.send(post("/b/echo", "x"))
	c.answer(200)
	require.NoError(t, s.Close())
	c.closed()
}

// TestNotTaken: servers that want to know of their connections get them all.
func TestNotTaken(t *testing.T) {
	states := make(chan http.ConnState, 10)
	hs := &http.Server{
		Handler:   &rig{t: t, by: map[string]int{}},
		ConnState: func(_ net.Conn, s http.ConnState) { states <- s },
	}
	s, _, _, done := echoed(t, hs)
	require.Equal(t, http.StateNew, <-states)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-done, http.ErrServerClosed)
}

// TestNoGoroutines: what waits has none.
func TestNoGoroutines(t *testing.T) {
	r := newRig(t)
	before := runtime.NumGoroutine()
	const n = 200
	for range n {
		c := r.dial()
		c.send(post("/b/hold", "x"))
	}
	for range n {
		<-r.held
	}
	r.eventually(func() bool { return runtime.NumGoroutine() < before+50 }, "goroutines")
}

// TestHammer has many connections poll, leave and shout at once.
func TestHammer(t *testing.T) {
	r := newRig(t, func(s *http.Server) { s.IdleTimeout = 5 * time.Millisecond })
	stop := make(chan struct{})
	var answers sync.WaitGroup
	answers.Go(func() {
		for {
			select {
			case h := <-r.held:
				answers.Go(h.due)
			case <-stop:
				return
			}
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 60 {
				hammer(r)
			}
		})
	}
	clients.Wait()
	r.eventually(func() bool {
		for _, c := range r.s.all() {
			c.mu.Lock()
			h := c.held
			c.mu.Unlock()
			if h != nil {
				return false
			}
		}
		return true
	}, "all that was held is over")
	close(stop)
	answers.Wait()
	r.keepsNone()
}

func hammer(r *rig) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	for range rand.N(4) {
		path := []string{"/b/hold", "/b/echo", "/b/block", "/x"}[rand.N(4)]
		text := post(path, strings.Repeat("x", rand.N(3000)))
		if path == "/b/block" { // what comes behind it would hide that the client leaves, as with net/http
			_, _ = io.WriteString(conn, text)
			break
		}
		if rand.N(4) == 0 {
			text = text[:rand.N(len(text))]
		}
		if rand.N(4) == 0 {
			text += post("/b/hold", "")
		}
		_, _ = io.WriteString(conn, text)
		if rand.N(2) == 0 {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _ = conn.Read(make([]byte, 100))
		}
	}
	if tcp, ok := conn.(*net.TCPConn); ok && rand.N(2) == 0 {
		_ = tcp.SetLinger(0)
	}
}
