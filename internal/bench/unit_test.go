package bench

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// TestScheduleNeverSlips takes groups late: each is due when it was planned.
func TestScheduleNeverSlips(t *testing.T) {
	s := newSchedule(1000, 100, 2, time.Second) // 50 groups, 20 ms apart
	require.EqualValues(t, 50, s.count)
	_, _, ok := s.take(999)
	require.False(t, ok)
	d, done := s.wait(400)
	require.Equal(t, 600*time.Nanosecond, d)
	require.False(t, done)
	for want := range int64(50) {
		k, due, ok := s.take(int64(time.Hour)) // a stall
		require.True(t, ok)
		require.Equal(t, want, k)
		require.Equal(t, 1000+want*int64(20*time.Millisecond), due)
	}
	_, _, ok = s.take(int64(time.Hour))
	require.False(t, ok)
	_, done = s.wait(0)
	require.True(t, done)
}

// Where groups are due too often to wake for each, half a millisecond of them
// leave together.
func TestScheduleGathers(t *testing.T) {
	s := newSchedule(0, 10_000, 1, time.Second)
	_, _, ok := s.take(0)
	require.True(t, ok)
	d, _ := s.wait(0)
	require.Equal(t, denseWait, d)
	d, _ = s.wait(int64(time.Millisecond))
	require.Zero(t, d, "what is due does not wait")
}

func TestPace(t *testing.T) {
	var none *pace
	require.Nil(t, newPace(0))
	require.True(t, none.take(0))
	p := newPace(1000)
	for n := range 3 {
		now := int64(n) * int64(time.Millisecond)
		require.True(t, p.take(now))
		require.False(t, p.take(now))
	}
}

func TestMarks(t *testing.T) {
	for _, size := range []int{minSize, 50, 100, 4000} {
		m := mark{0xabcdef, 0x12345678, 0x123456789abcdef}
		data := appendData(nil, m, padding(size))
		require.Len(t, data, size)
		got, rest, found := nextMark(append([]byte(`[{"data":{"hb":"broken but long enough to be one, it is"}},`), data...))
		require.True(t, found)
		require.Equal(t, m, got)
		_, _, found = nextMark(rest)
		require.False(t, found)
	}
}

func TestSubNotes(t *testing.T) {
	var s sub
	for _, step := range []struct {
		seq  uint32
		want verdict
	}{
		{0, fresh},
		{1, fresh},
		{1, duplicate},
		{0, duplicate},
		{5, fresh},
		{3, reordered},
		{3, duplicate},
		{2, reordered},
		{4, reordered},
		{5, duplicate},
		{200, fresh},
		{199, reordered},
		{100, duplicate},
		{201, fresh},
	} {
		require.Equal(t, step.want, s.note(step.seq), step)
	}
}

// TestChannelsAndMembers checks that each view of who is where says the same.
func TestChannelsAndMembers(t *testing.T) {
	for _, c := range []Config{
		{Clients: 7, Rooms: 3, Channels: 2, Subscriptions: 2, Publishers: 4},
		{Clients: 1000, Rooms: 100, Channels: 1, Subscriptions: 10, Publishers: 3},
		{Clients: 5, Rooms: 1, Channels: 1, Subscriptions: 1, Publishers: 6},
	} {
		want := make([]int, c.Rooms*c.Channels)
		total := 0
		for i := range c.Clients {
			all := c.channelsOf(i)
			require.Len(t, all, c.Subscriptions*c.Channels)
			for _, ch := range all {
				want[ch]++
				total++
			}
			require.Len(t, c.streamsOf(all), len(all)*c.streams()/(c.Rooms*c.Channels))
		}
		require.Equal(t, want, c.members())
		require.InDelta(t, c.perMessage(), float64(total)/float64(len(want)), 1e-9)
		end := 0
		for p := range c.Publishers {
			first, last := blockOf(p, c.Publishers, c.streams())
			require.Equal(t, end, first)
			require.Greater(t, last, first)
			end = last
		}
		require.Equal(t, c.streams(), end)
	}
}

