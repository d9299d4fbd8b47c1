package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// impatient has the server give up on everything after a second.
func impatient(s *http.Server) {
	s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = time.Second, time.Second, time.Second
}

func heldExchange() *fakeExchange {
	out := replies(`{"id":"7"}`)
	out.Messages = frozen(`{"data":1}`)
	return &fakeExchange{held: true, out: out}
}

const heldAnswer = `[{"data":1},{"id":"7"}]`

func TestHold(t *testing.T) { // [R-HT-13]
	query := "/cometd?jsonp=f&message=" + "%7B%7D"
	for name, c := range map[string]struct{ request, want string }{
		"long-polling":      {post(connectJSON), heldAnswer},
		"callback-polling":  {get(query), "f(" + heldAnswer + ")"},
		"GET with a body":   {request("GET "+query, "xyz"), "f(" + heldAnswer + ")"},
		"chunked":           {request("POST /", "", "Transfer-Encoding: chunked") + "4\r\n[{}]\r\n0\r\n\r\n", heldAnswer},
		"HTTP/1.0, R-HT-12": {"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n[{}]", heldAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, seen := heldExchange(), newCounts()
				conn := servePipes(t, NewHandler(hubOf(e), Options{Observer: seen}), impatient).dial(t)
				conn.send(c.request)
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Zero(t, e.taken(), "held")
				require.Equal(t, 1, seen.event(EventHeld))
				go e.wakeUp()
				r, body := conn.response(t)
				require.Equal(t, 200, r.StatusCode)
				require.Equal(t, c.want, body)
				synctest.Wait()
				e.requireDone(t, 1, true)
				require.Zero(t, seen.event(EventAborted))
			})
		})
	}
}

// TestSlowHub: the time for the body is not the time for extensions.
func TestSlowHub(t *testing.T) { // [R-HT-13]
	for name, req := range map[string]string{"POST": post(connectJSON), "GET": get("/?jsonp=f&message={}")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &fakeHub{script: func(ctx context.Context, _ Origin, _ []*bayeux.Message) (Exchange, error) {
					time.Sleep(time.Hour)
					return &fakeExchange{out: replies(`{}`)}, ctx.Err()
				}}
				conn := servePipes(t, NewHandler(hub, Options{}), impatient).dial(t)
				conn.send(req)
				r, _ := conn.response(t)
				require.Equal(t, 200, r.StatusCode)
			})
		})
	}
}

func TestWakeBeforeTheWait(t *testing.T) {
	e := heldExchange()
	e.onWait = func() { e.wake(); e.wake() } // Once more than allowed: must not block.
	_, body := ask(t, NewHandler(hubOf(e), Options{}), post(connectJSON))
	require.Equal(t, heldAnswer, body)
	e.requireDone(t, 1, true)
}

func TestAbort(t *testing.T) { // [R-CN-21]
	for name, req := range map[string]string{
		"long-polling":     post(connectJSON),
		"callback-polling": get("/?jsonp=f&message={}"),
		"GET with a body":  request("GET /?jsonp=f&message={}", "xyz"),
		"chunked":          request("POST /", "", "Transfer-Encoding: chunked") + "4\r\n[{}]\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, seen := heldExchange(), newCounts()
				conn := servePipes(t, NewHandler(hubOf(e), Options{Observer: seen})).dial(t)
				conn.send(req)
				time.Sleep(time.Hour)
				require.NoError(t, conn.Close())
				synctest.Wait()
				e.requireAbandoned(t)
				require.Equal(t, 1, seen.event(EventAborted))
				require.Zero(t, seen.out)
				e.wakeUp() // Too late, and without effect.
				synctest.Wait()
				e.requireAbandoned(t)
			})
		})
	}
}

