package bench

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// greeting is how many sessions are made at a time.
	greeting = 64
	// maxProblems bounds the errors that are told.
	maxProblems = 8
	// readBuffer is that of a connection with a goroutine of its own.
	readBuffer = 4 << 10
)

// loop runs connections without a goroutine for each.
type loop interface {
	// adopt takes over a connection, or says that it cannot.
	adopt(conn net.Conn, w *wire) bool
	// visit opens a connection and, when that has ended in good order, the next
	// one, until the run stops.
	visit(c *client, to netip.AddrPort)
	// stop closes all connections and ends the loop.
	stop()
}

// engine is a run: its sessions, connections and counters.
type engine struct {
	cfg     Config
	target  target
	names   []string // of the channels
	members []int    // of the channels
	pad     string
	clothes clothes
	epoch   time.Time
	tallies []*tally
	loops   []loop
	pubs    []*publisher
	clients []*client

	sent struct{ messages, deliveries, measuredMessages, measured atomic.Int64 }

	gate     chan struct{}
	waiting  atomic.Int64
	ready    chan struct{}
	stopping atomic.Bool
	pace     *pace // of the mode Churn
	routines sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	lostN    int
	problems []string
	aborted  chan struct{} // closed when a session was lost
}

func newEngine(cfg Config) (*engine, error) {
	t, err := cfg.target()
	if err != nil {
		return nil, err
	}
	e := &engine{
		cfg: cfg, target: t, members: cfg.members(), pad: padding(cfg.Size), clothes: clothesOf(cfg.Wire), epoch: time.Now(),
		gate: make(chan struct{}, greeting), ready: make(chan struct{}), aborted: make(chan struct{}),
		conns: make(map[net.Conn]struct{}),
	}
	if cfg.Mode == Churn {
		e.pace = newPace(cfg.ConnectRate)
	}
	run := rand.Text()[:8]
	for n := range cfg.Rooms * cfg.Channels {
		e.names = append(e.names, cfg.channelName(run, n))
	}
	shards := runtime.NumCPU()
	for range shards {
		e.tallies = append(e.tallies, newTally())
	}
	if cfg.Dial == nil && !cfg.Portable && !t.secure {
		if e.loops, err = newLoops(e, shards); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// now is the run's clock, in nanoseconds.
func (e *engine) now() int64 { return int64(time.Since(e.epoch)) }

// close ends all connections and goroutines.
func (e *engine) close() {
	e.stopping.Store(true)
	for _, l := range e.loops {
		l.stop()
	}
	e.mu.Lock()
	for conn := range e.conns {
		_ = conn.Close()
	}
	e.mu.Unlock()
	e.routines.Wait()
}

// lost notes that a session ended, or that publishing did.
func (e *engine) lost(err error) {
	if e.stopping.Load() || errors.Is(err, errDone) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lostN++; e.lostN == 1 {
		close(e.aborted)
	}
	if text := err.Error(); len(e.problems) < maxProblems && !slices.Contains(e.problems, text) {
		e.problems = append(e.problems, text)
	}
}

// losses are how many sessions were lost, and why.
func (e *engine) losses() (n int, why []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lostN, slices.Clone(e.problems)
}

// isReady counts a session that is complete.
func (e *engine) isReady() {
	<-e.gate
	if e.waiting.Add(-1) == 0 {
		close(e.ready)
	}
}

// dial opens a connection to the server.
func (e *engine) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	dial := e.cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	conn, err := dial(ctx, "tcp", e.target.addr)
	if err != nil || !e.target.secure {
		return conn, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.cfg.TLS != nil {
		config = e.cfg.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(e.target.addr)
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// open dials for a wire and lets it run.
func (e *engine) open(ctx context.Context, w *wire) error {
	conn, err := e.dial(ctx)
	if err != nil {
		return err
	}
	if w.c.pub == nil && len(e.loops) > 0 {
		l := e.loops[slices.Index(e.tallies, w.c.tally)]
		if l.adopt(conn, w) {
			return nil
		}
	}
	if p := w.c.pub; p != nil && w == p.post {
		p.mu.Lock()
		p.to = conn
		p.mu.Unlock()
	}
	e.routines.Go(func() { // ends with the connection, which close closes
		if err := e.drive(conn, w); err != nil {
			e.lost(err)
		}
	})
	return nil
}

// track keeps a connection for close, unless that was called.
func (e *engine) track(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping.Load() {
		_ = conn.Close()
		return false
	}
	e.conns[conn] = struct{}{}
	return true
}

// drive runs a connection on the caller's goroutine.
func (e *engine) drive(conn net.Conn, w *wire) error {
	if !e.track(conn) {
		return errDone
	}
	defer func() {
		_ = conn.Close()
		e.mu.Lock()
		delete(e.conns, conn)
		e.mu.Unlock()
	}()
	buf := make([]byte, readBuffer)
	out := w.start(e.now(), nil)
	for {
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return err
			}
		}
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("the server ended a connection: %w", err)
		}
		var broken error
		out, broken = w.feed(buf[:n], e.now(), out[:0])
		if errors.Is(broken, errLater) {
			if !e.await() {
				return errDone
			}
			out, broken = w.c.begin(w, e.now(), out[:0]), nil
		}
		if broken != nil {
			_, _ = conn.Write(out) // a farewell, where there is one
			return broken
		}
	}
}

// await waits for the pace; it reports false when the run ends.
func (e *engine) await() bool {
	for !e.pace.take(e.now()) {
		if e.stopping.Load() {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// newClient makes a client and its first wire.
func (e *engine) newClient(i int, publishes bool) *wire {
	c := &client{eng: e, tally: e.tallies[i%len(e.tallies)], kind: e.cfg.Transport}
	w := &wire{c: c, kind: c.kind}
	if publishes {
		c.kind, w.kind = e.cfg.PublishTransport, e.cfg.PublishTransport
		c.pub = &publisher{c: c, post: w}
		if w.kind != WebSocket {
			c.pub.post = &wire{c: c, kind: w.kind, post: true}
		}
		e.pubs = append(e.pubs, c.pub)
		return w
	}
	c.rooms = e.cfg.channelsOf(i)
	for _, s := range e.cfg.streamsOf(c.rooms) {
		c.subs = append(c.subs, sub{stream: uint32(s)}) //nolint:gosec // bounded by Config
	}
	e.clients = append(e.clients, c)
	return w
}

// connect opens all sessions of a run and waits until they are complete.
func (e *engine) connect(ctx context.Context, clients, publishers int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*e.cfg.Timeout, errors.New("not all clients are connected in time"))
	defer cancel()
	e.waiting.Store(int64(clients + publishers))
	if err := e.openAll(ctx, clients, publishers); err != nil {
		return err
	}
	select {
	case <-e.ready:
	case <-e.aborted:
		_, why := e.losses()
		return errors.New(why[0])
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, p := range e.pubs {
		if p.post.post {
			if err := e.open(ctx, p.post); err != nil {
				return err
			}
		}
	}
	return nil
}

// openAll opens connections, a bounded number at a time.
func (e *engine) openAll(ctx context.Context, clients, publishers int) error {
	begun := e.now()
	var dials sync.WaitGroup
	defer dials.Wait()
	for i := range clients + publishers {
		if e.cfg.ConnectRate > 0 {
			due := begun + int64(float64(i)/e.cfg.ConnectRate*float64(time.Second))
			rest(ctx, time.Duration(due-e.now()))
		}
		select {
		case e.gate <- struct{}{}: // isReady gives it back
		case <-e.aborted:
			_, why := e.losses()
			return errors.New(why[0])
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		w := e.newClient(i, i >= clients)
		dials.Go(func() { // ends with its dial, which is bounded
			if err := e.open(ctx, w); err != nil {
				e.lost(err)
			}
		})
	}
	return nil
}

// rest waits on the clock of the process.
func rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// look adds up all tallies.
func (e *engine) look() (sum counts, recent *hdrhistogram.Histogram) {
	recent = newHistogram()
	for _, t := range e.tallies {
		t.look(&sum, recent)
	}
	return sum, recent
}

// total is the histogram of all that was measured and looked at.
func (e *engine) total() *hdrhistogram.Histogram {
	all := newHistogram()
	for _, t := range e.tallies {
		t.mu.Lock()
		all.Merge(t.total)
		t.mu.Unlock()
	}
	return all
}
