package server

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A million ids ([R-HS-13]): none comes twice, each place has each character as
// often as chance has it, and neighbours have nothing to do with one another.
// The bounds are ten standard deviations and more: a sound generator does not
// meet them in the life of this test.
func TestIDsAreNotGuessable(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	const symbols = 36
	var places [sessionIDChars][256]int
	var pairs [256][256]int // a character and the one in the same place of the id before
	halves := make([]uint64, 0, n)
	last := ""
	for range n {
		id := newID(sessionIDChars)
		require.Len(t, id, sessionIDChars)
		var half uint64
		for i := range len(id) {
			places[i][id[i]]++
			if last != "" {
				pairs[last[i]][id[i]]++
			}
			if i < 12 { // 62 bits
				half = half*symbols + uint64(index(id[i]))
			}
		}
		halves = append(halves, half)
		last = id
	}
	slices.Sort(halves)
	require.Len(t, slices.Compact(halves), n, "not even the first twelve characters come twice")

	for i := range places {
		requireEven(t, places[i][:], n, symbols)
	}
	all := make([]int, 0, symbols*symbols)
	for a := range pairs {
		if places[0][a] > 0 {
			for b := range pairs[a] {
				if places[0][b] > 0 {
					all = append(all, pairs[a][b])
				}
			}
		}
	}
	require.Len(t, all, symbols*symbols)
	requireEven(t, all, (n-1)*sessionIDChars, symbols*symbols)
}

func index(c byte) int {
	if c <= '9' {
		return int(c - '0')
	}
	return int(c-'a') + 10
}

// requireEven is the chi-squared test: total things fell into cells, of which
// those with none are not counted but must be too few to matter.
func requireEven(t *testing.T, counts []int, total, cells int) {
	t.Helper()
	want := float64(total) / float64(cells)
	sum, used := 0.0, 0
	for _, c := range counts {
		if c > 0 {
			used++
			sum += (float64(c) - want) * (float64(c) - want) / want
		}
	}
	require.Equal(t, cells, used)
	// Of a mean of cells-1 and a variance of twice that.
	freedom := float64(cells - 1)
	require.Less(t, (sum-freedom)*(sum-freedom), 100*2*freedom, "chi-squared of %d cells: %.0f", cells, sum)
}
