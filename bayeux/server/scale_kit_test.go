package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/extensions/ack"
)

// crowd is a server with many clients in memory: the real handler, carrier,
// pipeline, registry, router, queues and deadlines. A client is a connection
// that counts what it gets, and no goroutine.
type crowd struct {
	t       testing.TB
	srv     *Server
	poller  *crowdPoller
	clients []crowdClient

	// What has been written to all, and who waits for how much.
	writes atomic.Int64
	target atomic.Int64
	enough chan struct{}
}

// await returns a channel that is closed when clients have got so many writes
// more.
func (c *crowd) await(writes int) <-chan struct{} {
	c.enough = make(chan struct{})
	c.target.Store(c.writes.Load() + int64(writes))
	return c.enough
}

// crowdPoller is a Poller of connections in memory. Whoever gives a client's
// bytes to a parked connection is the goroutine that serves it.
type crowdPoller struct{ wait sync.WaitGroup }

// Arm implements transport.Poller.
func (*crowdPoller) Arm(p *transport.Parked, _ time.Time) bool {
	c, ok := p.Conn.(*crowdClient)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.parked = p
	c.signal()
	return true
}

// Disarm implements transport.Poller.
func (*crowdPoller) Disarm(p *transport.Parked) bool {
	c, ok := p.Conn.(*crowdClient)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	armed := c.parked != nil
	c.parked = nil
	return armed
}

// Wait implements transport.Poller.
func (p *crowdPoller) Wait(context.Context) error {
	p.wait.Wait()
	return nil
}

// crowdClient is both ends of a connection: what the server writes is counted,
// and the id of the session is taken from it.
type crowdClient struct {
	of     *crowd
	mu     sync.Mutex
	parked *transport.Parked
	in     []byte
	id     [sessionIDChars]byte // in place, so that it is not among what lives
	known  bool
	closed bool
	writes int32
	armed  chan struct{} // told when the connection is parked; nil: nobody waits
}

func (c *crowdClient) signal() {
	if c.armed != nil {
		close(c.armed)
		c.armed = nil
	}
}

func (c *crowdClient) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in)
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
	}
	return n, nil
}

func (c *crowdClient) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	if c.of.writes.Add(1) == c.of.target.Load() {
		close(c.of.enough)
	}
	if _, rest, ok := bytes.Cut(p, []byte(`"clientId":"`)); ok && !c.known {
		copy(c.id[:], rest)
		c.known = true
	}
	return len(p), nil
}

// TryWrite makes the connection one that runners write to.
func (c *crowdClient) TryWrite(p []byte) (int, error) { return c.Write(p) }

func (c *crowdClient) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (*crowdClient) LocalAddr() net.Addr              { return crowdAddr{} }
func (*crowdClient) RemoteAddr() net.Addr             { return crowdAddr{} }
func (*crowdClient) SetDeadline(time.Time) error      { return nil }
func (*crowdClient) SetReadDeadline(time.Time) error  { return nil }
func (*crowdClient) SetWriteDeadline(time.Time) error { return nil }

type crowdAddr struct{}

func (crowdAddr) Network() string { return "tcp" }
func (crowdAddr) String() string  { return "192.0.2.1:40000" }

// frame returns a text message as the client sends it; $ is its id.
func (c *crowdClient) frame(text string) []byte {
	frame := ws.MaskFrameInPlace(ws.NewTextFrame([]byte(strings.ReplaceAll(text, "$", string(c.id[:])))))
	var b bytes.Buffer
	_ = ws.WriteFrame(&b, frame) // a buffer takes it
	return b.Bytes()
}

// say sends a text message and returns when it has been processed and answered.
func (c *crowdClient) say(text string) { c.give(c.frame(text)) }

// give gives bytes to the parked connection, whose goroutine the caller's
// becomes until it is parked again.
func (c *crowdClient) give(p []byte) {
	c.mu.Lock()
	c.in = p
	c.mu.Unlock()
	for {
		c.mu.Lock()
		p := c.parked
		if p != nil && len(c.in) > 0 {
			c.parked = nil
		} else {
			p = nil
		}
		c.mu.Unlock()
		if p == nil {
			return
		}
		p.Ready()
	}
}

// crowdWriter is the ResponseWriter of an upgrade.
type crowdWriter struct {
	conn *crowdClient
	head http.Header
}

