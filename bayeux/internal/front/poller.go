package front

import "sync"

// poller is an epoll and the connections in it.
type poller struct {
	epoll *epoll

	mu    sync.Mutex
	conns []*Conn // by descriptor
	marks int32   // given out; they may wrap
}

func newPoller() (*poller, error) {
	e, err := newEpoll()
	if err != nil {
		return nil, err
	}
	p := &poller{epoll: e}
	go e.wait(p.tell) // ends with close
	return p, nil
}

// tell passes an event on. One of a descriptor that was closed meanwhile, and is
// another connection's by now, has another mark: that its connection is broken
// must not be taken for news of its successor.
func (p *poller) tell(fd int, mark int32, ev event) {
	p.mu.Lock()
	var c *Conn
	if fd < len(p.conns) {
		c = p.conns[fd]
	}
	ours := c != nil && c.mark == mark
	p.mu.Unlock()
	if ours {
		c.event(ev)
	}
}

func (p *poller) add(c *Conn) error {
	p.mu.Lock()
	for len(p.conns) <= int(c.fd) {
		p.conns = append(p.conns, nil)
	}
	p.marks++
	mark := p.marks
	c.mark = mark
	p.conns[c.fd] = c // before the kernel knows: the event may come at once
	p.mu.Unlock()
	return p.epoll.add(int(c.fd), mark)
}

// remove must come before the descriptor is closed.
func (p *poller) remove(c *Conn) {
	p.mu.Lock()
	if int(c.fd) < len(p.conns) && p.conns[c.fd] == c {
		p.conns[c.fd] = nil
	}
	p.mu.Unlock()
}

func (p *poller) close() { p.epoll.close() }
