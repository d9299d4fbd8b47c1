package transport

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// trickling is an exchange whose client gets blanks.
type trickling struct {
	*fakeExchange

	every time.Duration
	asked atomic.Int32
}

func (x *trickling) Trickle() time.Duration {
	x.asked.Add(1)
	return x.every
}

func tricklingExchange() *trickling {
	return &trickling{fakeExchange: heldExchange(), every: 10 * time.Second}
}

// TestTrickle has a blank come every ten seconds, and the answer behind them, on a
// connection that goes on.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, seen := tricklingExchange(), newCounts()
		hub := &fakeHub{}
		hub.script = func(context.Context, Origin, []*bayeux.Message) (Exchange, error) {
			if hub.calls() == 1 {
				return x, nil
			}
			return &fakeExchange{out: replies(`{"id":"8"}`)}, nil
		}
		h := NewHandler(hub, Options{Observer: seen})
		front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "a=1")
			h.ServeHTTP(w, r)
		})
		conn := servePipes(t, front, impatient).dial(t)
		start := time.Now()
		conn.send(post(connectJSON))
		time.AfterFunc(95*time.Second, x.wakeUp)
		r, err := http.ReadResponse(conn.r, nil)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Since(start), "the head leaves with the first blank")
		require.Equal(t, 200, r.StatusCode)
		require.Equal(t, []string{"chunked"}, r.TransferEncoding)
		require.Empty(t, r.Header.Get("Content-Length"))
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "no", r.Header.Get("X-Accel-Buffering"))
		require.Equal(t, []string{"a=1"}, r.Header["Set-Cookie"])
		buf := make([]byte, 100)
		for i := range 9 {
			n, err := r.Body.Read(buf)
			require.NoError(t, err)
			require.Equal(t, " ", string(buf[:n]))
			require.Equal(t, time.Duration(i+1)*10*time.Second, time.Since(start))
		}
		var rest strings.Builder
		for err == nil {
			var n int
			n, err = r.Body.Read(buf)
			rest.Write(buf[:n])
		}
		require.Equal(t, heldAnswer, rest.String())
		require.Equal(t, 95*time.Second, time.Since(start))
		synctest.Wait()
		x.requireDone(t, 1, true)
		require.EqualValues(t, 1, x.asked.Load())
		require.Equal(t, 1, seen.event(EventHeld))
		require.Equal(t, 1, seen.event(EventTrickled))
		require.Zero(t, seen.event(EventAborted))
		require.Equal(t, 9+len(heldAnswer), seen.out)
		conn.send(post(`[{"channel":"/a","id":"8"}]`))
		_, body := conn.response(t)
		require.Equal(t, `[{"id":"8"}]`, body)
	})
}

// TestTrickleAnswers: what comes before the first blank is an answer like any
// other; behind one it can have no status.
func TestTrickleAnswers(t *testing.T) {
	taken := Output{Err: &StatusError{Status: 408, Reason: "taken over"}}
	large := Output{Messages: frozen(`"` + strings.Repeat("x", 3*writeChunk) + `"`)}
	plain := replies(`{"id":"7"}`)
	for name, c := range map[string]struct {
		out    Output
		after  time.Duration
		status int
		body   string
		done   bool
	}{
		"early":          {plain, 9 * time.Second, 200, `[{"id":"7"}]`, true},
		"late":           {plain, 11 * time.Second, 200, ` [{"id":"7"}]`, true},
		"large":          {large, 25 * time.Second, 200, "  [" + string(large.Messages[0].JSON) + "]", true},
		"nothing":        {Output{}, 25 * time.Second, 200, "  []", true},
		"R-CN-20, early": {taken, 9 * time.Second, 408, "taken over\n", false},
		"R-CN-20, late":  {taken, 35 * time.Second, 200, "   []", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, seen := tricklingExchange(), newCounts()
				x.out = c.out
				conn := servePipes(t, NewHandler(hubOf(x), Options{Observer: seen})).dial(t)
				conn.send(post(connectJSON))
				time.AfterFunc(c.after, x.wakeUp)
				r, body := conn.response(t)
				require.Equal(t, c.status, r.StatusCode)
				require.Equal(t, c.body, body)
				require.Equal(t, c.after > x.every, r.ContentLength < 0)
				synctest.Wait()
				sent := 0
				if c.done {
					sent = len(c.out.Messages)
				}
				x.requireDone(t, sent, c.done)
				require.Equal(t, !c.done, seen.event(EventRefused) == 1)
				conn.send(post(connectJSON)) // the connection goes on
				synctest.Wait()
				require.EqualValues(t, 2, x.asked.Load())
			})
		})
	}
}

