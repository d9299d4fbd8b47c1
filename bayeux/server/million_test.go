package server

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/procfs"
	"github.com/halleypush/halley/internal/scale"
)

var (
	millionFile = flag.String("million", "", "write what BenchmarkMillion has measured to this file")
	millionGone = flag.Duration("rest", millionRest, "after how long without sessions BenchmarkMillion reads the memory that is left")
)

const (
	// millionInterval is after how long sessions expire whose connects have ended.
	millionInterval = 30 * time.Second
	// millionRest is how long the sessions are left alone before their memory is
	// read.
	millionRest = 10 * time.Second
	// millionSettle is when those who wrote to the clients have noted it.
	millionSettle = time.Second
	// millionRoom is how many sessions have a channel together.
	millionRoom = 10

	millionNews = `[{"id":"5","channel":"/news","data":{"user":"halley","text":"a line of some sixty characters, as people write them"},"clientId":"$"}]`
	millionTalk = `[{"id":"6","channel":"/room/%d","data":{"user":"halley","text":"a line of some sixty characters, as people write them"},"clientId":"$"}]`
	millionHold = `[{"id":"7","channel":"/meta/connect","connectionType":"websocket","advice":{"timeout":%d},"clientId":"$"}]`
)

// BenchmarkMillion has -sessions come, get messages, wait and go, once, in the
// order of scale.Million: `make million` has a million of them. Each stage fails
// where not every session got what it should.
func BenchmarkMillion(b *testing.B) {
	m := newMillion(b, *crowdSize, os.Stderr)
	m.run()
	for b.Loop() {
		runtime.GC() // the figures are those of the stages
	}
	b.ReportMetric(m.Live, "B/session")
	b.ReportMetric(m.Objects, "objects/session")
	b.ReportMetric(m.ToAll.Seconds, "s/message-to-all")
	if *millionFile != "" {
		require.NoError(b, scale.Write(*millionFile, m.Million))
	}
}

// The stages work, with a few sessions and in fake time.
func TestMillion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMillion(t, 100, io.Discard)
		m.run()
		require.Equal(t, 11, m.Channels)
		for _, s := range []scale.Spread{m.ToAll, m.Due, m.Expiry, m.Close} {
			require.Zero(t, s.Seconds, "nothing waits for a time")
		}
	})
}

// million is a run of BenchmarkMillion.
type million struct {
	scale.Million
	*crowd
	out     io.Writer   // what the stages have measured
	speaker crowdClient // publishes, and is not among those who count
	// What there was without sessions.
	before, beforeObjects, beforeRSS float64
}

func newMillion(t testing.TB, n int, out io.Writer) *million {
	t.Helper()
	m := &million{crowd: newCrowd(t, n, millionInterval), out: out}
	m.System = runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version()
	m.Processors, m.Sessions = runtime.GOMAXPROCS(0), n
	for i := range m.clients {
		m.clients[i].of = m.crowd // so that their memory is there already
	}
	m.open(&m.speaker, "10.255.0.1:40000")
	for _, text := range []string{crowdHello, crowdFirst, crowdHold} {
		m.speaker.say(text)
	}
	debug.FreeOSMemory()
	m.before, m.beforeObjects = living()
	m.beforeRSS = resident()
	return m
}

// run goes through the stages.
func (m *million) run() {
	m.come()
	m.collect()
	m.publish()
	m.look()
	m.connect()
	m.due()
	m.expire()
	m.leave()
}

// note prints what a stage has measured.
func (m *million) note(format string, args ...any) {
	_, _ = fmt.Fprintf(m.out, format+"\n", args...)
}

// resident is the memory of the process, zero where it cannot be told.
func resident() float64 {
	p, _ := procfs.Self()
	return float64(p.RSS)
}

func (m *million) each(total float64) float64 { return total / float64(m.Sessions) }

// spread measures something that is done for all sessions; done waits for it.
func (m *million) spread(do, done func()) scale.Spread {
	used, _ := procfs.Self()
	start := time.Now()
	do()
	done()
	s := scale.Spread{Seconds: time.Since(start).Seconds()}
	now, _ := procfs.Self()
	s.Micros = m.each(float64((now.CPU() - used.CPU()).Microseconds()))
	return s
}

