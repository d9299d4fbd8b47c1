package pathprofile_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
)

// WebSockets are refused after two in a row that carried nothing, for an hour and
// then for longer, until one lives.
func TestUpgrades(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	p := w.book.Make(key(1), w.now)
	require.Equal(t, pathprofile.SocketDead, p.Dead(w.now))
	require.True(t, p.Upgrade(w.now))
	require.Zero(t, p.Alive(), "one that lives makes good for it")
	require.Equal(t, pathprofile.SocketDead, p.Dead(w.now))
	require.Equal(t, pathprofile.SocketDead|pathprofile.UpgradesRefused, p.Dead(w.now))
	require.Equal(t, pathprofile.SocketDead, p.Dead(w.now), "one that was open already")
	require.False(t, p.Upgrade(w.now.Add(59*minute)))
	require.Equal(t, 1, w.book.Stats(w.now).UpgradesRefused)
	w.now = w.now.Add(time.Hour)
	require.True(t, p.Upgrade(w.now))
	require.Equal(t, pathprofile.SocketDead|pathprofile.UpgradesRefused, p.Dead(w.now), "one more is enough")
	require.False(t, p.Upgrade(w.now.Add(119*minute)))
	w.now = w.now.Add(2 * time.Hour)
	require.Equal(t, pathprofile.UpgradesBack, p.Alive())
	require.True(t, p.Upgrade(w.now))
	require.True(t, w.book.Make(key(2), w.now).Upgrade(w.now))
}

// Paths are bounded, and forgotten.
func TestBook(t *testing.T) {
	w := newWorld(pathprofile.Config{MaxPaths: 1600, TTL: time.Hour}, 1)
	at := func(i int) pathprofile.Key {
		return pathprofile.Key(i) + 1<<40
	}
	for i := range 20_000 {
		w.now = w.now.Add(2 * time.Millisecond)
		w.book.Make(at(i), w.now)
	}
	require.Nil(t, w.book.Path(at(30_000), w.now))
	n := w.book.Stats(w.now).Paths
	require.LessOrEqual(t, n, 1600)
	require.Greater(t, n, 1400)
	last := w.book.Make(at(19_999), w.now)
	require.Same(t, last, w.book.Make(at(19_999), w.now))
	w.now = w.now.Add(59 * minute)
	w.book.Make(at(19_999), w.now)
	require.Zero(t, w.book.Sweep(w.now))
	w.now = w.now.Add(2 * minute)
	for range 100 { // it looks at a few of each part
		w.book.Sweep(w.now)
	}
	require.Equal(t, 1, w.book.Stats(w.now).Paths)
}

func TestConcurrent(t *testing.T) {
	book := pathprofile.New(pathprofile.Config{MaxPaths: 64, ProbeEvery: time.Millisecond, TTL: time.Second})
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(g, 2))
			now := instant.Time(24 * time.Hour)
			var s pathprofile.Seat
			for serial := range int64(2000) {
				k := key(byte(rnd.IntN(100)))
				p := book.Make(k, now)
				s.Came(p, now, pathprofile.Came{Lane: pathprofile.Lane(rnd.IntN(2)), Serial: serial, Retry: rnd.IntN(2) == 0, Ack: serial - 2})
				if hold := s.Hold(p, now, 30*second); hold < 0 || hold > 30*second {
					t.Errorf("a hold of %v", hold)
				}
				now = now.Add(time.Duration(rnd.Int64N(int64(20 * second))))
				switch rnd.IntN(3) {
				case 0:
					s.Held(p, now, rnd.IntN(2) == 0)
				case 1:
					s.Left(p, now, time.Duration(rnd.Int64N(int64(20*second))))
				}
				if limit := s.Limit(p, now, 1_000_000); limit < 1 || limit > 1_000_000 {
					t.Errorf("a limit of %d", limit)
				}
				s.Wrote(k, rnd.IntN(1_000_000), rnd.IntN(2) == 0, serial)
				if rnd.IntN(2) == 0 {
					p.Dead(now)
				} else {
					p.Alive()
				}
				p.Upgrade(now)
				book.Sweep(now)
				book.Stats(now)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, book.Stats(instant.Time(24*time.Hour)).Paths, 64)
}

// Who had no trouble pays nothing.
func TestCleanPath(t *testing.T) {
	w := newWorld(pathprofile.Config{}, 1)
	k := key(1)
	serial := int64(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p := w.book.Make(k, w.now)
		if !p.Quiet() {
			t.Error("something was learned")
		}
		var s pathprofile.Seat
		serial++
		s.Came(p, w.now, pathprofile.Came{Serial: serial, Ack: -1})
		s.Hold(p, w.now, 30*second)
		w.now = w.now.Add(30 * second)
		s.Held(p, w.now, true)
	}))
	require.LessOrEqual(t, unsafe.Sizeof(pathprofile.Seat{}), uintptr(64))
	require.LessOrEqual(t, unsafe.Sizeof(pathprofile.Path{}), uintptr(400))
}

func TestNews(t *testing.T) {
	n := pathprofile.Cut | pathprofile.CeilingSet | pathprofile.ShortPolling
	require.Equal(t, "cut,ceiling_set,short_polling", n.String())
	var all []string
	for one := range n.All() {
		all = append(all, one.String())
	}
	require.Equal(t, []string{"cut", "ceiling_set", "short_polling"}, all)
}

func BenchmarkCycle(b *testing.B) {
	book := pathprofile.New(pathprofile.Config{})
	now := instant.Time(24 * time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if book.Path(key(1), now) != nil {
			b.Fatal("something was learned")
		}
	}
}
