package queue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// on makes a message of a channel: "a1" is the first of /a.
func on(text string) *bayeux.Frozen {
	f := message(text)
	if text != "" && text[0] != '-' {
		f.Channel = "/" + text[:1]
	}
	return f
}

// offer offers messages in their order and adds up what became of them.
func offer(q *Queue, p bayeux.SlowConsumer, texts ...string) (sum Outcome) {
	for _, text := range texts {
		o := q.Offer(on(text), 0, p)
		sum.Queued = o.Queued
		if o.Limit != "" {
			sum.Limit, sum.Max = o.Limit, o.Max
		}
		sum.Replaced += o.Replaced
		for i, n := range o.Dropped {
			sum.Dropped[i] += n
		}
	}
	return sum
}

func split(text string) []string { return strings.Fields(text) }

// What each policy leaves of ten messages where five have room [R-DL-8].
func TestPolicies(t *testing.T) {
	const ten = "a1 b1 a2 c1 a3 b2 a4 -1 a5 b3"
	dropped := func(p bayeux.SlowConsumer, n int) (out [bayeux.SlowPolicies]int) {
		out[p] = n
		return out
	}
	for _, c := range []struct {
		limits   Limits
		p        bayeux.SlowConsumer
		want     string
		queued   bool
		replaced int
		dropped  [bayeux.SlowPolicies]int
	}{
		{Limits{Messages: 5}, bayeux.SlowDropOldest, "b2 a4 -1 a5 b3", true, 0, dropped(bayeux.SlowDropOldest, 5)},
		{Limits{Bytes: 11}, bayeux.SlowDropOldest, "b2 a4 -1 a5 b3", true, 0, dropped(bayeux.SlowDropOldest, 5)},
		{Limits{Messages: 5}, bayeux.SlowDropNewest, "a1 b1 a2 c1 a3", false, 0, dropped(bayeux.SlowDropNewest, 5)},
		{Limits{Bytes: 10}, bayeux.SlowDropNewest, "a1 b1 a2 c1 a3", false, 0, dropped(bayeux.SlowDropNewest, 5)},
		{Limits{Messages: 5}, bayeux.SlowDisconnect, "a1 b1 a2 c1 a3", false, 0, dropped(0, 0)},
		{Limits{Messages: 5}, bayeux.SlowUnset, "a1 b1 a2 c1 a3", false, 0, dropped(bayeux.SlowUnset, 5)},
		{Limits{Messages: 5}, bayeux.SlowConflate, "a5 b3 c1 -1", true, 6, dropped(0, 0)},
		{Limits{Bytes: 11}, bayeux.SlowConflate, "a5 b3 c1 -1", true, 6, dropped(0, 0)},
		{Limits{Messages: 2}, bayeux.SlowConflate, "a5 b3", true, 2, dropped(bayeux.SlowConflate, 6)},
		{Limits{}, bayeux.SlowConflate, ten, true, 0, dropped(0, 0)},
	} {
		t.Run(fmt.Sprintf("%s %+v", c.p, c.limits), func(t *testing.T) {
			total := NewTotal()
			q := New(c.limits, total)
			o := offer(q, c.p, split(ten)...)
			require.Equal(t, c.queued, o.Queued)
			require.Equal(t, c.replaced, o.Replaced)
			require.Equal(t, c.dropped, o.Dropped)
			if c.limits.Bytes > 0 {
				require.Equal(t, LimitBytes, o.Limit)
			}
			require.Equal(t, int64(len(strings.ReplaceAll(c.want, " ", ""))), total.Bytes())
			require.Equal(t, c.want, texts(q.Take(0, false)))
		})
	}
}

// What a carrier has taken stays, and comes back to its place.
func TestPoliciesRespectLeases(t *testing.T) {
	for p, want := range map[bayeux.SlowConsumer]string{
		bayeux.SlowDropOldest: "a1 b1 b2 a3", bayeux.SlowDropNewest: "a1 b1 a2 b2", bayeux.SlowConflate: "a1 b1 a3 b2",
	} {
		q := New(Limits{Messages: 4}, nil)
		offer(q, p, "a1", "b1")
		l := q.Take(0, false)
		offer(q, p, "a2", "b2", "a3")
		require.Equal(t, 4, q.Len(), p)
		q.Done(l, 0)
		require.Equal(t, want, texts(q.Take(0, false)), p)

		q = New(Limits{Messages: 2}, nil)
		offer(q, p, "a1", "b1")
		q.Take(0, false)
		o := offer(q, p, "a2")
		require.False(t, o.Queued, "%s: only leased ones are there", p)
		require.Equal(t, 1, o.Dropped[p])
	}
}

