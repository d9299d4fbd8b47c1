package hostileproxy

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// backend is a connection to a server. The methods do nothing on nil.
type backend struct {
	*socket
	target string
	half   bool // our half has ended.
}

func (b *backend) close(reset bool) {
	if b != nil {
		b.socket.close(reset)
	}
}

// closeWrite ends our half; the client's lock is held.
func (b *backend) closeWrite() {
	if b != nil && !b.half {
		b.half = true
		_ = b.raw.CloseWrite()
	}
}

// silence has all that comes thrown away, and nothing more written.
func (b *backend) silence() {
	if b != nil {
		b.in.abort()
		_ = b.raw.SetWriteDeadline(time.Unix(1, 0))
	}
}

// target says where the request goes.
func (c *client) target(rules Rules) string {
	targets := c.p.settings.Load().targets
	var n uint64
	switch rules.Rotation {
	case RotateConns:
		if !c.seated {
			c.seat, c.seated = c.p.turn.Add(1)-1, true
		}
		n = c.seat
	case RotateRequests:
		n = c.p.turn.Add(1) - 1
	default:
	}
	target := targets[n%uint64(len(targets))]
	if c.p.moved(c.addr, target) {
		c.p.count(c.addr, did(RuleRotation, 0, 0))
	}
	return target
}

// moved says whether the last request of the client went to another target.
func (p *HTTP) moved(client netip.Addr, target string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.last[client]
	if ok || len(p.last) < maxClients {
		p.last[client] = target
	}
	return ok && last != target
}

// reach gives the run a connection to its server: the one of the last request where that is still good.
func (c *client) reach(r *run) (*backend, error) {
	target := c.target(r.rules)
	c.mu.Lock()
	old := c.server
	usable := old != nil && old.target == target && !old.half && !old.closed() && !old.over() && !r.rules.HTTP10 && !r.up
	c.mu.Unlock()
	if usable {
		return old, nil
	}
	old.close(false)
	ctx, cancel := context.WithTimeout(r.ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: c.source(r.rules, target)}
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	raw, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errPipe
	}
	server := &backend{socket: newSocket(raw), target: target}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || r.cut != "" {
		server.close(false)
		return nil, errPipe
	}
	c.server = server
	c.wg.Go(func() {
		server.pump(func(int) time.Duration {
			c.touch()
			return 0
		})
	})
	return server, nil
}

// source is the address to dial from; nil is the system's choice.
func (c *client) source(rules Rules, target string) net.Addr {
	from := rules.Source
	if !from.IsValid() {
		to, err := netip.ParseAddrPort(target)
		if err != nil || !to.Addr().Is4() || !to.Addr().IsLoopback() || !c.addr.Is4() || !c.addr.IsLoopback() {
			return nil
		}
		from = c.addr
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
}