// come makes the sessions.
func (m *million) come() {
	share := collectorShare()
	s := m.spread(func() {
		for i := range m.clients {
			m.join(i, "/room/"+strconv.Itoa(i/millionRoom))
		}
	}, func() {})
	m.MakeSeconds, m.Collector.ShareMake = s.Seconds, share()
	stats := m.srv.Stats()
	require.EqualValues(m.t, m.Sessions+1, stats.Sessions)
	require.EqualValues(m.t, m.Sessions+1, stats.Holds)
	require.EqualValues(m.t, 2*m.Sessions, stats.Subscriptions)
	m.Channels = int(stats.Channels)
	time.Sleep(millionRest)
	m.Resident = m.each(resident() - m.beforeRSS)
	live, objects := living()
	m.Live, m.Objects = m.each(live-m.before), m.each(objects-m.beforeObjects)
	debug.FreeOSMemory()
	m.Least = m.each(resident() - m.beforeRSS)
	m.note("%d sessions in %.1f s, collector %.0f %% of the CPU; a session: %.0f B live in %.1f objects, %.0f B resident, %.0f B at least",
		m.Sessions, m.MakeSeconds, 100*m.Collector.ShareMake, m.Live, m.Objects, m.Resident, m.Least)
}

// deliver has the speaker publish and waits until so many have it.
func (m *million) deliver(text string, receivers int) {
	all := m.await(receivers + 1) // and the speaker its reply
	m.speaker.say(text)
	<-all
}

// publish sends messages to all, and to tens.
func (m *million) publish() {
	const times = 3
	var runs []scale.Spread
	for range times {
		runs = append(runs, m.spread(func() { m.deliver(millionNews, m.Sessions) }, func() {}))
	}
	slices.SortFunc(runs, func(x, y scale.Spread) int { return int(math.Copysign(1, x.Seconds-y.Seconds)) })
	m.ToAll = runs[times/2]
	const answers = 5 // handshake, subscriptions, two connects less the held one, and what the handshake's upgrade took
	for i := range m.clients {
		require.Equal(m.t, m.clients[0].writes, m.clients[i].writes, "writes to client %d", i)
	}
	require.EqualValues(m.t, answers-1+times, m.clients[0].writes)

	rooms := m.Sessions / millionRoom
	var micros []float64
	for i := range min(1000, rooms) {
		start := time.Now()
		m.deliver(fmt.Sprintf(millionTalk, i*(rooms/min(1000, rooms))), millionRoom)
		micros = append(micros, float64(time.Since(start).Nanoseconds())/1000)
	}
	slices.Sort(micros)
	m.RoomMicros = micros[len(micros)/2]
	m.note("a message to all: %.2f s, %.2f µs CPU each; to a room of ten: %.0f µs", m.ToAll.Seconds, m.ToAll.Micros, m.RoomMicros)
}

// collect measures cycles of the collector with nothing else to do.
func (m *million) collect() {
	const times = 3
	cycles := m.spread(func() {
		for range times {
			runtime.GC()
		}
	}, func() {})
	m.Collector.Seconds = cycles.Seconds / times
	m.Collector.CPU = cycles.Micros * float64(m.Sessions) / 1e6 / times
	m.note("a collection: %.2f s, %.2f s CPU", m.Collector.Seconds, m.Collector.CPU)
}

// look measures what is done about once a second.
func (m *million) look() {
	time.Sleep(millionSettle)
	start := time.Now()
	require.Empty(m.t, m.srv.router.Sweep())
	m.SweepMillis = float64(time.Since(start).Microseconds()) / 1000
	start = time.Now()
	var queued int64
	for _, s := range m.srv.registry.all() {
		s.mu.Lock()
		queued += s.queue.Bytes()
		s.mu.Unlock()
	}
	m.LookMillis = float64(time.Since(start).Microseconds()) / 1000
	require.Zero(m.t, queued)
	m.note("a sweep of the router: %.3f ms; a look at each session: %.1f ms", m.SweepMillis, m.LookMillis)
}

