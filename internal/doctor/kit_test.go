package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/internal/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "doctor-of-the-tests"

// network is connections in memory between a doctor and a server, and what lies
// between.
type network struct {
	// wire changes a connection at the doctor's end; nil leaves it.
	wire func(net.Conn) net.Conn
	// through changes requests and answers; nil leaves them.
	through func(http.Handler) http.Handler

	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (*network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if n.wire != nil {
		return n.wire(here), nil
	}
	return here, nil
}

// transport is what a doctor reaches the server by.
func (n *network) transport() *http.Transport {
	return &http.Transport{DialContext: n.dial, DisableCompression: true}
}

// serve serves what is examined until the end of the test, which must run in a
// bubble.
func (n *network) serve(t *testing.T, h http.Handler) {
	t.Helper()
	n.conns, n.closed = make(chan net.Conn), make(chan struct{})
	if n.through != nil {
		h = n.through(h)
	}
	web := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- web.Serve(n) }()
	t.Cleanup(func() {
		require.NoError(t, web.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
}

// probed serves a probe endpoint.
func (n *network) probed(t *testing.T) {
	t.Helper()
	h, err := probe.New(probe.Config{Token: token, Path: "/cometd"})
	require.NoError(t, err)
	n.serve(t, h.Over(http.NotFoundHandler()))
	t.Cleanup(h.Close)
}

func (n *network) examine(t *testing.T, plan Plan) *Report {
	t.Helper()
	report, err := Run(t.Context(), Config{URL: "http://push.example/cometd", Token: token, Plan: plan, Transport: n.transport})
	require.NoError(t, err)
	return report
}

// wired is a connection that bytes come and go by, as the functions say.
type wired struct {
	net.Conn
	// came is called with what was read, and tells whether it comes.
	came func(p []byte) bool
	// gone is called before something is written, and tells whether it goes.
	gone func() bool
}

func (w *wired) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || w.came(p[:n]) {
			return n, err
		}
	}
}

func (w *wired) Write(p []byte) (int, error) {
	if !w.gone() {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

func yes() bool { return true }

// cutAfter ends connections that are so old.
func cutAfter(d time.Duration) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		time.AfterFunc(d, func() { _ = c.Close() })
		return c
	}
}

// cutIdle ends those by which nothing has come or gone for so long.
func cutIdle(d time.Duration) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		timer := time.AfterFunc(d, func() { _ = c.Close() })
		reset := func() bool { timer.Reset(d); return true }
		return &wired{c, func([]byte) bool { return reset() }, reset}
	}
}

// forgetIdle drops, without a word, what comes and goes by those.
func forgetIdle(d time.Duration) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		var mu sync.Mutex
		last := time.Now()
		alive := func() bool {
			mu.Lock()
			defer mu.Unlock()
			if time.Since(last) >= d {
				return false
			}
			last = time.Now()
			return true
		}
		return &wired{c, func([]byte) bool { return alive() }, alive}
	}
}

// forgetAfter drops, without a word, what comes and goes by those that are so
// old.
func forgetAfter(d time.Duration) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		begun := time.Now()
		young := func() bool { return time.Since(begun) < d }
		return &wired{c, func([]byte) bool { return young() }, young}
	}
}

// truncate ends those by which so many bytes have come.
func truncate(limit int) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		total := 0
		return &wired{c, func(p []byte) bool {
			if total += len(p); total > limit {
				_ = c.Close()
				return false
			}
			return true
		}, yes}
	}
}

// swallow lets so many reads through behind an upgrade, and nothing more.
func swallow(reads int) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		upgraded, n := false, 0
		return &wired{c, func(p []byte) bool {
			if upgraded {
				n++
				return n <= reads
			}
			upgraded = bytes.HasPrefix(p, []byte("HTTP/1.1 101"))
			return true
		}, yes}
	}
}

// middle is what sees requests and answers; each part may be nil.
func middle(request func(*http.Request), writer func(http.ResponseWriter, *http.Request) (http.ResponseWriter, func())) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upgrade := r.Header.Get("Upgrade") != ""
			if request != nil {
				request(r)
			}
			if writer != nil && !upgrade {
				var end func()
				w, end = writer(w, r)
				defer end()
			}
			h.ServeHTTP(w, r)
		})
	}
}

// capped answers with 502 instead of what is larger.
func capped(limit int) func(http.ResponseWriter, *http.Request) (http.ResponseWriter, func()) {
	return func(w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, func()) {
		all := httptest.NewRecorder()
		return all, func() {
			if all.Body.Len() > limit {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			pass(w, all)
		}
	}
}

func pass(w http.ResponseWriter, all *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), all.Header())
	w.WriteHeader(all.Code)
	_, _ = w.Write(all.Body.Bytes())
}

// first holds the first bytes of an answer.
type first struct {
	http.ResponseWriter
	limit int
	held  []byte
	open  bool
}

func (f *first) Write(p []byte) (int, error) {
	if f.open {
		return f.ResponseWriter.Write(p)
	}
	f.held = append(f.held, p...)
	if len(f.held) > f.limit {
		f.release()
	}
	return len(p), nil
}

func (f *first) release() {
	f.open = true
	_, _ = f.ResponseWriter.Write(f.held)
}

func (f *first) FlushError() error {
	if !f.open {
		return nil
	}
	return http.NewResponseController(f.ResponseWriter).Flush()
}

func holdFirst(limit int) func(http.ResponseWriter, *http.Request) (http.ResponseWriter, func()) {
	return func(w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, func()) {
		f := &first{ResponseWriter: w, limit: limit}
		return f, func() {
			if !f.open {
				f.release()
			}
		}
	}
}

// behind holds each piece until the next comes.
type behind struct {
	http.ResponseWriter
	held []byte
}

func (b *behind) Write(p []byte) (int, error) {
	if b.held != nil {
		if _, err := b.ResponseWriter.Write(b.held); err != nil {
			return 0, err
		}
		_ = http.NewResponseController(b.ResponseWriter).Flush()
	}
	b.held = bytes.Clone(p)
	return len(p), nil
}

func (*behind) FlushError() error { return nil }

func holdPieces(w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, func()) {
	b := &behind{ResponseWriter: w}
	return b, func() { _, _ = w.Write(b.held) }
}

// blocks passes on what comes in blocks, as nginx does with what a server of
// HTTP/1.0 sends.
type blocks struct {
	http.ResponseWriter
	size int
	held []byte
}

func (b *blocks) Write(p []byte) (int, error) {
	b.held = append(b.held, p...)
	for len(b.held) > b.size {
		if _, err := b.ResponseWriter.Write(b.held[:b.size]); err != nil {
			return 0, err
		}
		b.held = b.held[b.size:]
		_ = http.NewResponseController(b.ResponseWriter).Flush()
	}
	return len(p), nil
}

func (*blocks) FlushError() error { return nil }

func holdBlocks(size int) func(http.ResponseWriter, *http.Request) (http.ResponseWriter, func()) {
	return func(w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, func()) {
		b := &blocks{ResponseWriter: w, size: size}
		return b, func() { _, _ = w.Write(b.held) }
	}
}

// packed compresses.
type packed struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (p packed) Write(b []byte) (int, error) {
	p.Header().Del("Content-Length")
	p.Header().Set("Content-Encoding", "gzip")
	return p.zip.Write(b)
}

func compress(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return w, func() {}
	}
	z := gzip.NewWriter(w)
	return packed{w, z}, func() { _ = z.Close() }
}

var _ io.Writer = packed{}
