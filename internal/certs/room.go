package certs

import (
	"container/list"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// room bounds the handshakes in progress. When it is full, the one that is in
// for the longest has to go, once its patience is over: who keeps it busy with
// slow handshakes loses them, and a rush of honest ones waits its turn.
type room struct {
	max      int
	patience time.Duration
	freed    chan struct{} // has room for one: somebody left

	mu    sync.Mutex
	seats *list.List // of *seat, the oldest first
}

// seat is a handshake in progress.
type seat struct {
	conn  net.Conn
	since time.Time
	cut   atomic.Bool // it had to go
	at    *list.Element
}

func newRoom(limit int, patience time.Duration) *room {
	return &room{max: limit, patience: patience, freed: make(chan struct{}, 1), seats: list.New()}
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

// try takes a seat, or says how long none will be free unless somebody leaves.
func (r *room) try(conn net.Conn, now time.Time) (*seat, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seats.Len() >= r.max {
		oldest, _ := r.seats.Front().Value.(*seat)
		if wait := r.patience - now.Sub(oldest.since); wait > 0 {
			return nil, wait
		}
		oldest.cut.Store(true)
		r.remove(oldest)
		_ = oldest.conn.Close()
	}
	s := &seat{conn: conn, since: now}
	s.at = r.seats.PushBack(s)
	return s, 0
}

func (r *room) remove(s *seat) {
	if s.at != nil {
		r.seats.Remove(s.at)
		s.at = nil
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
	return r.seats.Len()
}
