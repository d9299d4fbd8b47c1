package clientmode

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

// Bounds of what a client can make the server keep.
const (
	maxBody  = 4 << 20
	maxSeen  = 20_000           // messages; a client that sends more is stopped
	Cookie   = "BAYEUX_BROWSER" // name of the cookie that a session is bound to
	tooQuick = 200              // requests and connections in a window: no case needs so many
)

// Upgrade is what becomes of a WebSocket upgrade; the zero value accepts it.
type Upgrade struct {
	Status    int  // refuse with this status
	Reset     bool // reset the connection
	BlackHole bool // never answer
	Then      Fault
}

// server is the scripted server of one case. mu guards what stands below it;
// changed is closed and replaced when any of it changes.
type server struct {
	rec      *suite.Record
	on       suite.On
	ctx      context.Context //nolint:containedctx // the life of the server
	listener net.Listener
	path     string
	work     sync.WaitGroup
	pongs    chan []byte

	mu       sync.Mutex
	changed  chan struct{}
	conns    map[*wire.Conn]bool
	script   func(*In) *Answer
	upgrade  func(n int) Upgrade
	seen     []*In
	nth      map[string]int
	requests int // HTTP requests, frames and upgrades
	upgrades int
	sessions map[string]*session
	made     int
	holds    []*hold
	advice   M
	types    []string
	closes   []int // codes of the sockets' ends, as the client gave them
	events   []Event
	doubled  int // connects that came while one of their session was held
}

// serve starts a server; close ends it.
func serve(ctx context.Context, rec *suite.Record, on suite.On, host, token string) (*server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	s := &server{
		rec: rec, on: on, ctx: ctx, listener: listener, path: "/" + token, changed: make(chan struct{}), pongs: make(chan []byte, 1),
		conns: map[*wire.Conn]bool{}, nth: map[string]int{}, sessions: map[string]*session{},
		advice: M{"reconnect": "retry", "interval": 0, "timeout": 20_000}, types: []string{"websocket", "long-polling"},
	}
	if on == suite.LP {
		s.types = s.types[1:]
	}
	s.work.Go(s.accept)
	return s, nil
}

// close breaks all connections and waits for what serves them. Its context
// must have ended.
func (s *server) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// update changes the state and wakes whoever waits for it.
func (s *server) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits until the condition holds, at most for the given time. The
// condition is called with the lock held.
func (s *server) until(within time.Duration, condition func() bool) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		s.mu.Lock()
		ok, changed := condition(), s.changed
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		case <-s.ctx.Done():
			return false
		}
	}
}

func (s *server) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := wire.Accepted(nc, s.rec.Tape())
		s.update(func() { s.conns[c] = true })
		s.work.Go(func() {
			s.serveConn(c)
			_ = c.Close()
			s.update(func() { delete(s.conns, c) })
		})
		if s.ctx.Err() != nil { // close may have missed it
			_ = c.Close()
		}
	}
}

// serveConn serves the requests of one connection.
func (s *server) serveConn(c *wire.Conn) {
	for s.ctx.Err() == nil {
		req, body, err := c.ReadRequest(maxBody)
		if err != nil {
			return
		}
		n := 0
		s.update(func() { s.requests++; n = s.requests })
		switch {
		case wire.IsUpgrade(req):
			s.serveUpgrade(c, req)
			return
		case req.Method != http.MethodPost || !strings.HasPrefix(req.URL.Path, s.path):
			Status(http.StatusBadRequest)(&Line{ctx: s.ctx, conn: c}, nil)
		default:
			l := &Line{ctx: s.ctx, conn: c}
			s.serveHTTP(l, req, body, n)
			if l.over.Load() {
				return
			}
		}
	}
}

// serveHTTP answers one long-polling request.
func (s *server) serveHTTP(l *Line, req *http.Request, body []byte, unit int) {
	batch := s.receive(body, suite.LP, req.Header, unit)
	if batch == nil {
		Status(http.StatusBadRequest)(l, nil)
		return
	}
	if batch[0].Channel() == Handshake && batch[0].Cookie(Cookie) == "" {
		l.header = append(l.header, [2]string{"Set-Cookie", Cookie + "=" + s.path[1:] + "; Path=" + s.path + "; HttpOnly"})
	}
	var out []M
	var fault Fault
	for _, m := range batch {
		a := s.answer(m, l)
		pause(s.ctx, a.Wait)
		out = append(out, a.all()...)
		if a.Fault != nil {
			fault = a.Fault
		}
	}
	if !l.over.Load() && s.ctx.Err() == nil {
		l.send(fault, out)
	}
}

// receive notes the messages of a body; nil if it is none, or if the client
// has sent too many.
func (s *server) receive(body []byte, via suite.On, header http.Header, unit int) []*In {
	raws, err := split(body)
	if err != nil || len(raws) == 0 {
		return nil
	}
	batch := make([]*In, 0, len(raws))
	for _, raw := range raws {
		m, ok := s.rec.Parse(raw)
		if !ok {
			s.rec.Failf("the client sent what is no message: %s", raw)
			return nil
		}
		m.Unit = unit
		batch = append(batch, &In{Message: m, With: len(raws) - 1, Via: via, Header: header})
	}
	full := false
	s.update(func() {
		if full = len(s.seen) > maxSeen; full {
			return
		}
		for _, m := range batch {
			s.nth[m.Channel()]++
			m.Nth = s.nth[m.Channel()]
			s.seen = append(s.seen, m)
			if m.Channel() == Report {
				s.reportLocked(m)
			}
		}
	})
	if full {
		return nil
	}
	return batch
}

