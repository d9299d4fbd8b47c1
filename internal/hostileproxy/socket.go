package hostileproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// maxHead bounds the head of a request or response.
const maxHead = 64 << 10

var errHead = errors.New("hostileproxy: a head of more than 64 KiB")

// socket is a connection that is read all the time, so that its end is seen whatever the proxy does meanwhile.
type socket struct {
	raw   *net.TCPConn
	in    *pipe
	br    *bufio.Reader
	limit *headLimit
	ended chan struct{} // closed when the peer has ended its half, after err is set.
	err   error
	once  sync.Once
}

// headLimit bounds what is read of in, while a head is awaited.
type headLimit struct {
	in   io.Reader
	left int
}

func (h *headLimit) Read(b []byte) (int, error) {
	if h.left < 0 {
		return h.in.Read(b)
	}
	if h.left == 0 {
		return 0, errHead
	}
	n, err := h.in.Read(b[:min(len(b), h.left)])
	h.left -= n
	return n, err
}

func newSocket(raw *net.TCPConn) *socket {
	s := &socket{raw: raw, in: newPipe(), ended: make(chan struct{})}
	s.limit = &headLimit{in: s.in, left: -1}
	s.br = bufio.NewReader(s.limit)
	return s
}

// head reads a head within its limit.
func head[T any](s *socket, read func(*bufio.Reader) (T, error)) (T, error) {
	s.limit.left = maxHead
	defer func() { s.limit.left = -1 }()
	got, err := read(s.br)
	if err != nil && s.limit.left == 0 {
		err = errHead
	}
	return got, err
}

// pump reads until the end of the peer's half. What the pipe does not take is thrown away.
func (s *socket) pump(came func(int) time.Duration) {
	defer close(s.ended)
	buf := make([]byte, pieceSize)
	for {
		n, err := s.raw.Read(buf)
		if n > 0 {
			_ = s.in.put(buf[:n], came(n))
		}
		if err != nil {
			s.err = err
			s.in.finish(err)
			return
		}
	}
}

// over says whether the peer has ended its half.
func (s *socket) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// closed says whether close was called.
func (s *socket) closed() bool {
	select {
	case <-s.in.gone:
		return true
	default:
		return false
	}
}

// close ends both halves once, by RST if reset.
func (s *socket) close(reset bool) {
	s.once.Do(func() {
		s.in.abort()
		if reset {
			_ = s.raw.SetLinger(0)
		}
		_ = s.raw.Close()
	})
}
