package front

import "sync"

// firstBuffer is what reading begins with. Buffers that had to grow are not kept.
const firstBuffer = 8 << 10

// buffer is a buffer on loan; b has what was read, or is to be written.
type buffer struct{ b []byte }

// buffers lends them. The zero value is ready.
type buffers struct{ pool sync.Pool }

func (p *buffers) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, firstBuffer)}
}

func (p *buffers) put(b *buffer) {
	if b != nil && cap(b.b) <= 2*firstBuffer {
		b.b = b.b[:0]
		p.pool.Put(b)
	}
}
