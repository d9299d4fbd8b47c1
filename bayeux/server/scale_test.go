package server

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
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
		c.join(i, "/room/"+strconv.Itoa(i/10))
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

// budget is what a session over WebSocket may weigh while it waits: session,
// connection, port, two subscriptions, one of them to a channel of ten, deadline
// and entries in all indexes. The client's end is not in it.
const budget = 1050 // measured: 920

func TestSessionBudget(t *testing.T) {
	const n = 4000
	c := newCrowd(t, n)
	before, _ := living()
	for i := range n {
		c.join(i, "/room/"+strconv.Itoa(i/10))
	}
	after, _ := living()
	require.EqualValues(t, n, c.srv.Stats().Sessions)
	require.LessOrEqual(t, (after-before)/n, float64(budget), "bytes for each session")
}