// TestAbortMeetsWake has both at the same instant: nothing may be taken for a
// client that has gone.
func TestAbortMeetsWake(t *testing.T) { // [R-CN-21]
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			e := heldExchange()
			ctx, cancel := context.WithCancel(t.Context())
			e.onWait = func() { e.wake(); cancel() }
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`[{}]`))
			w := httptest.NewRecorder()
			NewHandler(hubOf(e), Options{}).ServeHTTP(w, r)
			e.requireAbandoned(t)
			require.Empty(t, w.Body.String())
		})
	}
}

// TestAbortWithinTake: what was taken goes back.
func TestAbortWithinTake(t *testing.T) { // [R-CN-21], [R-CN-22]
	e := heldExchange()
	e.held = false
	ctx, cancel := context.WithCancel(t.Context())
	e.take = func(context.Context) { cancel() }
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`[{}]`))
	w := httptest.NewRecorder()
	NewHandler(hubOf(e), Options{}).ServeHTTP(w, r)
	e.requireDone(t, 0, false)
	require.Empty(t, w.Body.String())
}

func TestPipelining(t *testing.T) { // [R-CN-26]
	synctest.Test(t, func(t *testing.T) {
		e := heldExchange()
		hub := &fakeHub{}
		hub.script = func(context.Context, Origin, []*bayeux.Message) (Exchange, error) {
			if hub.calls() == 1 {
				return e, nil
			}
			return &fakeExchange{out: replies(`{"id":"8"}`)}, nil
		}
		conn := servePipes(t, NewHandler(hub, Options{})).dial(t)
		go conn.send(post(connectJSON) + post(`[{"channel":"/a","id":"8"}]`))
		time.Sleep(time.Minute)
		require.Equal(t, 1, hub.calls(), "the second request waits")
		e.wakeUp()
		_, body := conn.response(t)
		require.Equal(t, heldAnswer, body)
		_, body = conn.response(t)
		require.Equal(t, `[{"id":"8"}]`, body)
		require.Equal(t, 2, hub.calls())
	})
}

// http2Client returns a client that speaks HTTP/2 to s without TLS.
func http2Client(t *testing.T, s *pipeServer) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols:   protocols,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return s.dial(t).Conn, nil },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func withHTTP2(s *http.Server) {
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
}

func postHTTP2(ctx context.Context, c *http.Client, body string) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://example.org/cometd", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	response, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}

func TestHoldOverHTTP2(t *testing.T) { // [R-CN-25], [R-HT-12]
	synctest.Test(t, func(t *testing.T) {
		e := heldExchange()
		hub := hubOf(e)
		c := http2Client(t, servePipes(t, NewHandler(hub, Options{}), impatient, withHTTP2))
		time.AfterFunc(time.Hour, func() { e.wakeUp() })
		status, body, err := postHTTP2(t.Context(), c, connectJSON)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, heldAnswer, body)
		synctest.Wait()
		e.requireDone(t, 1, true)
		from, _ := hub.last(t)
		require.True(t, from.HTTP2)
		require.Equal(t, "HTTP/2.0", from.Request.Proto)
	})
}

func TestAbortOverHTTP2(t *testing.T) { // [R-CN-21]
	synctest.Test(t, func(t *testing.T) {
		e := heldExchange()
		c := http2Client(t, servePipes(t, NewHandler(hubOf(e), Options{}), withHTTP2))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _, err := postHTTP2(ctx, c, connectJSON)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		e.requireAbandoned(t)
	})
}

// TestRefusalKeepsHTTP2Connection: the streams beside a refused request live.
func TestRefusalKeepsHTTP2Connection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := heldExchange()
		server := servePipes(t, NewHandler(hubOf(e), Options{LongPolling: Bounds{MaxMessageSize: 100}}), withHTTP2)
		c := http2Client(t, server)
		time.AfterFunc(time.Hour, func() { e.wakeUp() })
		time.AfterFunc(time.Minute, func() {
			status, _, err := postHTTP2(t.Context(), c, strings.Repeat(" ", 200))
			if err != nil || status != 413 {
				t.Errorf("status %d, error %v", status, err)
			}
		})
		status, body, err := postHTTP2(t.Context(), c, connectJSON)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, heldAnswer, body)
		status, _, err = postHTTP2(t.Context(), c, "x")
		require.NoError(t, err)
		require.Equal(t, 400, status)
		require.EqualValues(t, 1, server.dials.Load())
	})
}

