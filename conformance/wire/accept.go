package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Accepted records a connection that a client opened.
func Accepted(nc net.Conn, tape *Tape) *Conn {
	c := &Conn{Conn: nc, id: tape.next(), tape: tape, peer: "the client"}
	c.r = newRecordingReader(c)
	tape.add(Event{Conn: c.id, Kind: Opened, What: "by the client"}, nil)
	return c
}

// ReadRequest reads a request of the client and its body, which may have at
// most limit bytes.
func (c *Conn) ReadRequest(limit int64) (req *http.Request, body []byte, err error) {
	if req, err = http.ReadRequest(c.r); err != nil {
		return nil, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(req.Body, limit+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("body of the request: %w", err)
	case int64(len(body)) > limit:
		return nil, nil, fmt.Errorf("body of the request is over %d bytes", limit)
	}
	return req, body, nil
}

// ErrNoKey says that an upgrade lacks what it must have.
var ErrNoKey = errors.New("the upgrade has no Sec-WebSocket-Key")

// IsUpgrade tells whether a request asks for a WebSocket.
func IsUpgrade(req *http.Request) bool {
	return req.Method == http.MethodGet && strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
}

// AcceptWebSocket answers an upgrade with 101 and returns the server's end.
// Neither a sub-protocol nor an extension is agreed.
func (c *Conn) AcceptWebSocket(req *http.Request) (*WebSocket, error) {
	key := req.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		return nil, ErrNoKey
	}
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n\r\n"
	if _, err := io.WriteString(c, head); err != nil {
		return nil, err
	}
	c.silent = true
	return &WebSocket{Conn: c, server: true, inflate: &inflater{}}, nil
}

// Wait returns when something came that can be read, when the other side has
// closed, which is an error, or when ctx ends, with its error.
func (c *Conn) Wait(ctx context.Context) error {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.SetReadDeadline(time.Unix(1, 0))
		close(fired)
	})
	_, err := c.r.Peek(1)
	if !stop() {
		<-fired
	}
	_ = c.SetReadDeadline(time.Time{})
	return explain(ctx, err)
}
