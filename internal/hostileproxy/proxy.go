// Package hostileproxy is for tests of what networks do to those who use them. Proxy is a TCP proxy that harms the
// connections it carries: it cuts them after a number of bytes, cuts them all at once, stalls them and refuses new ones. It
// knows nothing of what it carries. HTTP is a reverse proxy with the habits of gateways, scanners, firewalls and address
// translators (Rules), for all clients or for those of one address, and counts what it did.
package hostileproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxLinks bounds the connections carried at once; more are refused.
	maxLinks = 1024
	// bufferSize bounds the bytes that the proxy keeps for each direction of a connection.
	bufferSize = 16 << 10
	// dialTimeout bounds the wait for the target.
	dialTimeout = 5 * time.Second
)

// Direction says which way bytes flow.
type Direction int

// The two directions of a connection.
const (
	ToServer Direction = iota
	ToClient
)

// String names the direction for messages of tests.
func (d Direction) String() string {
	if d == ToServer {
		return "client to server"
	}
	return "server to client"
}

// Cut is one planned cut: the connection that carries the After-th byte in the direction Dir ends right behind that
// byte. Bytes count over all connections, from the moment the cut comes first in the plan. An After below one counts as one.
type Cut struct {
	Dir   Direction
	After int64
	// Reset ends the connection by RST, so that its ends may lose what was on the way. Otherwise it ends by FIN.
	Reset bool
}

// String tells the cut for messages of tests.
func (c Cut) String() string {
	how := "FIN"
	if c.Reset {
		how = "RST"
	}
	return fmt.Sprintf("%s after %d bytes %s", how, c.After, c.Dir)
}

// RandomCuts draws n cuts, each after one to limit bytes, three of four on the way to the client. The same source of
// random numbers gives the same cuts. A limit below one counts as one.
func RandomCuts(rng *rand.Rand, n int, limit int64) []Cut {
	cuts := make([]Cut, max(n, 0))
	for i := range cuts {
		cuts[i] = Cut{Dir: ToClient, After: 1 + rng.Int64N(max(limit, 1)), Reset: rng.IntN(3) == 0}
		if rng.IntN(4) == 0 {
			cuts[i].Dir = ToServer
		}
	}
	return cuts
}

// Stats counts what a proxy has done since it was made.
type Stats struct {
	// Accepted counts connections carried, Refused those turned away, Open those carried now.
	Accepted, Refused, Open int
	// Planned counts planned cuts that happened, Cuts all connections cut, planned or by CutAll.
	Planned, Cuts int
	// Forwarded counts the bytes passed on, by direction.
	Forwarded [2]int64
}

// Proxy forwards TCP connections to one target. All methods may be called from any goroutine.
type Proxy struct {
	target string
	ln     net.Listener
	wg     sync.WaitGroup

	mu      sync.Mutex
	links   map[*link]struct{}
	plan    []Cut
	counted int64         // bytes that count for plan[0].
	source  netip.Addr    // where the target is dialled from; the zero value leaves that to the system.
	stalled chan struct{} // closed by Resume; nil when bytes flow.
	refuse  bool
	closed  bool
	stats   Stats
	changed chan struct{} // closed and replaced when stats change.
}

// New starts a proxy on a free loopback port that forwards to target ("host:port"). Close stops it.
func New(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("hostileproxy: %w", err)
	}
	p := &Proxy{target: target, ln: ln, links: map[*link]struct{}{}, changed: make(chan struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is the address ("host:port") where the proxy listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// From has the target dialled from that address from now on, so that it sees those who come here as a network of their own.
// Connections that are there stay as they are. The zero value leaves the choice to the system, as at first.
func (p *Proxy) From(source netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.source = source
}

// dialer dials the target.
func (p *Proxy) dialer() *net.Dialer {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := new(net.Dialer)
	if p.source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.source, 0))
	}
	return d
}

// CutAll ends all connections now, by RST if reset, and returns how many it ended. New ones are welcome at once.
func (p *Proxy) CutAll(reset bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.links)
	for l := range p.links {
		l.end(reset)
		delete(p.links, l)
	}
	p.stats.Cuts += n
	p.notify()
	return n
}

// Plan adds cuts behind those already planned.
func (p *Proxy) Plan(cuts ...Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = append(p.plan, cuts...)
}