// timedWriter records the deadlines that are set, as times from now.
type timedWriter struct {
	*httptest.ResponseRecorder
	read, write []time.Duration
}

func (w *timedWriter) SetReadDeadline(d time.Time) error {
	w.read = append(w.read, fromNow(d))
	return nil
}

func (w *timedWriter) SetWriteDeadline(d time.Time) error {
	w.write = append(w.write, fromNow(d))
	return nil
}

func fromNow(d time.Time) time.Duration {
	if d.IsZero() {
		return 0
	}
	return time.Until(d)
}

func TestDeadlines(t *testing.T) { // [R-HT-13]
	type list = []time.Duration
	for name, c := range map[string]struct {
		o           Options
		held        bool
		read, write list
	}{
		"default":  {Options{}, false, list{30 * time.Second, 0}, list{30 * time.Second}},
		"held":     {Options{}, true, list{30 * time.Second, 0}, list{0, 30 * time.Second}},
		"set":      {Options{BodyTimeout: 1, WriteTimeout: 2}, false, list{1, 0}, list{2}},
		"no limit": {Options{BodyTimeout: -1, WriteTimeout: -1}, false, list{0, 0}, list{0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := heldExchange()
				e.held, e.onWait = c.held, func() { e.wake() }
				w := &timedWriter{ResponseRecorder: httptest.NewRecorder()}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`[{}]`))
				NewHandler(hubOf(e), c.o).ServeHTTP(w, r)
				require.Equal(t, c.read, w.read)
				require.Equal(t, c.write, w.write)
			})
		})
	}
}

// keepingWriter fails, but goes on looking at what it was given, as HTTP/2 may.
type keepingWriter struct {
	*httptest.ResponseRecorder
	kept []byte
}

func (w *keepingWriter) Write(p []byte) (int, error) {
	w.kept = p
	return 0, errors.New("stream closed")
}

func TestBuffersOfFailedWritesAreNotReused(t *testing.T) {
	h := NewHandler(simpleHub(), Options{})
	serve := func(w http.ResponseWriter) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`[{}]`))
		h.ServeHTTP(w, r)
	}
	for range 20 {
		serve(httptest.NewRecorder()) // Fills the pool.
		w := &keepingWriter{ResponseRecorder: httptest.NewRecorder()}
		serve(w)
		want := string(w.kept)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("    "))
		h.ServeHTTP(httptest.NewRecorder(), r)
		serve(httptest.NewRecorder())
		require.Equal(t, want, string(w.kept))
	}
}

// brokenWriter fails at the given step.
type brokenWriter struct {
	*httptest.ResponseRecorder
	write, flush error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.write != nil {
		return len(p) / 2, w.write
	}
	return w.ResponseRecorder.Write(p)
}

func (w *brokenWriter) FlushError() error { return w.flush }

func TestWriteErrorsAreNoticed(t *testing.T) { // [R-CN-22], DESIGN 4.4
	broken := errors.New("broken pipe")
	for name, c := range map[string]struct {
		write, flush error
		sent         int
		replied      bool
	}{
		"fine":             {nil, nil, 1, true},
		"at write":         {broken, nil, 0, false},
		"at flush":         {nil, broken, 0, false},
		"no flush anyhow":  {nil, http.ErrNotSupported, 1, true},
		"both unsupported": {broken, http.ErrNotSupported, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, seen := heldExchange(), newCounts()
			e.held = false
			w := &brokenWriter{ResponseRecorder: httptest.NewRecorder(), write: c.write, flush: c.flush}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`[{}]`))
			NewHandler(hubOf(e), Options{Observer: seen}).ServeHTTP(w, r)
			e.requireDone(t, c.sent, c.replied)
			require.Equal(t, !c.replied, seen.event(EventWriteFailed) == 1)
		})
	}
}

