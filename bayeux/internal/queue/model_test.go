package queue

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// item is a message of the model: in exactly one of three hands.
type item struct {
	f       *bayeux.Frozen
	slow    bayeux.SlowConsumer
	left    bool // it was in a lease with a batch number
	lazy    bool
	until   instant.Time
	batch   int64
	holder  *order // leased
	written bool   // retained
}

func (i *item) waits() bool { return i.holder == nil && !i.written }

func (i *item) spare() bool {
	return i.waits() && !i.left && (i.slow == bayeux.SlowDropOldest || i.slow == bayeux.SlowConflate)
}

func (i *item) merges() bool { return i.spare() && i.slow == bayeux.SlowConflate && i.f.Channel != "" }

// order is a lease of the model.
type order struct {
	items []*item
	batch int64
	real  *Lease
	done  bool
}

// model is a queue done the simple way: a list, searched each time.
type model struct {
	t         *testing.T
	real      *Queue
	limits    Limits
	items     []*item
	orders    []*order
	retaining bool
	batch     int64

	conflating bool
	limit      string // that began it

	appended, written, dropped map[*bayeux.Frozen]int
}

func newModel(t *testing.T, l Limits, total *Total) *model {
	return &model{
		t: t, real: New(l, total), limits: l,
		appended: map[*bayeux.Frozen]int{}, written: map[*bayeux.Frozen]int{}, dropped: map[*bayeux.Frozen]int{},
	}
}

func (m *model) bytes() (n int64) {
	for _, i := range m.items {
		n += int64(len(i.f.JSON))
	}
	return n
}

func (m *model) forget(gone func(*item) bool) {
	m.items = slices.DeleteFunc(m.items, gone)
}

// lack names the bound that a message of that size would pass.
func (m *model) lack(size int64) string {
	switch {
	case m.limits.Messages > 0 && len(m.items)+1 > m.limits.Messages:
		return LimitMessages
	case m.limits.Bytes > 0 && m.bytes()+size > m.limits.Bytes:
		return LimitBytes
	}
	return ""
}

func (m *model) append(f *bayeux.Frozen, until instant.Time) {
	full := m.lack(int64(len(f.JSON))) != ""
	err := m.real.Append(f, until)
	if full {
		require.ErrorIs(m.t, err, ErrFull)
		return
	}
	require.NoError(m.t, err)
	m.add(&item{f: f, lazy: !until.IsZero(), until: until})
}

func (m *model) add(i *item) {
	m.appended[i.f]++
	m.items = append(m.items, i)
}

func (m *model) lose(i *item) {
	m.dropped[i.f]++
	m.forget(func(x *item) bool { return x == i })
}

func (m *model) take(limit int, reply bool) {
	o := &order{real: m.real.Take(limit, reply)}
	m.orders = append(m.orders, o)
	if m.retaining && reply {
		m.batch++
		o.batch = m.batch
	}
	size, more := 0, false
	for _, i := range m.items {
		if m.retaining && !reply || !m.retaining && !i.waits() {
			continue
		}
		size += len(i.f.JSON) + 1
		if more = more || limit > 0 && size > limit && len(o.items) > 0; more {
			i.lazy, i.holder, i.written = false, nil, false
			if m.retaining {
				i.batch = o.batch + 1
			}
			continue
		}
		if i.batch == 0 || i.batch > o.batch {
			i.batch = o.batch
		}
		i.holder, i.written = o, false
		i.left = i.left || m.retaining
		o.items = append(o.items, i)
	}
	require.Equal(m.t, more, o.real.More)
	require.Equal(m.t, o.batch, o.real.Batch)
	require.Len(m.t, o.real.Messages, len(o.items))
	for n, i := range o.items {
		require.Same(m.t, i.f, o.real.Messages[n])
	}
}

