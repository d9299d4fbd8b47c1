// Package testkit has what tests of several packages share: a listener in
// memory, so that a whole HTTP server runs inside a testing/synctest bubble,
// and scripted clients that speak raw Bayeux over it.
package testkit

import (
	"context"
	"net"
	"sync"
)

// Listener is a net.Listener whose connections are pipes in memory.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Listen returns a listener.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr{} }

// Dial connects to the listener.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- named{theirs}:
		return named{ours}, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// named gives a pipe an address that looks like one of the network.
type named struct{ net.Conn }

func (named) RemoteAddr() net.Addr { return addr{} }
func (named) LocalAddr() net.Addr  { return addr{} }

type addr struct{}

func (addr) Network() string { return "tcp" }
func (addr) String() string  { return "127.0.0.1:1" }
