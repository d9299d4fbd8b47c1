package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// closeTime is how long a client has to answer a close of ours.
const closeTime = 5 * time.Second

// link is one WebSocket: the client's connection and the server's.
type link struct {
	p       *proxy
	r       *http.Request // the upgrade
	client  *half
	server  *half
	deflate bool // compressed messages can be looked into

	ctx  context.Context //nolint:containedctx // the life of the connection
	stop context.CancelFunc

	// Guarded by p.mu.
	s        *session
	waiting  []*message // requests without an answer
	unwanted []*message // those whose answer goes nowhere
	shut     bool       // we have sent a close frame to the client
	pushed   int        // messages that came with no request
	notes    map[string]string
}

// half is one side of a link.
type half struct {
	conn net.Conn
	r    *bufio.Reader
	mu   sync.Mutex // serialises writes
	dead bool
}

func (h *half) write(b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return net.ErrClosed
	}
	_, err := h.conn.Write(b)
	return err
}

// opensSocket tells whether a request wants to become a WebSocket.
func opensSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// serveSocket asks the server for a WebSocket and carries it.
func (p *proxy) serveSocket(ctx context.Context, w http.ResponseWriter, x *exchange) {
	hook(p, p.hooks.upgrade, x)
	if x.status != 0 {
		if x.write(w) != nil {
			x.abort()
		}
		return
	}
	conn, err := p.dial(ctx)
	if err != nil {
		x.abort()
		return
	}
	server := &half{conn: conn, r: bufio.NewReader(conn)}
	free := context.AfterFunc(ctx, func() { _ = conn.Close() })
	head, resp, err := askSocket(server, x.r)
	switch {
	case err != nil:
		_ = conn.Close()
		x.abort()
	case resp.StatusCode != http.StatusSwitchingProtocols:
		defer func() { _ = conn.Close() }()
		x.relay(w, resp)
	case !free():
		_ = conn.Close()
	default:
		p.join(w, x, server, head, resp)
	}
}

// askSocket sends the upgrade and reads the head of the answer.
func askSocket(server *half, r *http.Request) (head []byte, resp *http.Response, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Host)
	_ = r.Header.Write(&b) // to memory
	b.WriteString("\r\n")
	if err := server.write(b.Bytes()); err != nil {
		return nil, nil, err
	}
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := server.r.ReadSlice('\n')
		if err != nil {
			return nil, nil, err
		}
		head = append(head, line...)
	}
	all := bufio.NewReader(io.MultiReader(bytes.NewReader(head), server.r))
	resp, err = http.ReadResponse(all, r)
	return head, resp, err
}

// relay passes on an answer that is no upgrade.
func (x *exchange) relay(w http.ResponseWriter, resp *http.Response) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	x.status, x.header, x.text, x.length, x.close = resp.StatusCode, resp.Header, text, resp.ContentLength, resp.Close
	hook(x.p, x.p.hooks.response, x)
	if err != nil || x.cut || x.write(w) != nil {
		x.abort()
	}
}

// join makes the link and carries it until its end.
func (p *proxy) join(w http.ResponseWriter, x *exchange, server *half, head []byte, resp *http.Response) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	l := &link{
		p: p, r: x.r, server: server, client: &half{conn: conn, r: rw.Reader}, notes: map[string]string{},
		deflate: keepsNoContext(resp.Header),
	}
	l.ctx, l.stop = context.WithCancel(p.ctx)
	header := resp.Header.Clone()
	p.locked(func() {
		if p.links[l] = struct{}{}; p.hooks.switched != nil {
			p.hooks.switched(l, header)
			head = switchedHead(head, resp.Header, header)
		}
		if p.hooks.opened != nil {
			p.hooks.opened(l)
		}
	})
	if l.client.write(head) == nil {
		l.carry()
	}
	l.end(false)
	p.locked(func() {
		delete(p.links, l)
		p.forget(nil, l)
	})
}

// switchedHead returns the head of the 101, made anew where a hook has changed
// its header.
func switchedHead(head []byte, was, is http.Header) []byte {
	same := len(was) == len(is)
	for name, values := range is {
		same = same && slices.Equal(values, was[name])
	}
	if same {
		return head
	}
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = is.Write(&b) // to memory
	b.WriteString("\r\n")
	return b.Bytes()
}

// keepsNoContext tells whether compressed messages can be read one by one.
func keepsNoContext(h http.Header) bool {
	e := h.Get("Sec-Websocket-Extensions")
	return strings.Contains(e, "permessage-deflate") &&
		strings.Contains(e, "server_no_context_takeover") && strings.Contains(e, "client_no_context_takeover")
}

// end closes both connections, by a reset where one was seen.
func (l *link) end(reset bool) {
	l.stop()
	for _, h := range []*half{l.client, l.server} {
		if tcp, ok := h.conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = h.conn.Close()
	}
}

// carry pumps both ways until both are over.
func (l *link) carry() {
	var both sync.WaitGroup
	both.Go(func() { l.pump(l.client, l.server, true) })
	l.pump(l.server, l.client, false)
	both.Wait()
}