// whole feeds bytes in pieces of random sizes to a wire that lives, and returns
// what it wrote and how it ended.
func feedPieces(t *testing.T, w *wire, in []byte, seed uint64) (out []byte, err error) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	for len(in) > 0 && err == nil {
		n := min(len(in), 1+rnd.IntN(40))
		out, err = w.feed(bytes.Clone(in[:n]), 5_000_000, out)
		in = in[n:]
	}
	return out, err
}

func livingWire(t *testing.T, kind string) *wire {
	t.Helper()
	cfg, err := Config{URL: "http://h/p", Rate: 1, Transport: kind}.withDefaults()
	require.NoError(t, err)
	e, err := newEngine(cfg)
	require.NoError(t, err)
	t.Cleanup(e.close)
	w := e.newClient(0, false)
	w.c.stage, w.c.id, w.c.rooms, w.open = living, []byte("id"), nil, true
	w.c.tally.measure(0, 1<<62)
	return w
}

func TestWireInPieces(t *testing.T) {
	message := func(seq uint32) string {
		return `[{"channel":"/bench/0/0","data":` + string(appendData(nil, mark{0, seq, 1_000_000}, padding(200))) + `}]`
	}
	frame := func(fin bool, op ws.OpCode, text string) []byte {
		b, err := ws.CompileFrame(ws.NewFrame(op, fin, []byte(text)))
		require.NoError(t, err)
		return b
	}
	connect := `[{"channel":"/meta/connect","successful":true}]`
	one, two := message(1)[:30], message(1)[30:]
	frames := bytes.Join([][]byte{
		frame(true, ws.OpText, message(0)), frame(true, ws.OpPing, "p"), frame(false, ws.OpText, one),
		frame(true, ws.OpPong, ""), frame(true, ws.OpContinuation, two), frame(true, ws.OpText, connect),
	}, nil)
	head := "HTTP/1.1 200 OK\r\n"
	both := message(0)[:len(message(0))-1] + `,` + message(1)[1:len(message(1))-1] + `,` + connect[1:]
	plain := head + "content-length: " + itoa(len(both)) + "\r\nSet-Cookie: a=b; Path=/\r\n\r\n" + both
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + both[:5] + "\r\n" + hex(len(both)-5) + ";x\r\n" + both[5:] + "\r\n0\r\n\r\n"
	for seed := range uint64(50) {
		w := livingWire(t, WebSocket)
		out, err := feedPieces(t, w, frames, seed)
		require.NoError(t, err)
		require.Equal(t, counts{arrived: 2, unique: 2, measured: 2}, w.c.tally.counts)
		require.Equal(t, ws.OpPong, ws.OpCode(out[0]&15))
		for _, text := range []string{plain, chunked} {
			w = livingWire(t, LongPolling)
			out, err = feedPieces(t, w, []byte(text), seed)
			require.NoError(t, err)
			require.Equal(t, counts{arrived: 2, unique: 2, measured: 2}, w.c.tally.counts)
			require.Equal(t, 1, strings.Count(string(out), "POST /p HTTP/1.1\r\nHost: h\r\n"))
			require.Equal(t, text == plain, strings.Contains(string(out), "Cookie: a=b\r\n"))
		}
	}
}

func itoa(n int) string { return string(appendDecimal(nil, n)) }

