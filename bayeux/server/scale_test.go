package server

import (
	"flag"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	crowdSize   = flag.Int("sessions", 20_000, "how many sessions BenchmarkSession makes")
	crowdCensus = flag.Bool("census", false, "print what made the memory of BenchmarkSession; needs -memprofilerate 1")
)

const crowdInterval = 10 * time.Minute

func BenchmarkSession(b *testing.B) {
	n := *crowdSize
	c := newCrowd(b, n, crowdInterval)
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
const budget = 1100 // measured: 1,050

func TestSessionBudget(t *testing.T) {
	const n = 4000
	c := newCrowd(t, n, crowdInterval)
	before, _ := living()
	for i := range n {
		c.join(i, "/room/"+strconv.Itoa(i/10))
	}
	after, _ := living()
	require.EqualValues(t, n, c.srv.Stats().Sessions)
	require.LessOrEqual(t, (after-before)/n, float64(budget), "bytes for each session")
}

// BenchmarkMessage has one client send a message again and again: what it takes
// from the frame to the frames that answer it, and garbage of it.
func BenchmarkMessage(b *testing.B) {
	for _, bc := range []struct{ name, text string }{
		{"publish", `[{"id":"12","channel":"/chat/demo","data":{"user":"halley","chat":"a line of some sixty characters, as people write them","n":[1,2,3],"t":1700000000000},"clientId":"$"}]`},
		{"connect", `[{"id":"4","channel":"/meta/connect","connectionType":"websocket","advice":{"timeout":0},"clientId":"$"}]`},
		{"hold", crowdHold},
	} {
		b.Run(bc.name, func(b *testing.B) {
			c := newCrowd(b, 1, crowdInterval)
			c.join(0, "/room/1")
			cl := &c.clients[0]
			frame := cl.frame(bc.text)
			b.ReportAllocs()
			for b.Loop() {
				cl.give(frame)
			}
		})
	}
}
