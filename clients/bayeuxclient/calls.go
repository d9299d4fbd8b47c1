package bayeuxclient

import (
	"strconv"
	"sync"

	"github.com/halleypush/halley/bayeux"
)

// call is one message that awaits its reply. done is closed when reply or err
// is set; both are read after that only.
type call struct {
	id      string
	channel string
	via     carrier
	remote  bool // a result with data is awaited, not the plain reply

	accepted bool // guarded by calls.mu: the plain reply of a remote call came
	done     chan struct{}
	reply    *bayeux.Message
	err      error
}

// calls are those in flight. It is safe for concurrent use.
type calls struct {
	mu   sync.Mutex
	last uint64
	open map[string]*call
}

// add gives m an id and expects its reply, or the result of a remote call. Ids are digits only, and never
// come again in the life of the client ([R-MSG-6]).
func (cs *calls) add(m *bayeux.Message, via carrier, remote bool) *call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.last++
	m.ID, m.HasID = strconv.FormatUint(cs.last, 10), true
	c := &call{id: m.ID, channel: m.Channel, via: via, remote: remote, done: make(chan struct{})}
	if cs.open == nil {
		cs.open = make(map[string]*call)
	}
	cs.open[m.ID] = c
	return c
}

// match returns the call that m answers, nil if m is no reply to any. The plain
// reply of a remote call answers it only where it is a refusal ([R-SV-1]).
func (cs *calls) match(m *bayeux.Message) *call {
	if !m.HasID || m.Successful == nil && m.Fault == nil {
		return nil
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.open[m.ID]
	switch {
	case c == nil || m.Channel != "" && m.Channel != c.channel:
		return nil
	case c.remote && m.Data == nil && m.OK():
		c.accepted = true
		return nil
	case !c.remote && m.Data != nil && !bayeuxMeta(m.Channel):
		return nil
	}
	return c
}

// settle ends a call once; later attempts have no effect.
func (cs *calls) settle(c *call, reply *bayeux.Message, err error) {
	cs.mu.Lock()
	_, open := cs.open[c.id]
	delete(cs.open, c.id)
	cs.mu.Unlock()
	if open {
		c.reply, c.err = reply, err
		close(c.done)
	}
}

// answered ends those of the list that a complete response left without reply.
func (cs *calls) answered(list []*call) {
	for _, c := range list {
		cs.mu.Lock()
		keep := c.remote && c.accepted
		cs.mu.Unlock()
		if !keep {
			cs.settle(c, nil, ErrNoReply)
		}
	}
}

// fail ends all calls of a carrier, or of any where via is nil.
func (cs *calls) fail(via carrier, err error) {
	cs.mu.Lock()
	var lost []*call
	for _, c := range cs.open {
		if via == nil || c.via == via {
			lost = append(lost, c)
		}
	}
	cs.mu.Unlock()
	for _, c := range lost {
		cs.settle(c, nil, err)
	}
}
