package router_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/channels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receivers collects what a message to n reaches, with a sign for no echo.
func receivers(r *router.Router[string], n channels.Name) (who []string) {
	found, _ := r.Collect(n, nil)
	for _, receiver := range found {
		name := *receiver.S
		if receiver.NoEcho {
			name += "!"
		}
		who = append(who, name)
	}
	return who
}

func TestCollectOrder(t *testing.T) { // [R-PB-10]
	r := router.New[string]()
	names := []channels.Name{"/a/b", "/a/*", "/a/**", "/**", "/a", "/*", "/a/b/c", "/a/b/*", "/service/x", "/a/{v}"}
	for _, n := range names {
		s := string(n)
		require.True(t, r.Add(n, &s))
	}
	for _, c := range []struct {
		to   channels.Name
		want []string
	}{
		{"/a/b", []string{"/**", "/a/**", "/a/*", "/a/b"}},
		{"/a/b/c", []string{"/**", "/a/**", "/a/b/*", "/a/b/c"}},
		{"/a", []string{"/**", "/*", "/a"}},
		{"/ab/b", []string{"/**"}},                             // [R-SB-10]
		{"/a/b/c/d", []string{"/**", "/a/**"}},                 // [R-SB-10]
		{"/a/*", []string{"/**", "/a/**", "/a/*"}},             // [R-PB-8]
		{"/a/**", []string{"/**", "/a/**"}},                    // [R-PB-8]
		{"/b/*", []string{"/**"}},                              // [R-PB-8]
		{"/**", []string{"/**"}},                               // [R-PB-8]
		{"/a/{v}", []string{"/**", "/a/**", "/a/*", "/a/{v}"}}, // [R-SB-11]
		{"/a/x", []string{"/**", "/a/**", "/a/*"}},             // [R-SB-11]
		{"/service", []string{"/**", "/*"}},                    // [R-MSG-13]
		{"/META/connect", []string{"/**"}},                     // [R-MSG-13]
		{"/service/x", nil},
		{"/service/*", nil},
		{"/meta/x", nil}, // [R-MSG-13], [R-SB-10]
		{"", nil},
	} {
		require.Equal(t, c.want, receivers(r, c.to), "%q", c.to)
	}
	channelCount, subscriptions := r.Stats()
	require.Equal(t, len(names), channelCount, "publishing creates nothing")
	require.Equal(t, len(names), subscriptions)
}

func TestSpellingsShareAChannel(t *testing.T) { // [R-MSG-12], [R-MSG-8], [R-MSG-10]
	r := router.New[string]()
	s := "s"
	for _, spelling := range []string{"/a/b", "/a/b/", "/a/b "} {
		n, err := channels.Parse(spelling)
		require.NoError(t, err)
		require.Equal(t, spelling == "/a/b", r.Add(n, &s))
	}
	for _, spelling := range []string{"a", "/a?", "//", "/*/b"} {
		n, err := channels.Parse(spelling)
		require.Error(t, err)
		require.False(t, r.Add(n, &s), "the zero Name takes nothing")
		require.False(t, r.Ensure(n, nil))
		_ = r.Pin(n)
		_ = r.Update(n, func(*router.Attrs) { t.Error("called") })
		require.False(t, r.Exists(n))
	}
	require.Equal(t, 1, r.Subscribers("/a/b"))
	count, _ := r.Stats()
	require.Equal(t, 1, count)
}

func TestDeepNames(t *testing.T) { // deeper than wildcards are counted apart
	r := router.New[string]()
	long := channels.Name("")
	for range 90 {
		long += "/x"
	}
	s := [3]string{"deep", "shallow", "exact"}
	require.True(t, r.Add(long+"/**", &s[0]))
	require.True(t, r.Add(long+"/*", &s[1]))
	require.True(t, r.Add(long+"/y", &s[2]))
	require.Equal(t, s[:], receivers(r, long+"/y"))
	require.Equal(t, s[:1], receivers(r, long+"/y/z"))
	require.Empty(t, receivers(r, long))
}

func TestOneCopy(t *testing.T) { // [R-PB-9], by comparing and by hashing
	for _, size := range []int{1, router.MergeLimit, router.MergeLimit + 1, 20 * router.MergeLimit} {
		r := router.New[int]()
		people := make([]int, size+2)
		for _, n := range []channels.Name{"/**", "/a/**", "/a/*", "/a/b"} {
			for i := range people[2:] {
				r.Add(n, &people[2+i])
			}
		}
		r.Add("/a/*", &people[0])
		r.Add("/a/b", &people[0])
		r.Add("/a/b", &people[1])
		for range 2 { // the second time with a used table
			got, _ := r.Collect("/a/b", nil)
			seen := make(map[*int]bool)
			for _, receiver := range got {
				require.False(t, seen[receiver.S])
				seen[receiver.S] = true
			}
			require.Len(t, seen, size+2)
			require.Same(t, &people[0], got[size].S)
			require.Same(t, &people[1], got[size+1].S)
		}
	}
}

