package wire

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// CloseError is the end of a WebSocket by the server: by a close frame, or,
// with code 1006, without one.
type CloseError struct {
	Code   int
	Reason string
	Err    error // why there was no close frame
}

func (e *CloseError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("WebSocket closed without a close frame: %v", e.Err)
	}
	return fmt.Sprintf("WebSocket closed with %d %q", e.Code, e.Reason)
}

// Unwrap returns why there was no close frame.
func (e *CloseError) Unwrap() error { return e.Err }

// WebSocket is an end of a WebSocket, mostly the client's. One goroutine may read while
// others write.
type WebSocket struct {
	*Conn
	Upgrade  *Response // the server's answer to the upgrade
	Protocol string    // the sub-protocol that the server chose
	Deflate  bool      // permessage-deflate was agreed

	Pongs chan []byte // takes what pongs bring, if it has room; nil for nowhere

	server  bool       // this is the server's end
	mu      sync.Mutex // guards writes and closing
	closing bool       // a close frame was sent
	inflate *inflater
	partial []byte
	op      Opcode
	packed  bool
}

// WebSocketOptions change the upgrade.
type WebSocketOptions struct {
	Path       string      // default the target's
	Header     [][2]string // added, such as Cookie
	Protocols  []string    // offered sub-protocols
	Extensions string      // offered extensions, such as permessage-deflate
	Edit       func(*Request)
}

// OpenWebSocket upgrades a connection. If the server answers with anything
// but 101, only the response is returned.
func (t Target) OpenWebSocket(ctx context.Context, tape *Tape, o WebSocketOptions) (*WebSocket, *Response, error) {
	c, err := t.Dial(ctx, tape)
	if err != nil {
		return nil, nil, err
	}
	key := newKey()
	req := &Request{Method: http.MethodGet, Path: o.Path, Header: [][2]string{
		{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Key", key}, {"Sec-WebSocket-Version", "13"},
	}}
	req.Header = append(req.Header, o.Header...)
	if len(o.Protocols) > 0 {
		req.Add("Sec-WebSocket-Protocol", strings.Join(o.Protocols, ", "))
	}
	if o.Extensions != "" {
		req.Add("Sec-WebSocket-Extensions", o.Extensions)
	}
	if o.Edit != nil {
		o.Edit(req)
	}
	res, err := c.upgrade(ctx, t, req)
	if err != nil || res.Status != http.StatusSwitchingProtocols {
		_ = c.Close()
		return nil, res, err
	}
	if want := acceptKey(key); res.Header.Get("Sec-WebSocket-Accept") != want {
		_ = c.Close()
		return nil, res, fmt.Errorf("Sec-WebSocket-Accept is %q, want %q", res.Header.Get("Sec-WebSocket-Accept"), want)
	}
	w := &WebSocket{Conn: c, Upgrade: res, Protocol: res.Header.Get("Sec-WebSocket-Protocol")}
	w.Deflate = strings.Contains(res.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	w.inflate = &inflater{}
	c.silent = true
	return w, res, nil
}

func (c *Conn) upgrade(ctx context.Context, t Target, req *Request) (*Response, error) {
	defer c.watch(ctx)()
	if _, err := c.Write(req.Bytes(t)); err != nil {
		return nil, explain(ctx, err)
	}
	//nolint:bodyclose // of a 101 there is no body; another is read by the size that it states
	res, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, explain(ctx, noAnswer(err))
	}
	out := &Response{Status: res.StatusCode, Proto: res.Proto, Header: res.Header}
	if res.StatusCode != http.StatusSwitchingProtocols {
		out.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
	}
	return out, explain(ctx, err)
}

func newKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 asks for it
	return base64.StdEncoding.EncodeToString(sum[:])
}

// WriteFrame sends a frame as it stands, except that a client's zero masking
// key is replaced by a random one, and a server masks nothing.
func (w *WebSocket) WriteFrame(f Frame) error {
	if w.server {
		f.Unmasked = true
	} else if f.Key == [4]byte{} {
		_, _ = rand.Read(f.Key[:])
	}
	w.tape.add(Event{Conn: w.id, Kind: Sent, What: f.describe()}, f.Payload)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = w.closing || f.Op == CloseFrame
	_, err := w.Conn.Conn.Write(f.Bytes())
	return err
}

