package hostileproxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// drainTime bounds the wait for what is on its way to a client whose connection ends in order.
	drainTime = 30 * time.Second
	// lingerTime bounds the wait for the client's own end after that, without which the client could get an RST.
	lingerTime = 2 * time.Second
	// segmentSize is what Rules.Loss takes for a segment.
	segmentSize = 1460
	// defaultLossDelay is the first wait for a lost segment.
	defaultLossDelay = 200 * time.Millisecond
	// maxRepeats bounds how often a segment is lost in a row.
	maxRepeats = 5
)

// client is one connection of a client. Four goroutines serve it: its own, which reads requests and has them answered, one
// that reads the socket, one that writes it, and a guard that watches the limits of time.
type client struct {
	*socket
	p       *HTTP
	addr    netip.Addr
	born    time.Time
	touched atomic.Int64 // when the last byte came from either side, since born.
	out     *pipe
	wrote   chan struct{} // closed when nothing more is written.
	poke    chan struct{} // capacity 1; has the guard look again.
	served  chan struct{} // closed when there are no more requests.
	dead    chan struct{} // closed when the proxy is closed.
	wg      sync.WaitGroup
	placed  bool // has one of the places of its address; p.mu is its lock.
	seat    uint64
	seated  bool // seat was drawn from the rotation.

	mu     sync.Mutex
	server *backend
	run    *run
	over   bool
	how    End  // how it ended, if over.
	mute   bool // nothing is sent to the client any more.
	quits  sync.Once
}

// verdict says that a rule ends a connection, or its request.
type verdict struct {
	rule   Rule
	how    End
	status int
	since  time.Time // from when the rule counts.
	limit  time.Duration
	bytes  int64 // what was too much; zero is what the client has got.
	run    *run  // what it is about; nil is the connection.
}

func newClient(p *HTTP, raw *net.TCPConn) *client {
	var addr netip.Addr
	if remote, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		addr = remote.AddrPort().Addr().Unmap()
	}
	return &client{
		socket: newSocket(raw), p: p, addr: addr, born: time.Now(), out: newPipe(), wrote: make(chan struct{}),
		poke: make(chan struct{}, 1), served: make(chan struct{}), dead: make(chan struct{}),
	}
}

func (c *client) rules() Rules { return c.p.settings.Load().rules(c.addr) }

func (c *client) touch() { c.touched.Store(int64(time.Since(c.born))) }

func (c *client) lastByte() time.Time { return c.born.Add(time.Duration(c.touched.Load())) }

// serve carries the connection until its end.
func (c *client) serve() {
	defer c.p.release(c)
	defer c.wg.Wait()
	c.wg.Go(func() {
		c.pump(func(n int) time.Duration {
			c.touch()
			return c.delay(n)
		})
	})
	c.wg.Go(c.write)
	c.wg.Go(c.guard)
	crowded, ok := c.await()
	for ok {
		ok = c.next(crowded)
	}
	c.end(ByFIN)
	close(c.served)
	c.linger()
}

// await waits for a place among the connections of the address, and says whether it was refused one, and whether there is
// something to serve.
func (c *client) await() (crowded, ok bool) {
	waited := false
	for {
		s := c.p.settings.Load()
		rules := s.rules(c.addr)
		again := c.p.place(c, rules.MaxConns)
		switch {
		case again == nil:
			if waited {
				c.p.count(c.addr, did(RuleConnsWait, time.Since(c.born), 0))
			}
			return false, true
		case !rules.ConnsWait:
			if rules.ConnsEnd == ByAnswer {
				return true, true
			}
			c.cut(verdict{rule: RuleConns, how: rules.ConnsEnd, since: c.born})
			return true, false
		}
		waited = true
		select {
		case <-again:
		case <-s.changed:
		case <-c.in.gone:
			return false, false
		case <-c.ended:
			return false, false
		}
	}
}

// next serves one request and says whether there may be another.
func (c *client) next(crowded bool) bool {
	if _, err := c.br.Peek(1); err != nil {
		return false
	}
	req, err := head(c.socket, http.ReadRequest)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errHead) {
			status = http.StatusRequestHeaderFieldsTooLarge
		}
		_ = c.send(answer("HTTP/1.1", status, true))
		return false
	}
	r := c.begin(req)
	defer c.finish(r)
	if crowded {
		c.cut(verdict{rule: RuleConns, how: ByAnswer, status: http.StatusServiceUnavailable, since: c.born, run: r})
		r.keep = false
		return r.fail(errPipe)
	}
	return r.serve()
}

// send puts bytes on their way to the client.
func (c *client) send(b []byte) error {
	c.mu.Lock()
	mute := c.mute
	c.mu.Unlock()
	if mute {
		return nil
	}
	return c.out.put(b, c.delay(len(b)))
}

// write sends what is due.
func (c *client) write() {
	defer close(c.wrote)
	buf := make([]byte, pieceSize)
	for {
		n, err := c.out.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = c.raw.CloseWrite()
			}
			return
		}
		if _, err := c.raw.Write(buf[:n]); err != nil {
			c.out.abort()
			return
		}
	}
}

