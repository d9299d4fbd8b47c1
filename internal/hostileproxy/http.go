package hostileproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// maxConns bounds the connections of clients at a time; more are reset.
	maxConns = 2048
	// maxClients bounds the addresses that have rules or counts of their own.
	maxClients = 4096
	// maxBody bounds a body that the proxy keeps.
	maxBody = 64 << 20
)

// HTTP is a reverse proxy for HTTP/1.1 and what upgrades from it, which does to its clients what Rules says. Without rules
// it passes on each piece at once, upgraded connections byte for byte, and adds X-Forwarded-For and Via. It speaks plain
// TCP, carries at most 2,048 connections and resets more. Trailers are not passed on.
// All methods may be called from any goroutine.
type HTTP struct {
	ln       net.Listener
	wg       sync.WaitGroup
	settings atomic.Pointer[settings]
	keep     int           // bytes of a body; maxBody, less in tests.
	turn     atomic.Uint64 // of the rotation.

	mu     sync.Mutex
	conns  map[*client]struct{}
	hosts  map[netip.Addr]int // connections that are served, by client address.
	rng    *rand.Rand
	last   map[netip.Addr]string // the target of the last request, by client address.
	book   ledger
	closed bool
}

// settings are what can be changed; a value never changes.
type settings struct {
	targets []string
	all     Rules
	own     map[netip.Addr]Rules
	changed chan struct{} // closed when there are newer ones.
}

func (s *settings) rules(client netip.Addr) Rules {
	if r, ok := s.own[client]; ok {
		return r
	}
	return s.all
}

// NewHTTP starts a proxy on a free port of 127.0.0.1, in front of one or more targets ("host:port"). Close stops it.
func NewHTTP(targets ...string) (*HTTP, error) {
	if len(targets) == 0 {
		return nil, errors.New("hostileproxy: no target")
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("hostileproxy: %w", err)
	}
	p := &HTTP{ln: ln, keep: maxBody, conns: map[*client]struct{}{}, hosts: map[netip.Addr]int{}, last: map[netip.Addr]string{}, rng: rand.New(rand.NewPCG(1, 1)), book: newLedger()}
	p.settings.Store(&settings{targets: slices.Clone(targets), own: map[netip.Addr]Rules{}, changed: make(chan struct{})})
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is the address ("127.0.0.1:port") where the proxy listens.
func (p *HTTP) Addr() string { return p.ln.Addr().String() }

// change replaces the settings by what edit makes of a copy.
func (p *HTTP) change(edit func(*settings)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.settings.Load()
	next := &settings{targets: old.targets, all: old.all, own: maps.Clone(old.own), changed: make(chan struct{})}
	edit(next)
	p.settings.Store(next)
	close(old.changed)
}

// Set makes r the rules for all clients that have none of their own.
func (p *HTTP) Set(r Rules) {
	p.change(func(s *settings) { s.all = r.plain() })
}

// SetFor makes r the rules for clients of the address, whatever Set says. At most 4,096 addresses can have rules of their
// own; those beyond keep the rules of all.
func (p *HTTP) SetFor(client netip.Addr, r Rules) {
	p.change(func(s *settings) {
		if _, ok := s.own[client.Unmap()]; ok || len(s.own) < maxClients {
			s.own[client.Unmap()] = r.plain()
		}
	})
}

// ClearFor puts clients of the address under the rules of all again.
func (p *HTTP) ClearFor(client netip.Addr) {
	p.change(func(s *settings) { delete(s.own, client.Unmap()) })
}

// SetTargets changes where requests go from now on; none is no change. Connections to servers that are in use are left alone.
func (p *HTTP) SetTargets(targets ...string) {
	if len(targets) > 0 {
		p.change(func(s *settings) { s.targets = slices.Clone(targets) })
	}
}

// CutAll ends all connections of now, and returns how many. New ones are welcome at once. ByAnswer answers 504.
func (p *HTTP) CutAll(how End) int {
	all := p.clients()
	for _, c := range all {
		c.cut(verdict{rule: RuleCutAll, how: how, status: 504, since: c.lastByte()})
	}
	return len(all)
}

func (p *HTTP) clients() []*client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.conns))
}

// Counts returns the counts so far of all clients.
func (p *HTTP) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.book.total.clone()
}

// CountsFor returns the counts of one client address. Of the first 4,096 addresses that came, that is.
func (p *HTTP) CountsFor(client netip.Addr) Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own := p.book.clients[client.Unmap()]; own != nil {
		return own.clone()
	}
	return Counts{}
}

// Exchanges returns the latest requests and tunnels that are over, at most 4,096, in the order of their ends. A client may have
// its response a moment before that is one of them: wait until Counts has nothing Running.
func (p *HTTP) Exchanges() []Exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.book.latest()
}

// Wait returns nil as soon as the condition holds for the counts of all, or the error of ctx.
func (p *HTTP) Wait(ctx context.Context, condition func(Counts) bool) error {
	for {
		p.mu.Lock()
		counts, changed := p.book.total.clone(), p.book.changed
		p.mu.Unlock()
		if condition(counts) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("hostileproxy: still %+v: %w", counts, ctx.Err())
		}
	}
}

// Close ends the proxy and its connections, and waits for its goroutines. It may be called more than once.
func (p *HTTP) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	var err error
	if first {
		err = p.ln.Close()
	}
	for _, c := range p.clients() {
		c.quit()
	}
	p.wg.Wait()
	return err
}

func (p *HTTP) accept() {
	for {
		conn, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		raw, ok := conn.(*net.TCPConn)
		if err != nil || !ok {
			continue
		}
		c := newClient(p, raw)
		if !p.admit(c) {
			c.close(true)
			continue
		}
		p.wg.Go(c.serve)
	}
}

func (p *HTTP) admit(c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.conns) >= maxConns {
		p.book.count(c.addr, func(n *Counts) { n.Refused++ })
		return false
	}
	p.conns[c] = struct{}{}
	p.book.count(c.addr, func(n *Counts) { n.Conns++; n.Open++ })
	return true
}

func (p *HTTP) release(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	if c.placed {
		if p.hosts[c.addr]--; p.hosts[c.addr] == 0 {
			delete(p.hosts, c.addr)
		}
	}
	p.book.count(c.addr, func(n *Counts) { n.Open-- })
}

// place gives the connection one of the places of its address, if one is free. Otherwise it returns what is closed when
// it is worth asking again.
func (p *HTTP) place(c *client, limit int) (again <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit > 0 && p.hosts[c.addr] >= limit {
		return p.book.changed
	}
	p.hosts[c.addr]++
	c.placed = true
	return nil
}

// count changes the counts of all and of one client.
func (p *HTTP) count(client netip.Addr, edit func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.book.count(client, edit)
}

// chance is a random number from 0 to 1.
func (p *HTTP) chance() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.Float64()
}
