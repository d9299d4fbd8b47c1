package rawio

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Only who works for long in one piece wakes the watch, and once in that time.
func TestSpell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Spell
		woken := 0
		work := func(each time.Duration) {
			for range spellSteps {
				time.Sleep(each)
				if s.Step() {
					woken++
				}
			}
		}
		for range 50 {
			s.Begin()
			work(spellLength / 100)
		}
		require.Zero(t, woken, "short pieces")
		s.Begin()
		for range 41 {
			work(spellLength / 320) // a tenth
		}
		require.Equal(t, 4, woken)
		s.Begin()
		work(time.Second)
		require.Equal(t, 4, woken, "from the first look at the clock on")
		work(time.Second)
		require.Equal(t, 5, woken)
		work(0)
		require.Equal(t, 5, woken)
	})
}
