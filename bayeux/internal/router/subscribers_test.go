package router

import (
	"hash/maphash"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkList compares a list with the set of its members, and checks its shape.
func checkList(t *testing.T, l *list[int], want map[*int]bool) {
	t.Helper()
	got := make(map[*int]bool)
	for i := range l.slots {
		if s := l.slots[i].Load(); s != nil {
			require.False(t, got[s], "twice in the list")
			got[s] = true
		}
	}
	require.Equal(t, want, got)
	require.Len(t, want, int(l.live))
	require.True(t, l.live == 0 && len(l.slots) == 0 || 2*int(l.live) > len(l.slots), "%d of %d", l.live, len(l.slots))
	require.Equal(t, len(l.slots) > scanLimit, l.index != nil)
	if l.index != nil {
		require.LessOrEqual(t, 2*len(l.slots), len(l.index.table))
	}
}

func TestListAgainstSet(t *testing.T) {
	seed := maphash.MakeSeed()
	for _, size := range []int{1, 2, scanLimit, scanLimit + 1, 10 * scanLimit} {
		rnd := rand.New(rand.NewPCG(uint64(size), 1))
		people := make([]int, size)
		var l list[int]
		set := make(map[*int]bool)
		for step := range 40 * size {
			s := &people[rnd.IntN(size)]
			// Growing and shrinking take turns.
			if add := rnd.IntN(10) < 3+4*(step/(10*size)%2); add {
				require.Equal(t, !set[s], l.add(seed, s))
				set[s] = true
			} else {
				require.Equal(t, set[s], l.remove(seed, s))
				delete(set, s)
			}
			if size <= scanLimit || step%61 == 0 {
				checkList(t, &l, set)
			}
		}
		checkList(t, &l, set)
		for s := range set {
			require.True(t, l.remove(seed, s))
			require.False(t, l.remove(seed, s))
		}
		require.Equal(t, list[int]{}, l, "an empty list keeps no memory")
	}
}

func TestListKeepsNobodyAlive(t *testing.T) {
	seed := maphash.MakeSeed()
	people := make([]int, 3*scanLimit)
	var l list[int]
	for i := range people {
		l.add(seed, &people[i])
	}
	l.remove(seed, &people[5])
	require.Nil(t, l.slots[5].Load())
	require.Len(t, l.slots, len(people))
}

func TestListReaderKeepsItsView(t *testing.T) {
	seed := maphash.MakeSeed()
	people := make([]int, 2*scanLimit)
	var l list[int]
	for i := range people {
		l.add(seed, &people[i])
	}
	view := l.slots
	l.remove(seed, &people[0])
	l.add(seed, &people[0])
	for i := range view { // the place of one who came back is not within an older view
		require.Equal(t, i != 0, view[i].Load() == &people[i])
	}
	for i := range people[1:] {
		l.remove(seed, &people[1+i])
	}
	require.Len(t, l.slots, 1)
	require.Len(t, view, len(people))
}

func BenchmarkListAdd(b *testing.B) {
	seed := maphash.MakeSeed()
	people := make([]int, b.N)
	var l list[int]
	b.ReportAllocs()
	b.ResetTimer()
	for i := range people {
		l.add(seed, &people[i])
	}
}