func (m *model) done(o *order, n int) {
	m.real.Done(o.real, n)
	if o.done {
		return
	}
	o.done = true
	for at, i := range o.items {
		if i.holder != o {
			continue
		}
		i.holder = nil
		if at >= n {
			continue
		}
		m.written[i.f]++
		i.written = true
	}
	if o.batch == 0 {
		m.forget(func(i *item) bool { return i.written && slices.Contains(o.items, i) })
	}
}

func (m *model) acknowledge(n int64) {
	missing := false
	if m.retaining {
		m.forget(func(i *item) bool {
			gone := i.batch > 0 && i.batch <= min(n, m.batch)
			if gone {
				m.dropped[i.f]++
				i.holder = nil
			}
			return gone
		})
		for _, i := range m.items {
			if i.batch > 0 && !i.waits() {
				i.holder, i.written, i.until = nil, false, 0
				missing = missing || !i.lazy
			}
		}
	}
	require.Equal(m.t, missing, m.real.Acknowledge(n))
}

func (m *model) clear() {
	m.real.Clear()
	m.forget(func(i *item) bool {
		i.holder = nil
		m.dropped[i.f]++
		return true
	})
}

// check compares all that can be seen.
func (m *model) check(now instant.Time) {
	unsent, pending, first := 0, false, instant.Time(0)
	for _, i := range m.items {
		if !i.waits() {
			continue
		}
		unsent++
		timed := i.lazy && !i.until.IsZero()
		pending = pending || !i.lazy || timed && !now.Before(i.until)
		if timed && (first.IsZero() || i.until.Before(first)) {
			first = i.until
		}
	}
	require.Equal(m.t, len(m.items), m.real.Len())
	require.Equal(m.t, m.bytes(), m.real.Bytes())
	require.Equal(m.t, unsent, m.real.Unsent())
	require.Equal(m.t, pending, m.real.Pending(now))
	require.Equal(m.t, first, m.real.LazyDeadline())
	require.Equal(m.t, m.retaining, m.real.Retaining())
	m.conflating = m.conflating && unsent > 0
	require.Equal(m.t, m.conflating, m.real.Conflating())
	m.spares()
	require.Less(m.t, len(m.real.entries), 2*len(m.items)+2, "empty places are tidied")
	m.ledger()
}

// ledger checks that nothing is lost and nothing leaves twice: a message is in
// the queue, was written or was dropped on purpose.
func (m *model) ledger() {
	here := map[*bayeux.Frozen]int{}
	for _, i := range m.items {
		here[i.f]++
	}
	for f, n := range m.appended {
		if !m.retaining {
			require.Equal(m.t, n, here[f]+m.written[f]+m.dropped[f])
		} else {
			require.GreaterOrEqual(m.t, here[f]+m.written[f]+m.dropped[f], n)
		}
	}
}

// play runs a script on two queues that share some messages and one total.
// Each step takes three bytes.
func play(t *testing.T, script []byte) {
	total, now := NewTotal(), epoch
	models := []*model{
		newModel(t, Limits{Messages: 12, Bytes: 200}, total),
		newModel(t, Limits{}, total),
	}
	for ; len(script) >= 3; script = script[3:] {
		op, a, b := script[0], int(script[1]), int(script[2])
		m := models[int(op)>>7]
		size := 2 + a%20
		f := message(strings.Repeat("x", size))
		switch op & 0x7f % 16 {
		case 0:
			m.append(f, 0)
		case 1, 2, 13:
			f.Channel = []string{"", "/a", "/b", "/c"}[b%4]
			m.offer(f, 0, bayeux.SlowConsumer(b/4%int(bayeux.SlowPolicies)))
		case 3:
			m.append(f, now.Add(time.Duration(1+b%50)*time.Second))
		case 4:
			f.Channel = []string{"", "/a", "/b", "/c"}[b%4]
			m.offer(f, now.Add(time.Duration(1+b%50)*time.Second), bayeux.SlowConsumer(b/4%int(bayeux.SlowPolicies)))
		case 5:
			models[0].append(f, 0)
			models[1].append(f, 0)
		case 6, 7, 8:
			m.take(a%64, b%2 == 0)
		case 9, 10, 11:
			if len(m.orders) > 0 {
				m.done(m.orders[a%len(m.orders)], b%8-1)
			}
		case 12:
			m.acknowledge(m.batch - int64(a%4) + int64(b%3))
		case 14:
			now = now.Add(time.Duration(a) * time.Second)
		case 15:
			switch {
			case a > 250:
				m.clear()
			case a > 200 && len(m.orders) == 0:
				m.real.Retain()
				m.retaining = true
			}
		}
		for _, m := range models {
			m.check(now)
		}
		checkTotal(t, total, models)
	}
	for _, m := range models {
		m.clear()
		for _, o := range m.orders {
			m.done(o, 0)
		}
		m.check(now)
	}
	require.Zero(t, total.Bytes(), "all is released")
}

