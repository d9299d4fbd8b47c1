package server

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
)

var (
	crowdSize   = flag.Int("sessions", 20_000, "how many sessions BenchmarkSession makes")
	crowdCensus = flag.Bool("census", false, "print what made the memory of BenchmarkSession; needs -memprofilerate 1")
)

func BenchmarkSession(b *testing.B) {
	n := *crowdSize
	c := newCrowd(b, n)
	size, objects := living()
	for i := range n {
		c.join(i, fmt.Sprintf("/room/%d", i/10))
	}
	after, left := living()
	if *crowdCensus {
		census(n)
	}
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric((after-size)/float64(n), "B/session")
	b.ReportMetric((left-objects)/float64(n), "objects/session")
}
