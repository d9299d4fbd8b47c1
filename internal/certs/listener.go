package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Bounds of what peers may cost before they have shown that they speak TLS.
const (
	// HandshakeTimeout is how long a handshake may take.
	HandshakeTimeout = 10 * time.Second
	// MaxHandshakes are in progress at a time, of all listeners together.
	MaxHandshakes = 4096
	// QuietPatience is how long a peer may say nothing when others wait for a
	// place, Patience how long its handshake may then take.
	QuietPatience = 3 * time.Second
	Patience      = 8 * time.Second
)

// Listen makes a listener of TLS connections, with HTTP/2, whose handshake is
// done when Accept returns them: peers that are slow at it keep nobody waiting,
// and are cut after HandshakeTimeout, earlier when there are many.
// It ends with ctx or when it is closed.
func (k *Keeper) Listen(ctx context.Context, inner net.Listener) net.Listener {
	ctx, cancel := context.WithCancel(ctx)
	l := &listener{Listener: inner, keeper: k, done: make(chan accepted), ended: ctx.Done(), cancel: cancel}
	l.group.Go(func() { l.acceptAll(ctx) })
	return l
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

type listener struct {
	net.Listener
	keeper *Keeper
	done   chan accepted
	ended  <-chan struct{}
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.done:
		return a.conn, a.err
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It ends the handshakes in progress.
func (l *listener) Close() error {
	l.cancel()
	err := l.Listener.Close()
	l.group.Wait()
	return err
}

func (l *listener) acceptAll(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := l.Listener.Accept()
		if err != nil { // The server decides whether that is the end.
			l.hand(ctx, accepted{nil, err})
			continue
		}
		seat, err := l.keeper.room.enter(ctx, conn)
		if err != nil {
			_ = conn.Close()
			return
		}
		l.group.Go(func() {
			defer l.keeper.room.leave(seat)
			l.shake(ctx, seat)
		})
	}
}

// hand passes something to Accept; false if nobody will take it.
func (l *listener) hand(ctx context.Context, a accepted) bool {
	select {
	case l.done <- a:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *listener) shake(ctx context.Context, s *seat) {
	soon, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	conn := tls.Server(s, l.keeper.outer)
	if err := conn.HandshakeContext(soon); err != nil {
		if ctx.Err() == nil {
			l.keeper.shaken.failed(reason(err, s.cut.Load()), s.RemoteAddr())
			refusePlain(err)
		}
		_ = s.Close()
		return
	}
	l.keeper.shaken.done.Add(1)
	if conn.ConnectionState().NegotiatedProtocol == acmeProtocol {
		_ = conn.Close() // The certificate was all that was asked for.
		return
	}
	if !l.hand(ctx, accepted{conn, nil}) {
		_ = s.Close()
	}
}

// refusePlain tells who speaks HTTP without TLS what is wrong.
func refusePlain(err error) {
	plain, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || plain.Conn == nil {
		return
	}
	begin := string(plain.RecordHeader[:])
	for _, method := range []string{"GET /", "HEAD ", "POST ", "OPTIO"} {
		if strings.HasPrefix(begin, method) {
			_ = plain.Conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis port speaks HTTPS.\n")
			return
		}
	}
}
