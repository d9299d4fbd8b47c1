package queue

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// epoch is when all tests begin.
const epoch = instant.Time(time.Hour)

func after(d time.Duration) instant.Time { return epoch.Add(d) }

func message(text string) *bayeux.Frozen { return &bayeux.Frozen{JSON: []byte(text)} }

func fill(t *testing.T, q *Queue, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NoError(t, q.Append(message(text), 0))
	}
}

func lazy(t *testing.T, q *Queue, text string, until instant.Time) {
	t.Helper()
	require.NoError(t, q.Append(message(text), until))
}

// texts joins what a lease holds.
func texts(l *Lease) string {
	all := make([]string, 0, len(l.Messages))
	for _, f := range l.Messages {
		all = append(all, string(f.JSON))
	}
	return strings.Join(all, " ")
}

// send takes with a reply and reports everything as written.
func send(t *testing.T, q *Queue, want string, batch int64) {
	t.Helper()
	l := q.Take(0, true)
	require.Equal(t, want, texts(l))
	require.Equal(t, batch, l.Batch)
	q.Done(l, len(l.Messages))
}

func TestTakeIsFIFO(t *testing.T) {
	q := New(Limits{}, nil)
	fill(t, q, "a", "b", "c")
	l := q.Take(0, false)
	require.Equal(t, "a b c", texts(l))
	require.Zero(t, l.Batch)
	require.False(t, l.More)
	require.Equal(t, 3, q.Len(), "leased messages count")
	require.Equal(t, int64(3), q.Bytes())
	require.Zero(t, q.Unsent())
	require.False(t, q.Pending(epoch))
	require.Empty(t, q.Take(0, true).Messages)
	q.Done(l, 3)
	require.Zero(t, q.Len())
	require.Zero(t, q.Bytes())
}

func TestTakeLimit(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit int
		want  string
		more  bool
	}{
		{"none", 0, "aaa bbb cc", false},
		{"negative is none", -1, "aaa bbb cc", false},
		{"a larger one goes alone", 1, "aaa", true},
		{"the comma counts", 7, "aaa", true},
		{"two fit", 8, "aaa bbb", true},
		{"no later one overtakes", 10, "aaa bbb", true},
		{"all fit", 11, "aaa bbb cc", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := New(Limits{}, nil)
			fill(t, q, "aaa", "bbb", "cc")
			l := q.Take(tc.limit, false)
			require.Equal(t, tc.want, texts(l))
			require.Equal(t, tc.more, l.More)
			require.Equal(t, tc.more, q.Pending(epoch))
		})
	}
}

// What was not written goes back in front, whatever the order in which the
// leases end [R-DL-10].
func TestDonePutsBackInOrder(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first int
		n     [2]int // written of lease 1 and 2
		want  string
	}{
		{"nothing written", 0, [2]int{0, 0}, "a b c d e"},
		{"newer lease ends first", 1, [2]int{0, 0}, "a b c d e"},
		{"first one partly", 0, [2]int{1, 2}, "b e"},
		{"second one partly", 0, [2]int{2, 1}, "d e"},
		{"too many", 0, [2]int{9, 9}, "e"},
		{"negative", 0, [2]int{-1, 2}, "a b e"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := New(Limits{}, nil)
			fill(t, q, "a", "b")
			one := q.Take(0, false)
			fill(t, q, "c", "d")
			leases := [2]*Lease{one, q.Take(0, false)}
			fill(t, q, "e")
			q.Done(leases[tc.first], tc.n[tc.first])
			q.Done(leases[1-tc.first], tc.n[1-tc.first])
			q.Done(leases[0], 0)
			q.Done(leases[1], 0)
			require.Equal(t, tc.want, texts(q.Take(0, false)))
		})
	}
}

func TestBounds(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		q := New(Limits{Messages: 2}, nil)
		fill(t, q, "a", "b")
		l := q.Take(0, false)
		err := q.Append(message("c"), 0)
		require.ErrorIs(t, err, ErrFull, "leased messages count")
		var full *FullError
		require.ErrorAs(t, err, &full)
		require.Equal(t, FullError{Limit: "messages", Max: 2}, *full)
		require.EqualError(t, err, "queue is full: more than 2 messages")
		require.Equal(t, 2, q.Len())
		q.Done(l, 1)
		fill(t, q, "c")
		require.Equal(t, "b c", texts(q.Take(0, false)))
	})
	t.Run("bytes", func(t *testing.T) {
		total := NewTotal()
		q := New(Limits{Bytes: 4}, total)
		fill(t, q, "aaa")
		err := q.Append(message("bb"), 0)
		var full *FullError
		require.ErrorAs(t, err, &full)
		require.Equal(t, FullError{Limit: "bytes", Max: 4}, *full)
		require.Equal(t, int64(3), total.Bytes(), "nothing was queued")
		fill(t, q, "b")
	})
	t.Run("retained messages count", func(t *testing.T) {
		q := New(Limits{Messages: 1}, nil)
		q.Retain()
		fill(t, q, "a")
		send(t, q, "a", 1)
		require.ErrorIs(t, q.Append(message("b"), 0), ErrFull)
		q.Acknowledge(1)
		fill(t, q, "b")
	})
}

