package suite

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// Dial opens a recorded connection to the server, TLS included, for requests
// that no client would send. It is closed with the case.
func (t *T) Dial() *wire.Conn {
	c, err := t.run.target.Dial(t.ctx, t.tape)
	if err != nil {
		t.Brokenf("%v", err)
	}
	t.closeWithCase(c)
	return c
}

func (t *T) closeWithCase(c io.Closer) {
	stop := context.AfterFunc(t.ctx, func() { _ = c.Close() })
	t.Cleanup(func() { stop(); _ = c.Close() })
}

// HTTP sends one HTTP request on a connection of its own and returns the
// response. The server closing without an answer is a failure.
func (t *T) HTTP(req *wire.Request) *wire.Response {
	res, err := t.TryHTTP(req)
	if err != nil {
		t.Fatalf("%s: %v", describe(req), err)
	}
	return res
}

// TryHTTP is HTTP for requests that a server may leave without an answer.
func (t *T) TryHTTP(req *wire.Request) (*wire.Response, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.Patience())
	defer cancel()
	return t.Dial().RoundTrip(ctx, t.run.target, req)
}

func describe(req *wire.Request) string {
	if req.Method == "" {
		return "POST"
	}
	return req.Method
}

// JSONRequest returns a long-polling request with that body, for T.HTTP.
func (t *T) JSONRequest(body string) *wire.Request {
	return &wire.Request{Header: [][2]string{{"Content-Type", contentType}}, Body: []byte(body)}
}

// WebSocket opens a WebSocket without a client, for frames that no client
// would send. If the server refuses, the socket is nil.
func (t *T) WebSocket(o wire.WebSocketOptions) (*wire.WebSocket, *wire.Response) {
	ctx, cancel := context.WithTimeout(t.ctx, t.Patience())
	defer cancel()
	w, res, err := t.run.target.OpenWebSocket(ctx, t.tape, o)
	if err != nil {
		if _, dial := errors.AsType[*wire.DialError](err); dial {
			t.Brokenf("%v", err)
		}
		t.Fatalf("WebSocket upgrade: %v", err)
	}
	if w != nil {
		t.closeWithCase(w)
	}
	return w, res
}

// Closes expects the server to close the socket within a time, with one of
// the codes; messages before are passed over. It returns what ended it.
func (t *T) Closes(w *wire.WebSocket, within time.Duration, codes ...int) *wire.CloseError {
	ctx, cancel := context.WithTimeout(t.ctx, within)
	defer cancel()
	for {
		_, _, err := w.ReadMessage(ctx)
		if err == nil {
			continue
		}
		end, ok := errors.AsType[*wire.CloseError](err)
		if !ok {
			t.Fatalf("the WebSocket is still open after %v (%v), want it closed with %v", within, err, codes)
		}
		t.closeCode(end, codes)
		return end
	}
}

func (t *T) closeCode(end *wire.CloseError, codes []int) {
	t.Check(len(codes) == 0 || slices.Contains(codes, end.Code), "the WebSocket was closed with %d %q, want %v", end.Code, end.Reason, codes)
}
