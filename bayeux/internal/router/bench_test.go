package router_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/internal/procfs"
)

func crowd(r *router.Router[session], n channels.Name, size int) {
	people := make([]session, size)
	for i := range people {
		r.Add(n, &people[i])
	}
}

func BenchmarkCollectExact(b *testing.B) {
	for _, size := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := router.New[session]()
			crowd(r, "/chat/room/1", size)
			dst, _ := r.Collect("/chat/room/1", nil)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = r.Collect("/chat/room/1", dst[:0])
			}
		})
	}
}

func BenchmarkCollectMerged(b *testing.B) {
	for _, sizes := range [][2]int{{1, 1000}, {1000, 1000}, {1, 100_000}, {100_000, 100_000}} {
		b.Run(fmt.Sprint(sizes[0], "+", sizes[1]), func(b *testing.B) {
			r := router.New[session]()
			crowd(r, "/chat/**", sizes[0])
			crowd(r, "/chat/room/1", sizes[1])
			dst, _ := r.Collect("/chat/room/1", nil)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = r.Collect("/chat/room/1", dst[:0])
			}
		})
	}
}

// BenchmarkRoute is what the router does for one publish: it looks whether the
// channel exists, marks it as used, and collects its one subscriber. Channels are
// random ones of many; with wildcards, four wildcard channels are looked up as
// well, one of them with a subscriber. docs/PERFORMANCE.md has the figures: those of
// the CPU, for others may be busy meanwhile.
func BenchmarkRoute(b *testing.B) {
	for _, size := range []int{1, 1000, 100_000, 1_000_000} {
		for _, wild := range []bool{false, true} {
			b.Run(fmt.Sprintf("channels=%d/wildcards=%t", size, wild), func(b *testing.B) {
				r, names := ofMany(size, wild)
				var dst []router.Receiver[session]
				b.ReportAllocs()
				before, _ := procfs.Self()
				for i := 0; b.Loop(); i++ {
					n := names[i%len(names)]
					if !r.Exists(n) {
						b.Fatalf("%s does not exist", n)
					}
					_, _ = r.Create(n, nil)
					if dst, _ = r.Collect(n, dst[:0]); len(dst) == 0 {
						b.Fatalf("%s has no subscriber", n)
					}
				}
				after, _ := procfs.Self()
				b.ReportMetric(float64((after.CPU()-before.CPU()).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// ofMany makes a router with so many channels and a subscriber each, and
// returns the names in no order.
func ofMany(size int, wild bool) (*router.Router[session], []channels.Name) {
	r := router.New[session]()
	names := make([]channels.Name, size)
	people := make([]session, size)
	for i := range names {
		names[i] = channels.Name(fmt.Sprintf("/chat/%d/room/%d", i%97, i))
		r.Add(names[i], &people[i])
	}
	if wild {
		r.Ensure("/**", nil)
		r.Add("/chat/**", new(session))
		r.Ensure("/chat/1/**", nil)
		r.Ensure("/chat/1/room/*", nil)
	}
	rand.Shuffle(size, func(i, j int) { names[i], names[j] = names[j], names[i] })
	// As they come from messages: not the memory that the router has.
	for i, n := range names {
		names[i] = channels.Name(strings.Clone(string(n)))
	}
	return r, names
}

// BenchmarkRouteParallel is BenchmarkRoute on all processors.
func BenchmarkRouteParallel(b *testing.B) {
	r, names := ofMany(100_000, true)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var dst []router.Receiver[session]
		for i := rand.IntN(len(names)); pb.Next(); i++ {
			dst, _ = r.Collect(names[i%len(names)], dst[:0])
		}
	})
}

func BenchmarkCollectMissing(b *testing.B) {
	r := router.New[session]()
	crowd(r, "/chat/room/1", 1)
	b.ReportAllocs()
	for b.Loop() {
		r.Collect("/chat/room/2", nil)
	}
}

// BenchmarkSubscribe adds and removes one more subscriber.
func BenchmarkSubscribe(b *testing.B) {
	for _, size := range []int{1, router.ScanLimit - 1, 1000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := router.New[session]()
			crowd(r, "/chat/room/1", size)
			more := make([]session, 1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Add("/chat/room/1", &more[i%1024])
				r.Remove("/chat/room/1", &more[i%1024])
			}
		})
	}
}

func BenchmarkSweep(b *testing.B) { // nothing is unused
	r := router.New[session]()
	var s session
	for i := range 100_000 {
		r.Add(channels.Name(fmt.Sprintf("/chat/%d", i)), &s)
	}
	r.Sweep()
	for b.Loop() {
		r.Sweep()
	}
}
