package testkit

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"
)

// distantWrites is how many writes are on their way at a time.
const distantWrites = 1 << 10

// DialDistant connects to the listener over a way that takes time: what the
// client writes arrives that much later, and the writer does not wait for it.
// It is for bubbles of testing/synctest, where a loop over connections that
// answer at once keeps the time from passing.
func (l *Listener) DialDistant(ctx context.Context, delay time.Duration) (net.Conn, error) {
	conn, err := l.Dial(ctx)
	if err != nil {
		return nil, err
	}
	d := &distant{Conn: conn, delay: delay, out: make(chan parcel, distantWrites), done: make(chan struct{})}
	go d.carry() // ends with Close
	return d, nil
}

// parcel is a write on its way.
type parcel struct {
	b   []byte
	due time.Time
}

type distant struct {
	net.Conn
	delay time.Duration
	out   chan parcel
	done  chan struct{}
	once  sync.Once
}

// Write implements net.Conn.
func (d *distant) Write(b []byte) (int, error) {
	select {
	case <-d.done:
		return 0, net.ErrClosed
	default:
	}
	select {
	case d.out <- parcel{bytes.Clone(b), time.Now().Add(d.delay)}:
		return len(b), nil
	case <-d.done:
		return 0, net.ErrClosed
	}
}

// carry brings what was written to the other end.
func (d *distant) carry() {
	for {
		var p parcel
		select {
		case p = <-d.out:
		case <-d.done:
			return
		}
		select {
		case <-time.After(time.Until(p.due)):
		case <-d.done: // no sleep may outlive the bubble
			return
		}
		if _, err := d.Conn.Write(p.b); err != nil {
			return
		}
	}
}

// Close implements net.Conn. What is still on its way is lost.
func (d *distant) Close() error {
	d.once.Do(func() { close(d.done) })
	return d.Conn.Close()
}
