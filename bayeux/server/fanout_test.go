package server

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/ack"
)

// audience is a server and many clients with a WebSocket each, of which there
// is nothing but the port.
type audience struct {
	t     testing.TB
	srv   *Server
	links []*audienceLink

	mu    sync.Mutex
	awake []*audienceLink
}

// audienceLink notes that it has been woken.
type audienceLink struct {
	a    *audience
	port transport.Port
	id   string
	in   bool // it is among the awake
	got  int  // messages
	took int  // outputs
}

func (l *audienceLink) Wake() {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	if !l.in {
		l.in = true
		l.a.awake = append(l.a.awake, l)
	}
}

func (l *audienceLink) Close(int, string) {}
func (l *audienceLink) Leave(int, string) {}
func (l *audienceLink) Cut(string)        {}

// take takes until nothing is left, as a flusher does.
func (l *audienceLink) take() {
	l.in = false
	for {
		out := l.port.Take(context.Background(), 60_000)
		if out.Empty() {
			return
		}
		l.got += len(out.Messages)
		l.took++
		out.Done(len(out.Messages), true)
		if !out.More {
			return
		}
	}
}

// drain takes for all that were woken.
func (a *audience) drain() {
	for len(a.awake) > 0 {
		l := a.awake[len(a.awake)-1]
		a.awake = a.awake[:len(a.awake)-1]
		l.take()
	}
}

// send processes a message of the client and returns its reply.
func (l *audienceLink) send(text string) map[string]any {
	batch, err := bayeux.Decode([]byte(text), bayeux.Limits{})
	require.NoError(l.a.t, err)
	require.NoError(l.a.t, l.port.Receive(context.Background(), batch))
	out := l.port.Take(context.Background(), 60_000)
	l.got += len(out.Messages)
	var reply map[string]any
	if out.Handshake != nil {
		require.NoError(l.a.t, json.Unmarshal(out.Handshake, &reply))
	} else if len(out.Replies) > 0 {
		require.NoError(l.a.t, json.Unmarshal(out.Replies[0][0], &reply))
	}
	if !out.Empty() {
		out.Done(len(out.Messages), true)
	}
	return reply
}

func newAudience(t testing.TB, n int, config Config) *audience {
	config.Policy, config.Logger = bayeux.DefaultPolicy{}, zerolog.Nop()
	srv, err := New(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = srv.Shutdown(t.Context()) })
	a := &audience{t: t, srv: srv}
	for range n {
		l := &audienceLink{a: a}
		l.port = srv.Attach(transport.Origin{Transport: transport.WebSocket, Request: &bayeux.Request{}}, l)
		reply := l.send(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"],"ext":{"ack":true}}]`)
		require.Equal(t, true, reply["successful"])
		l.id = reply["clientId"].(string)
		l.send(`[{"channel":"/meta/connect","clientId":"` + l.id + `","connectionType":"websocket","advice":{"timeout":0}}]`)
		l.send(`[{"channel":"/meta/subscribe","clientId":"` + l.id + `","subscription":"/news"}]`)
		l.connect("0")
		a.links = append(a.links, l)
	}
	a.drain()
	return a
}

// connect sends a connect that is held and acknowledges a batch.
func (l *audienceLink) connect(ack string) {
	text := `[{"channel":"/meta/connect","clientId":"` + l.id + `","connectionType":"websocket","id":"7","ext":{"ack":` + ack + `}}]`
	batch, err := bayeux.Decode([]byte(text), bayeux.Limits{})
	require.NoError(l.a.t, err)
	require.NoError(l.a.t, l.port.Receive(context.Background(), batch))
	l.take()
}

// publish publishes once to all, as server code does.
func (a *audience) publish() {
	m := &bayeux.Message{Channel: "/news", Data: bayeux.Raw(`{"headline":"a comet was seen"}`)}
	a.srv.fanOut(context.Background(), nil, channels.Name("/news"), m)
}

