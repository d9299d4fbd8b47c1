package hostileproxy

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// origin is the server behind the proxies of these tests.
type origin struct {
	*httptest.Server
	pieces chan string   // what /drip sends, each at once; closed ends the response.
	came   chan struct{} // gets one for each request to /hold.
	gone   chan struct{} // gets one for each request to /hold that was given up.
	free   chan struct{} // what is put in ends a request to /hold.
	socket chan net.Conn // the server's ends of upgrades.
}

// seen is what /echo tells.
type seen struct {
	Method, URI, Proto, Host, Remote, Body string
	Header                                 http.Header
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{pieces: make(chan string), came: make(chan struct{}, 100), gone: make(chan struct{}, 100), free: make(chan struct{}, 100), socket: make(chan net.Conn, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		_ = json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, r.Proto, r.Host, host, string(body), r.Header})
	})
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case piece, more := <-o.pieces:
				if !more {
					return
				}
				_, _ = io.WriteString(w, piece)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Otherwise net/http does not watch for the end of the client.
		o.came <- struct{}{}
		select {
		case <-o.free:
			_, _ = io.WriteString(w, "held")
		case <-r.Context().Done():
			o.gone <- struct{}{}
		}
	})
	mux.HandleFunc("/size/{n}", func(w http.ResponseWriter, r *http.Request) { // "?chunked" leaves out its length.
		n, _ := strconv.Atoi(r.PathValue("n"))
		if r.URL.RawQuery == "" {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		_, _ = io.WriteString(w, strings.Repeat("x", n/2))
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, strings.Repeat("x", n-n/2))
	})
	mux.HandleFunc("/die", func(w http.ResponseWriter, r *http.Request) { // sends half of what it says.
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "01234")
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err == nil {
			o.socket <- conn
		}
	})
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) addr() string { return o.Listener.Addr().String() }

// next is the server's end of the next upgrade.
func (o *origin) next(t *testing.T) net.Conn {
	t.Helper()
	select {
	case c := <-o.socket:
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		return c
	case <-within(t).Done():
		require.Fail(t, "no upgrade has come")
		return nil
	}
}

// startHTTP starts an origin, and a proxy with rules in front of it.
func startHTTP(t *testing.T, rules Rules) (*HTTP, *origin) {
	t.Helper()
	o := newOrigin(t)
	p, err := NewHTTP(o.addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	p.Set(rules)
	return p, o
}

// user is a plain client with a source address of its own.
type user struct {
	t    *testing.T
	from string
	base string // "host:port"
	http *http.Client
}

func newUser(t *testing.T, base, from string) *user {
	t.Helper()
	u := &user{t: t, from: from, base: base}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return u.dial(ctx) }, DisableCompression: true}
	u.http = &http.Client{Transport: transport, Timeout: patience}
	t.Cleanup(transport.CloseIdleConnections)
	return u
}

func (u *user) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(u.from), 0))}
	return d.DialContext(ctx, "tcp", u.base)
}

func (u *user) request(method, path, body string, header ...string) *http.Request {
	u.t.Helper()
	req, err := http.NewRequestWithContext(u.t.Context(), method, "http://"+u.base+path, strings.NewReader(body))
	require.NoError(u.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// get returns the response with its body, and the error that ended the body.
func (u *user) get(path string, header ...string) (*http.Response, string, error) {
	u.t.Helper()
	return u.do(u.request(http.MethodGet, path, "", header...))
}

func (u *user) do(req *http.Request) (*http.Response, string, error) {
	resp, err := u.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// open sends a request and returns the response once its head has come.
func (u *user) open(path string) *http.Response {
	u.t.Helper()
	resp, err := u.http.Do(u.request(http.MethodGet, path, ""))
	require.NoError(u.t, err)
	u.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// echo is what the server sees of a request.
func (u *user) echo(method, body string, header ...string) (seen, *http.Response) {
	u.t.Helper()
	resp, text, err := u.do(u.request(method, "/echo?q=%20", body, header...))
	require.NoError(u.t, err)
	require.Equal(u.t, http.StatusOK, resp.StatusCode, text)
	var s seen
	require.NoError(u.t, json.Unmarshal([]byte(text), &s))
	return s, resp
}

// raw is a connection to write requests to by hand.
func (u *user) raw() *net.TCPConn {
	u.t.Helper()
	c, err := u.dial(within(u.t))
	require.NoError(u.t, err)
	u.t.Cleanup(func() { _ = c.Close() })
	require.NoError(u.t, c.SetDeadline(time.Now().Add(patience)))
	tcp, ok := c.(*net.TCPConn)
	require.True(u.t, ok)
	return tcp
}

// upgrade asks for a WebSocket by hand and returns the answer.
func (u *user) upgrade() (*net.TCPConn, *bufio.Reader, *http.Response) {
	u.t.Helper()
	c := u.raw()
	_, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+u.base+"\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(u.t, err)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(u.t, err)
	return c, br, resp
}

// socket opens a WebSocket and returns both ends.
func (u *user) socket(o *origin) (client *net.TCPConn, br *bufio.Reader, server net.Conn) {
	u.t.Helper()
	client, br, resp := u.upgrade()
	require.Equal(u.t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(u.t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-WebSocket-Accept"))
	return client, br, o.next(u.t)
}

// text is a frame with a text of the server.
func text(s string) string { return string(ws.MustCompileFrame(ws.NewTextFrame([]byte(s)))) }

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
}

// reads requires that exactly the text comes next.
func reads(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(r, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// quiet requires that nothing comes for a moment, whatever comes later.
func quiet(t *testing.T, c net.Conn, r io.Reader) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	n, err := r.Read(make([]byte, 1))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout, "%d bytes came", n)
	require.True(t, timeout.Timeout())
}

// async runs f and hands over what it returns.
func async[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// status asks for a path meanwhile, and hands over the status; zero is an error.
func (u *user) status(path string) <-chan int {
	return async(func() int {
		resp, _, err := u.get(path)
		if err != nil {
			return 0
		}
		return resp.StatusCode
	})
}

// waitCounts waits until the counts are as they should be.
func waitCounts(t *testing.T, p *HTTP, condition func(Counts) bool) {
	t.Helper()
	require.NoError(t, p.Wait(within(t), condition))
}

// await waits for a signal.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-within(t).Done():
		require.Fail(t, what)
	}
}

// exchanges is what is over, once nothing runs.
func exchanges(t *testing.T, p *HTTP) []Exchange {
	t.Helper()
	waitCounts(t, p, func(c Counts) bool { return c.Running == 0 })
	return p.Exchanges()
}

// drip sends pieces by /drip.
func (o *origin) drip(pieces ...string) {
	for _, piece := range pieces {
		o.pieces <- piece
	}
}
