package certs

import (
	"container/list"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// room bounds the handshakes in progress. When it is full, one has to go: of
// those whose peer has said nothing the oldest, after quiet, else of the others,
// after patient. So who keeps it busy with slow handshakes loses them, and a
// rush of honest ones, which wait for us and not we for them, takes its turn.
type room struct {
	max            int
	quiet, patient time.Duration
	freed          chan struct{} // has room for one: somebody left

	mu            sync.Mutex
	silent, heard *list.List // of *seat, the oldest first
}

// seat is a handshake in progress, and its connection.
type seat struct {
	net.Conn
	room  *room
	since time.Time
	cut   atomic.Bool // it had to go
	// Under the room's lock: where it is in which list, nil when it has left.
	at *list.Element
	in *list.List
}

func newRoom(limit int) *room {
	return &room{max: limit, quiet: QuietPatience, patient: Patience, freed: make(chan struct{}, 1), silent: list.New(), heard: list.New()}
}

// enter waits for a seat.
func (r *room) enter(ctx context.Context, conn net.Conn) (*seat, error) {
	for {
		s, wait := r.try(conn, time.Now())
		if s != nil {
			return s, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-r.freed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

// try takes a seat, or says when to try again if nobody leaves before.
func (r *room) try(conn net.Conn, now time.Time) (*seat, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent.Len()+r.heard.Len() >= r.max {
		wait := r.cut(r.silent, r.quiet, now)
		if wait > 0 {
			wait = min(wait, r.cut(r.heard, r.patient, now))
		}
		if wait > 0 {
			return nil, wait
		}
	}
	s := &seat{Conn: conn, room: r, since: now}
	r.put(s, r.silent)
	return s, 0
}

// cut ends the oldest of a list if it has had its time; else it says how much
// is left of that.
func (r *room) cut(from *list.List, patience time.Duration, now time.Time) time.Duration {
	if from.Len() == 0 {
		return patience
	}
	oldest, _ := from.Front().Value.(*seat)
	if wait := patience - now.Sub(oldest.since); wait > 0 {
		return wait
	}
	oldest.cut.Store(true)
	r.remove(oldest)
	_ = oldest.Close()
	return 0
}

func (r *room) put(s *seat, to *list.List) { s.in, s.at = to, to.PushBack(s) }

func (r *room) remove(s *seat) {
	if s.in != nil {
		s.in.Remove(s.at)
		s.in, s.at = nil, nil
	}
}

// speaks notes that the peer has said what it wants.
func (s *seat) speaks() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	if s.in != nil {
		s.room.remove(s)
		s.room.put(s, s.room.heard)
	}
}

func (r *room) leave(s *seat) {
	r.mu.Lock()
	r.remove(s)
	r.mu.Unlock()
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// taken is how many handshakes are in progress.
func (r *room) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silent.Len() + r.heard.Len()
}