func TestTotalCountsSharedOnce(t *testing.T) {
	total := NewTotal()
	a, b := New(Limits{}, total), New(Limits{}, total)
	shared := message("shared")
	require.NoError(t, a.Append(shared, 0))
	require.NoError(t, b.Append(shared, 0))
	fill(t, b, "own")
	require.Equal(t, int64(9), total.Bytes())
	require.Equal(t, int64(6), a.Bytes())
	require.Equal(t, int64(9), b.Bytes())
	a.Done(a.Take(0, false), 1)
	require.Equal(t, int64(9), total.Bytes())
	b.Clear()
	require.Zero(t, total.Bytes())
}

// [R-DL-5] [R-DL-6] [R-CN-11].
func TestLazy(t *testing.T) {
	q := New(Limits{}, nil)
	require.True(t, q.LazyDeadline().IsZero())
	lazy(t, q, "a", after(5*time.Second))
	lazy(t, q, "b", after(2*time.Second))
	require.False(t, q.Pending(epoch))
	require.Equal(t, 2, q.Unsent())
	require.Equal(t, after(2*time.Second), q.LazyDeadline(), "the earlier of several times")
	require.False(t, q.Pending(after(2*time.Second-1)))
	require.True(t, q.Pending(after(2*time.Second)))

	fill(t, q, "c")
	require.True(t, q.Pending(epoch), "a message that is not lazy")
	l := q.Take(0, false)
	require.Equal(t, "a b c", texts(l), "lazy ones leave with others")
	require.True(t, q.LazyDeadline().IsZero(), "the time of what left does not matter")
	q.Done(l, 1)
	require.Equal(t, after(2*time.Second), q.LazyDeadline(), "what came back keeps its time")
	q.Done(q.Take(0, false), 2)
	require.True(t, q.LazyDeadline().IsZero())
	require.False(t, q.Pending(after(time.Hour)))
}

// What a limit leaves behind goes by the next answer at once (DESIGN 7).
func TestLazyLeftBehind(t *testing.T) {
	q := New(Limits{}, nil)
	lazy(t, q, "aaa", after(time.Minute))
	lazy(t, q, "bbb", after(time.Minute))
	require.False(t, q.Pending(epoch))
	require.Equal(t, "aaa", texts(q.Take(4, false)))
	require.True(t, q.Pending(epoch))
}

func TestLeaseSurvivesClear(t *testing.T) {
	total := NewTotal()
	q := New(Limits{}, total)
	fill(t, q, "a", "b")
	l := q.Take(0, false)
	q.Clear()
	require.Zero(t, q.Len())
	require.Zero(t, total.Bytes())
	require.Equal(t, "a b", texts(l))
	fill(t, q, "c")
	q.Done(l, 0)
	require.Equal(t, "c", texts(q.Take(0, false)))
	q.Done(nil, 0)
}

func TestEmptyQueueGivesMemoryBack(t *testing.T) {
	q := New(Limits{}, nil)
	for range 1000 {
		fill(t, q, "x")
	}
	q.Done(q.Take(0, false), 1000)
	require.LessOrEqual(t, cap(q.entries), roomy)

	// A lease that stays out does not make the queue grow.
	fill(t, q, "first")
	q.Take(0, false)
	for range 1000 {
		fill(t, q, "x")
		q.Done(q.Take(0, false), 1)
	}
	require.LessOrEqual(t, len(q.entries), roomy)
}

