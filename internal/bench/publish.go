package bench

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// requestMessages and requestBytes bound what one request of a polling
	// publisher carries.
	requestMessages = 50
	requestBytes    = 48 << 10
	// maxPending bounds what waits for a polling publisher's turn.
	maxPending = 64 << 20
)

// publisher is a session that publishes. What is due leaves at once over a
// WebSocket; over HTTP it waits for the answer to the request before it, and
// leaves together.
type publisher struct {
	c    *client
	post *wire

	mu      sync.Mutex
	to      io.Writer
	busy    bool
	pending []byte // messages with commas between them
	ends    []int  // where each ends in pending
	out     []byte
	acks    int64

	// Of the mode Acks; only the reading goroutine has them.
	sent  []int64 // when those on the way were sent, the oldest first
	seq   uint32
	frame []byte

	ids uint64 // Centrifuge: how many publications there were
}

// message appends a message to a channel.
func (p *publisher) message(to []byte, m mark, pad string) []byte {
	channel := p.c.eng.names[int(m.stream)%len(p.c.eng.names)]
	if p.c.eng.cfg.Wire == Centrifuge {
		return p.publication(to, channel, m, pad)
	}
	to = append(to, `{"channel":"`...)
	to = append(append(to, channel...), `","id":"4","clientId":"`...)
	to = append(append(to, p.c.id...), `","data":`...)
	return append(appendData(to, m, pad), '}')
}

// add takes a group of messages, each ending where ends says.
func (p *publisher) add(group []byte, ends []int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.post.kind == WebSocket {
		around := p.c.eng.clothes
		p.frame = append(append(append(p.frame[:0], around.before...), group...), around.after...)
		p.out = appendFrame(p.out, 1, p.frame)
		return nil
	}
	if len(p.pending) > maxPending {
		return errors.New("a publisher's messages wait for answers that do not come")
	}
	if len(p.pending) > 0 {
		p.pending = append(p.pending, ',')
	}
	from := len(p.pending)
	p.pending = append(p.pending, group...)
	for _, e := range ends {
		p.ends = append(p.ends, from+e)
	}
	return nil
}

// flush writes what may leave.
func (p *publisher) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.post.kind != WebSocket && !p.busy {
		p.out = p.request(p.out)
	}
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.to.Write(p.out)
	p.out = p.out[:0]
	return err
}

// request appends a request of what waits. The lock is held.
func (p *publisher) request(out []byte) []byte {
	n, limit := 0, requestBytes
	if p.post.kind == CallbackPolling {
		limit = 2 << 10 // the address grows with it
	}
	for n < len(p.ends) && n < requestMessages && (n == 0 || p.ends[n] <= limit) {
		n++
	}
	if n == 0 {
		return out
	}
	end := p.ends[n-1]
	p.frame = append(append(append(p.frame[:0], '['), p.pending[:end]...), ']')
	out = p.post.send(out, p.frame)
	p.busy = true
	skip := min(end+1, len(p.pending)) // the comma
	p.pending = append(p.pending[:0], p.pending[skip:]...)
	for i, e := range p.ends[n:] {
		p.ends[i] = e - skip
	}
	p.ends = p.ends[:len(p.ends)-n]
	return out
}

// acked takes answers to publishes.
func (p *publisher) acked(w *wire, n int, now int64, out []byte) ([]byte, error) {
	if n <= 0 {
		return out, nil
	}
	if p.c.eng.cfg.Mode == Acks {
		return p.window(w, n, now, out), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks += int64(n)
	p.busy = false
	if w.kind != WebSocket {
		out = p.request(out)
	}
	return out, nil
}

// window counts acknowledgements and sends as many messages again. All leave
// with one write, each in a frame of its own.
func (p *publisher) window(w *wire, n int, now int64, out []byte) []byte {
	n = min(n, len(p.sent))
	t := p.c.tally
	t.mu.Lock()
	for _, at := range p.sent[:n] {
		t.counts.arrived++
		if t.record(at, now) {
			t.counts.done++
		}
	}
	t.mu.Unlock()
	p.sent = append(p.sent[:0], p.sent[n:]...)
	if p.c.eng.stopping.Load() {
		return out
	}
	return p.fill(w, n, now, out)
}

// fill sends messages in the mode Acks.
func (p *publisher) fill(w *wire, n int, now int64, out []byte) []byte {
	for range n {
		around := p.c.eng.clothes
		p.frame = p.message(append(p.frame[:0], around.before...), mark{0, p.seq, now}, p.c.eng.pad)
		out = w.send(out, append(p.frame, around.after...))
		p.seq++
		p.sent = append(p.sent, now)
	}
	return out
}

// pacer publishes on the schedule. It is not shared.
type pacer struct {
	eng      *engine
	pubs     []*publisher
	schedule schedule
	seq      []uint32 // by stream
	next     []int    // by publisher: the stream of its next message
	from, to int64    // what is measured
	group    []byte
	ends     []int
	wait     func(ctx context.Context, d time.Duration)
}

// run publishes until the schedule is done. What it has sent is in eng.sent.
func (p *pacer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.round(); err != nil {
			return err
		}
		d, done := p.schedule.wait(p.eng.now())
		if done {
			return nil
		}
		if d > 0 {
			p.wait(ctx, d)
		}
	}
	return ctx.Err()
}

// round sends what is due, and lets it leave. Publishers take turns, so those
// with something to write are neighbours.
func (p *pacer) round() error {
	n, first := 0, 0
	for n < 4*len(p.pubs) {
		k, due, ok := p.schedule.take(p.eng.now())
		if !ok {
			break
		}
		who := int(k % int64(len(p.pubs)))
		if n == 0 {
			first = who
		}
		if err := p.send(who, due); err != nil {
			return err
		}
		n++
	}
	for i := range min(n, len(p.pubs)) {
		if err := p.pubs[(first+i)%len(p.pubs)].flush(); err != nil {
			return err
		}
	}
	return nil
}

// send makes a group of messages to the publisher's streams in turn.
func (p *pacer) send(who int, due int64) error {
	to := p.pubs[who]
	first, end := blockOf(who, len(p.pubs), len(p.seq))
	p.group, p.ends = p.group[:0], p.ends[:0]
	deliveries := int64(0)
	for i := range p.eng.cfg.Batch {
		if i > 0 {
			p.group = append(p.group, p.eng.clothes.between...)
		}
		s := first + p.next[who]
		p.next[who] = (p.next[who] + 1) % (end - first)
		p.group = to.message(p.group, mark{uint32(s), p.seq[s], due}, p.eng.pad) //nolint:gosec // bounded by Config
		p.ends = append(p.ends, len(p.group))
		p.seq[s]++
		deliveries += int64(p.eng.members[s%len(p.eng.members)])
	}
	n := int64(p.eng.cfg.Batch)
	p.eng.sent.messages.Add(n)
	p.eng.sent.deliveries.Add(deliveries)
	if due >= p.from && due < p.to {
		p.eng.sent.measuredMessages.Add(n)
		p.eng.sent.measured.Add(deliveries)
	}
	return to.add(p.group, p.ends)
}
