package queue

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// offer is Offer done the simple way.
func (m *model) offer(f *bayeux.Frozen, until instant.Time, p bayeux.SlowConsumer) {
	e := &item{f: f, lazy: !until.IsZero(), until: until, slow: p}
	size := int64(len(f.JSON))
	var want Outcome
	limit := m.lack(size)
	done := false
	if p == bayeux.SlowConflate && f.Channel != "" {
		if limit != "" && !m.conflating {
			m.conflating, m.limit = true, limit
		}
		if m.conflating {
			if want.Limit = limit; limit == "" {
				want.Limit = m.limit
			}
			done = m.merge(e, &want)
		}
	} else {
		want.Limit = limit
	}
	if !done {
		m.enter(e, &want)
	}
	lost := want.Replaced
	for _, n := range want.Dropped {
		lost += n
	}
	if want.Queued && lost == 0 {
		want.Limit = ""
	}
	got := m.real.Offer(f, until, p)
	require.Equal(m.t, want.Limit != "", got.Max > 0)
	got.Max = 0
	require.Equal(m.t, want, got)
}

// enter queues a message that took nobody's place.
func (m *model) enter(e *item, want *Outcome) {
	size := int64(len(e.f.JSON))
	if m.lack(size) != "" && e.slow != bayeux.SlowDropNewest && m.feasible(size) {
		for m.lack(size) != "" {
			at := slices.IndexFunc(m.items, (*item).spare)
			want.Dropped[m.items[at].slow]++
			m.lose(m.items[at])
		}
	}
	if want.Queued = m.lack(size) == ""; want.Queued {
		m.add(e)
	} else if e.slow != bayeux.SlowDisconnect {
		want.Dropped[e.slow]++
	}
}

func (m *model) feasible(size int64) bool {
	n, bytes := 1, size
	for _, i := range m.items {
		if !i.spare() {
			n, bytes = n+1, bytes+int64(len(i.f.JSON))
		}
	}
	return (m.limits.Messages <= 0 || n <= m.limits.Messages) && (m.limits.Bytes <= 0 || bytes <= m.limits.Bytes)
}

// swap puts the message of b into the place of a.
func (m *model) swap(a, b *item) {
	m.dropped[a.f]++
	m.appended[b.f]++
	a.f = b.f
	switch {
	case !a.lazy || !b.lazy:
		a.lazy, a.until = false, 0
	case a.until.IsZero() || b.until.Before(a.until):
		a.until = b.until
	}
}

// merge first leaves one message to each channel, then gives e the place on
// its channel.
func (m *model) merge(e *item, want *Outcome) bool {
	for at := 0; at < len(m.items); at++ {
		i := m.items[at]
		older := slices.IndexFunc(m.items[:at], func(o *item) bool { return o.merges() && o.f.Channel == i.f.Channel })
		if !i.merges() || older < 0 {
			continue
		}
		m.swap(m.items[older], i)
		m.lose(i)
		want.Replaced++
		at--
	}
	at := slices.IndexFunc(m.items, func(o *item) bool { return o.merges() && o.f.Channel == e.f.Channel })
	if at < 0 {
		return false
	}
	old, size := m.items[at], int64(len(e.f.JSON))
	switch {
	case m.limits.Bytes <= 0 || m.bytes()-int64(len(old.f.JSON))+size <= m.limits.Bytes:
		m.swap(old, e)
		want.Queued = true
	case !m.feasible(size):
		return false
	default:
		m.lose(old)
	}
	want.Replaced++
	return want.Queued
}

// spares checks what Offer relies on.
func (m *model) spares() {
	n, bytes := 0, int64(0)
	for _, i := range m.items {
		if i.spare() {
			n, bytes = n+1, bytes+int64(len(i.f.JSON))
		}
	}
	require.EqualValues(m.t, n, m.real.slow.spare)
	require.Equal(m.t, bytes, m.real.slow.spareBytes)
	require.LessOrEqual(m.t, len(m.real.slow.places), n, "places are bounded")
	for at, e := range m.real.entries {
		require.False(m.t, e.spare() && at < int(m.real.slow.oldest), "nothing to drop is passed over")
	}
}
