package wire

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func target(t *testing.T, h http.HandlerFunc, secure bool) Target {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.Protocols.SetHTTP2(true)
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/path?q=1")
	require.NoError(t, err)
	return Target{URL: u, Insecure: true, Header: [][2]string{{"X-All", "1"}}}
}

func TestRequestBytes(t *testing.T) {
	tt := Target{URL: &url.URL{Scheme: "http", Host: "h:1", Path: "/p"}, Header: [][2]string{{"X-All", "1"}}}
	for want, r := range map[string]*Request{
		"POST /p HTTP/1.1\r\nHost: h:1\r\nX-All: 1\r\nContent-Length: 2\r\n\r\n[]":                            {Body: []byte("[]")},
		"GET /x HTTP/1.0\r\nHost: h:1\r\nX-All: 2\r\n\r\n":                                                    {Method: "GET", Path: "/x", Proto: "HTTP/1.0", Header: [][2]string{{"X-All", "2"}}},
		"POST /p HTTP/1.1\r\nA: 1\r\nA: 2\r\n\r\nx":                                                           {Bare: true, Body: []byte("x"), Header: [][2]string{{"A", "1"}, {"A", "2"}}},
		"POST /p HTTP/1.1\r\nHost: h:1\r\nX-All: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n": {Chunked: true, Body: []byte("[]")},
	} {
		require.Equal(t, want, string(r.Bytes(tt)))
	}
}

func TestHTTP(t *testing.T) {
	for _, secure := range []bool{false, true} {
		tt := target(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(r.Method + r.RequestURI + r.Header.Get("X-All") + r.Proto))
		}, secure)
		tape := NewTape()
		c, err := tt.Dial(t.Context(), tape)
		require.NoError(t, err)
		for range 2 {
			res, err := c.RoundTrip(t.Context(), tt, &Request{Body: []byte("[]")})
			require.NoError(t, err)
			require.Equal(t, "POST/path?q=11HTTP/1.1", string(res.Body))
			require.True(t, res.Keep)
		}
		require.NoError(t, c.Close())
		events, dropped := tape.Events()
		require.Zero(t, dropped)
		require.Equal(t, []Kind{Opened, Sent, Received, Sent, Received, Closed}, kinds(events))
		require.Contains(t, string(events[1].Data), "POST /path?q=1 HTTP/1.1\r\n", "in the clear")

		h2 := NewHTTP2(tt, tape)
		res, err := h2.RoundTrip(t.Context(), &Request{Body: []byte("[]")})
		require.NoError(t, err)
		require.Equal(t, "POST/path?q=11HTTP/2.0", string(res.Body))
		h2.Close()
	}
}

func kinds(events []Event) []Kind {
	var all []Kind
	for _, e := range events {
		all = append(all, e.Kind)
	}
	return all
}

func TestNoAnswer(t *testing.T) {
	tt := target(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false)
	c, err := tt.Dial(t.Context(), NewTape())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.RoundTrip(t.Context(), tt, &Request{})
	require.ErrorContains(t, err, "closed the connection without an answer")

	slow := target(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false)
	c, err = slow.Dial(t.Context(), NewTape())
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.RoundTrip(ctx, slow, &Request{Method: http.MethodGet})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	_, err = Target{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}.Dial(t.Context(), NewTape())
	_, ok := errors.AsType[*DialError](err)
	require.True(t, ok)
}