func TestNoEcho(t *testing.T) { // [R-PB-11]
	r := router.New[string]()
	noEcho := func(a *router.Attrs) { a.NoEcho = true }
	_ = r.Update("/nopub", noEcho)
	one, both := "one", "both"
	r.Add("/nopub", &one)
	r.Add("/nopub", &both)
	require.Equal(t, []string{"one!", "both!"}, receivers(r, "/nopub"))
	r.Add("/**", &both)
	require.Equal(t, []string{"both", "one!"}, receivers(r, "/nopub"), "a subscription to /** still echoes")
	_ = r.Update("/**", noEcho)
	require.Equal(t, []string{"both!", "one!"}, receivers(r, "/nopub"))
	_ = r.Update("/nopub", func(a *router.Attrs) { a.NoEcho = false })
	require.Equal(t, []string{"both", "one"}, receivers(r, "/nopub"))
}

func TestLazy(t *testing.T) { // [R-DL-6]
	r := router.New[string]()
	lazy := func(n channels.Name, timeout time.Duration) {
		_ = r.Update(n, func(a *router.Attrs) { a.Lazy, a.LazyTimeout = true, timeout })
	}
	timeout := func(n channels.Name) (bool, time.Duration) {
		_, how := r.Collect(n, nil)
		return how.Lazy, how.Timeout(5 * time.Second)
	}
	check := func(n channels.Name, wantLazy bool, want time.Duration) {
		t.Helper()
		got, wait := timeout(n)
		require.Equal(t, wantLazy, got)
		require.Equal(t, want, wait)
	}
	lazy("/a", 0)
	check("/a", true, 5*time.Second)
	check("/a/b", false, 0) // not from parents
	lazy("/a/*", 7*time.Second)
	check("/a/b", true, 7*time.Second)
	check("/a/b/c", false, 0)
	lazy("/a/**", 9*time.Second)
	check("/a/b", true, 7*time.Second)
	check("/a/b/c", true, 9*time.Second)
	lazy("/**", 0) // the transport's, which is earlier here
	check("/a/b", true, 5*time.Second)
	lazy("/a/b", 1500*time.Millisecond)
	check("/a/b", true, 1500*time.Millisecond)
	_ = r.Update("/a/b", func(a *router.Attrs) { a.Lazy = false })
	check("/a/b", true, 5*time.Second)
}

func TestSweep(t *testing.T) { // [R-SB-13], CASES 153
	s := "s"
	for _, c := range []struct {
		name  string
		setUp func(r *router.Router[string], n channels.Name)
		stays bool
	}{
		{"plain", func(r *router.Router[string], n channels.Name) { r.Ensure(n, nil) }, false},
		{"left", func(r *router.Router[string], n channels.Name) { r.Add(n, &s); r.Remove(n, &s) }, false},
		{"subscribed", func(r *router.Router[string], n channels.Name) { r.Add(n, &s) }, true},
		{"persistent", func(r *router.Router[string], n channels.Name) {
			r.Ensure(n, func(a *router.Attrs) { a.Persistent = true })
		}, true},
		{"made persistent", func(r *router.Router[string], n channels.Name) {
			r.Ensure(n, nil)
			_ = r.Update(n, func(a *router.Attrs) { a.Persistent = true })
		}, true},
		{"no longer persistent", func(r *router.Router[string], n channels.Name) {
			_ = r.Update(n, func(a *router.Attrs) { a.Persistent = true })
			r.Sweep()
			_ = r.Update(n, func(a *router.Attrs) { a.Persistent = false })
		}, false},
		{"pinned", func(r *router.Router[string], n channels.Name) { _ = r.Pin(n); _ = r.Pin(n); r.Unpin(n) }, true},
		{"unpinned", func(r *router.Router[string], n channels.Name) { _ = r.Pin(n); r.Sweep(); r.Unpin(n); r.Unpin(n) }, false},
	} {
		for _, n := range []channels.Name{"/a/b", "/a/*", "/a/**", "/service/a"} {
			t.Run(c.name+string(n), func(t *testing.T) {
				r := router.New[string]()
				c.setUp(r, n)
				require.Empty(t, r.Sweep())
				require.Empty(t, r.Sweep())
				require.True(t, r.Exists(n))
				if c.stays {
					require.Empty(t, r.Sweep())
					require.True(t, r.Exists(n))
					return
				}
				require.Equal(t, []channels.Name{n}, r.Sweep())
				require.False(t, r.Exists(n))
				require.Empty(t, r.Sweep())
				require.Zero(t, r.Wildcards())
				require.True(t, r.Ensure(n, nil), "it can come back")
			})
		}
	}
}