func appendDecimal(b []byte, n int) []byte {
	if n >= 10 {
		b = appendDecimal(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

func hex(n int) string { return strings.TrimLeft(string(appendHex(nil, uint64(n), 8)), "0") }

func TestWireErrors(t *testing.T) {
	for _, tt := range []struct{ kind, in, want string }{
		{WebSocket, "\x88\x05\x03\xe8bye", `1000 "bye"`},
		{WebSocket, "\x88\x00", "closed"},
		{WebSocket, "\xc1\x00", "compressed"},
		{WebSocket, "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "16 MiB"},
		{LongPolling, "SSH-2.0 hello\r\n\r\n", "no HTTP"},
		{LongPolling, "HTTP/1.1 200 OK\r\n\r\n", "length"},
		{LongPolling, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no length"},
		{LongPolling, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "16 MiB"},
		{LongPolling, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]", "ends the connection"},
		{LongPolling, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no chunk"},
		{LongPolling, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "16 MiB"},
		{LongPolling, strings.Repeat("x", maxHead+1), "64 KiB"},
	} {
		_, err := livingWire(t, tt.kind).feed([]byte(tt.in), 0, nil)
		require.ErrorContains(t, err, tt.want, tt.in)
	}
}

func FuzzWire(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n0\r\n\r\n"), true)
	f.Add([]byte("\x81\x02[]\x89\x01p\x01\x01[\x80\x01]"), false)
	f.Fuzz(func(t *testing.T, in []byte, polling bool) {
		kind := WebSocket
		if polling {
			kind = LongPolling
		}
		// Whole or byte by byte, the same is written and counted.
		one, two := livingWire(t, kind), livingWire(t, kind)
		outOne, errOne := one.feed(bytes.Clone(in), 1, nil)
		var outTwo []byte
		var errTwo error
		for i := range in {
			if outTwo, errTwo = two.feed([]byte{in[i]}, 1, outTwo); errTwo != nil {
				break
			}
		}
		require.Equal(t, errOne == nil, errTwo == nil, "%v, %v", errOne, errTwo)
		require.True(t, bytes.Equal(outOne, outTwo))
		require.Equal(t, one.c.tally.counts, two.c.tally.counts)
	})
}

// TestRequestsOfPublishers fills a polling publisher's queue: each request is
// bounded, and all leave in order.
func TestRequestsOfPublishers(t *testing.T) {
	cfg, err := Config{URL: "http://h/p", Rate: 1, Transport: LongPolling}.withDefaults()
	require.NoError(t, err)
	e, err := newEngine(cfg)
	require.NoError(t, err)
	defer e.close()
	e.newClient(0, true)
	p := e.pubs[0]
	var sent bytes.Buffer
	p.to = &sent
	for i := range uint32(120) {
		group := p.message(nil, mark{0, i, 0}, "")
		require.NoError(t, p.add(group, []int{len(group)}))
	}
	require.NoError(t, p.flush())
	require.NoError(t, p.flush(), "it waits for the answer")
	require.Equal(t, 50, bytes.Count(sent.Bytes(), []byte(markerStart)))
	for _, want := range []int{50, 20, 0} {
		out, err := p.acked(p.post, 50, 0, nil)
		require.NoError(t, err)
		require.Equal(t, want, bytes.Count(out, []byte(markerStart)))
		sent.Write(out)
	}
	require.False(t, p.busy)
	next := uint32(0)
	for m, rest, found := nextMark(sent.Bytes()); found; m, rest, found = nextMark(rest) {
		require.Equal(t, next, m.seq)
		next++
	}
	require.EqualValues(t, 120, next)
}

// TestPacerCatchesUp stalls a writer in fake time: messages leave late, and say
// when they were due.
func TestPacerCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, err := Config{URL: "http://h/p", Rate: 100, Portable: true}.withDefaults()
		require.NoError(t, err)
		e, err := newEngine(cfg)
		require.NoError(t, err)
		e.newClient(0, true)
		stall := &stallingWriter{eng: e}
		e.pubs[0].to = stall
		p := &pacer{
			eng: e, pubs: e.pubs, seq: make([]uint32, 1), next: make([]int, 1), wait: rest,
			schedule: newSchedule(0, 100, 1, time.Second), from: int64(500 * time.Millisecond), to: int64(time.Second),
		}
		require.NoError(t, p.run(t.Context()))
		require.EqualValues(t, 100, e.sent.messages.Load())
		require.EqualValues(t, 50, e.sent.measuredMessages.Load())
		require.Greater(t, stall.writes, 10)
		require.Less(t, stall.writes, 100, "what came due meanwhile leaves together")
	})
}

type stallingWriter struct {
	eng    *engine
	writes int
}

func (w *stallingWriter) Write(b []byte) (int, error) {
	if w.writes++; w.writes == 10 {
		time.Sleep(300 * time.Millisecond)
	}
	return len(b), nil
}

func TestPacerStops(t *testing.T) {
	e, err := newEngine(Config{URL: "http://h/p", Rooms: 1, Channels: 1, Clients: 1, Subscriptions: 1, Publishers: 1, Batch: 1, Portable: true})
	require.NoError(t, err)
	e.newClient(0, true)
	e.pubs[0].post.kind = WebSocket
	e.pubs[0].to = failingWriter{}
	p := &pacer{eng: e, pubs: e.pubs, seq: make([]uint32, 1), next: make([]int, 1), wait: rest, schedule: newSchedule(0, 1e6, 1, time.Second)}
	require.ErrorIs(t, p.run(t.Context()), io.ErrClosedPipe)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.run(ctx), context.Canceled)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// fakeServer sustains a rate; above another the generator is the limit.
func fakeServer(limit, bound float64, tried *[]float64) func(context.Context, Config) (*Result, error) {
	return func(_ context.Context, c Config) (*Result, error) {
		*tried = append(*tried, c.Rate)
		r := &Result{Config: c, Offered: c.Rate * 10, OK: c.Rate <= limit, GeneratorBound: c.Rate > bound}
		return r, nil
	}
}

func TestFindMax(t *testing.T) {
	cfg := Config{URL: "http://h/p", Rate: 100}
	for _, tt := range []struct{ limit, bound, want float64 }{
		{1000, 1e9, 1000}, {37, 1e9, 37}, {1e9, 5000, 5000}, {100, 1e9, 100}, {3e6, 1e9, 3e6},
	} {
		var tried []float64
		r, err := Find{Run: fakeServer(tt.limit, tt.bound, &tried)}.Max(t.Context(), cfg)
		require.NoError(t, err)
		require.LessOrEqual(t, r.Config.Rate, tt.want)
		require.Greater(t, r.Config.Rate*1.06, tt.want, tried)
		require.Len(t, r.Steps, len(tried))
		require.LessOrEqual(t, len(tried), 24)
	}
	var tried []float64
	r, err := Find{Run: fakeServer(0, 1e9, &tried)}.Max(t.Context(), cfg)
	require.ErrorIs(t, err, ErrNoRate)
	require.NotEmpty(t, r.Steps)
	_, err = Find{Limit: 800, Run: fakeServer(1e9, 1e9, &tried)}.Max(t.Context(), cfg)
	require.NoError(t, err)
	require.InDelta(t, 800, tried[len(tried)-1], 0.1)
	broken := errors.New("broken")
	_, err = Find{Run: func(context.Context, Config) (*Result, error) { return nil, broken }}.Max(t.Context(), cfg)
	require.ErrorIs(t, err, broken)
	_, err = Find{}.Max(t.Context(), Config{URL: "http://h/", Mode: Idle})
	require.ErrorContains(t, err, "fanout")
}

// TestFindMaxTriesTwice lets each first try of a rate fail.
func TestFindMaxTriesTwice(t *testing.T) {
	seen := map[float64]bool{}
	run := func(_ context.Context, c Config) (*Result, error) {
		again := seen[c.Rate]
		seen[c.Rate] = true
		return &Result{Config: c, OK: again && c.Rate <= 400}, nil
	}
	r, err := Find{Run: run, Precision: 0.5}.Max(t.Context(), Config{URL: "http://h/p", Rate: 100})
	require.NoError(t, err)
	require.InDelta(t, 400, r.Config.Rate, 0.1)
}

// TestJudge breaks one bound at a time.
func TestJudge(t *testing.T) {
	good := Result{Config: Config{Mode: Fanout, P99: time.Second}, Expected: 1000, Delivered: 1000, Offered: 100, Rate: 100}
	r := good
	r.judge(nil)
	require.True(t, r.OK)
	for want, change := range map[string]func(*Result){
		"2 of 1000 deliveries are missing": func(r *Result) { r.Delivered, r.Lost = 998, 2 },
		"95 deliveries a second":           func(r *Result) { r.Rate = 95 },
		"p99 is 1001.0 ms":                 func(r *Result) { r.Latency.P99 = 1001 },
		"1 deliveries came twice":          func(r *Result) { r.Duplicates = 1 },
		"out of order":                     func(r *Result) { r.Reordered = 1 },
		"1 sessions failed: [why]":         func(r *Result) { r.Dropped = 1 },
	} {
		r := good
		change(&r)
		r.judge([]string{"why"})
		require.False(t, r.OK)
		require.Len(t, r.Problems, 1)
		require.Contains(t, r.Problems[0], want)
	}
}

// TestReport compares a page with its golden file; what a server or a user
// wrote into it is text and nothing else.
func TestReport(t *testing.T) {
	cfg, err := Config{URL: "http://h/p?<script>alert(1)</script>", Rate: 20, Clients: 1000}.withDefaults()
	require.NoError(t, err)
	h := newHistogram()
	for i := range int64(10_000) {
		require.NoError(t, h.RecordValue(1000+i))
	}
	r := &Result{
		Schema: Schema, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), System: "linux/amd64 go", CPUs: 2, Config: cfg,
		Sessions: 1001, ConnectSeconds: 0.5, Seconds: 10, Published: 200, Expected: 200_000, Delivered: 199_999, Lost: 1,
		Offered: 20_000, Rate: 20_000, Latency: latencyOf(h), Problems: []string{`"><img src=x onerror=alert(1)>`},
		Server:         &Usage{Cores: 0.25, UserCores: 0.05, SystemCores: 0.2, MicrosPerOp: 12.5, RSSBefore: 15e6, RSSIdle: 18e6, RSSAfter: 20e6, KBPerSession: 3, Threads: 9, Descriptors: 1010},
		Generator:      Usage{Cores: 0.2},
		GeneratorShare: 0.1,
		Steps:          []Step{{Rate: 20, Offered: 20_000, Reached: 20_000, P99: 11, OK: true}, {Rate: 40, Problems: []string{"<b>"}}},
	}
	for i := range 4 {
		r.Samples = append(r.Samples, Sample{
			Seconds: float64(i + 1), Warm: i > 0, Published: 20, Rate: 20_000 + 100*float64(i), P50: 5, P99: 11, Max: 12,
			ServerCores: 0.25, ServerRSS: 18e6, GeneratorCores: 0.2,
		})
	}
	var b bytes.Buffer
	require.NoError(t, r.WriteHTML(&b))
	path := filepath.Join("testdata", "report.html")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
	for _, bad := range []string{"<script", "<img", "<b>", "http-equiv=\"refresh\"", "src=x", "NaN", "Inf"} {
		require.NotContains(t, strings.ReplaceAll(b.String(), "&gt;&lt;img src=x onerror", ""), bad)
	}
	require.NotRegexp(t, `(src|href)=`, strings.ReplaceAll(b.String(), "&lt;img src=x onerror", ""))
	_, svg, found := strings.Cut(b.String(), "<svg")
	require.True(t, found)
	svg, _, _ = strings.Cut("<svg"+svg, "</svg>")
	require.NoError(t, xml.Unmarshal([]byte(svg+"</svg>"), new(struct{})))
}

// TestStuckServer does not wait for a server that takes nothing.
func TestStuckServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, err := Config{URL: "http://h/p", Rate: 1, Portable: true}.withDefaults()
		require.NoError(t, err)
		e, err := newEngine(cfg)
		require.NoError(t, err)
		r := &run{engine: e}
		begun := time.Now()
		r.awaitPublished(t.Context(), make(chan struct{}))
		require.Equal(t, cfg.Drain, time.Since(begun))
		n, why := e.losses()
		require.Equal(t, 1, n)
		require.Contains(t, why[0], "does not take what is due")
	})
}