// pump carries one way. The end of a way is passed on as such, anything else
// ends the link.
func (l *link) pump(from, to *half, up bool) {
	err := errOpaque
	if l.p.hooks.decodes() {
		err = l.packets(from, to, up)
	}
	if errors.Is(err, errOpaque) {
		_, err = io.Copy(lockedWriter{to}, from.r)
	}
	if up {
		hook(l.p, l.p.hooks.closed, l)
	}
	switch {
	case !up && l.isShut():
		// The client has its close frame from us and is going to answer it.
	case err != nil && !errors.Is(err, io.EOF):
		l.end(errors.Is(err, syscall.ECONNRESET))
	case closeWrite(to.conn) != nil:
		l.end(false)
	}
}

// closeWrite ends the writing half of a TCP connection.
func closeWrite(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return tcp.CloseWrite()
}

type lockedWriter struct{ h *half }

func (w lockedWriter) Write(b []byte) (int, error) { return len(b), w.h.write(b) }

func (l *link) isShut() (shut bool) {
	l.p.locked(func() { shut = l.shut })
	return shut
}

// packets carries one way, packet by packet, until the connection ends or is
// not to be understood.
func (l *link) packets(from, to *half, up bool) error {
	var open *packet
	for {
		k, rest, err := readPacket(from.r, &open)
		if err != nil {
			if len(rest) > 0 {
				err = errors.Join(err, to.write(rest))
			}
			return err
		}
		k.l, k.up = l, up
		if up && l.isShut() { // nothing counts any more but the client's own close
			if k.op == ws.OpClose {
				return errCut
			}
			continue
		}
		if err := l.pass(k, to); err != nil {
			return err
		}
	}
}

// pass takes one packet through the hooks and writes it.
func (l *link) pass(k *packet, to *half) error {
	h := &l.p.hooks
	if k.op.IsControl() {
		hook(l.p, h.control, k)
		return l.put(k, to)
	}
	if !l.reveal(k) {
		return to.write(k.raw)
	}
	hook(l.p, h.data, k)
	if k.drop || k.op != ws.OpText {
		return l.put(k, to)
	}
	u := newUnit(l.p, WebSocket, k.payload)
	if u == nil {
		return l.put(k, to)
	}
	u.l = l
	if k.up {
		l.p.enter(u)
	} else {
		l.p.leave(u, nil)
	}
	return l.send(u, k, to)
}

// reveal inflates a packet, and reports whether it can be looked into.
func (l *link) reveal(k *packet) bool {
	if !k.compressed {
		return true
	}
	if !l.deflate {
		return false
	}
	text, err := inflate(k.payload)
	k.payload = text
	return err == nil
}

// hush takes the answers that a client has from us out of a unit. p.mu is held.
func (l *link) hush(u *unit) {
	u.keep(func(m *message) bool {
		i := slices.Index(l.unwanted, u.asks[m])
		if i < 0 || u.asks[m] == nil {
			return true
		}
		l.unwanted = slices.Delete(l.unwanted, i, i+1)
		return false
	})
}

// put writes a packet unless it was dropped.
func (l *link) put(k *packet, to *half) error {
	if k.drop {
		return nil
	}
	return to.write(k.bytes())
}

// send writes a unit: now or later, and the close that a hook wants behind it.
func (l *link) send(u *unit, k *packet, to *half) error {
	if u.closing != 0 {
		defer l.shutDown(u.closing, "")
	}
	if u.drop {
		return nil
	}
	out, op := k.bytes(), ws.OpText
	if u.binary {
		op = ws.OpBinary
	}
	if !u.same() || u.binary {
		out = nil
		for _, text := range u.texts() {
			out = append(out, encodeFrame(k.up, op, text)...)
		}
	}
	if u.wait > 0 {
		l.p.wg.Go(func() {
			if l.p.pause(l.ctx, u.wait) {
				_ = to.write(out)
			}
		})
		return nil
	}
	return to.write(out)
}

// sendDown writes a message to the client when the hook has returned. p.mu is
// held.
func (l *link) sendDown(msgs []*message) {
	l.p.later(func() { _ = l.client.write(encodeFrame(false, ws.OpText, encodeBatch(msgs))) })
}

// sendUp writes a message to the server when the hook has returned; answers to
// ids of ours do not reach the client. p.mu is held.
func (l *link) sendUp(msgs []*message) {
	l.p.later(func() { _ = l.server.write(encodeFrame(true, ws.OpText, encodeBatch(msgs))) })
}

// shutDown closes the connection in the server's stead: the client gets a
// close frame, the server sees the connection lost.
func (l *link) shutDown(code ws.StatusCode, reason string) {
	l.p.locked(func() { l.shut = true })
	_ = l.client.write(encodeFrame(false, ws.OpClose, ws.NewCloseFrameBody(code, reason)))
	l.client.mu.Lock()
	l.client.dead = true
	l.client.mu.Unlock()
	_ = l.server.conn.Close()
	_ = l.client.conn.SetReadDeadline(time.Now().Add(closeTime))
}