func TestUseDelaysSweep(t *testing.T) { // [R-SB-13]
	s := "s"
	for name, use := range map[string]func(r *router.Router[string], n channels.Name){
		"Ensure":  func(r *router.Router[string], n channels.Name) { r.Ensure(n, nil) },
		"init":    func(r *router.Router[string], n channels.Name) { r.Ensure(n, func(*router.Attrs) {}) },
		"Update":  func(r *router.Router[string], n channels.Name) { _ = r.Update(n, func(*router.Attrs) {}) },
		"Pin":     func(r *router.Router[string], n channels.Name) { _ = r.Pin(n); r.Unpin(n) },
		"Add":     func(r *router.Router[string], n channels.Name) { r.Add(n, &s); r.Remove(n, &s) },
		"Collect": func(r *router.Router[string], n channels.Name) { r.Collect(n, nil) },
		"Heard":   func(r *router.Router[string], n channels.Name) { r.Heard(n) },
	} {
		t.Run(name, func(t *testing.T) {
			r := router.New[string]()
			r.Ensure("/a", nil)
			for range 5 {
				require.Empty(t, r.Sweep())
				require.Empty(t, r.Sweep())
				use(r, "/a")
			}
			r.Exists("/a") // looking is no use
			r.Attrs("/a")
			r.Subscribers("/a")
			require.Empty(t, r.Sweep())
			require.Empty(t, r.Sweep())
			require.Equal(t, []channels.Name{"/a"}, r.Sweep())
		})
	}
}

func TestNilSubscriber(t *testing.T) {
	r := router.New[int]()
	people := make([]int, 3)
	for i := range people {
		r.Add("/a", &people[i])
	}
	r.Remove("/a", &people[0])
	require.False(t, r.Add("/a", nil))
	require.False(t, r.Remove("/a", nil), "not even where somebody has left")
	require.Equal(t, 2, r.Subscribers("/a"))
}

func TestRangeStops(t *testing.T) {
	r := router.New[string]()
	for i := range 100 {
		r.Ensure(channels.Name(fmt.Sprintf("/a/%d", i)), nil)
	}
	calls := 0
	r.Range(func(n channels.Name, _ router.Attrs, _ int) bool {
		calls++
		r.Ensure(n+"/x", nil) // no lock is held
		return calls < 10
	})
	require.Equal(t, 10, calls)
}

// CASES 154: the initialiser runs exactly once under concurrent creation, and
// nobody sees a channel that is half made.
func TestInitialiser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := router.New[string]()
		s := "s"
		const n = channels.Name("/a/*")
		release := make(chan struct{})
		var calls, created, waiting atomic.Int32
		var group sync.WaitGroup
		waiter := func(use func()) {
			waiting.Add(1)
			group.Go(func() { use(); waiting.Add(-1) })
		}
		for range 8 {
			waiter(func() {
				if r.Ensure(n, func(a *router.Attrs) {
					calls.Add(1)
					a.Lazy = true
					_ = r.Pin(n)
					<-release
					a.NoEcho = true
				}) {
					created.Add(1)
				}
			})
		}
		synctest.Wait()
		waiter(func() { require.False(t, r.Ensure(n, nil)) })
		waiter(func() { require.True(t, r.Add(n, &s)) })
		waiter(func() {
			_ = r.Update(n, func(a *router.Attrs) {
				require.True(t, a.Lazy && a.NoEcho)
				a.Persistent = true
			})
		})
		synctest.Wait()
		require.EqualValues(t, 1, calls.Load())
		require.EqualValues(t, 11, waiting.Load())
		require.False(t, r.Exists(n))
		require.Empty(t, receivers(r, "/a/b"))
		require.False(t, r.Remove(n, &s))
		_ = r.Pin(n)
		r.Unpin(n)
		close(release)
		group.Wait()
		require.EqualValues(t, 1, calls.Load())
		require.EqualValues(t, 1, created.Load())
		attrs, known := r.Attrs(n)
		require.True(t, known)
		require.Equal(t, router.Attrs{Persistent: true, Lazy: true, NoEcho: true}, attrs)
		require.Equal(t, []string{"s!"}, receivers(r, "/a/b"))

		// The pin taken by the initialiser holds.
		_ = r.Update(n, func(a *router.Attrs) { a.Persistent = false })
		r.Remove(n, &s)
		for range 4 {
			require.Empty(t, r.Sweep())
		}
		r.Unpin(n)
		require.Empty(t, r.Sweep())
		require.Empty(t, r.Sweep())
		require.Equal(t, []channels.Name{n}, r.Sweep())
	})
}

