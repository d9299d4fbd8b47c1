package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "0123456789abcdef"

func handler(t *testing.T) *Handler {
	t.Helper()
	h, err := New(Config{Token: token, Path: "/cometd"})
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

func request(t *testing.T, path string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/cometd/doctor/"+path, nil)
	r.Header.Set(HeaderToken, token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"Token: want 16":  {Token: "short", Path: "/cometd"},
		"Token: want 16 ": {Token: strings.Repeat("x", MaxToken+1), Path: "/cometd"},
		"Token: want vis": {Token: strings.Repeat(" ", 20), Path: "/cometd"},
		"Path: want":      {Token: token, Path: "cometd"},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, strings.TrimSpace(name))
	}
}

func TestTokenAndMethods(t *testing.T) {
	h := handler(t).Over(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, tt := range []struct {
		path, method, token string
		want                int
	}{
		{"/cometd/doctor/echo", http.MethodGet, token, http.StatusOK},
		{"/cometd/doctor/echo", http.MethodGet, "", http.StatusForbidden},
		{"/cometd/doctor/echo", http.MethodGet, token[1:], http.StatusForbidden},
		{"/cometd/doctor/echo", http.MethodGet, token + "0", http.StatusForbidden},
		{"/cometd/doctor/nothing", http.MethodGet, "", http.StatusForbidden},
		{"/cometd/doctor/nothing", http.MethodGet, token, http.StatusNotFound},
		{"/cometd/doctor/echo", http.MethodPost, token, http.StatusMethodNotAllowed},
		{"/cometd/doctor", http.MethodGet, token, http.StatusTeapot},
		{"/cometd", http.MethodPost, "", http.StatusTeapot},
		{"/cometd/doctors/echo", http.MethodPost, "", http.StatusTeapot},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
		r.Header.Set(HeaderToken, tt.token)
		require.Equal(t, tt.want, serve(h, r).Code, tt)
	}
	twice := request(t, PathEcho)
	twice.Header.Add(HeaderToken, token)
	require.Equal(t, http.StatusForbidden, serve(h, twice).Code, "two tokens are none")
}

// TestGuesses are refused ever faster than they can be made, and do not keep
// the right token out.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t)
		codes := map[int]int{}
		for range 100 {
			r := request(t, PathEcho, HeaderToken, "wrong-wrong-wrong")
			codes[serve(h, r).Code]++
		}
		require.Equal(t, map[int]int{http.StatusForbidden: WrongBurst, http.StatusTooManyRequests: 100 - WrongBurst}, codes)
		require.Equal(t, http.StatusOK, serve(h, request(t, PathEcho)).Code)
	})
}

func TestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(handler(t), request(t, PathEcho, "Cookie", "a=1; secret=2", "Via", "1.1 proxy", "X-Forwarded-For", strings.Repeat("1", 2000), "Authorization", "Bearer x"))
		var e Echo
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
		require.Equal(t, time.Now().UnixMilli(), e.Time)
		require.Equal(t, "HTTP/1.1", e.Proto)
		require.Equal(t, []string{"a", "secret"}, e.Cookies)
		require.Equal(t, []string{"1.1 proxy"}, e.Headers["Via"])
		require.Len(t, e.Headers["X-Forwarded-For"][0], maxShown)
		require.NotContains(t, w.Body.String(), "Bearer", "what is not a proxy's is not told")
		require.Equal(t, CookieSet, w.Result().Cookies()[0].Name)
	})
}

func TestBadParameters(t *testing.T) {
	h := handler(t)
	for _, path := range []string{
		"hold", "hold?for=7m", "hold?for=-1s", "hold?for=x", "body?bytes=1&seed=1", "body?bytes=100", "body?bytes=16777217&seed=1",
		"text?bytes=x", "drip?every=1ms&count=2&bytes=64", "drip?every=1s&count=0&bytes=64", "drip?every=1s&count=361&bytes=64",
		"drip?every=20ms&count=1000&bytes=20000", "drip?every=1s&count=3&bytes=3",
	} {
		require.Equal(t, http.StatusBadRequest, serve(h, request(t, path)).Code, path)
	}
	require.Equal(t, http.StatusUpgradeRequired, serve(h, request(t, PathSocket)).Code)
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t)
		begun := time.Now()
		w := serve(h, request(t, PathHold+"?for=12s"))
		require.Equal(t, 12*time.Second, time.Since(begun))
		require.JSONEq(t, `{"held":12000}`, w.Body.String())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		serve(h, request(t, PathHold+"?for=12s").WithContext(ctx))
		require.Equal(t, 13*time.Second, time.Since(begun), "who has gone is not waited for")

		time.AfterFunc(time.Second, h.Close)
		require.Equal(t, http.StatusServiceUnavailable, serve(h, request(t, PathHold+"?for=12s")).Code)
		require.Equal(t, 14*time.Second, time.Since(begun))
		require.Equal(t, http.StatusServiceUnavailable, serve(h, request(t, PathHold+"?for=12s")).Code, "closed")
	})
}

// flushed notes what had been written at each flush.
type flushed struct {
	*httptest.ResponseRecorder
	at []time.Time
}

func (f *flushed) FlushError() error {
	f.at = append(f.at, time.Now())
	return nil
}

