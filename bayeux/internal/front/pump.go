package front

import (
	"net"
	"sync"
	"time"
)

// pumpSize is how much of a connection is read ahead.
const pumpSize = 4 << 10

// pump makes a connection without a descriptor look like one with: a goroutine
// reads it. Tests run the engine in memory with it.
type pump struct {
	conn    net.Conn
	stop    chan struct{} // closed: the engine has closed it, or passed it on
	stopped chan struct{} // closed: nobody reads it
	room    chan struct{} // has one when all was taken

	mu   sync.Mutex
	data []byte
	err  error
}

func newPump(conn net.Conn) *pump {
	return &pump{
		conn: conn,
		stop: make(chan struct{}), stopped: make(chan struct{}), room: make(chan struct{}, 1),
	}
}

// run reads until the connection ends or goes to net/http.
func (p *pump) run(c *Conn) {
	defer close(p.stopped)
	buf := make([]byte, pumpSize)
	for {
		n, err := p.conn.Read(buf)
		p.mu.Lock()
		p.data = buf[:n]
		select {
		case <-p.stop: // the error is that of the deadline
			p.mu.Unlock()
			return
		default:
		}
		p.err = err
		p.mu.Unlock()
		c.event(event{in: true, hup: err != nil})
		if err != nil {
			return
		}
		select {
		case <-p.room:
		case <-p.stop:
			return
		}
	}
}

// read reads what there is.
func (p *pump) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.data) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		return 0, errAgain
	}
	n := copy(b, p.data)
	if p.data = p.data[n:]; len(p.data) == 0 && p.err == nil {
		p.room <- struct{}{}
	}
	return n, nil
}

// write writes all; where there is no room it waits, but not longer than to by.
func (p *pump) write(b []byte, by time.Time) (int, error) {
	if err := p.conn.SetWriteDeadline(by); err != nil {
		return 0, err
	}
	return p.conn.Write(b)
}

func (p *pump) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.data) == 0 && p.err != nil
}

// detach ends the pump and returns the connection, and what was read of it.
func (p *pump) detach() (net.Conn, []byte, error) {
	close(p.stop)
	_ = p.conn.SetReadDeadline(time.Unix(1, 0))
	<-p.stopped
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil && len(p.data) == 0 {
		return nil, nil, p.err
	}
	return p.conn, append([]byte(nil), p.data...), p.conn.SetDeadline(time.Time{})
}
