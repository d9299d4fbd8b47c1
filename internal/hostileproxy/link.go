package hostileproxy

import (
	"errors"
	"net"
	"sync"
)

// link is one carried connection: the client's socket and, once dialled, the server's.
type link struct {
	client net.Conn
	done   chan struct{}

	mu     sync.Mutex
	server net.Conn
	ended  bool
}

// attach gives the link its server socket; false, and the socket closed, if the link has ended meanwhile.
func (l *link) attach(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		_ = server.Close()
		return false
	}
	l.server = server
	return true
}

// end closes both sockets once, by RST if reset.
func (l *link) end(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.done)
	for _, c := range []net.Conn{l.client, l.server} {
		if c == nil {
			continue
		}
		if tcp, ok := c.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// closeWrite ends the writing half of a TCP connection.
func closeWrite(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return errors.New("hostileproxy: not a TCP connection")
	}
	return tcp.CloseWrite()
}