// delay is how long n bytes are on their way.
func (c *client) delay(n int) time.Duration {
	rules := c.rules()
	if rules.Loss == 0 {
		return rules.Latency
	}
	first := rules.LossDelay
	if first == 0 {
		first = defaultLossDelay
	}
	var stall time.Duration
	for ; n > 0; n -= segmentSize {
		var own time.Duration
		for wait, i := first, 0; i < maxRepeats && c.p.chance() < rules.Loss; wait, i = 2*wait, i+1 {
			own += wait
		}
		if own > 0 {
			c.p.count(c.addr, did(RuleLoss, own, int64(min(n, segmentSize))))
		}
		stall = max(stall, own)
	}
	return rules.Latency + stall
}

// guard watches the limits of time while requests are served, and passes on the client's end.
func (c *client) guard() {
	ended := c.ended
	for {
		s := c.p.settings.Load()
		var due <-chan time.Time
		if wait := c.judge(s.rules(c.addr)); wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-due:
		case <-s.changed:
		case <-c.poke:
		case <-ended:
			ended = nil
			c.passEnd()
		case <-c.served:
			return
		}
	}
}

// judge ends what has gone on for too long, and returns the time until the next limit; zero is never.
func (c *client) judge(rules Rules) time.Duration {
	var next time.Duration
	for _, v := range c.limits(rules) {
		left := v.limit - time.Since(v.since)
		if left <= 0 {
			c.cut(v)
		} else if next == 0 || left < next {
			next = left
		}
	}
	return next
}

// limits lists the limits of time that are in force.
func (c *client) limits(rules Rules) []verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []verdict
	add := func(limit time.Duration, v verdict) {
		if limit > 0 {
			v.limit = limit
			all = append(all, v)
		}
	}
	r := c.run
	idle := verdict{rule: RuleIdle, how: rules.IdleEnd, status: http.StatusGatewayTimeout, since: c.lastByte(), run: r}
	switch {
	case c.over:
		return nil
	case r == nil:
		idle.rule = RuleIdleUnused
	case r.tunnel:
		add(rules.MaxTunnel, verdict{rule: RuleTunnelLife, how: rules.TunnelEnd, since: r.opened, run: r})
		if r.holeDue(rules) {
			all = append(all, verdict{rule: RuleBlackHole, how: BySilence, since: r.opened, run: r})
		}
	default:
		add(rules.MaxDuration, verdict{rule: RuleDuration, how: rules.DurationEnd, status: http.StatusGatewayTimeout, since: r.start, run: r})
	}
	add(rules.IdleCut, idle)
	return all
}

// cut does what the verdict says, unless what it is about is over or was cut before. It counts first, so that whoever sees
// the cut finds it counted.
func (c *client) cut(v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.run
	past := v.run != nil && v.run != r || v.rule == RuleIdleUnused && r != nil
	if c.over || past || r != nil && r.cut != "" {
		return
	}
	bytes := v.bytes
	if r != nil && bytes == 0 {
		bytes = r.received.Load()
	}
	c.p.count(c.addr, did(v.rule, time.Since(v.since), bytes))
	if r != nil {
		r.cut = v.rule
		if v.how == ByAnswer && !r.tunnel && !r.answering {
			r.status = v.status
			r.cancel()
			c.server.close(false)
			return
		}
	}
	c.endLocked(v.how)
}

// end ends the connection, unless it is over.
func (c *client) end(how End) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(how)
}

func (c *client) endLocked(how End) {
	if c.over {
		return
	}
	c.over, c.how = true, how
	c.in.abort()
	if c.run != nil {
		c.run.cancel()
	}
	switch how {
	case ByReset:
		c.out.abort()
		c.close(true)
		c.server.close(true)
	case BySilence:
		c.out.finish(errSilent)
		c.server.silence()
	default:
		c.out.finish(io.EOF)
		c.server.close(false)
	}
}

// passEnd passes the client's end on to the server.
func (c *client) passEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.socket.over() {
		return
	}
	if !errors.Is(c.err, io.EOF) {
		c.endLocked(ByReset)
		return
	}
	if r := c.run; r != nil && !r.tunnel && r.forwarded && !c.over && c.in.empty() {
		c.server.closeWrite()
	}
}

// linger waits until the connection may be closed, and closes it.
func (c *client) linger() {
	c.mu.Lock()
	how, server := c.how, c.server
	holeEnds := c.rules().HoleEnds
	c.mu.Unlock()
	switch {
	case how != BySilence:
		wait(drainTime, c.wrote, c.dead)
		wait(lingerTime, c.ended, c.dead)
	case server == nil:
		wait(0, c.ended, c.dead)
	case holeEnds:
		wait(0, c.ended, c.dead, server.ended)
	default:
		wait(0, c.ended, c.dead)
		wait(0, server.ended, c.dead)
	}
	c.out.abort()
	c.close(false)
	server.close(false)
}

// wait waits for one of the channels, no longer than limit; zero is without limit. The first three count.
func wait(limit time.Duration, done ...<-chan struct{}) {
	done = append(done, nil, nil)
	var due <-chan time.Time
	if limit > 0 {
		due = time.After(limit)
	}
	select {
	case <-done[0]:
	case <-done[1]:
	case <-done[2]:
	case <-due:
	}
}

// quit ends the connection at once, because the proxy is closed.
func (c *client) quit() {
	c.end(ByFIN)
	c.quits.Do(func() { close(c.dead) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.abort()
	c.close(false)
	c.server.close(false)
}
