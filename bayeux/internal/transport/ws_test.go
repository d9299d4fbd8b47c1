package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// wsLease is what Done was called with.
type wsLease struct {
	sent    int
	replied bool
}

// wsPort is a scripted server's end. It checks that it is called as promised:
// one Receive, and one Take, at a time, and nothing after Closed.
type wsPort struct {
	t    testing.TB
	link Link
	from Origin
	idle time.Duration
	// receive answers a batch; nil accepts.
	receive func(p *wsPort, batch []*bayeux.Message) error
	take    func() Output // replaces outputs

	receiving, taking atomic.Int32

	mu      sync.Mutex
	outputs []Output
	limits  []int
	batches [][]*bayeux.Message
	ended   <-chan struct{} // of the last Receive
	leases  []wsLease
	closed  []string
	ends    []End
	gone    chan struct{}
}

func (p *wsPort) Receive(ctx context.Context, batch []*bayeux.Message) error {
	if p.receiving.Add(1) != 1 {
		p.t.Error("two Receives at a time")
	}
	defer p.receiving.Add(-1)
	p.mu.Lock()
	p.batches = append(p.batches, batch)
	p.ended = ctx.Done()
	late, receive := len(p.closed) > 0, p.receive
	p.mu.Unlock()
	if late {
		p.t.Error("Receive after Closed")
	}
	if receive != nil {
		return receive(p, batch)
	}
	return nil
}

func (p *wsPort) Take(_ context.Context, limit int) Output {
	if p.taking.Add(1) != 1 {
		p.t.Error("two Takes at a time")
	}
	defer p.taking.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = append(p.limits, limit)
	if len(p.closed) > 0 {
		p.t.Error("Take after Closed")
	}
	var out Output
	switch {
	case p.take != nil:
		if out = p.take(); out.Empty() {
			return out
		}
	case len(p.outputs) == 0:
		return out
	default:
		out = p.outputs[0]
		p.outputs = p.outputs[1:]
		out.More = out.More || len(p.outputs) > 0
	}
	open := true
	out.Done = func(sent int, replied bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !open {
			p.t.Error("Done called twice")
		}
		open = false
		p.leases = append(p.leases, wsLease{sent, replied})
	}
	return out
}

func (p *wsPort) Idle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}

func (p *wsPort) setIdle(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = d
}

func (p *wsPort) onReceive(f func(p *wsPort, batch []*bayeux.Message) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.receive = f
}

func (p *wsPort) firstLimit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(p.limits, 0)[0]
}

func (p *wsPort) Ended(how End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends = append(p.ends, how); len(p.closed) > 0 {
		p.t.Error("Ended after Closed")
	}
}

func (p *wsPort) Closed(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed = append(p.closed, reason); len(p.closed) == 1 {
		close(p.gone)
	}
}

// push queues an output without a wake.
func (p *wsPort) push(outs ...Output) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outputs = append(p.outputs, outs...)
}

func (p *wsPort) batchesSeen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.batches)
}

func (p *wsPort) leasesSeen() []wsLease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]wsLease(nil), p.leases...)
}

// wsHub attaches scripted ports.
type wsHub struct {
	t       testing.TB
	idle    time.Duration
	receive func(p *wsPort, batch []*bayeux.Message) error
	attach  func(p *wsPort)
	ports   chan *wsPort
}

func (h *wsHub) Request(context.Context, Origin, []*bayeux.Message) (Exchange, error) {
	return nil, &StatusError{Status: http.StatusInternalServerError, Reason: "not HTTP"}
}

func (h *wsHub) Attach(from Origin, link Link) Port {
	p := &wsPort{t: h.t, link: link, from: from, idle: h.idle, receive: h.receive, gone: make(chan struct{})}
	if h.attach != nil {
		h.attach(p)
	}
	h.ports <- p
	return p
}

// wsClient speaks frames, right and wrong ones.
type wsClient struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// wsFrame is a frame as the client sees it.
type wsFrame struct {
	op      ws.OpCode
	rsv     byte
	payload string
}

func wsMasked(first byte, payload string) []byte {
	b := frameAppendHead(nil, first, len(payload))
	b[1] |= 0x80
	mask := [4]byte{0x1f, 0x2e, 0x3d, 0x4c}
	b = append(b, mask[:]...)
	return frameUnmask(b, []byte(payload), mask, 0)
}

func (c *wsClient) raw(p []byte) {
	_, err := c.conn.Write(p)
	require.NoError(c.t, err)
}

func (c *wsClient) text(s string) { c.raw(wsMasked(frameFin|byte(ws.OpText), s)) }

func (c *wsClient) frame(first byte, payload string) { c.raw(wsMasked(first, payload)) }

func (c *wsClient) next() (wsFrame, error) {
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return wsFrame{}, err
	}
	if h.Masked || !h.Fin {
		c.t.Errorf("server sent a masked or unfinished frame: %+v", h)
	}
	p := make([]byte, h.Length)
	if _, err = io.ReadFull(c.r, p); err != nil {
		return wsFrame{}, err
	}
	return wsFrame{h.OpCode, h.Rsv, string(p)}, nil
}

