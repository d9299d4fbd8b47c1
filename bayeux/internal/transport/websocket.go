package transport

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/front"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// WebSocketCarrier serves WebSocket connections. It is safe for concurrent
// use.
type WebSocketCarrier struct {
	hub Hub
	o   WSOptions

	buffers  pollPool
	inputs   inputPool
	writers  sync.Pool
	runners  runners
	clock    instant.Clock // of idle times
	deflater wsDeflater

	// Guarded by mu.
	mu     sync.Mutex
	conns  []*wsConn // each knows its place
	closed bool

	// live counts the connections that have not ended.
	live sync.WaitGroup
}

// NewWebSocket returns a carrier; o is copied and its zeros are replaced by the
// defaults.
func NewWebSocket(hub Hub, o WSOptions) *WebSocketCarrier {
	return &WebSocketCarrier{hub: hub, o: o.withDefaults(), clock: instant.New(time.Now())}
}

// Serve upgrades the request and returns: the connection lives on without the
// goroutine of the handler, whose stack and buffers would be kept for nothing.
// A request that cannot be upgraded is answered with an HTTP status. from says
// who sends; its transport is WebSocket.
func (s *WebSocketCarrier) Serve(w http.ResponseWriter, r *http.Request, from Origin) {
	up, refused := s.checkUpgrade(r)
	if refused == nil {
		refused = s.askPaths(from.Request)
	}
	if refused != nil {
		refused.write(w)
		return
	}
	if !s.enter() {
		w.Header().Set("Connection", "close")
		http.Error(w, "server is shutting down", http.StatusServiceUnavailable)
		return
	}
	leave, refused := s.admit(from.Request)
	if refused != nil {
		s.live.Done()
		refused.write(w)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.gone(leave)
		http.Error(w, "this connection cannot become a WebSocket", http.StatusNotImplemented)
		return
	}
	early := up.answer(conn, rw, s.o.HandshakeTimeout)
	if early.err != nil {
		_ = conn.Close()
		s.gone(leave)
		return
	}
	c := newWSConn(s, front.Bare(conn), from.Request, up.deflate)
	c.leave = leave
	c.port = s.hub.Attach(from, c)
	s.o.Observer.Count(EventWSOpened)
	s.remember(c)
	go c.start(early.data) // ends with the connection, or when a poller keeps it
}

// enter counts a connection in, unless the carrier is closed.
func (s *WebSocketCarrier) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.live.Add(1)
	return true
}

// remember makes the connection known to Shutdown, which it may have missed.
func (s *WebSocketCarrier) remember(c *wsConn) {
	s.mu.Lock()
	c.index = len(s.conns)
	s.conns = append(s.conns, c)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		c.Close(wsGoingAway, wsShutdownReason)
	}
}

// forget is the last act of a connection.
func (s *WebSocketCarrier) forget(c *wsConn) {
	s.mu.Lock()
	end := len(s.conns) - 1
	last := s.conns[end]
	s.conns[c.index], last.index = last, c.index
	s.conns[end] = nil
	s.conns = s.conns[:end]
	s.mu.Unlock()
	s.gone(c.leave)
}

// admit takes a place for a connection.
func (s *WebSocketCarrier) admit(from *bayeux.Request) (leave func(), refused *wsRefusal) {
	if s.o.Admit == nil {
		return nil, nil
	}
	leave, err := s.o.Admit(from)
	if err == nil {
		return leave, nil
	}
	s.o.Observer.Count(EventRefused)
	return nil, &wsRefusal{err.Status, err.Reason, [2]string{"Retry-After", retryAfter(err.RetryAfter)}}
}

// gone counts a connection out.
func (s *WebSocketCarrier) gone(leave func()) {
	if leave != nil {
		leave()
	}
	s.live.Done()
}

const wsShutdownReason = "server is shutting down"

// shut lets no connection in any more and returns those that are left.
func (s *WebSocketCarrier) shut() []*wsConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return slices.Clone(s.conns)
}

// Shutdown closes all connections with 1001, each after what its port has for
// it ([R-WS-26]), and waits until they have ended. When ctx is done first, they
// are cut, and its error is returned at once. New upgrades are answered with
// 503.
func (s *WebSocketCarrier) Shutdown(ctx context.Context) error {
	for _, c := range s.shut() {
		c.Close(wsGoingAway, wsShutdownReason) //nolint:contextcheck // a connection is its own context
	}
	done := make(chan struct{})
	go func() { // ends with the last connection
		s.live.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.cutAll() //nolint:contextcheck // a connection is its own context
		return ctx.Err()
	}
}

// Close cuts all connections and waits until they have ended.
func (s *WebSocketCarrier) Close() {
	s.cutAll()
	s.live.Wait()
}

func (s *WebSocketCarrier) cutAll() {
	for _, c := range s.shut() {
		c.closing.CompareAndSwap(nil, &wsClosing{code: wsAbnormal, reason: wsShutdownReason, end: EndCut})
		c.ctx.Cancel()
		c.cut()
	}
}

// inputPool lends what it takes to read a connection.
type inputPool struct{ pool sync.Pool }

func (p *inputPool) get() *wsInput {
	if in, ok := p.pool.Get().(*wsInput); ok {
		return in
	}
	return new(wsInput)
}

func (p *inputPool) put(in *wsInput) {
	in.reader = pollReader{} // keeps no connection alive
	p.pool.Put(in)
}

// writer lends a frameWriter to the flusher of c.
func (s *WebSocketCarrier) writer(c *wsConn, me *runner) *frameWriter {
	w, _ := s.writers.Get().(*frameWriter)
	if w == nil {
		w = new(frameWriter)
	}
	w.c, w.me = c, me
	return w
}

// putWriter takes a frameWriter back, without what has grown large.
func (s *WebSocketCarrier) putWriter(w *frameWriter) {
	clear(w.parts[:cap(w.parts)])
	fresh := frameWriter{buf: w.buf[:0], marks: w.marks[:0], parts: w.parts[:0], plain: w.plain[:0], try: w.try}
	if cap(fresh.buf) > frameKeepCap {
		fresh.buf = nil
	}
	if cap(fresh.plain) > frameKeepCap {
		fresh.plain = nil
	}
	if cap(fresh.parts) > frameKeepParts {
		fresh.parts = nil
	}
	*w = fresh
	s.writers.Put(w)
}

// wsEarly is what came with the upgrade.
type wsEarly struct {
	data []byte
	err  error
}

// wsRefusal is the HTTP answer to an upgrade that cannot be.
type wsRefusal struct {
	status int
	text   string
	header [2]string
}

func (e *wsRefusal) write(w http.ResponseWriter) {
	if e.header[0] != "" {
		w.Header().Set(e.header[0], e.header[1])
	}
	http.Error(w, e.text, e.status)
}
