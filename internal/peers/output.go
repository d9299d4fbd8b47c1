package peers

import (
	"bytes"
	"io"
	"sync"
)

// Bounds of what is kept of a peer's output.
const (
	keepOutput = 64 << 10
	keepLine   = 4 << 10
)

// output takes what a peer writes: it keeps the end, finds the line that says
// where the peer listens and passes all on.
type output struct {
	announce func(line string) (url string, ok bool)
	url      chan string // gets the URL, once

	mu    sync.Mutex
	copy  io.Writer // nil: none
	line  []byte    // the line so far; nil once the URL is known
	found bool
	tail  []byte
}

func newOutput(announce func(string) (string, bool), to io.Writer) *output {
	if announce == nil {
		announce = announced
	}
	return &output{announce: announce, url: make(chan string, 1), copy: to}
}

// Write implements io.Writer. A copy that fails is given up.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = append(o.tail, b...)
	if n := len(o.tail) - keepOutput; n > 0 {
		o.tail = append(o.tail[:0:0], o.tail[n:]...)
	}
	if !o.found {
		o.look(b)
	}
	if o.copy != nil {
		if _, err := o.copy.Write(b); err != nil {
			o.copy = nil
		}
	}
	return len(b), nil
}

// look searches the lines that b completes.
func (o *output) look(b []byte) {
	for !o.found {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		if room := keepLine - len(o.line); room < len(part) {
			part = part[:room]
		}
		o.line = append(o.line, part...)
		if !whole {
			return
		}
		if url, ok := o.announce(string(bytes.TrimSuffix(o.line, []byte("\r")))); ok {
			o.found = true
			o.url <- url
		}
		o.line, b = o.line[:0], rest
	}
	o.line = nil
}

// String returns the end of the output.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.tail)
}
