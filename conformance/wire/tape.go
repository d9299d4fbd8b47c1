package wire

import (
	"fmt"
	"sync"
	"time"
)

// Bounds of a tape. What is beyond them is counted, not kept.
const (
	eventBytes = 32 << 10
	tapeBytes  = 256 << 10
	tapeEvents = 2000
)

// Kind says what an event is.
type Kind string

// The kinds of events.
const (
	Opened   Kind = "open"
	Sent     Kind = "sent"
	Received Kind = "received"
	Closed   Kind = "close"
	Noted    Kind = "note"
)

// Event is one thing that happened on the wire.
type Event struct {
	At   time.Duration // since the tape began
	Conn int           // which connection, from 1; 0 for notes
	Kind Kind
	What string // a few words, such as the kind of a frame
	Data []byte // bytes as they were; of a frame the payload in the clear
	Cut  int    // bytes that were left out of Data
}

// Tape keeps what happened, bounded. It may be used by many goroutines.
type Tape struct {
	mu      sync.Mutex
	start   time.Time
	events  []Event
	bytes   int
	conns   int
	dropped int
	stopped bool
}

// NewTape begins a tape; its times count from now.
func NewTape() *Tape { return &Tape{start: time.Now()} }

// Note adds a remark.
func (t *Tape) Note(format string, args ...any) {
	t.add(Event{Kind: Noted, What: fmt.Sprintf(format, args...)}, nil)
}

// Stop ends the recording: what comes later is not kept.
func (t *Tape) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
}

// Since returns the time since the tape began.
func (t *Tape) Since() time.Duration { return time.Since(t.start) }

// Events returns what was kept, and how many events were not.
func (t *Tape) Events() (kept []Event, dropped int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Event(nil), t.events...), t.dropped
}

// next numbers a new connection.
func (t *Tape) next() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns++
	return t.conns
}

func (t *Tape) add(e Event, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if len(t.events) >= tapeEvents {
		t.dropped++
		return
	}
	e.At = time.Since(t.start)
	keep := min(len(data), eventBytes, max(0, tapeBytes-t.bytes))
	e.Data, e.Cut = append([]byte(nil), data[:keep]...), len(data)-keep
	t.bytes += keep
	t.events = append(t.events, e)
}