// With retained delivery what has left once is promised; the rest may go, and
// the numbers of the batches go on without a gap [R-ACK-3, R-ACK-5].
func TestPoliciesKeepPromises(t *testing.T) {
	for p, want := range map[bayeux.SlowConsumer]string{
		bayeux.SlowDropOldest: "a1 b1 a3 a4", bayeux.SlowDropNewest: "a1 b1 a2 b2", bayeux.SlowConflate: "a1 b1 a4 b2",
	} {
		q := New(Limits{Messages: 4}, nil)
		q.Retain()
		offer(q, p, "a1", "b1")
		send(t, q, "a1 b1", 1)
		offer(q, p, "a2", "b2", "a3", "a4")
		require.True(t, q.Acknowledge(0), "the first batch is missing")
		send(t, q, want, 2)
		require.False(t, q.Acknowledge(2))
		require.Zero(t, q.Len())
		offer(q, p, "a5")
		send(t, q, "a5", 3)
	}
	// Sent and waiting for its acknowledgement, or to be sent again: nothing to
	// drop, so the new one goes.
	q := New(Limits{Messages: 2}, nil)
	q.Retain()
	offer(q, bayeux.SlowDropOldest, "a1", "b1")
	send(t, q, "a1 b1", 1)
	require.False(t, offer(q, bayeux.SlowDropOldest, "a2").Queued)
	require.True(t, q.Acknowledge(0))
	require.False(t, offer(q, bayeux.SlowDropOldest, "a2").Queued)
	send(t, q, "a1 b1", 2)
}

// What was kept back for a limit has a number, but has not left.
func TestPolicyAndCutBatch(t *testing.T) {
	q := New(Limits{Messages: 3}, nil)
	q.Retain()
	offer(q, bayeux.SlowDropOldest, "a1", "a2", "a3")
	l := q.Take(3, true)
	require.Equal(t, "a1", texts(l))
	q.Done(l, 1)
	offer(q, bayeux.SlowDropOldest, "a4")
	require.False(t, q.Acknowledge(1))
	send(t, q, "a3 a4", 2)
	q.Acknowledge(2)
	require.Zero(t, q.Len())
}

// Each message goes by its own policy: those that must not be lost make those
// that may give way, and are not lost for them.
func TestMixedPolicies(t *testing.T) {
	q := New(Limits{Messages: 3}, nil)
	offer(q, bayeux.SlowDisconnect, "x1")
	offer(q, bayeux.SlowDropOldest, "a1", "a2", "a3")
	require.Equal(t, 3, q.Len())
	o := offer(q, bayeux.SlowDisconnect, "x2")
	require.True(t, o.Queued)
	require.Equal(t, 1, o.Dropped[bayeux.SlowDropOldest])
	o = offer(q, bayeux.SlowConflate, "c1", "c2")
	require.True(t, o.Queued)
	require.Equal(t, 1, o.Replaced)
	o = offer(q, bayeux.SlowDisconnect, "x3")
	require.True(t, o.Queued)
	require.Equal(t, 1, o.Dropped[bayeux.SlowConflate])
	o = offer(q, bayeux.SlowDropOldest, "a4")
	require.False(t, o.Queued)
	require.Equal(t, 1, o.Dropped[bayeux.SlowDropOldest])
	o = offer(q, bayeux.SlowDisconnect, "x4")
	require.Equal(t, Outcome{Limit: LimitMessages, Max: 3}, o, "now the session has to end")
	require.Equal(t, "x1 x2 x3", texts(q.Take(0, false)))
}

// A message that no emptying would make room for costs nobody else's place.
func TestTooLargeDropsNothing(t *testing.T) {
	for _, p := range []bayeux.SlowConsumer{bayeux.SlowDropOldest, bayeux.SlowConflate} {
		q := New(Limits{Bytes: 10}, nil)
		offer(q, p, "a1", "b1")
		o := offer(q, p, "a2345678901")
		require.False(t, o.Queued)
		require.Equal(t, 1, o.Dropped[p])
		require.Equal(t, "a1 b1", texts(q.Take(0, false)))
	}
}

// A place that is too small for the newer message is given up.
func TestConflateOutgrowsPlace(t *testing.T) {
	q := New(Limits{Bytes: 8}, nil)
	o := offer(q, bayeux.SlowConflate, "a1", "b1", "c1", "d1", "a2345", "c2")
	require.Equal(t, 1, o.Replaced)
	require.Equal(t, 3, o.Dropped[bayeux.SlowConflate])
	require.Equal(t, "a2345 c2", texts(q.Take(0, false)))
}