func (w *crowdWriter) Header() http.Header       { return w.head }
func (w *crowdWriter) Write([]byte) (int, error) { return 0, http.ErrNotSupported }
func (w *crowdWriter) WriteHeader(int)           {}
func (w *crowdWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

const (
	crowdUpgrade = "GET /cometd HTTP/1.1\r\nHost: push.example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Origin: https://www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAccept-Encoding: gzip, deflate, br\r\n" +
		"Accept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n\r\n"
	crowdHello     = `[{"id":"1","channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["websocket"],"advice":{"timeout":60000,"interval":0}}]`
	crowdSubscribe = `[{"id":"2","channel":"/meta/subscribe","subscription":["/news","%s"],"clientId":"$"}]`
	crowdFirst     = `[{"id":"3","channel":"/meta/connect","connectionType":"websocket","advice":{"timeout":0},"clientId":"$"}]`
	crowdHold      = `[{"id":"4","channel":"/meta/connect","connectionType":"websocket","clientId":"$"}]`
)

// newCrowd makes a server for so many clients, who are not there yet. They
// expire after maxInterval.
func newCrowd(t testing.TB, size int, maxInterval time.Duration) *crowd {
	t.Helper()
	c := &crowd{t: t, poller: &crowdPoller{}, clients: make([]crowdClient, size)}
	srv, err := newWith(Config{
		Extensions: []bayeux.Extension{ack.New()},
		Options:    Options{"timeout": "900000", "maxInterval": strconv.FormatInt(maxInterval.Milliseconds(), 10)},
		Limits:     Limits{Sessions: -1, HandshakesPerAddress: 1 << 30, SessionsPerAddress: 1 << 30},
	}, c.poller)
	if err != nil {
		t.Fatal(err)
	}
	c.srv = srv
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c.stop()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// stop has the connections end.
func (c *crowd) stop() {
	for i := range c.clients {
		c.clients[i].hangUp()
	}
}

// hangUp has the connection end.
func (c *crowdClient) hangUp() {
	c.mu.Lock()
	p := c.parked
	c.parked, c.closed = nil, true
	c.mu.Unlock()
	if p != nil {
		p.Ready()
	}
}

// join connects client i, with two subscriptions, and leaves its connect held.
func (c *crowd) join(i int, room string) {
	cl := &c.clients[i]
	c.open(cl, fmt.Sprintf("10.%d.%d.%d:40000", i>>16&255, i>>8&255, i&255))
	cl.say(crowdHello)
	cl.say(fmt.Sprintf(crowdSubscribe, room))
	cl.say(crowdFirst)
	cl.say(crowdHold)
}

// open connects a client.
func (c *crowd) open(cl *crowdClient, address string) {
	armed := make(chan struct{})
	cl.of, cl.armed = c, armed
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(crowdUpgrade)))
	if err != nil {
		c.t.Fatal(err)
	}
	r.RemoteAddr = address
	c.srv.ServeHTTP(&crowdWriter{cl, make(http.Header)}, r)
	<-armed
}

// living returns the bytes and objects that live, after collections.
func living() (size, objects float64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.HeapObjects)
}

// census prints which functions of ours made what lives, for each session; the
// profile must have every allocation (-memprofilerate 1).
func census(sessions int) {
	n, _ := runtime.MemProfile(nil, false)
	records := make([]runtime.MemProfileRecord, n+100)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		return
	}
	type row struct {
		name           string
		bytes, objects int64
	}
	rows := map[string]*row{}
	for _, rec := range records[:n] {
		name := crowdSite(rec.Stack())
		if rows[name] == nil {
			rows[name] = &row{name: name}
		}
		rows[name].bytes += rec.InUseBytes()
		rows[name].objects += rec.InUseObjects()
	}
	list := make([]*row, 0, len(rows))
	for _, r := range rows {
		list = append(list, r)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].bytes > list[j].bytes })
	for _, r := range list {
		if per := float64(r.bytes) / float64(sessions); per >= 1 {
			fmt.Fprintf(os.Stderr, "%8.1f B %6.2f objects  %s\n", per, float64(r.objects)/float64(sessions), r.name)
		}
	}
}

// crowdSite names the innermost functions of an allocation, up to the first of
// ours.
func crowdSite(stack []uintptr) string {
	var names []string
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		if strings.HasPrefix(f.Function, "runtime.") {
			if !more {
				break
			}
			continue
		}
		names = append(names, fmt.Sprintf("%s:%d", name, f.Line))
		if strings.Contains(f.Function, "halleypush") || !more {
			break
		}
	}
	return strings.Join(names, " < ")
}
