//go:build linux

package front

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
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// rig is an engine over TCP, whose handler does what the path says.
type rig struct {
	t    *testing.T
	s    *Server
	hs   *http.Server
	addr string
	held chan *wait // what is held
	gone chan struct{}
	done chan error // of Serve

	log testkit.Buffer
	mu  sync.Mutex
	by  map[string]int // requests by who had them
}

// wait is a held request.
type wait struct {
	c    *Conn
	text string
	left chan struct{}
	gone bool
}

func (h *wait) Answer(w *Response) {
	if w.Left() {
		h.Left()
		return
	}
	_, _ = io.WriteString(w, h.text)
}

func (h *wait) Left() {
	if h.gone {
		panic("left twice")
	}
	h.gone = true
	close(h.left)
}

func (r *rig) served(by string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[by]
}

func (r *rig) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ours, engine := w.(*Response)
	r.mu.Lock()
	if engine {
		r.by["engine"]++
	} else {
		r.by["net/http"]++
	}
	r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	switch _, what, _ := strings.Cut(req.URL.Path, "/b/"); what {
	case "hold":
		if !engine {
			return
		}
		h := &wait{text: string(body), left: make(chan struct{})}
		if h.c = ours.Hold(h); h.c == nil {
			http.Error(w, "not held", http.StatusInternalServerError)
			return
		}
		r.held <- h
	case "block":
		<-req.Context().Done()
		r.gone <- struct{}{}
	case "panic":
		panic("on purpose")
	case "abort":
		panic(http.ErrAbortHandler)
	case "hijack", "switch":
		head := "HTTP/1.1 101 Switching Protocols\r\n\r\n"
		if what == "switch" { // as some libraries do it
			w.WriteHeader(http.StatusSwitchingProtocols)
			head = ""
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			r.t.Error(err)
			return
		}
		_, _ = c.Write([]byte(head))
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	default:
		if err != nil {
			http.Error(w, "body: "+err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write(append([]byte(req.RemoteAddr+" "), body...))
	}
}

func newRig(t *testing.T, configure ...func(*http.Server)) *rig {
	t.Helper()
	r := &rig{t: t, held: make(chan *wait, 1000), gone: make(chan struct{}, 1000), done: make(chan error, 1), by: map[string]int{}}
	r.hs = &http.Server{Handler: r, ErrorLog: log.New(&r.log, "", 0), ReadHeaderTimeout: time.Minute}
	for _, f := range configure {
		f(r.hs)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.addr = l.Addr().String()
	before := descriptors(t)
	r.s = New(r.hs, "/b")
	go func() { r.done <- r.s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, r.s.Close())
		require.Error(t, <-r.done)
		r.eventually(func() bool { return descriptors(t) < before }, "descriptors are left")
	})
	return r
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

// eventually waits for what other goroutines, or the kernel, do.
func (r *rig) eventually(cond func() bool, what string) {
	r.t.Helper()
	require.Eventually(r.t, cond, time.Minute, time.Millisecond, what)
}

type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (r *rig) dial() *client {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(r.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	tcp, _ := conn.(*net.TCPConn)
	return &client{tcp, r.t, bufio.NewReader(conn)}
}

func post(path, body string, lines ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(lines, ""), "\r\n") +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func (c *client) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c.TCPConn, text)
	require.NoError(c.t, err)
}

func (c *client) answer(status int) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodPost})
	require.NoError(c.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.Equal(c.t, status, resp.StatusCode, body)
	return resp, string(body)
}

func (c *client) closed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	require.Empty(c.t, string(rest))
	if err != nil {
		require.ErrorContains(c.t, err, "reset by peer")
	}
}

// idle waits until nothing but what waits is left.
func (r *rig) inState(want state) {
	r.t.Helper()
	r.eventually(func() bool {
		for _, c := range r.s.all() {
			c.mu.Lock()
			is := c.state
			c.mu.Unlock()
			if is == want {
				return true
			}
		}
		return false
	}, "a connection in that state")
}

func (r *rig) keepsNone() {
	r.t.Helper()
	r.eventually(func() bool { return len(r.s.all()) == 0 }, "no connection is left")
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
