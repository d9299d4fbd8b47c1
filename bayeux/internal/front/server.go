package front

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Server serves the listeners of an http.Server. It is safe for concurrent use.
type Server struct {
	hs          *http.Server
	path, below string
	pumped      bool // connections without a descriptor are taken as well
	buffers     buffers
	pool        *pool
	clock       *clock
	stopping    atomic.Bool // changed with mu held

	mu sync.Mutex
	// Guarded by mu.
	poll     *poller
	conns    map[*Conn]struct{}
	hijacked int           // of conns
	serving  int           // listeners that bring connections
	shut     bool          // nothing is left, and nothing can come
	empty    chan struct{} // closed when nothing but hijacked connections is left
}

// New returns a Server that takes requests for a path and what is below it.
// Requests for other paths are net/http's.
func New(hs *http.Server, path string) *Server {
	s := &Server{
		hs: hs, path: path, below: strings.TrimSuffix(path, "/") + "/",
		pool: newPool((*Conn).run), conns: make(map[*Conn]struct{}), empty: make(chan struct{}),
		clock: newClock(),
	}
	return s
}

// Pumped has it take connections of any listener, each of which a goroutine
// reads: for tests, in memory, where no request waits for another's handler.
func (s *Server) Pumped() {
	s.pumped = true
	s.pool.most, s.pool.limit = pumpedWorkers, pumpedWorkers
}

const pumpedWorkers = 10_000

// Serve serves a listener as http.Server.Serve does, and returns what that would.
// The engine takes plain TCP on Linux, of servers without BaseContext,
// ConnContext and ConnState, which would have to be told of connections that it
// has; all else is net/http's alone.
func (s *Server) Serve(l net.Listener) error {
	tcp, bare := l.(*net.TCPListener)
	hooks := s.hs.BaseContext != nil || s.hs.ConnContext != nil || s.hs.ConnState != nil
	if hooks || !s.pumped && (!bare || !supported) {
		return s.hs.Serve(l)
	}
	w := newWay(l, s.drain)
	if !s.begin(bare) {
		return s.hs.Serve(l)
	}
	w.acceptor = &Conn{s: s, state: listening}
	go func() { // ends with the listener
		defer s.over()
		if bare {
			w.fail(s.acceptTCP(tcp, w))
		} else {
			w.fail(s.acceptAny(l, w))
		}
	}()
	return s.hs.Serve(w)
}

// begin counts a listener in; false: the platform does not let us, or it is too
// late.
func (s *Server) begin(epoll bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	if epoll && s.poll == nil {
		p, err := newPoller()
		if err != nil {
			s.logf("front: %v; net/http serves alone", err)
			return false
		}
		s.poll = p
	}
	s.serving++
	return true
}

// over counts a listener out.
func (s *Server) over() {
	s.mu.Lock()
	s.serving--
	s.settle()
	s.mu.Unlock()
}

// acceptAny takes the connections of a listener in memory.
func (s *Server) acceptAny(l net.Listener, w *way) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		c := &Conn{s: s, way: w, pump: newPump(conn), fresh: true}
		if s.enter(c) {
			c.begun(s.headerTime())
			go c.pump.run(c) // ends with the connection
		} else {
			_ = conn.Close()
		}
	}
}

// begun begins the wait for the first request.
func (c *Conn) begun(by instant.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == over {
		return
	}
	c.by = by
	c.expireAt(by)
}

// enter makes a connection known.
func (s *Server) enter(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

// forget is the end of a connection, as far as the engine goes.
func (s *Server) forget(c *Conn, hijacked bool) {
	if c.pump == nil {
		s.poll.remove(c)
	}
	s.clock.drop(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.conns[c]; !known {
		return
	}
	delete(s.conns, c)
	if hijacked {
		s.hijacked--
	}
	s.settle()
}

// hijack notes that a connection is no request's any more.
func (s *Server) hijack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hijacked++
	s.settle()
}

// settle ends what is not needed any more. The lock is held.
func (s *Server) settle() {
	if !s.stopping.Load() || s.serving > 0 || s.shut {
		return
	}
	if len(s.conns) == s.hijacked {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
	if len(s.conns) == 0 {
		s.shut = true
		s.clock.end()
		s.pool.end()
		if s.poll != nil {
			s.poll.close()
		}
	}
}

// drain is called when net/http closes a listener: no connection waits for a
// request any more.
func (s *Server) drain() {
	s.mu.Lock()
	s.stopping.Store(true)
	s.mu.Unlock()
	for _, c := range s.all() {
		c.closeIdle()
	}
	s.mu.Lock()
	s.settle()
	s.mu.Unlock()
}

func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// Shutdown shuts the http.Server down, and waits for the requests that the engine
// has as http.Server.Shutdown does for its own. Held requests are answered by
// whom they wait for; that is to be stopped before. Hijacked connections are
// left to their owners.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain()
	err := s.hs.Shutdown(ctx)
	s.mu.Lock()
	s.settle()
	s.mu.Unlock()
	select {
	case <-s.empty:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return err
}

// Close closes the http.Server, and the connections of the engine as
// http.Server.Close does with its own.
func (s *Server) Close() error {
	s.drain()
	err := s.hs.Close()
	for _, c := range s.all() {
		c.cut()
	}
	return err
}

// headerTime is when a request must have come whole that begins now.
func (s *Server) headerTime() instant.Time {
	return s.clock.after(cmp.Or(s.hs.ReadHeaderTimeout, s.hs.ReadTimeout))
}

// idleTime is when a connection has waited long enough for its next request.
func (s *Server) idleTime() instant.Time {
	return s.clock.after(cmp.Or(s.hs.IdleTimeout, s.hs.ReadTimeout))
}

// headLimit is how long a head may be.
func (s *Server) headLimit() int {
	if s.hs.MaxHeaderBytes > 0 {
		return min(maxHead, s.hs.MaxHeaderBytes)
	}
	return maxHead
}

// takes tells whether a request is for the engine.
func (s *Server) takes(target []byte) bool {
	path, _, _ := bytes.Cut(target, []byte("?"))
	return string(path) == s.path || len(path) >= len(s.below) && string(path[:len(s.below)]) == s.below
}

func (s *Server) handler() http.Handler {
	if s.hs.Handler == nil {
		return http.DefaultServeMux
	}
	return s.hs.Handler
}

func (s *Server) logf(format string, args ...any) {
	if s.hs.ErrorLog != nil {
		s.hs.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
