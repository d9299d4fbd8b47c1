package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"
)

// Wire is an HTTP server in memory and the way to it. Made by Serve inside a
// synctest bubble, it needs no real time and no real network.
type Wire struct {
	t        testing.TB
	listener *Listener
	client   *http.Client
	end      func() error
	path     string
}

// Served is how an http.Server serves listeners, and how that ends.
type Served interface {
	Serve(l net.Listener) error
	Close() error
}

// Msg is a decoded Bayeux message.
type Msg = map[string]any

// Serve serves h at the path until the test ends. Call Close earlier where a
// bubble must be empty.
func Serve(t testing.TB, h http.Handler, path string) *Wire {
	t.Helper()
	return ServeBy(t, &http.Server{Handler: h}, path)
}

// ServeBy is Serve by a server that is made already, or by what stands in front
// of one.
func ServeBy(t testing.TB, server Served, path string) *Wire {
	t.Helper()
	w := &Wire{t: t, listener: Listen(), path: path, end: server.Close}
	go func() { _ = server.Serve(w.listener) }()
	w.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listener.Dial(ctx) },
	}}
	return w
}

// Close ends the server and all its connections.
func (w *Wire) Close() {
	w.client.CloseIdleConnections()
	_ = w.end()
	_ = w.listener.Close()
}

// Raw opens a connection, for what a client library would not send.
func (w *Wire) Raw() (net.Conn, error) { return w.listener.Dial(context.Background()) }

// Reply is an HTTP response.
type Reply struct {
	Status   int
	Header   http.Header
	Body     string
	Messages []Msg
	Took     time.Duration
}

// Request is an HTTP request; the zero value of a field means the usual.
type Request struct {
	Method string // POST
	Path   string // the wire's
	Query  string
	Body   string
	Cookie string // the whole Cookie header
	Header http.Header
	Ctx    context.Context
}

// Do sends a request. The error is that of the round trip.
func (w *Wire) Do(r Request) (*Reply, error) {
	w.t.Helper()
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	if r.Path == "" {
		r.Path = w.path
	}
	if r.Ctx == nil {
		r.Ctx = context.Background()
	}
	url := "http://memory" + r.Path
	if r.Query != "" {
		url += "?" + r.Query
	}
	req, err := http.NewRequestWithContext(r.Ctx, r.Method, url, bytes.NewReader([]byte(r.Body)))
	require.NoError(w.t, err)
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, r.Header)
	if r.Cookie != "" {
		req.Header.Set("Cookie", r.Cookie)
	}
	start := time.Now()
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	out := &Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body), Took: time.Since(start)}
	_ = json.Unmarshal(body, &out.Messages)
	return out, nil
}

// Post sends a body with a cookie and must get an answer.
func (w *Wire) Post(cookie, body string) *Reply {
	w.t.Helper()
	r, err := w.Do(Request{Body: body, Cookie: cookie})
	require.NoError(w.t, err)
	return r
}

// Go sends a request on a goroutine of its own; the channel gives its answer,
// or nil when the round trip failed.
func (w *Wire) Go(r Request) <-chan *Reply {
	out := make(chan *Reply, 1)
	go func() {
		reply, err := w.Do(r)
		if err != nil {
			reply = nil
		}
		out <- reply
	}()
	return out
}

// Socket is a WebSocket connection, frame by frame.
type Socket struct {
	t    testing.TB
	conn net.Conn
	in   chan Frame
}

// Frame is a message that came over a socket, or the close that ended it.
type Frame struct {
	Text     string
	Messages []Msg
	Close    ws.StatusCode // 0 while it is open; 1006 when it was cut
	Reason   string
	At       time.Time
}

// Dial opens a WebSocket.
func (w *Wire) Dial(header http.Header) *Socket {
	w.t.Helper()
	s, err := w.TryDial(w.path, header)
	require.NoError(w.t, err)
	return s
}

// TryDial opens a WebSocket at a path, or tells why not.
func (w *Wire) TryDial(path string, header http.Header) (*Socket, error) {
	d := ws.Dialer{
		NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listener.Dial(ctx) },
		Header:  ws.HandshakeHeaderHTTP(header),
	}
	conn, buffered, _, err := d.Dial(context.Background(), "ws://memory"+path)
	if err != nil {
		return nil, err
	}
	s := &Socket{t: w.t, conn: conn, in: make(chan Frame, 10000)}
	var r io.Reader = conn
	if buffered != nil {
		r = io.MultiReader(buffered, conn)
	}
	go s.read(r)
	return s, nil
}

func (s *Socket) read(r io.Reader) {
	defer close(s.in)
	rw := struct {
		io.Reader
		io.Writer
	}{r, s.conn}
	for {
		data, op, err := wsutil.ReadServerData(rw)
		f := Frame{At: time.Now()}
		if err != nil {
			f.Close = 1006
			if closed, ok := err.(wsutil.ClosedError); ok { //nolint:errorlint // as the library returns it
				f.Close, f.Reason = closed.Code, closed.Reason
			}
			s.in <- f
			return
		}
		if op == ws.OpText {
			f.Text = string(data)
			_ = json.Unmarshal(data, &f.Messages)
			s.in <- f
		}
	}
}

// Send sends a text message.
func (s *Socket) Send(text string) {
	s.t.Helper()
	require.NoError(s.t, s.TrySend(text))
}

// TrySend sends what the server may refuse before it has read the whole. The
// frame leaves in one write: one for the header and one for nothing would meet
// a server that has closed in between.
func (s *Socket) TrySend(text string) error {
	frame, err := ws.CompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text))))
	if err != nil {
		return err
	}
	_, err = s.conn.Write(frame)
	return err
}

// Conn returns the connection, for frames that are none.
func (s *Socket) Conn() net.Conn { return s.conn }

// Next returns the next frame; it must come within wait.
func (s *Socket) Next(wait time.Duration) Frame {
	s.t.Helper()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case f := <-s.in:
		return f
	case <-timer.C:
		require.FailNow(s.t, "no frame came", "within %s", wait)
		return Frame{}
	}
}

// Quiet asserts that nothing comes for that long.
func (s *Socket) Quiet(wait time.Duration) {
	s.t.Helper()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case f := <-s.in:
		require.FailNow(s.t, "a frame came that should not", "%+v", f)
	case <-timer.C:
	}
}

// Cut closes the connection without a close frame.
func (s *Socket) Cut() { _ = s.conn.Close() }