// Conflating begins with a lack of room and ends when the client has fetched
// all that waits.
func TestConflatingLasts(t *testing.T) {
	q := New(Limits{Messages: 4}, nil)
	offer(q, bayeux.SlowConflate, "a1", "a2", "a3", "b1")
	require.False(t, q.Conflating())
	o := offer(q, bayeux.SlowConflate, "a4")
	require.Equal(t, Outcome{Queued: true, Limit: LimitMessages, Max: 4, Replaced: 3}, o)
	require.True(t, q.Conflating())
	require.Equal(t, 1, offer(q, bayeux.SlowConflate, "a5").Replaced, "though there is room")
	require.Equal(t, "a5", texts(q.Take(2, false)))
	require.True(t, q.Conflating(), "b1 waits")
	offer(q, bayeux.SlowConflate, "a6", "b2", "a7")
	require.Equal(t, "b2 a7", texts(q.Take(0, false)))
	require.False(t, q.Conflating())
	q.Clear()
	offer(q, bayeux.SlowConflate, "a8", "a9")
	require.Equal(t, "a8 a9", texts(q.Take(0, false)))
}

// A busy channel is not put off by newer messages of its own.
func TestConflateIsFair(t *testing.T) {
	q := New(Limits{Messages: 3}, nil)
	offer(q, bayeux.SlowConflate, "a1", "b1", "c1", "a2", "a3", "a4")
	require.Equal(t, "a4", texts(q.Take(1, false)))
}

// The newer message leaves no later than the one it replaces would have.
func TestConflateLazy(t *testing.T) {
	first, second := after(time.Minute), after(time.Hour)
	for _, c := range []struct{ old, new, want instant.Time }{
		{first, second, first},
		{second, first, first},
		{first, 0, epoch},
		{0, first, epoch},
	} {
		q := New(Limits{Messages: 1}, nil)
		q.Offer(on("a1"), c.old, bayeux.SlowConflate)
		o := q.Offer(on("a2"), c.new, bayeux.SlowConflate)
		require.Equal(t, 1, o.Replaced)
		require.False(t, q.Pending(c.want.Add(-1)) && c.want != epoch)
		require.True(t, q.Pending(c.want))
	}
}

// The first lack of room is news, the next one after half of it was free.
func TestMaxed(t *testing.T) {
	q := New(Limits{Messages: 4, Bytes: 100}, nil)
	next := on("a0")
	require.Nil(t, q.Maxed(next))
	offer(q, bayeux.SlowDropOldest, "a1", "a2", "a3", "a4")
	require.NotNil(t, q.Maxed(next))
	require.Nil(t, q.Maxed(next))
	offer(q, bayeux.SlowDropOldest, "a5")
	require.Nil(t, q.Maxed(next))
	l := q.Take(6, false)
	q.Done(l, 2)
	offer(q, bayeux.SlowDropOldest, "a6", "a7")
	require.NotNil(t, q.Maxed(next))
	q.SetLimits(Limits{Messages: 6})
	require.Nil(t, q.Maxed(next))
	offer(q, bayeux.SlowDropOldest, "a8", "a9")
	require.Equal(t, 6, q.Len())
	require.Zero(t, offer(q, bayeux.SlowDropOldest, "a10").Dropped[bayeux.SlowDisconnect])
}

// No policy allocates for a message, once its queue has grown.
func TestOfferAllocates(t *testing.T) {
	for _, p := range []bayeux.SlowConsumer{
		bayeux.SlowDisconnect, bayeux.SlowDropOldest, bayeux.SlowDropNewest, bayeux.SlowConflate,
	} {
		q := New(Limits{Messages: 100}, NewTotal())
		var all []*bayeux.Frozen
		for i := range 100 {
			all = append(all, &bayeux.Frozen{JSON: []byte("{}"), Channel: fmt.Sprintf("/c/%d", i%10)})
			q.Offer(all[i], 0, p)
		}
		i := 0
		n := testing.AllocsPerRun(10_000, func() {
			q.Offer(all[i%100], 0, p)
			i++
		})
		require.Zero(t, n, p)
	}
}

// However much is leased and however many channels there are, a message costs
// the same.
func BenchmarkOffer(b *testing.B) {
	for _, p := range []bayeux.SlowConsumer{
		bayeux.SlowDisconnect, bayeux.SlowDropOldest, bayeux.SlowDropNewest, bayeux.SlowConflate,
	} {
		for _, leased := range []int{0, 5000} {
			for _, channels := range []int{10, 20_000} {
				b.Run(fmt.Sprintf("%s/leased=%d/channels=%d", p, leased, channels), func(b *testing.B) {
					q := New(Limits{Messages: 10_000}, NewTotal())
					names := make([]string, channels)
					for i := range names {
						names[i] = fmt.Sprintf("/c/%d", i)
					}
					fresh := func(i int) *bayeux.Frozen {
						return &bayeux.Frozen{JSON: []byte("{}"), Channel: names[i%channels]}
					}
					for i := range leased {
						q.Offer(fresh(i), 0, p)
					}
					q.Take(0, false)
					i := 0
					b.ReportAllocs()
					for b.Loop() {
						q.Offer(fresh(i), 0, p)
						i++
					}
				})
			}
		}
	}
}