// WriteText sends a text message in one frame.
func (w *WebSocket) WriteText(text string) error {
	return w.WriteFrame(Frame{Op: Text, Payload: []byte(text)})
}

// WriteDeflated sends a text message compressed, in one frame.
func (w *WebSocket) WriteDeflated(text string) error {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(z, text); err != nil {
		return err
	}
	if err := z.Flush(); err != nil {
		return err
	}
	return w.WriteFrame(Frame{Op: Text, RSV: 4, Payload: bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})})
}

// WriteRaw sends bytes that need not be a frame.
func (w *WebSocket) WriteRaw(b []byte) error {
	w.tape.add(Event{Conn: w.id, Kind: Sent, What: "raw bytes"}, b)
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.Conn.Conn.Write(b)
	return err
}

// WriteClose sends a close frame.
func (w *WebSocket) WriteClose(code int, reason string) error {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code)) //nolint:gosec // a close code
	return w.WriteFrame(Frame{Op: CloseFrame, Payload: append(payload, reason...)})
}

// ReadFrame reads the next frame, control frames included, and answers none.
// A close frame is returned as a frame; a connection that ends without one
// is a *CloseError with code 1006.
func (w *WebSocket) ReadFrame(ctx context.Context) (Frame, error) {
	defer w.watch(ctx)()
	f, err := readFrame(w.r, w.server)
	if err != nil {
		if ctx.Err() != nil {
			return f, ctx.Err()
		}
		return f, &CloseError{Code: 1006, Err: err}
	}
	w.tape.add(Event{Conn: w.id, Kind: Received, What: f.describe()}, f.Payload)
	return f, nil
}

// ReadMessage reads the next text or binary message: it puts fragments
// together, inflates, answers pings and close frames. The end of the socket
// is a *CloseError.
func (w *WebSocket) ReadMessage(ctx context.Context) (Opcode, []byte, error) {
	for {
		f, err := w.ReadFrame(ctx)
		if err != nil {
			return 0, nil, err
		}
		switch f.Op {
		case Ping:
			_ = w.WriteFrame(Frame{Op: Pong, Payload: f.Payload})
			continue
		case Pong:
			select {
			case w.Pongs <- f.Payload:
			default:
			}
			continue
		case CloseFrame:
			return 0, nil, w.closed(f)
		case Text, Binary:
			w.op, w.partial, w.packed = f.Op, nil, f.RSV&4 != 0
		case Continuation:
		default:
			continue
		}
		w.partial = append(w.partial, f.Payload...)
		if f.More {
			continue
		}
		if !w.packed {
			return w.op, w.partial, nil
		}
		text, err := w.inflate.inflate(w.partial)
		w.tape.add(Event{Conn: w.id, Kind: Noted, What: "the message in the clear"}, text)
		return w.op, text, err
	}
}

func (w *WebSocket) closed(f Frame) error {
	e := &CloseError{Code: 1005}
	if len(f.Payload) >= 2 {
		e.Code, e.Reason = int(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
	}
	w.mu.Lock()
	answered := w.closing
	w.mu.Unlock()
	if !answered {
		_ = w.WriteFrame(Frame{Op: CloseFrame, Payload: f.Payload})
	}
	return e
}

// inflater undoes permessage-deflate and keeps the window that a server may
// carry over from message to message.
type inflater struct{ window []byte }

func (i *inflater) inflate(packed []byte) ([]byte, error) {
	tail := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff} // the flush that was cut off, and an empty last block
	z := flate.NewReaderDict(io.MultiReader(bytes.NewReader(packed), bytes.NewReader(tail)), i.window)
	text, err := io.ReadAll(io.LimitReader(z, maxFrame))
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	i.window = append(i.window, text...)
	if over := len(i.window) - 32<<10; over > 0 {
		i.window = i.window[over:]
	}
	return text, nil
}
