package router_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/channels"
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

// BenchmarkCollectRandom publishes to random ones of many channels with one
// subscriber each, without and with wildcards to look up.
func BenchmarkCollectRandom(b *testing.B) {
	const size = 100_000
	for _, wild := range []bool{false, true} {
		b.Run(fmt.Sprintf("wild=%t", wild), func(b *testing.B) {
			r := router.New[session]()
			names := make([]channels.Name, size)
			people := make([]session, size)
			for i := range names {
				names[i] = channels.Name(fmt.Sprintf("/chat/%d/room/%d", i%97, i))
				r.Add(names[i], &people[i])
			}
			if wild {
				r.Ensure("/**", nil)
				r.Ensure("/chat/**", nil)
				r.Ensure("/chat/1/**", nil)
				r.Ensure("/chat/1/room/*", nil)
			}
			rand.Shuffle(size, func(i, j int) { names[i], names[j] = names[j], names[i] })
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var dst []router.Receiver[session]
				for i := rand.IntN(size); pb.Next(); i++ {
					dst, _ = r.Collect(names[i%size], dst[:0])
				}
			})
		})
	}
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
