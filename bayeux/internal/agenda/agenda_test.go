package agenda

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

type thing struct{ place int32 }

func (t *thing) AgendaPlace() *int32 { return &t.place }

func TestEmpty(t *testing.T) {
	var a Agenda[*thing]
	_, ok := a.Due(1 << 40)
	require.False(t, ok)
	require.Zero(t, a.Next())
	require.Empty(t, a.All())
	a.Drop(&thing{})
}

// A later time is not entered, an earlier one is.
func TestSet(t *testing.T) {
	var a Agenda[*thing]
	one, two := &thing{}, &thing{}
	require.True(t, a.Set(one, 100))
	require.False(t, a.Set(two, 200))
	require.False(t, a.Set(two, 300))
	require.True(t, a.Set(two, 50))
	require.Equal(t, instant.Time(50), a.Next())
	_, ok := a.Due(49)
	require.False(t, ok)
	got, ok := a.Due(50)
	require.True(t, ok)
	require.Same(t, two, got)
	a.Drop(one)
	require.Empty(t, a.All())
}

// naive is an agenda that cannot be wrong.
type naive map[*thing]instant.Time

func (n naive) set(it *thing, at instant.Time) {
	if old, in := n[it]; !in || at.Before(old) {
		n[it] = at
	}
}

func (n naive) earliest() (at instant.Time) {
	for _, t := range n {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

func TestModel(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var a Agenda[*thing]
		model := naive{}
		things := make([]*thing, 60)
		for i := range things {
			things[i] = &thing{}
		}
		for range 2000 {
			it := things[rnd.IntN(len(things))]
			at := instant.Time(1 + rnd.Int64N(1000))
			switch rnd.IntN(4) {
			case 0:
				a.Drop(it)
				delete(model, it)
			case 1:
				first := model.earliest()
				if a.Next() != first {
					t.Fatalf("seed %d: next is at %d, not %d", seed, a.Next(), first)
				}
				got, ok := a.Due(at)
				if ok != (!first.IsZero() && !first.After(at)) || ok && model[got] != first {
					t.Fatalf("seed %d: at %d %v is due, at %d; the first one is at %d", seed, at, ok, model[got], first)
				}
				delete(model, got)
			default:
				a.Set(it, at)
				model.set(it, at)
			}
			if len(a.heap) != len(model) {
				t.Fatalf("seed %d: %d are in, not %d", seed, len(a.heap), len(model))
			}
		}
		all := a.All()
		require.Len(t, all, len(model))
		for _, it := range all {
			require.Contains(t, model, it)
		}
	}
}