// TestNoTrickle: where an answer cannot trickle, it is as it was.
func TestNoTrickle(t *testing.T) {
	hide := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}
	for name, c := range map[string]struct {
		request string
		every   time.Duration
		wrap    func(http.Handler) http.Handler
		want    string
	}{
		"callback-polling":    {get("/cometd?jsonp=f&message=%7B%7D"), time.Second, nil, "f(" + heldAnswer + ")"},
		"HTTP/1.0":            {"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n[{}]", time.Second, nil, heldAnswer},
		"not wanted":          {post(connectJSON), 0, nil, heldAnswer},
		"nobody can flush it": {post(connectJSON), time.Second, hide, heldAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, seen := tricklingExchange(), newCounts()
				x.every = c.every
				h := NewHandler(hubOf(x), Options{Observer: seen})
				if c.wrap != nil {
					h = c.wrap(h)
				}
				conn := servePipes(t, h).dial(t)
				conn.send(c.request)
				time.AfterFunc(time.Hour, x.wakeUp)
				r, body := conn.response(t)
				require.Equal(t, c.want, body)
				require.EqualValues(t, len(body), r.ContentLength)
				require.Zero(t, seen.event(EventTrickled))
				synctest.Wait()
				x.requireDone(t, 1, true)
			})
		})
	}
}

// wrapped is a ResponseWriter of middleware that lets others see through it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestTrickleThroughMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := tricklingExchange()
		h := NewHandler(hubOf(x), Options{})
		conn := servePipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(wrapped{w}, r)
		})).dial(t)
		conn.send(post(connectJSON))
		time.AfterFunc(25*time.Second, x.wakeUp)
		_, body := conn.response(t)
		require.Equal(t, "  "+heldAnswer, body)
	})
}

// TestTrickleOverHTTP2: the deadline of a blank does not end the stream.
func TestTrickleOverHTTP2(t *testing.T) { // [R-HT-12]
	synctest.Test(t, func(t *testing.T) {
		x := tricklingExchange()
		x.every = 5 * time.Minute
		c := http2Client(t, servePipes(t, NewHandler(hubOf(x), Options{}), impatient, withHTTP2))
		time.AfterFunc(time.Hour+time.Second, x.wakeUp)
		status, body, err := postHTTP2(t.Context(), c, connectJSON)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, strings.Repeat(" ", 12)+heldAnswer, body)
		synctest.Wait()
		x.requireDone(t, 1, true)
	})
}

func TestTrickleAbort(t *testing.T) { // [R-CN-21]
	synctest.Test(t, func(t *testing.T) {
		x, seen := tricklingExchange(), newCounts()
		conn := servePipes(t, NewHandler(hubOf(x), Options{Observer: seen})).dial(t)
		conn.send(post(connectJSON))
		r, err := http.ReadResponse(conn.r, nil)
		require.NoError(t, err)
		_, err = r.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		synctest.Wait()
		x.requireAbandoned(t)
		require.Equal(t, 1, seen.event(EventAborted))
		x.wakeUp() // too late, and without effect
		synctest.Wait()
		x.requireAbandoned(t)
	})
}

// TestTrickleSlowReader: who does not take a blank for as long as a write may
// take has gone.
func TestTrickleSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, seen := tricklingExchange(), newCounts()
		conn := servePipes(t, NewHandler(hubOf(x), Options{Observer: seen})).dial(t)
		conn.send(post(connectJSON))
		time.Sleep(39 * time.Second)
		require.Zero(t, seen.event(EventAborted))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		x.requireAbandoned(t)
		require.Equal(t, 1, seen.event(EventAborted))
		require.Zero(t, seen.event(EventWriteFailed))
	})
}

// TestTrickleFails: a blank that cannot be written tells that the client has gone,
// where nothing else does.
func TestTrickleFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, seen := tricklingExchange(), newCounts()
		w := &brokenWriter{ResponseRecorder: httptest.NewRecorder(), flush: errors.New("broken pipe")}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`[{}]`))
		start := time.Now()
		NewHandler(hubOf(x), Options{Observer: seen}).ServeHTTP(w, r)
		require.Equal(t, x.every, time.Since(start))
		x.requireAbandoned(t)
		require.Equal(t, 1, seen.event(EventAborted))
		require.Equal(t, " ", w.Body.String(), "nothing behind it")
	})
}

// TestTrickleEndsWhole: middleware may end a request whose client is still there;
// blanks alone would be no JSON.
func TestTrickleEndsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := tricklingExchange()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`[{}]`))
		NewHandler(hubOf(x), Options{}).ServeHTTP(w, r)
		x.requireAbandoned(t)
		require.Equal(t, "  []", w.Body.String())
	})
}

// TestTrickleWithinTake: what was taken goes back, and the answer is whole.
func TestTrickleWithinTake(t *testing.T) { // [R-CN-22]
	synctest.Test(t, func(t *testing.T) {
		x := tricklingExchange()
		ctx, cancel := context.WithCancel(t.Context())
		x.take = func(context.Context) { cancel() }
		time.AfterFunc(25*time.Second, func() { x.wakeUp() })
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`[{}]`))
		NewHandler(hubOf(x), Options{}).ServeHTTP(w, r)
		x.requireDone(t, 0, false)
		require.Equal(t, "  []", w.Body.String())
	})
}
