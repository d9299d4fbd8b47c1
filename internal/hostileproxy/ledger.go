package hostileproxy

import (
	"net/netip"
	"time"
)

// maxExchanges bounds the exchanges that are remembered.
const maxExchanges = 4096

// ledger keeps the counts; its owner locks it.
type ledger struct {
	total   Counts
	clients map[netip.Addr]*Counts
	changed chan struct{} // closed and replaced when counts change.
	ring    []Exchange
	next    int // the place in a full ring of the next exchange.
}

func newLedger() ledger {
	return ledger{total: Counts{Done: map[Rule]Tally{}}, clients: map[netip.Addr]*Counts{}, changed: make(chan struct{})}
}

// count changes the counts of all and of one client, and wakes those who wait for them.
func (l *ledger) count(client netip.Addr, edit func(*Counts)) {
	edit(&l.total)
	own := l.clients[client]
	if own == nil && len(l.clients) < maxClients {
		own = &Counts{Done: map[Rule]Tally{}}
		l.clients[client] = own
	}
	if own != nil {
		edit(own)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) remember(x Exchange) {
	if len(l.ring) < maxExchanges {
		l.ring = append(l.ring, x)
		return
	}
	l.ring[l.next] = x
	l.next = (l.next + 1) % maxExchanges
}

func (l *ledger) latest() []Exchange {
	return append(append(make([]Exchange, 0, len(l.ring)), l.ring[l.next:]...), l.ring[:l.next]...)
}

// did counts that a rule did something.
func did(rule Rule, after time.Duration, bytes int64) func(*Counts) {
	return func(c *Counts) { c.Done[rule] = c.Done[rule].with(after, bytes) }
}
