package server

import (
	"container/list"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// addresses knows what each address of clients has: sessions, WebSockets, and
// how many handshakes it may still make. Its lock is a leaf.
//
// An address without sessions and WebSockets is kept only for its handshakes,
// and there are at most maxIdleAddresses of those: the one that was seen least
// lately goes first. What is forgotten by that is a bucket which is as good as
// full, unless so many addresses take part that only the limits on all clients
// together help.
type addresses struct {
	now     Clock
	clock   instant.Clock
	rate    float64 // handshakes a second of one address; 0: no limit
	session int     // most sessions of one address; 0: no limit
	socket  int     // most WebSockets of one address; 0: no limit
	idle    int

	mu    sync.Mutex
	known map[network]*address
	spare list.List // of *address: those with nothing, the one seen last in front
}

// maxIdleAddresses bounds the addresses that have nothing, at about 200 bytes
// each.
const maxIdleAddresses = 1 << 16

// address is what one address has.
type address struct {
	key      network
	tokens   float64
	filled   instant.Time
	sessions int32
	sockets  int32
	place    *list.Element // in spare; nil: it has something
}

func newAddresses(l Limits, now Clock) *addresses {
	return &addresses{
		now: now, clock: instant.New(now()), rate: float64(max(0, l.HandshakesPerAddress)),
		session: max(0, l.SessionsPerAddress), socket: max(0, l.WebSocketsPerAddress),
		idle: maxIdleAddresses, known: make(map[network]*address),
	}
}

// network is what counts as one address: an IPv4 address, or the /64 of an IPv6
// address, which is what one customer has at least. Zero is that of peers
// without an address. It is a number, for each session has one.
//
// IPv4 addresses stand among the multicast ones of IPv6, which nobody sends
// from; the first /64, which has ::1, as the one after it, which is nobody's.
type network uint64

const (
	networkOf4 network = 0xffff << 48
	networkOf0 network = 1
)

// addressKey returns the network of an address.
func addressKey(a netip.Addr) network {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return 0
	case a.Is4():
		b := a.As4()
		return networkOf4 | network(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return max(network(binary.BigEndian.Uint64(b[:])), networkOf0)
}

// Addr returns the first address of the network.
func (n network) Addr() netip.Addr { return n.prefix().Addr() }

// String returns the network as logs show it.
func (n network) String() string { return n.prefix().String() }

func (n network) prefix() netip.Prefix {
	if n&networkOf4 == networkOf4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(n)) //nolint:gosec // the rest tells the kind
		return netip.PrefixFrom(netip.AddrFrom4(b), 32)
	}
	var b [16]byte
	if n != networkOf0 {
		binary.BigEndian.PutUint64(b[:], uint64(n))
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// IsValid tells whether there is an address.
func (n network) IsValid() bool { return n != 0 }

// handshake takes a place for one more session of that address. It returns the
// limit that forbids it, and how long to wait; an empty limit allows, and leave
// must follow when the session ends, or does not come to be.
func (a *addresses) handshake(key network) (limit string, most int, wait time.Duration) {
	if !key.IsValid() || a.rate == 0 && a.session == 0 {
		return "", 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.of(key)
	defer a.settle(e)
	if a.session > 0 && int(e.sessions) >= a.session {
		return limitSessionsPerAddress, a.session, 5 * time.Second
	}
	if a.rate > 0 {
		now := a.clock.At(a.now())
		e.tokens = min(a.rate, e.tokens+a.rate*max(0, now.Sub(e.filled).Seconds()))
		e.filled = now
		if e.tokens < 1 {
			return limitHandshakesPerAddress, int(a.rate), time.Second
		}
		e.tokens--
	}
	e.sessions++
	return "", 0, 0
}

// leave gives the place of a session back.
func (a *addresses) leave(key network) {
	a.change(key, a.rate > 0 || a.session > 0, func(e *address) { e.sessions = max(0, e.sessions-1) })
}

// open takes a place for one more WebSocket of that address, if there is one;
// closed must follow.
func (a *addresses) open(key network) bool {
	if !key.IsValid() || a.socket == 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.of(key)
	defer a.settle(e)
	if int(e.sockets) >= a.socket {
		return false
	}
	e.sockets++
	return true
}

// closed gives the place of a WebSocket back.
func (a *addresses) closed(key network) {
	a.change(key, a.socket > 0, func(e *address) { e.sockets = max(0, e.sockets-1) })
}

func (a *addresses) change(key network, counts bool, f func(*address)) {
	if !counts || !key.IsValid() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.of(key)
	f(e)
	a.settle(e)
}

// of returns what is known of an address.
func (a *addresses) of(key network) *address {
	e := a.known[key]
	if e == nil {
		e = &address{key: key, tokens: a.rate, filled: a.clock.At(a.now())}
		a.known[key] = e
	}
	return e
}

// settle puts an address where it belongs and forgets one that is too many.
func (a *addresses) settle(e *address) {
	if e.sessions > 0 || e.sockets > 0 {
		if e.place != nil {
			a.spare.Remove(e.place)
			e.place = nil
		}
		return
	}
	if e.place != nil {
		a.spare.MoveToFront(e.place)
		return
	}
	e.place = a.spare.PushFront(e)
	if a.spare.Len() > a.idle {
		oldest := a.spare.Back()
		a.spare.Remove(oldest)
		if old, ok := oldest.Value.(*address); ok {
			delete(a.known, old.key)
		}
	}
}

// size returns how many addresses are known.
func (a *addresses) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.known)
}