// What is queued until a flusher comes leaves in one output, by one wake.
func TestFanOutGathers(t *testing.T) {
	a := newAudience(t, 10, Config{})
	for range 50 {
		a.publish()
	}
	require.Len(t, a.awake, 10)
	took := a.links[0].took
	a.drain()
	for _, l := range a.links {
		require.Equal(t, 50, l.got)
	}
	require.Equal(t, took+1, a.links[0].took)
	require.Zero(t, a.srv.Stats().QueuedBytes)
}

// fanOutBudget is how many allocations a delivery may make, from the publish to
// the end of its lease: none of its own. What one publish makes (the message, its
// encoding) is shared by all receivers, and is less than one for each of them.
// Under the race detector sync.Pool loses a quarter of what is put into it, and a
// delivery that has to be made anew is up to five allocations.
const fanOutBudget = 0.1

// The way of a delivery makes no garbage.
func TestFanOutAllocates(t *testing.T) {
	const receivers = 500
	a := newAudience(t, receivers, Config{})
	budget := fanOutBudget
	if raceDetector {
		budget = 2
	}
	for range 3 { // pools and queues are warm
		a.publish()
		a.drain()
	}
	n := testing.AllocsPerRun(20, func() {
		a.publish()
		a.drain()
	})
	require.LessOrEqual(t, n/receivers, budget, "allocations for each delivery")
	require.Equal(t, 24, a.links[receivers-1].got)
}

// ackBudget is how many allocations an acknowledged delivery may make, from the
// publish until the client's next connect is held: four of them are the test's
// and the decoder's for the connect, most others are small.
const ackBudget = 8

// The way of an acknowledged delivery, and of the connect that follows it.
func TestFanOutAcknowledgedAllocates(t *testing.T) {
	const receivers = 100
	a := newAudience(t, receivers, Config{Extensions: []bayeux.Extension{ack.New()}})
	budget := ackBudget
	if raceDetector {
		budget += 10 // a letter, mail and a pass that are lost are made anew
	}
	n := 1 // the first connect was the first batch
	cycle := func() {
		a.publish()
		a.drain()
		n++
		for _, l := range a.links {
			l.connect(strconv.Itoa(n))
		}
	}
	for range 3 {
		cycle()
	}
	all := testing.AllocsPerRun(20, cycle)
	require.LessOrEqual(t, all/receivers, float64(budget), "allocations for each delivery")
	for _, l := range a.links {
		require.Equal(t, 24, l.got, "each once")
		require.NotNil(t, l.port.(*port).sess.holder, "the last connect is held")
	}
}

// publishBudget is how many allocations an acknowledged publish may make from its
// text to the end of its reply, where nobody is subscribed: those of the decoder,
// whose copy of the text is one of them.
const publishBudget = 4

// The way of a publish and its acknowledgement.
func TestPublishAllocates(t *testing.T) {
	a := newAudience(t, 1, Config{Extensions: []bayeux.Extension{ack.New()}})
	l := a.links[0]
	text := []byte(`[{"channel":"/alone","id":"4","clientId":"` + l.id + `","data":{"n":1}}]`)
	budget := publishBudget
	if raceDetector {
		budget += 8
	}
	replies := 0
	publish := func() {
		batch, err := bayeux.Decode(text, bayeux.Limits{})
		if err == nil {
			err = l.port.Receive(t.Context(), batch)
		}
		if err != nil {
			t.Fatal(err)
		}
		out := l.port.Take(t.Context(), 60_000)
		replies += len(out.Replies)
		out.Done(0, true)
	}
	publish()
	n := testing.AllocsPerRun(200, publish)
	require.LessOrEqual(t, n, float64(budget))
	require.Equal(t, 202, replies)
}

// From a publish to the end of the lease, for each receiver: no carrier.
func BenchmarkFanOut(b *testing.B) {
	a := newAudience(b, 1000, Config{})
	b.ReportAllocs()
	for b.Loop() {
		a.publish()
		a.drain()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}

// The same with retained delivery: each message ends a held connect, and the
// client connects anew.
func BenchmarkFanOutAcknowledged(b *testing.B) {
	a := newAudience(b, 1000, Config{Extensions: []bayeux.Extension{ack.New()}})
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		a.publish()
		a.drain()
		n++
		ack := strconv.Itoa(n + 1) // the first connect was the first batch
		for _, l := range a.links {
			l.connect(ack)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}