func TestInitialiserPanics(t *testing.T) {
	r := router.New[string]()
	fail := func(a *router.Attrs) {
		a.Lazy = true
		panic("initialiser")
	}
	require.Panics(t, func() { r.Ensure("/a", fail) })
	require.False(t, r.Exists("/a"))
	require.True(t, r.Ensure("/a", nil))
	require.Panics(t, func() {
		r.Ensure("/b", func(a *router.Attrs) { _ = r.Pin("/b"); fail(a) })
	})
	attrs, known := r.Attrs("/b")
	require.True(t, known, "somebody has pinned it")
	require.Zero(t, attrs)
}

func TestUpdateLosesNothing(t *testing.T) {
	r := router.New[string]()
	const writers, rounds = 4, 200
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range rounds {
				_ = r.Update("/a", func(a *router.Attrs) { a.LazyTimeout++ })
			}
		})
	}
	group.Wait()
	attrs, _ := r.Attrs("/a")
	require.EqualValues(t, writers*rounds, attrs.LazyTimeout)
}

// TestConcurrent lets sessions come and go under publishers and a sweeper.
func TestConcurrent(t *testing.T) {
	r := router.New[session]()
	names := []channels.Name{"/a", "/a/b", "/a/c", "/a/*", "/a/**", "/**", "/*", "/a/b/c"}
	stays := &session{id: -1}
	for _, n := range []channels.Name{"/a/b", "/**"} {
		require.True(t, r.Add(n, stays))
	}
	var group, background sync.WaitGroup
	var stop atomic.Bool
	background.Go(func() {
		for !stop.Load() {
			r.Sweep()
			r.Range(func(channels.Name, router.Attrs, int) bool { return true })
		}
	})
	background.Go(func() {
		var got []router.Receiver[session]
		seen := make(map[*session]bool)
		for !stop.Load() {
			got, _ = r.Collect("/a/b", got[:0])
			clear(seen)
			for _, receiver := range got {
				if seen[receiver.S] {
					t.Error("two copies") // [R-PB-9]
				}
				seen[receiver.S] = true
			}
			if !seen[stays] {
				t.Error("a subscriber was missed")
			}
		}
	})
	for worker := range 3 {
		group.Go(func() { churn(t, r, names, rand.New(rand.NewPCG(uint64(worker), 2))) })
	}
	group.Wait()
	stop.Store(true)
	background.Wait()

	_, subscriptions := r.Stats()
	require.Equal(t, 2, subscriptions)
	require.True(t, r.Remove("/a/b", stays))
	require.True(t, r.Remove("/**", stays))
	require.False(t, r.Remove("/**", stays))
	for range 3 {
		r.Sweep()
	}
	count, subscriptions := r.Stats()
	require.Zero(t, count)
	require.Zero(t, subscriptions)
	require.Zero(t, r.Wildcards())
}

// churn subscribes and unsubscribes sessions of its own, and checks that the
// results are those of a single user, and that it reads its own writes.
func churn(t *testing.T, r *router.Router[session], names []channels.Name, rnd *rand.Rand) {
	t.Helper()
	people := make([]session, 60)
	type pair struct {
		name channels.Name
		s    *session
	}
	mine := make(map[pair]bool)
	for range 4000 {
		p := pair{names[rnd.IntN(len(names))], &people[rnd.IntN(len(people))]}
		if rnd.IntN(2) == 0 {
			if r.Add(p.name, p.s) == mine[p] {
				t.Error("Add", p.name)
			}
			mine[p] = true
		} else {
			if r.Remove(p.name, p.s) != mine[p] {
				t.Error("Remove", p.name)
			}
			delete(mine, p)
		}
		if rnd.IntN(16) == 0 {
			want := mine[p]
			for _, w := range p.name.Wilds() {
				want = want || mine[pair{w, p.s}]
			}
			got := false
			found, _ := r.Collect(p.name, nil)
			for _, receiver := range found {
				got = got || receiver.S == p.s
			}
			if got != want {
				t.Error("Collect", p.name, got)
			}
		}
	}
	for p := range mine {
		if !r.Remove(p.name, p.s) {
			t.Error("lost", p.name)
		}
	}
}

func Example() {
	r := router.New[string]()
	alice, bob := "alice", "bob"
	r.Add("/chat/demo", &alice)
	r.Add("/chat/**", &alice)
	r.Add("/chat/**", &bob)
	found, _ := r.Collect("/chat/demo", nil)
	for _, receiver := range found {
		fmt.Println(*receiver.S)
	}
	// Output:
	// alice
	// bob
}
