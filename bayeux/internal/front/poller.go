package front

import "sync"

// poller is an epoll and the connections in it.
type poller struct {
	epoll *epoll

	mu    sync.Mutex
	conns []*Conn // by descriptor
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

// tell passes an event on. An event of a descriptor that was closed and is used
// again may be taken for its successor's, who then finds nothing.
func (p *poller) tell(fd int, ev event) {
	p.mu.Lock()
	var c *Conn
	if fd < len(p.conns) {
		c = p.conns[fd]
	}
	p.mu.Unlock()
	if c != nil {
		c.event(ev)
	}
}

func (p *poller) add(c *Conn) error {
	p.mu.Lock()
	for len(p.conns) <= int(c.fd) {
		p.conns = append(p.conns, nil)
	}
	p.conns[c.fd] = c // before the kernel knows: the event may come at once
	p.mu.Unlock()
	return p.epoll.add(int(c.fd))
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