func checkTotal(t *testing.T, total *Total, models []*model) {
	distinct, want := map[*bayeux.Frozen]bool{}, int64(0)
	for _, m := range models {
		for _, i := range m.items {
			if !distinct[i.f] {
				distinct[i.f] = true
				want += int64(len(i.f.JSON))
			}
		}
	}
	require.Equal(t, want, total.Bytes())
}

func TestModel(t *testing.T) {
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 7))
		script := make([]byte, 3*200)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		if seed%3 == 0 { // retained delivery from the start, in both
			script = append([]byte{15, 210, 0, 128 + 15, 210, 0}, script...)
		}
		play(t, script)
	}
}

func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 2, 2, 6, 0, 0, 9, 0, 2})
	f.Add([]byte{15, 210, 0, 0, 9, 0, 3, 9, 1, 6, 12, 0, 12, 1, 0, 6, 0, 0, 9, 0, 7, 12, 0, 0})
	f.Add([]byte{5, 4, 0, 133, 4, 0, 134, 0, 0, 137, 0, 3, 13, 0, 0, 15, 255, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 3*500 {
			return
		}
		play(t, script)
	})
}

// A snapshot behaves as its queue does once every lease is given up.
func TestSnapshotModel(t *testing.T) {
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 11))
		q := New(Limits{}, nil)
		if seed%2 == 0 {
			q.Retain()
		}
		var leases []*Lease
		for range 60 {
			switch random.IntN(4) {
			case 0, 1:
				fill(t, q, strings.Repeat("y", 1+random.IntN(9)))
			case 2:
				leases = append(leases, q.Take(random.IntN(30), true))
			case 3:
				if len(leases) > 0 {
					l := leases[random.IntN(len(leases))]
					q.Done(l, random.IntN(len(l.Messages)+1))
				}
			}
		}
		raw, err := json.Marshal(q.Snapshot(epoch))
		require.NoError(t, err)
		var s Snapshot
		require.NoError(t, json.Unmarshal(raw, &s))
		r := Restore(epoch, s, Limits{}, nil)
		for _, l := range leases {
			q.Done(l, 0)
		}
		require.Equal(t, q.Len(), r.Len())
		require.Equal(t, q.Bytes(), r.Bytes())
		require.Equal(t, q.Unsent(), r.Unsent())
		require.Equal(t, q.Pending(epoch), r.Pending(epoch))
		a, b := q.Take(0, true), r.Take(0, true)
		require.Equal(t, texts(a), texts(b))
		require.Equal(t, a.Batch, b.Batch)
	}
}

func BenchmarkAppendTakeDone(b *testing.B) {
	total := NewTotal()
	q := New(Limits{Messages: 10_000}, total)
	f := message(`{"channel":"/a","data":1}`)
	b.ReportAllocs()
	for b.Loop() {
		if q.Append(f, 0) != nil {
			b.Fatal("full")
		}
		l := q.Take(1_000_000, false)
		q.Done(l, len(l.Messages))
	}
}
