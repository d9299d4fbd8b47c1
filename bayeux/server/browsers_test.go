package server

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The connects of browsers are counted as a naive count has them.
func TestBrowsersCount(t *testing.T) {
	type connect struct {
		browser string
		sess    *session
	}
	sessions := []*session{new(session), new(session), new(session), new(session)}
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var b browsers
		var there []connect
		count := func(browser string) (n int) {
			some := map[*session]bool{}
			for _, c := range there {
				if c.browser == browser {
					some[c.sess] = true
				}
			}
			return len(some)
		}
		for range 300 {
			if len(there) > 0 && rnd.IntN(2) == 0 {
				i := rnd.IntN(len(there))
				b.leave(there[i].browser, there[i].sess)
				there = append(there[:i], there[i+1:]...)
			} else {
				c := connect{[]string{"a", "b", "c"}[rnd.IntN(3)], sessions[rnd.IntN(4)]}
				there = append(there, c)
				require.Equal(t, count(c.browser), b.enter(c.browser, c.sess), "seed %d", seed)
			}
			browsers := 0
			for _, name := range []string{"a", "b", "c"} {
				browsers += min(count(name), 1)
			}
			require.Equal(t, browsers, b.size(), "seed %d", seed)
		}
		for _, c := range there {
			b.leave(c.browser, c.sess)
		}
		require.Zero(t, b.size())
	}
}
