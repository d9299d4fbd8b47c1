package server

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// Limits of one address, as Stats.Limits counts them.
const (
	limitSessionsPerAddress   = "sessionsPerAddress"
	limitHandshakesPerAddress = "handshakesPerAddress"
)

// admit refuses handshakes while the server stops.
func (srv *Server) admit() *bayeux.Error {
	if !srv.draining.Load() {
		return nil
	}
	wait := jitter(time.Second)
	e := *bayeux.ErrHandshakeDenied
	e.Advice = &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake, Interval: &wait}
	return &e
}

// overloaded refuses a handshake for which there is no room: nothing has been
// made for it yet. Otherwise there is room for one more session: srv.opening
// must be decreased when the handshake has ended, and the place of the address
// is given back by session.leaveAddress. What one address is refused costs the
// others nothing, so its limits come before the rate of all.
func (srv *Server) overloaded(key network) *transport.StatusError {
	opening := srv.opening.Add(1)
	limit, most, wait := srv.crowded(opening)
	if limit == "" {
		limit, most, wait = srv.addresses.handshake(key)
		switch {
		case limit == limitSessionsPerAddress:
			srv.stats.limit(limitSessionsPerAddress)
		case limit == limitHandshakesPerAddress:
			srv.stats.limit(limitHandshakesPerAddress)
		case srv.admission != nil && !srv.admission.AllowN(srv.now(), 1):
			srv.addresses.leave(key)
			srv.stats.limit("handshakes")
			limit, most, wait = "handshakesPerSecond", srv.config.Limits.HandshakesPerSecond, time.Second
		}
	}
	if limit == "" {
		return nil
	}
	srv.opening.Add(-1)
	srv.quiet.notice("admission").Stringer("address", key.Addr()).Str("limit", limit).Int("max", most).
		Msg("handshake refused")
	return &transport.StatusError{
		Status: http.StatusTooManyRequests, RetryAfter: wait,
		Reason: fmt.Sprintf("too many sessions or handshakes: %s is %d; try again in %.0f s", limit, most, math.Ceil(wait.Seconds())),
	}
}

// crowded tells whether the sessions of all together leave no room.
func (srv *Server) crowded(opening int64) (limit string, most int, wait time.Duration) {
	if n := srv.config.Limits.UnconnectedSessions; n > 0 && srv.unconnected.Load()+opening > int64(n) {
		srv.stats.limit("unconnectedSessions")
		return "unconnectedSessions", n, time.Second
	}
	if n := srv.maxSessions; n > 0 && srv.registry.count.Load()+srv.ending.Load()+opening > int64(n) {
		srv.stats.limit("sessions")
		return "maxSessions", n, 5 * time.Second
	}
	return "", 0, 0
}

// sit notes the place that overloaded has taken, of a session that nobody
// knows yet.
func (s *session) sit(key network) {
	s.seat = key
	s.seated.Store(true)
}

// leaveAddress gives back the place that the session has among those of its
// address. Idempotent.
func (s *session) leaveAddress() {
	if s.seated.CompareAndSwap(true, false) {
		s.srv.addresses.leave(s.seat)
	}
}

// countFreshLocked counts the sessions whose first connect has not come.
func (s *session) countFreshLocked() {
	fresh := !s.over && s.machine.State() == machine.Handshaken && !s.isLocal()
	if fresh == s.fresh {
		return
	}
	s.fresh = fresh
	if fresh {
		s.srv.unconnected.Add(1)
	} else {
		s.srv.unconnected.Add(-1)
	}
}

// openSocket takes a place for a WebSocket of that address.
func (srv *Server) openSocket(from *bayeux.Request) (leave func(), refused *transport.StatusError) {
	key := addressKey(from.Remote.Addr())
	if srv.addresses.open(key) {
		return func() { srv.addresses.closed(key) }, nil
	}
	srv.stats.limit("webSocketsPerAddress")
	most := srv.config.Limits.WebSocketsPerAddress
	srv.quiet.notice("sockets").Stringer("address", key.Addr()).Int("max", most).Msg("WebSocket refused")
	return nil, &transport.StatusError{
		Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Second,
		Reason: fmt.Sprintf("too many WebSockets: webSocketsPerAddress is %d; try again in 5 s", most),
	}
}