// Unplan forgets the cuts that have not happened and returns how many there were.
func (p *Proxy) Unplan() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.plan)
	p.plan, p.counted = nil, 0
	return n
}

// Stall stops forwarding in both directions, while connections stay open and new ones are accepted.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil && !p.closed {
		p.stalled = make(chan struct{})
	}
}

// Resume lets bytes flow and new connections in again.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
	p.flow()
}

// Refuse resets new connections until Resume. It leaves the old ones alone.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
}

// Stats returns the counts so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Open = len(p.links)
	return s
}

// Wait returns nil as soon as the condition holds for the counts, or the error of ctx.
func (p *Proxy) Wait(ctx context.Context, condition func(Stats) bool) error {
	for {
		p.mu.Lock()
		changed := p.changed
		s := p.stats
		s.Open = len(p.links)
		p.mu.Unlock()
		if condition(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("hostileproxy: still %+v: %w", s, ctx.Err())
		}
	}
}

// Close ends the proxy and its connections, and waits for its goroutines. It may be called more than once.
func (p *Proxy) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.flow()
	for l := range p.links {
		l.end(false)
	}
	p.mu.Unlock()
	var err error
	if first {
		err = p.ln.Close()
	}
	p.wg.Wait()
	return err
}

// flow ends a stall; p.mu is held.
func (p *Proxy) flow() {
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// notify wakes those who wait for the counts; p.mu is held.
func (p *Proxy) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		l := &link{client: c, done: make(chan struct{})}
		if !p.admit(l) {
			l.end(true)
			continue
		}
		p.wg.Go(func() { p.carry(l) })
	}
}

// admit counts the connection and says whether it may be carried.
func (p *Proxy) admit(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.notify()
	if p.refuse || p.closed || len(p.links) >= maxLinks {
		p.stats.Refused++
		return false
	}
	p.links[l] = struct{}{}
	p.stats.Accepted++
	return true
}

// carry connects to the target and pumps both ways until both are over.
func (p *Proxy) carry(l *link) {
	defer p.release(l)
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	go func() {
		select {
		case <-l.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	server, err := p.dialer().DialContext(ctx, "tcp", p.target)
	if err != nil || !l.attach(server) {
		l.end(true)
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, ToServer, server, l.client) })
	p.pump(l, ToClient, l.client, server)
	both.Wait()
	l.end(false)
}

// release forgets a connection that is over.
func (p *Proxy) release(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	p.notify()
}

// pump forwards one direction until its source ends, an error comes or the connection is cut.
func (p *Proxy) pump(l *link, dir Direction, dst, src net.Conn) {
	buf := make([]byte, bufferSize)
	for {
		n, err := src.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			if !p.flowing(l) {
				return
			}
			k, cut := p.allow(dir, len(rest))
			_, werr := dst.Write(rest[:k])
			if cut != nil { // It is spent, and counts, even where the other end was faster to go.
				p.cut(l, *cut)
				return
			}
			if werr != nil {
				l.end(false)
				return
			}
			rest = rest[k:]
		}
		if err != nil {
			// An orderly end of one direction is passed on as such; anything else ends both.
			if !errors.Is(err, io.EOF) || closeWrite(dst) != nil {
				l.end(false)
			}
			return
		}
	}
}

// flowing waits while the proxy is stalled and says whether the connection still lives.
func (p *Proxy) flowing(l *link) bool {
	for {
		p.mu.Lock()
		stalled := p.stalled
		p.mu.Unlock()
		if stalled == nil {
			return true
		}
		select {
		case <-stalled:
		case <-l.done:
			return false
		}
	}
}

// allow says how many of n bytes may pass before the next planned cut, and that cut if it is due behind them.
func (p *Proxy) allow(dir Direction, n int) (int, *Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.notify()
	if len(p.plan) == 0 || p.plan[0].Dir != dir {
		p.stats.Forwarded[dir] += int64(n)
		return n, nil
	}
	left := max(p.plan[0].After, 1) - p.counted
	if int64(n) < left {
		p.counted += int64(n)
		p.stats.Forwarded[dir] += int64(n)
		return n, nil
	}
	cut := p.plan[0]
	p.plan, p.counted = p.plan[1:], 0
	p.stats.Forwarded[dir] += left
	return int(left), &cut
}

// cut ends the connection as planned.
func (p *Proxy) cut(l *link, c Cut) {
	l.end(c.Reset)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Planned++
	p.stats.Cuts++
	p.notify()
}