func TestRetained(t *testing.T) {
	start := func(t *testing.T, all ...string) *Queue {
		q := New(Limits{}, nil)
		require.False(t, q.Retaining())
		require.False(t, q.Acknowledge(1), "without retained delivery")
		q.Retain()
		require.True(t, q.Retaining())
		fill(t, q, all...)
		return q
	}
	t.Run("nothing leaves without a reply [R-ACK-10]", func(t *testing.T) {
		q := start(t, "a")
		l := q.Take(0, false)
		require.Empty(t, l.Messages)
		require.Zero(t, l.Batch)
		q.Done(l, 0)
		send(t, q, "a", 1)
	})
	t.Run("numbers grow also when empty [R-ACK-3]", func(t *testing.T) {
		q := start(t)
		send(t, q, "", 1)
		send(t, q, "", 2)
		fill(t, q, "a")
		send(t, q, "a", 3)
	})
	t.Run("acknowledged batches are forgotten [R-ACK-4] [R-ACK-5]", func(t *testing.T) {
		q := start(t, "a")
		send(t, q, "a", 1)
		fill(t, q, "b")
		require.True(t, q.Acknowledge(0), "below the oldest batch nothing is forgotten")
		require.True(t, q.Pending(epoch))
		send(t, q, "a b", 2)
		require.False(t, q.Pending(epoch))
		require.True(t, q.Acknowledge(1), "b is missing")
		send(t, q, "b", 3)
		require.False(t, q.Acknowledge(3))
		require.Zero(t, q.Len())
	})
	t.Run("without ack all goes again with the next reply [R-ACK-6] [R-ACK-9]", func(t *testing.T) {
		q := start(t, "a")
		send(t, q, "a", 1)
		require.False(t, q.Pending(epoch), "no forced reply")
		fill(t, q, "b")
		send(t, q, "a b", 2)
		send(t, q, "a b", 3)
	})
	t.Run("a number too high acknowledges all that was sent [R-ACK-8]", func(t *testing.T) {
		q := start(t, "a")
		send(t, q, "a", 1)
		fill(t, q, "b")
		require.False(t, q.Acknowledge(999))
		send(t, q, "b", 2)
	})
	t.Run("negative [R-ACK-4]", func(t *testing.T) {
		q := start(t, "a")
		send(t, q, "a", 1)
		require.True(t, q.Acknowledge(-1))
		require.Equal(t, 1, q.Unsent())
	})
	t.Run("lazy ones alone do not hurry, CASES 141 [R-ACK-7]", func(t *testing.T) {
		q := start(t)
		lazy(t, q, "z", after(time.Second))
		send(t, q, "z", 1)
		require.False(t, q.Acknowledge(0))
		require.False(t, q.Pending(after(time.Hour)), "its time has been")
		require.True(t, q.LazyDeadline().IsZero())
		send(t, q, "z", 2)
	})
	t.Run("the client is faster than the report of its carrier", func(t *testing.T) {
		q := start(t, "a")
		l := q.Take(0, true)
		require.False(t, q.Acknowledge(1))
		q.Done(l, 1)
		require.Zero(t, q.Len())
	})
	t.Run("an older reply ends late [R-ACK-12]", func(t *testing.T) {
		q := start(t, "a")
		older := q.Take(0, true)
		fill(t, q, "b")
		newer := q.Take(0, true)
		require.Equal(t, "a b", texts(newer))
		q.Done(newer, 2)
		q.Done(older, 0)
		require.Zero(t, q.Unsent())
		require.False(t, q.Acknowledge(2))
		require.Zero(t, q.Len())
	})
	t.Run("what is on its way but not acknowledged is missing [R-ACK-7]", func(t *testing.T) {
		q := start(t, "a")
		l := q.Take(0, true)
		require.True(t, q.Acknowledge(0))
		q.Done(l, 1)
		require.True(t, q.Pending(epoch))
		send(t, q, "a", 2)
	})
	t.Run("failed reply", func(t *testing.T) {
		q := start(t, "a", "b")
		q.Done(q.Take(0, true), 1)
		require.True(t, q.Pending(epoch))
		send(t, q, "a b", 2)
		require.False(t, q.Acknowledge(2))
		require.Zero(t, q.Len())
	})
}

// WIRE 16, "ack and a poll cut by bytes" [R-ACK-6].
func TestRetainedCutByBytes(t *testing.T) {
	q := New(Limits{}, nil)
	q.Retain()
	fill(t, q, "aaa")
	send(t, q, "aaa", 1)
	fill(t, q, "bbb", "ccc")
	l := q.Take(8, true)
	require.Equal(t, "aaa bbb", texts(l))
	require.True(t, l.More)
	require.Equal(t, int64(2), l.Batch)
	q.Done(l, 2)
	require.True(t, q.Pending(epoch), "the next connect is answered at once")
	require.False(t, q.Acknowledge(2), "what was kept back is of the next batch")
	send(t, q, "ccc", 3)

	// Also what has left before, but does not fit now.
	fill(t, q, "ddd")
	send(t, q, "ccc ddd", 4)
	l = q.Take(4, true)
	require.Equal(t, "ccc", texts(l))
	q.Done(l, 1)
	require.True(t, q.Pending(epoch))
	require.False(t, q.Acknowledge(5))
	send(t, q, "ddd", 6)
}

func TestSnapshot(t *testing.T) {
	q := New(Limits{}, nil)
	q.Retain()
	fill(t, q, `{"data":"<\u0041>  & 1e400"}`)
	send(t, q, `{"data":"<\u0041>  & 1e400"}`, 1)
	fill(t, q, "b")
	lazy(t, q, "c", after(3*time.Second))
	raw, err := json.Marshal(q.Snapshot(after(time.Second)))
	require.NoError(t, err)

	var s Snapshot
	require.NoError(t, json.Unmarshal(raw, &s))
	total := NewTotal()
	later := epoch.Add(24 * time.Hour)
	r := Restore(later, s, Limits{Messages: 1}, total)
	require.True(t, r.Retaining())
	require.Equal(t, q.Bytes(), r.Bytes())
	require.Equal(t, q.Bytes(), total.Bytes())
	require.Equal(t, 2, r.Unsent())
	require.Equal(t, later.Add(2*time.Second), r.LazyDeadline())
	require.ErrorIs(t, r.Append(message("d"), 0), ErrFull)
	send(t, r, `{"data":"<\u0041>  & 1e400"} b c`, 2)
	require.True(t, r.Acknowledge(1))
	send(t, r, "b c", 3)
	require.False(t, r.Acknowledge(3))
	require.Zero(t, total.Bytes())
}