// TestClientGoneWhileWriting cuts the connection after part of the response.
func TestClientGoneWhileWriting(t *testing.T) { // [R-CN-22], DESIGN 4.4
	for name, size := range map[string]int{"small": 10, "large": 3 * writeChunk} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &fakeExchange{out: Output{Messages: frozen(`"` + strings.Repeat("x", size) + `"`)}}
				conn := servePipes(t, NewHandler(hubOf(e), Options{})).dial(t)
				conn.send(post(connectJSON))
				_, err := io.ReadFull(conn.Conn, make([]byte, 20))
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				synctest.Wait()
				e.requireDone(t, 0, false)
			})
		})
	}
}

// TestSlowReaders: writing ends without progress, and only without.
func TestSlowReaders(t *testing.T) { // [R-CN-22]
	big := `"` + strings.Repeat("x", 20*writeChunk) + `"`
	t.Run("none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeExchange{out: Output{Messages: frozen(big)}}
			conn := servePipes(t, NewHandler(hubOf(e), Options{})).dial(t)
			conn.send(post(connectJSON))
			time.Sleep(29 * time.Second)
			require.Zero(t, e.ended())
			time.Sleep(2 * time.Second)
			synctest.Wait()
			e.requireDone(t, 0, false)
		})
	})
	t.Run("some", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeExchange{out: Output{Messages: frozen(big)}}
			conn := servePipes(t, NewHandler(hubOf(e), Options{}), impatient).dial(t)
			conn.send(post(connectJSON))
			total := 0
			for buf := make([]byte, writeChunk/4); total < len(big)+2; {
				time.Sleep(5 * time.Second)
				n, err := io.ReadAtLeast(conn.Conn, buf, 1)
				require.NoError(t, err)
				total += n
			}
			synctest.Wait()
			// What remains is less than the head of the response.
			_, _ = conn.Conn.Read(make([]byte, writeChunk))
			synctest.Wait()
			e.requireDone(t, 1, true)
		})
	})
	t.Run("no limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &fakeExchange{out: replies(`{}`)}
			conn := servePipes(t, NewHandler(hubOf(e), Options{WriteTimeout: -1})).dial(t)
			conn.send(post(connectJSON))
			time.Sleep(24 * time.Hour)
			require.Zero(t, e.ended())
			_, body := conn.response(t)
			require.Equal(t, "[{}]", body)
		})
	})
}

// TestDeadlinesDoNotStay has another handler answer on the same connection,
// long after ours.
func TestDeadlinesDoNotStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/cometd", NewHandler(simpleHub(), Options{}))
		mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			_, err := io.Copy(w, r.Body)
			if err != nil {
				t.Errorf("the body of the other handler: %v", err)
			}
		})
		conn := servePipes(t, mux).dial(t)
		for _, req := range []string{post(connectJSON), request("PUT /cometd", "x"), get("/cometd?jsonp=f&message={}")} {
			conn.send(req)
			conn.response(t)
			time.Sleep(time.Hour)
			if strings.HasPrefix(req, "PUT") {
				conn.requireClosed(t)
				conn = servePipes(t, mux).dial(t)
				continue
			}
			conn.send(request("POST /other", "hello"))
			_, body := conn.response(t)
			require.Equal(t, "hello", body)
		}
	})
}

// TestWrappedWriters: middleware that hides everything but the three methods.
func TestWrappedWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := heldExchange()
		h := NewHandler(hubOf(e), Options{})
		wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
		conn := servePipes(t, wrapped).dial(t)
		conn.send(post(connectJSON))
		time.Sleep(time.Minute)
		e.wakeUp()
		_, body := conn.response(t)
		require.Equal(t, heldAnswer, body)
		synctest.Wait()
		e.requireDone(t, 1, true)
	})
}