func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &flushed{ResponseRecorder: httptest.NewRecorder()}
		begun := time.Now()
		handler(t).ServeHTTP(w, request(t, PathDrip+"?every=500ms&count=5&bytes=64"))
		require.Len(t, w.at, 5)
		lines := strings.SplitAfter(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
		require.Len(t, lines, 5)
		for i, at := range w.at {
			require.Equal(t, time.Duration(i)*500*time.Millisecond, at.Sub(begun))
			var d Drop
			require.NoError(t, json.Unmarshal([]byte(lines[i]), &d))
			require.Equal(t, Drop{N: i, Millis: int64(i) * 500}, d)
		}
		require.Equal(t, 5*64, w.Body.Len())
	})
}

func TestBodies(t *testing.T) {
	h := handler(t)
	for _, size := range []int64{4, 5, 1000, 100_000} {
		w := serve(h, request(t, "body?seed=7&bytes="+json.Number(strings.TrimSpace(string(must(json.Marshal(size))))).String()))
		want := make([]byte, size)
		require.EqualValues(t, size, NewFill(size, 7).Next(want))
		require.True(t, bytes.Equal(want, w.Body.Bytes()))
		var array []string
		require.NoError(t, json.Unmarshal(want, &array), "it is JSON")
		require.Len(t, array[0], int(size)-4)
	}
	w := serve(h, request(t, "text?bytes=100"))
	require.Equal(t, "["+strings.Repeat(" ", 98)+"]", w.Body.String())
	require.Equal(t, "100", w.Header().Get("Content-Length"))
}

func must(p []byte, _ error) []byte { return p }

// TestBounds come before anything is done.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t)
		require.True(t, h.bytes.AllowN(time.Now(), BytesBurst-MaxBytes))
		for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
			require.Equal(t, want, serve(h, request(t, "text?bytes=16777216")).Code)
		}

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan int, MaxAtOnce)
		for range MaxAtOnce {
			go func() { done <- serve(h, request(t, PathHold+"?for=1m").WithContext(ctx)).Code }() //nolint:contextcheck // it has it
		}
		synctest.Wait()
		require.Equal(t, http.StatusServiceUnavailable, serve(h, request(t, PathEcho)).Code)
		cancel()
		for range MaxAtOnce {
			<-done
		}
		for range Burst {
			serve(h, request(t, PathEcho))
		}
		require.Equal(t, http.StatusTooManyRequests, serve(h, request(t, PathEcho)).Code)
		time.Sleep(time.Second)
		require.Equal(t, http.StatusOK, serve(h, request(t, PathEcho)).Code)
	})
}

// dial opens a WebSocket over a pipe, in a bubble.
func dial(t *testing.T, h http.Handler) *websocket.Conn {
	t.Helper()
	here, there := net.Pipe()
	ended := make(chan struct{})
	web := &http.Server{Handler: h}
	go func() {
		defer close(ended)
		_ = web.Serve(&once{conn: there, closed: make(chan struct{})})
	}()
	t.Cleanup(func() {
		_ = web.Close()
		<-ended
	})
	u := url.URL{Scheme: "ws", Host: "x", Path: "/cometd/doctor/socket"}
	conn, res, err := websocket.Dial(t.Context(), u.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return here, nil }}},
		HTTPHeader: http.Header{HeaderToken: {token}},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// once is a listener with one connection.
type once struct {
	conn   net.Conn
	closed chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	if c := o.conn; c != nil {
		o.conn = nil
		return c, nil
	}
	<-o.closed
	return nil, io.EOF
}

func (o *once) Close() error {
	close(o.closed)
	return nil
}

func (*once) Addr() net.Addr { return &net.TCPAddr{} }

func TestSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t)
		c := dial(t, h)
		begun := time.Now()
		for _, text := range []string{"a", "{}", strings.Repeat("x", 60000), `{"silent":0}`} {
			require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(text)))
			c.SetReadLimit(MaxFrame)
			_, got, err := c.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, text, string(got))
		}
		require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(`{"silent":12000}`)))
		require.NoError(t, c.Write(t.Context(), websocket.MessageBinary, []byte("meanwhile")))
		_, got, err := c.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, "meanwhile", string(got))
		_, got, err = c.Read(t.Context())
		require.NoError(t, err)
		require.JSONEq(t, `{"silent":12000}`, string(got))
		require.Equal(t, 12*time.Second, time.Since(begun))
	})
}

// TestSocketEnds looks at what ends a WebSocket.
func TestSocketEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, h *Handler, c *websocket.Conn){
		"a second silence": func(t *testing.T, _ *Handler, c *websocket.Conn) {
			for range 2 {
				require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(`{"silent":12000}`)))
			}
		},
		"a silence too long": func(t *testing.T, _ *Handler, c *websocket.Conn) {
			require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(`{"silent":1000000}`)))
		},
		"the server's end": func(_ *testing.T, h *Handler, _ *websocket.Conn) { h.Close() },
		"its age":          func(*testing.T, *Handler, *websocket.Conn) { time.Sleep(MaxTime) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(t)
				c := dial(t, h)
				end(t, h, c)
				_, _, err := c.Read(t.Context())
				require.Error(t, err)
				synctest.Wait()
				require.Empty(t, h.places, "its place is free")
			})
		})
	}
}