// connect has clients come with their next connect.
func (m *million) connect() {
	n := min(m.Sessions, 50_000)
	start := time.Now()
	for i := range n {
		m.clients[i*(m.Sessions/n)].say(crowdFirst)
		m.clients[i*(m.Sessions/n)].say(crowdHold)
	}
	m.ConnectMicros = float64(time.Since(start).Microseconds()) / float64(n)
	m.note("a connect answered and the next one held: %.1f µs, the client's part included", m.ConnectMicros)
}

// due has all held connects end at one moment.
func (m *million) due() {
	share := collectorShare()
	// Twice what it will take, and a second.
	end := time.Now().Add(time.Second + time.Duration(2*m.ConnectMicros*float64(m.Sessions))*time.Microsecond)
	for i := range m.clients {
		m.clients[i].say(fmt.Sprintf(millionHold, max(1, time.Until(end).Milliseconds())))
	}
	require.EqualValues(m.t, m.Sessions+1, m.srv.Stats().Holds)
	m.Collector.ShareConnect, m.Collector.PauseMicros = share(), longestPause()
	all := m.await(m.Sessions)
	time.Sleep(time.Until(end))
	m.Due = m.spread(func() {}, func() { <-all })
	m.note("collector %.0f %% of the CPU while all connect; longest pause %.0f µs", 100*m.Collector.ShareConnect, m.Collector.PauseMicros)
	m.note("all held connects end at one moment: %.2f s, %.2f µs CPU each", m.Due.Seconds, m.Due.Micros)
}

// expire waits until all sessions have expired.
func (m *million) expire() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	until := func(sessions int) {
		for m.srv.Stats().Sessions > int64(sessions) {
			<-tick.C
		}
	}
	until(m.Sessions)
	m.Expiry = m.spread(func() {}, func() { until(1) }) // the speaker stays
	require.Zero(m.t, m.srv.Stats().Subscriptions)
	m.note("all sessions expire: %.2f s, %.2f µs CPU each", m.Expiry.Seconds, m.Expiry.Micros)
}

// leave has the connections end, and sees what is left.
func (m *million) leave() {
	m.Close = m.spread(m.stop, func() {})
	require.EqualValues(m.t, 1, m.srv.Stats().WebSockets)
	m.RestSeconds = millionGone.Seconds()
	time.Sleep(*millionGone)
	m.ResidentAfter = m.each(resident() - m.beforeRSS)
	live, _ := living()
	m.LiveAfter = m.each(live - m.before)
	debug.FreeOSMemory()
	m.LeastAfter = m.each(resident() - m.beforeRSS)
	m.note("all connections end: %.2f s, %.2f µs CPU each; then a session that was: %.0f B live, %.0f B resident, %.0f B at least",
		m.Close.Seconds, m.Close.Micros, m.LiveAfter, m.ResidentAfter, m.LeastAfter)
}

func sample(name string) metrics.Value {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value
}

// gcSeconds is the CPU time that the collector has used.
func gcSeconds() float64 { return sample("/cpu/classes/gc/total:cpu-seconds").Float64() }

// collectorShare returns what tells the part of the CPU that whole cycles of
// the collector have used since, on processors that were idle too: all by the
// runtime's clock, which a loaded machine stretches.
func collectorShare() func() float64 {
	busy := func() float64 {
		return sample("/cpu/classes/total:cpu-seconds").Float64() - sample("/cpu/classes/idle:cpu-seconds").Float64()
	}
	gc, all := gcSeconds(), busy()
	return func() float64 { return (gcSeconds() - gc) / max(busy()-all, 1e-9) }
}

// longestPause is the longest stop of the world for a collection so far, in
// microseconds, as precise as the runtime's histogram.
func longestPause() (micros float64) {
	h := sample("/sched/pauses/total/gc:seconds").Float64Histogram()
	for i, count := range h.Counts {
		if edge := h.Buckets[i+1]; count > 0 && !math.IsInf(edge, 0) {
			micros = edge * 1e6
		}
	}
	return micros
}
