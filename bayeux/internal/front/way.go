package front

import (
	"net"
	"sync"
	"time"
)

// way leads connections to net/http, and stands for the listener they came by:
// it is a listener that net/http serves and closes.
type way struct {
	net.Listener
	closing func()

	acceptor *Conn // told when it is done; may be nil

	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	err   error // why it is done, when the listener has failed
}

func newWay(l net.Listener, closing func()) *way {
	return &way{Listener: l, closing: closing, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept implements net.Listener.
func (w *way) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		if w.err != nil {
			return nil, w.err
		}
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (w *way) Close() error {
	first := w.fail(nil)
	err := w.Listener.Close()
	if first {
		w.closing() // the server ends, not the listener alone
	}
	return err
}

// fail ends it for a reason, and tells whether that was news.
func (w *way) fail(err error) (first bool) {
	w.once.Do(func() {
		w.err, first = err, true
		close(w.done)
		if w.acceptor != nil {
			w.acceptor.quit()
		}
	})
	return first
}

// pause waits for that long; false: it is done meanwhile.
func (w *way) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.done:
		return false
	}
}

// give passes a connection, and closes it where net/http takes none any more.
func (w *way) give(c net.Conn) {
	select {
	case w.conns <- c:
	case <-w.done:
		_ = c.Close()
	}
}

// replayed is a connection of which something was read before.
type replayed struct {
	net.Conn

	mu   sync.Mutex
	read []byte
}

// replay returns a connection that begins with what was read of it.
func replay(c net.Conn, read []byte) net.Conn {
	if len(read) == 0 {
		return c
	}
	return &replayed{Conn: c, read: append([]byte(nil), read...)}
}

// Read implements net.Conn.
func (r *replayed) Read(p []byte) (int, error) {
	r.mu.Lock()
	if len(r.read) > 0 {
		defer r.mu.Unlock()
		n := copy(p, r.read)
		if r.read = r.read[n:]; len(r.read) == 0 {
			r.read = nil
		}
		return n, nil
	}
	r.mu.Unlock()
	return r.Conn.Read(p)
}

// Bare returns the connection below one that the engine has passed on, when all
// that was read before has been read again; any other connection is returned.
func Bare(c net.Conn) net.Conn {
	r, ok := c.(*replayed)
	if !ok {
		return c
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.read) > 0 {
		return c
	}
	return r.Conn
}