func (c *wsClient) expect(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		f, err := c.next()
		require.NoError(c.t, err)
		require.Equal(c.t, wsFrame{ws.OpText, 0, want}, f)
	}
}

// expectClose reads up to the close frame, answers it and waits for the end.
func (c *wsClient) expectClose(code int) string {
	c.t.Helper()
	for {
		f, err := c.next()
		require.NoError(c.t, err, "no close frame")
		if f.op != ws.OpClose {
			continue
		}
		got, fault := frameCloseCode([]byte(f.payload))
		require.Nil(c.t, fault)
		require.Equal(c.t, code, got, f.payload)
		_, _ = c.conn.Write(wsMasked(frameFin|byte(ws.OpClose), f.payload))
		_, err = c.next()
		require.Error(c.t, err, "something came after the close frame")
		if len(f.payload) < 2 {
			return ""
		}
		return f.payload[2:]
	}
}

// wsEnv is one connection and both its ends.
type wsEnv struct {
	t       testing.TB
	carrier *WebSocketCarrier
	hub     *wsHub
	port    *wsPort
	client  *wsClient
	answer  *http.Response
	counts  *counts
}

const wsTestUpgrade = "GET /cometd HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// wsPipeWriter lets one end of a pipe be hijacked.
type wsPipeWriter struct {
	httptest.ResponseRecorder

	conn net.Conn
}

func (w *wsPipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// dialPipe connects through memory; server wraps the server's end, nil for
// none.
func (e *wsEnv) dialPipe(header string, server func(net.Conn) net.Conn) {
	near, far := net.Pipe()
	if server != nil {
		far = server(far)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wsTestUpgrade + header + "\r\n")))
	require.NoError(e.t, err)
	go e.carrier.Serve(&wsPipeWriter{conn: far}, r, Origin{Transport: WebSocket, Request: &bayeux.Request{}})
	e.connected(near)
}

// dialTCP connects through a real server.
func (e *wsEnv) dialTCP(header string, early []byte) (stop func()) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.carrier.Serve(w, r, Origin{Transport: WebSocket, Request: &bayeux.Request{}}) //nolint:contextcheck // a connection is its own context
	}))
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(e.t, err)
	_, err = conn.Write(append([]byte(wsTestUpgrade+header+"\r\n"), early...))
	require.NoError(e.t, err)
	e.connected(conn)
	return srv.Close
}

func (e *wsEnv) connected(conn net.Conn) {
	e.client = &wsClient{t: e.t, conn: conn, r: bufio.NewReader(conn)}
	var err error
	e.answer, err = http.ReadResponse(e.client.r, nil)
	require.NoError(e.t, err)
	require.Equal(e.t, http.StatusSwitchingProtocols, e.answer.StatusCode)
	e.port = <-e.hub.ports
}

func newWSEnv(t testing.TB, o WSOptions) *wsEnv {
	e := &wsEnv{t: t, hub: &wsHub{t: t, idle: 30 * time.Second, ports: make(chan *wsPort, 1)}, counts: newCounts()}
	o.Observer = e.counts
	e.carrier = NewWebSocket(e.hub, o)
	return e
}

// end checks that the connection ends, as seen by the server, exactly once.
func (e *wsEnv) end() {
	e.t.Helper()
	_ = e.client.conn.Close()
	<-e.port.gone
	e.carrier.Close()
	require.Len(e.t, e.port.closed, 1) // [R-WS-18]
	require.Len(e.t, e.port.ends, 1)
}

// wsBubble runs f on a connection through memory, in a bubble of its own time.
func wsBubble(t *testing.T, o WSOptions, f func(e *wsEnv)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newWSEnv(t, o)
		e.dialPipe("", nil)
		f(e)
		e.end()
	})
}

// wsEach runs f on connections of all kinds: memory with and without a
// poller, TCP with and without.
func wsEach(t *testing.T, o WSOptions, header string, f func(e *wsEnv)) {
	t.Helper()
	for _, poll := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "poller"}[poll]
		t.Run("memory "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := o
				if poll {
					o.Poller = newMemoryPoller()
				}
				e := newWSEnv(t, o)
				e.dialPipe(header, nil)
				f(e)
				e.end()
				if poll {
					require.NoError(t, o.Poller.Wait(context.Background()))
				}
			})
		})
		t.Run("TCP "+name, func(t *testing.T) {
			o := o
			if poll {
				o.Poller = newSystemPoller(t)
			}
			e := newWSEnv(t, o)
			stop := e.dialTCP(header, nil)
			f(e)
			e.end()
			stop()
			if poll {
				require.NoError(t, o.Poller.Wait(context.Background()))
			}
		})
	}
}

func wsFrozen(texts ...string) (out []*bayeux.Frozen) {
	for _, s := range texts {
		out = append(out, &bayeux.Frozen{JSON: []byte(s)})
	}
	return out
}

func wsReplies(groups ...[]string) (out [][][]byte) {
	for _, g := range groups {
		var group [][]byte
		for _, s := range g {
			group = append(group, []byte(s))
		}
		out = append(out, group)
	}
	return out
}
