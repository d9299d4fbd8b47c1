package server

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/extensions/ack"
)

// pairing says a handshake and a disconnect to a server as an http.Handler,
// without garbage of its own: what is counted is the server's, but for
// the carrier's share.
type pairing struct {
	tb     testing.TB
	srv    *Server
	req    *http.Request
	body   bytes.Reader
	header http.Header
	out    []byte
}

func newPairing(tb testing.TB) *pairing {
	srv, err := New(Config{Extensions: []bayeux.Extension{ack.New()}, Options: Options{"trustClientSession": "true"}})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = srv.Shutdown(tb.Context()) })
	p := &pairing{tb: tb, srv: srv, header: http.Header{}}
	p.req, err = http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://push.example.org/cometd", io.NopCloser(&p.body))
	require.NoError(tb, err)
	p.req.RemoteAddr = "192.0.2.1:4711"
	p.req.RequestURI = "/cometd"
	p.req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	return p
}

// Header, WriteHeader and Write make it an http.ResponseWriter.
func (p *pairing) Header() http.Header { return p.header }
func (p *pairing) WriteHeader(int)     {}
func (p *pairing) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// SetReadDeadline, SetWriteDeadline and Flush are for http.ResponseController.
func (p *pairing) SetReadDeadline(time.Time) error  { return nil }
func (p *pairing) SetWriteDeadline(time.Time) error { return nil }
func (p *pairing) Flush()                           {}

func (p *pairing) say(text []byte) []byte {
	p.body.Reset(text)
	p.req.ContentLength = int64(len(text))
	p.out = p.out[:0]
	clear(p.header)
	p.srv.ServeHTTP(p, p.req)
	return p.out
}

// pair is a handshake and a disconnect, without garbage of its own.
type pair struct {
	tb   testing.TB
	say  func(text []byte) (reply []byte) // valid until the next one
	text []byte
}

// do says both.
func (p *pair) do() {
	const shake = `[{"id":"1","channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["long-polling"],"advice":{"timeout":60000,"interval":0}}]`
	p.text = append(p.text[:0], shake...)
	id := p.shaken(p.say(p.text))
	p.text = append(p.text[:0], `[{"id":"2","channel":"/meta/disconnect","clientId":"`...)
	p.text = append(p.text, id...)
	p.text = append(p.text, `"}]`...)
	if reply := p.say(p.text); !bytes.Contains(reply, []byte(`"successful":true`)) {
		p.tb.Fatalf("%s", reply)
	}
}

// shaken returns the id in the reply to a handshake.
func (p *pair) shaken(reply []byte) []byte {
	_, rest, ok := bytes.Cut(reply, []byte(`"clientId":"`))
	if !ok {
		p.tb.Fatalf("%s", reply)
	}
	return rest[:sessionIDChars]
}

// pairBudget bounds the allocations of a handshake and a disconnect, without what
// carries them.
const pairBudget = 42 // measured: 40

func TestPairBudget(t *testing.T) {
	p := pair{tb: t, say: newPairing(t).say}
	for range 3 { // pools and maps are warm
		p.do()
	}
	budget := float64(pairBudget)
	if raceDetector { // it takes things out of pools
		budget *= 2
	}
	require.LessOrEqual(t, testing.AllocsPerRun(200, p.do), budget)
}

// BenchmarkPair is a handshake and a disconnect, without what carries them.
func BenchmarkPair(b *testing.B) {
	p := pair{tb: b, say: newPairing(b).say}
	p.do()
	b.ReportAllocs()
	for b.Loop() {
		p.do()
	}
}

// BenchmarkPollCycle is a connect that is held, a message that ends it, and what
// leaves then, without what carries them.
func BenchmarkPollCycle(b *testing.B) {
	p := newPairing(b)
	shake := []byte(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)
	id := string((&pair{tb: b}).shaken(p.say(shake)))
	for _, text := range []string{
		`[{"channel":"/meta/subscribe","subscription":"/news","clientId":"` + id + `"}]`,
		`[{"channel":"/meta/connect","connectionType":"long-polling","advice":{"timeout":0},"clientId":"` + id + `"}]`,
	} {
		p.say([]byte(text))
	}
	from := transport.Origin{Transport: transport.LongPolling, Request: &bayeux.Request{Remote: netip.MustParseAddrPort("192.0.2.1:40000")}}
	connect := []byte(`[{"channel":"/meta/connect","connectionType":"long-polling","clientId":"` + id + `"}]`)
	m := &bayeux.Message{Channel: "/news", Data: bayeux.Raw(`{"headline":"a comet was seen"}`)}
	due := false
	wake := func() { due = true }
	b.ReportAllocs()
	for b.Loop() {
		batch, err := bayeux.Decode(connect, bayeux.Limits{})
		require.NoError(b, err)
		x, err := p.srv.Request(b.Context(), from, batch)
		if err != nil || !x.Await(wake) {
			b.Fatal("it is not held", err)
		}
		due = false
		p.srv.fanOut(b.Context(), nil, "/news", m)
		out := x.Take(b.Context(), 1<<20)
		if !due || len(out.Messages) != 1 {
			b.Fatal("it is not due, or has other messages:", len(out.Messages))
		}
		out.Done(1, true)
	}
}