// TestWebSocket talks to another library's server: whole, fragmented, long and
// compressed messages come back, and its close is told.
func TestWebSocket(t *testing.T) {
	tt := target(t, func(w http.ResponseWriter, r *http.Request) {
		s, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1})
		if err != nil {
			return
		}
		s.SetReadLimit(1 << 20)
		for {
			kind, text, err := s.Read(r.Context())
			if err != nil {
				return
			}
			if string(text) == "close" {
				_ = s.Close(4000, "bye")
				return
			}
			_ = s.Write(r.Context(), kind, text)
		}
	}, false)
	for _, extensions := range []string{"", "permessage-deflate"} {
		w, res, err := tt.OpenWebSocket(t.Context(), NewTape(), WebSocketOptions{Extensions: extensions})
		require.NoError(t, err)
		require.NotNil(t, w, "%d", res.Status)
		require.Equal(t, extensions != "", w.Deflate)
		for _, text := range []string{"one", strings.Repeat("two ", 100), strings.Repeat("three", 20000), "one"} {
			require.NoError(t, w.WriteText(text))
			require.Equal(t, text, read(t, w))
		}
		require.NoError(t, w.WriteFrame(Frame{Op: Text, More: true, Payload: []byte("fo")}))
		require.NoError(t, w.WriteFrame(Frame{Op: Ping}))
		require.NoError(t, w.WriteFrame(Frame{Op: Continuation, Payload: []byte("ur")}))
		require.Equal(t, "four", read(t, w))
		if w.Deflate {
			require.NoError(t, w.WriteDeflated("five five five"))
			require.Equal(t, "five five five", read(t, w))
		}
		require.NoError(t, w.WriteText("close"))
		_, _, err = w.ReadMessage(t.Context())
		end, ok := errors.AsType[*CloseError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, 4000, end.Code)
		require.Equal(t, "bye", end.Reason)
		require.NoError(t, w.Close())
	}
}

func read(t *testing.T, w *WebSocket) string {
	t.Helper()
	op, text, err := w.ReadMessage(t.Context())
	require.NoError(t, err)
	require.Equal(t, Text, op)
	return string(text)
}

func TestWebSocketRefused(t *testing.T) {
	tt := target(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, false)
	w, res, err := tt.OpenWebSocket(t.Context(), NewTape(), WebSocketOptions{})
	require.NoError(t, err)
	require.Nil(t, w)
	require.Equal(t, http.StatusForbidden, res.Status)
	require.Equal(t, "no\n", string(res.Body))
}

func TestFrameBytes(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	require.Equal(t, []byte{0x81, 0x82, 1, 2, 3, 4, 'a' ^ 1, 'b' ^ 2}, Frame{Op: Text, Key: key, Payload: []byte("ab")}.Bytes())
	require.Equal(t, []byte{0x41, 0x02, 'a', 'b'}, Frame{Op: Text, More: true, RSV: 4, Unmasked: true, Payload: []byte("ab")}.Bytes())
	require.Equal(t, []byte{0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4}, Frame{Op: Binary, Key: key, Claim: 256}.Bytes())
	require.Equal(t, []byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, Frame{Op: Binary, Key: key, Claim: 65536}.Bytes())
}

func TestEventSource(t *testing.T) {
	tt := target(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = w.Write([]byte(": hello\n\ndata: a\ndata: b\n\nevent: e\r\nid: 7\r\ndata:c\r\n\r\n"))
	}, false)
	s, _, err := tt.OpenEventSource(t.Context(), NewTape(), &Request{})
	require.NoError(t, err)
	defer s.Close()
	for _, want := range []StreamEvent{{Data: "a\nb"}, {Name: "e", ID: "7", Data: "c"}} {
		got, err := s.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = s.Next(t.Context())
	require.ErrorContains(t, err, "EOF")
}

func TestTapeIsBounded(t *testing.T) {
	tape := NewTape()
	for range 20 {
		tape.add(Event{Kind: Sent}, make([]byte, eventBytes+10))
	}
	events, _ := tape.Events()
	require.Equal(t, 10, events[0].Cut)
	require.Equal(t, eventBytes+10, events[19].Cut)
	total := 0
	for _, e := range events {
		total += len(e.Data)
	}
	require.Equal(t, tapeBytes, total)
	for range tapeEvents {
		tape.Note("x")
	}
	events, dropped := tape.Events()
	require.Len(t, events, tapeEvents)
	require.Equal(t, 20, dropped)
	tape.Stop()
	tape.Note("x")
	_, after := tape.Events()
	require.Equal(t, dropped, after)
}
