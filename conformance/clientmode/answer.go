package clientmode

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

// M is a message of the server, or a part of one.
type M = suite.M

// Answer changes what the server does with a message of the client. What it
// leaves alone is as usual.
type Answer struct {
	With          M   // changes to the reply; suite.Absent removes a field
	Before, After []M // messages around it, in the same body
	Silent        bool
	Wait          time.Duration // before the answer
	Fault         Fault         // how the body leaves
}

// Line is the way that a body takes to the client: the response to a request,
// or a frame.
type Line struct {
	ctx    context.Context //nolint:containedctx // of the case, which a fault ends with
	conn   *wire.Conn
	ws     *wire.WebSocket // nil on HTTP
	header [][2]string
	over   atomic.Bool // the connection is to be closed
	polite atomic.Bool // once the client has answered the close frame
}

// Fault sends a body in another way than usual, or not.
type Fault func(l *Line, body []byte)

// head is the head of a response with a body of that size; -1 leaves it out.
func (l *Line) head(status, size int, header [][2]string) []byte {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, h := range header {
		_, _ = fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if size >= 0 {
		_, _ = fmt.Fprintf(&b, "Content-Length: %d\r\n", size)
	}
	return []byte(b.String() + "\r\n")
}

func (l *Line) json() [][2]string {
	return append([][2]string{{"Content-Type", "application/json"}}, l.header...)
}

// usual sends a body as a server does.
func (l *Line) usual(body []byte) {
	if l.ws != nil {
		l.failed(l.ws.WriteText(string(body)))
		return
	}
	_, err := l.conn.Write(append(l.head(http.StatusOK, len(body), l.json()), body...))
	l.failed(err)
}

func (l *Line) failed(err error) {
	if err != nil {
		l.over.Store(true)
	}
}

// slowly writes bytes one by one.
func (l *Line) slowly(text []byte, write func([]byte) error) {
	for i := range text {
		if err := write(text[i : i+1]); err != nil {
			l.over.Store(true)
			return
		}
		pause(l.ctx, time.Millisecond)
	}
}

func (l *Line) raw(b []byte) error {
	if l.ws != nil {
		return l.ws.WriteRaw(b)
	}
	_, err := l.conn.Write(b)
	return err
}

// frameHead begins a text frame of the server.
func frameHead(size int) []byte {
	if size < 126 {
		return []byte{0x81, byte(size)} //nolint:gosec // it is below 126
	}
	return binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(size)) //nolint:gosec // bodies of cases are short
}

// Status answers with an HTTP status and headers. On a WebSocket the socket is
// closed with 1011.
func Status(code int, header ...[2]string) Fault {
	return func(l *Line, _ []byte) {
		if l.ws != nil {
			Close(1011)(l, nil)
			return
		}
		body := "<html><body>" + http.StatusText(code) + "</body></html>"
		header = append([][2]string{{"Content-Type", "text/html"}}, header...)
		l.failed(l.raw(append(l.head(code, len(body), header), body...)))
	}
}

// Reset resets the connection instead of an answer.
func Reset() Fault {
	return func(l *Line, _ []byte) {
		_ = l.conn.Abort()
		l.over.Store(true)
	}
}

// Hangup closes the connection instead of an answer, without a close frame.
func Hangup() Fault { return func(l *Line, _ []byte) { l.over.Store(true) } }

// Cut sends half of the body and closes.
func Cut() Fault {
	return func(l *Line, body []byte) {
		l.over.Store(true)
		head := frameHead(len(body))
		if l.ws == nil {
			head = l.head(http.StatusOK, len(body), l.json())
		}
		l.failed(l.raw(append(head, body[:len(body)/2]...)))
	}
}

// Drip sends byte by byte.
func Drip() Fault {
	return func(l *Line, body []byte) {
		head := frameHead(len(body))
		if l.ws == nil {
			head = l.head(http.StatusOK, len(body), l.json())
		}
		l.slowly(append(head, body...), l.raw)
	}
}

// Pieces sends the body in chunks, or in fragments.
func Pieces() Fault {
	return func(l *Line, body []byte) {
		if l.ws == nil {
			l.failed(l.raw(l.head(http.StatusOK, -1, append(l.json(), [2]string{"Transfer-Encoding", "chunked"}))))
			for part := range parts(body) {
				l.failed(l.raw(fmt.Appendf(nil, "%x\r\n%s\r\n", len(part), part)))
			}
			l.failed(l.raw([]byte("0\r\n\r\n")))
			return
		}
		op, sent := wire.Text, 0
		for part := range parts(body) {
			sent += len(part)
			l.failed(l.ws.WriteFrame(wire.Frame{Op: op, More: sent < len(body), Payload: part}))
			op = wire.Continuation
		}
	}
}

// parts cuts a body, also in the middle of characters.
func parts(body []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(body) > 0 {
			n := min(7, len(body))
			if !yield(body[:n]) {
				return
			}
			body = body[n:]
		}
	}
}

// Body sends another body, with headers instead of the usual.
func Body(text string, header ...[2]string) Fault {
	return func(l *Line, _ []byte) {
		if l.ws != nil {
			l.failed(l.ws.WriteText(text))
			return
		}
		l.failed(l.raw(append(l.head(http.StatusOK, len(text), header), text...)))
	}
}

// Reform sends the body as a function writes it anew.
func Reform(f func(body []byte) []byte) Fault {
	return func(l *Line, body []byte) { l.usual(f(body)) }
}

// Header adds headers to the response.
func Header(header ...[2]string) Fault {
	return func(l *Line, body []byte) {
		l.header = append(l.header, header...)
		l.usual(body)
	}
}

// Last closes the connection after the answer.
func Last() Fault {
	return func(l *Line, body []byte) {
		l.header = append(l.header, [2]string{"Connection", "close"})
		l.usual(body)
		l.over.Store(true)
	}
}

// Close sends a close frame instead of an answer, waits for the client's, and
// closes; on HTTP it only closes.
func Close(code int) Fault {
	return func(l *Line, _ []byte) {
		if l.ws != nil {
			_ = l.ws.WriteClose(code, "")
			l.polite.Store(true)
		}
		l.over.Store(true)
	}
}

// Twice sends the messages of the body twice: in one response, or in two
// frames.
func Twice() Fault {
	return func(l *Line, body []byte) {
		if l.ws != nil {
			l.usual(body)
			l.usual(body)
			return
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(string(body), "["), "]")
		l.usual([]byte("[" + inner + "," + inner + "]"))
	}
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