// reportLocked takes an event that came as a message.
func (s *server) reportLocked(m *In) {
	var e Event
	if raw, ok := m.Get("data"); ok && json.Unmarshal(raw, &e) == nil && e.Kind != "" {
		s.events = append(s.events, e)
	}
}

// tell takes an event of the application.
func (s *server) tell(e Event) { s.update(func() { s.events = append(s.events, e) }) }

// all returns the messages of an answer, in the order of the body.
func (a *Answer) all() []M {
	out := append([]M{}, a.Before...)
	if !a.Silent {
		out = append(out, a.With)
	}
	return append(out, a.After...)
}

// send sends messages, by a fault if there is one. Without any of them nothing
// goes over a WebSocket.
func (l *Line) send(fault Fault, out []M) {
	if len(out) == 0 && fault == nil && l.ws != nil {
		return
	}
	if out == nil {
		out = []M{}
	}
	body, err := json.Marshal(out)
	if err != nil {
		body = []byte("[]")
	}
	if fault == nil {
		fault = (*Line).usual
	}
	fault(l, body)
}

// serveUpgrade opens a WebSocket and serves it.
func (s *server) serveUpgrade(c *wire.Conn, req *http.Request) {
	var how Upgrade
	s.update(func() {
		s.upgrades++
		if s.upgrade != nil {
			how = s.upgrade(s.upgrades)
		} else if s.on == suite.LP {
			how.Status = http.StatusBadRequest
		}
	})
	l := &Line{ctx: s.ctx, conn: c}
	switch {
	case how.Status != 0:
		Status(how.Status, [2]string{"Connection", "close"})(l, nil)
		return
	case how.Reset:
		Reset()(l, nil)
		return
	case how.BlackHole:
		_ = c.Wait(s.ctx) //nolint:contextcheck // it ends with the case, not with the request
		return
	}
	ws, err := c.AcceptWebSocket(req)
	if errors.Is(err, wire.ErrNoKey) {
		s.rec.Failf("%v", err)
	}
	if err != nil {
		return // it may be gone already
	}
	ws.Pongs = s.pongs
	l.ws = ws
	if how.Then != nil {
		how.Then(l, []byte("[]"))
		if !s.goesOn(l) {
			return
		}
	}
	s.readSocket(s.ctx, l, req.Header) //nolint:contextcheck // it ends with the case, not with the request
}

// closingTime is how long a client may take to answer a close frame.
const closingTime = 5 * time.Second

// readSocket reads frames until the socket ends.
func (s *server) readSocket(ctx context.Context, l *Line, header http.Header) {
	defer s.lost(l)
	for {
		op, text, err := l.ws.ReadMessage(ctx)
		if end, ok := errors.AsType[*wire.CloseError](err); ok {
			s.update(func() { s.closes = append(s.closes, end.Code) })
		}
		if err != nil {
			return
		}
		n := 0
		s.update(func() { s.requests++; n = s.requests })
		if op != wire.Text || string(text) == "[]" {
			continue // a keep-alive of some clients
		}
		batch := s.receive(text, suite.WS, header, n)
		if batch == nil {
			return
		}
		if !s.serveFrame(l, batch) {
			return
		}
	}
}

// serveFrame answers the messages of a frame: those that are not held in one
// frame. It reports whether the socket goes on.
func (s *server) serveFrame(l *Line, batch []*In) bool {
	var out []M
	var fault Fault
	for _, m := range batch {
		a, h := s.begin(m, l)
		if h != nil {
			s.work.Go(func() { s.finish(l, s.wait(h)) })
			continue
		}
		if a.Wait > 0 {
			s.work.Go(func() { s.finish(l, a) })
			continue
		}
		out = append(out, a.all()...)
		if a.Fault != nil {
			fault = a.Fault
		}
	}
	if len(out) > 0 || fault != nil {
		l.send(fault, out)
	}
	return s.goesOn(l)
}

// finish sends an answer that was held or delayed.
func (s *server) finish(l *Line, a *Answer) {
	pause(s.ctx, a.Wait)
	if s.ctx.Err() != nil {
		return
	}
	l.send(a.Fault, a.all())
	s.goesOn(l)
}

// goesOn closes a socket whose end was sent, once the client has answered the
// close frame, and tells whether it lives.
func (s *server) goesOn(l *Line) bool {
	if !l.over.Load() {
		return true
	}
	if !l.polite.Load() {
		_ = l.conn.Close()
		return false
	}
	s.work.Go(func() { // the reader waits for the client's close frame, but not for ever
		pause(s.ctx, closingTime)
		_ = l.conn.Close()
	})
	return true
}
