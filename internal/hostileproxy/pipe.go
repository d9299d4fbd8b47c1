package hostileproxy

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// pipeBytes bounds what waits in a pipe.
	pipeBytes = 256 << 10
	// pieceSize is the largest piece that is read or passed on at a time.
	pieceSize = 32 << 10
)

var (
	errPipe   = errors.New("hostileproxy: the connection is over")
	errSilent = errors.New("hostileproxy: the connection fell silent")
)

// pipe is a queue of bytes for one writer and one reader, in which they wait until they are due.
type pipe struct {
	more, room chan struct{} // capacity 1 each; tells the reader, the writer.
	gone       chan struct{} // closed by abort.

	mu   sync.Mutex
	segs []segment
	size int
	err  error // what the reader gets behind the bytes.
	dead bool
}

type segment struct {
	data []byte
	due  time.Time
}

func newPipe() *pipe {
	return &pipe{more: make(chan struct{}, 1), room: make(chan struct{}, 1), gone: make(chan struct{})}
}

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put adds a copy of b that nobody reads for the delay, and waits while the pipe is full. Nothing overtakes.
func (p *pipe) put(b []byte, delay time.Duration) error {
	for len(b) > 0 {
		n := min(len(b), pieceSize)
		ok, err := p.offer(b[:n], delay)
		if err != nil {
			return err
		}
		if ok {
			b = b[n:]
			continue
		}
		select {
		case <-p.room:
		case <-p.gone:
			return errPipe
		}
	}
	return nil
}

func (p *pipe) offer(b []byte, delay time.Duration) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.err != nil {
		return false, errPipe
	}
	if p.size > 0 && p.size+len(b) > pipeBytes {
		return false, nil
	}
	due := time.Now().Add(delay)
	if n := len(p.segs); n > 0 && p.segs[n-1].due.After(due) {
		due = p.segs[n-1].due
	}
	p.segs = append(p.segs, segment{append([]byte(nil), b...), due})
	p.size += len(b)
	tell(p.more)
	return true, nil
}

// Read gives what is due, waits for it, and gives the error of finish behind all bytes.
func (p *pipe) Read(b []byte) (int, error) {
	for {
		n, wait, err := p.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-p.more:
		case <-due:
		case <-p.gone:
		}
	}
}

func (p *pipe) take(b []byte) (n int, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.dead:
		return 0, 0, errPipe
	case len(p.segs) == 0:
		return 0, 0, p.err
	}
	if wait := time.Until(p.segs[0].due); wait > 0 {
		return 0, wait, nil
	}
	n = copy(b, p.segs[0].data)
	if p.segs[0].data = p.segs[0].data[n:]; len(p.segs[0].data) == 0 {
		p.segs = p.segs[1:]
	}
	p.size -= n
	tell(p.room)
	return n, 0, nil
}

// empty says whether all bytes were read.
func (p *pipe) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size == 0
}

// finish lets the reader have the bytes and then the error; nothing is taken any more.
func (p *pipe) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	tell(p.more)
	tell(p.room)
}

// abort throws the bytes away and ends both sides.
func (p *pipe) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	p.dead, p.segs, p.size = true, nil, 0
	close(p.gone)
}

var _ io.Reader = (*pipe)(nil)
