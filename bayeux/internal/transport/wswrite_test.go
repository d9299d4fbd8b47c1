package transport

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// All that one Take gives leaves in one write.
func TestWebSocketOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newWSEnv(t, WSOptions{})
		var conn *wsCountingConn
		e.dialPipe("", func(c net.Conn) net.Conn {
			conn = &wsCountingConn{Conn: c}
			return conn
		})
		e.port.push(Output{Messages: wsFrozen(`{"n":1}`, `{"n":2}`), Replies: wsReplies([]string{`{"r":1}`})})
		before := conn.count()
		e.port.link.Wake()
		e.client.expect(`[{"n":1}]`, `[{"n":2}]`, `[{"r":1}]`)
		synctest.Wait()
		require.Equal(t, before+1, conn.count())
		e.end()
	})
}

// wsCountingConn counts writes, and fails once allow bytes were written where
// fails is set.
type wsCountingConn struct {
	net.Conn

	mu     sync.Mutex
	writes int
	fails  bool
	allow  int
}

func (c *wsCountingConn) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

func (c *wsCountingConn) fail(allow int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails, c.allow = true, allow
}

func (c *wsCountingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	if !c.fails {
		return c.Conn.Write(p)
	}
	n := min(len(p), c.allow)
	c.allow -= n
	if n < len(p) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

// What the kernel took whole is done, the rest is given back, frame by frame.
func TestWebSocketPartialWrite(t *testing.T) {
	small := wsFrozen(`{"n":1}`, `{"n":2}`, `{"n":3}`) // frames of 11 bytes
	large := wsFrozen(`{"n":1}`, `"`+strings.Repeat("x", 20_000)+`"`, `{"n":3}`)
	reply := wsReplies([]string{`{"r":1}`}, []string{`{"r":2}`})
	tests := []struct {
		o     WSOptions
		out   Output
		allow int
		want  wsLease
	}{
		{WSOptions{}, Output{Messages: small, Replies: reply}, 0, wsLease{0, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 10, wsLease{0, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 11, wsLease{1, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 32, wsLease{2, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 33, wsLease{3, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 44, wsLease{3, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 54, wsLease{3, false}},
		{WSOptions{}, Output{Messages: small, Replies: reply}, 55, wsLease{3, true}},
		{WSOptions{MessagesPerFrame: 2}, Output{Messages: small}, 18, wsLease{0, false}},
		{WSOptions{MessagesPerFrame: 2}, Output{Messages: small}, 19, wsLease{2, false}},
		{WSOptions{}, Output{Handshake: []byte(`{"h":1}`), Messages: small}, 10, wsLease{0, false}},
		{WSOptions{}, Output{Handshake: []byte(`{"h":1}`), Messages: small}, 11, wsLease{0, true}},
		{WSOptions{}, Output{Joined: true, Messages: small, Replies: reply}, 40, wsLease{0, false}},
		{WSOptions{}, Output{Joined: true, Messages: small, Replies: reply}, 43, wsLease{3, true}},
		{WSOptions{}, Output{Messages: large}, 11, wsLease{1, false}},
		{WSOptions{}, Output{Messages: large}, 20_000, wsLease{1, false}},
		{WSOptions{}, Output{Messages: large}, 11 + 20_008 - 1, wsLease{1, false}},
		{WSOptions{}, Output{Messages: large}, 11 + 20_008, wsLease{2, false}},
		{WSOptions{}, Output{Messages: large}, 11 + 20_008 + 11, wsLease{3, true}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.allow, tt.want, tt.out.Joined, tt.o.MessagesPerFrame), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newWSEnv(t, tt.o)
				var conn *wsCountingConn
				e.dialPipe("", func(c net.Conn) net.Conn {
					conn = &wsCountingConn{Conn: c}
					return conn
				})
				conn.fail(tt.allow)
				e.port.push(tt.out)
				e.port.link.Wake()
				synctest.Wait()
				leases := e.port.leasesSeen()
				require.Len(t, leases, 1)
				require.Equal(t, tt.want.sent, leases[0].sent)
				require.Equal(t, tt.want.replied, leases[0].replied)
				e.end()
			})
		})
	}
}

// R-WS-24: a reader that does not read blocks nobody else, gets its time, then
// loses the connection, and the lease comes back.
func TestWebSocketSlowReader(t *testing.T) {
	wsBubble(t, WSOptions{WriteTimeout: 7 * time.Second}, func(e *wsEnv) {
		start := time.Now()
		e.port.push(Output{Messages: wsFrozen(`{"n":1}`, `{"n":2}`)})
		e.port.link.Wake()
		for range 1000 {
			e.port.link.Wake() // does not block
		}
		// What it sends is not read either: the reader waits for the flusher.
		e.client.text(`[{"channel":"/a"}]`)
		synctest.Wait()
		p := make([]byte, 15)
		_, err := io.ReadFull(e.client.conn, p) // the first frame and a part
		require.NoError(e.t, err)
		<-e.port.gone
		require.Equal(e.t, 7*time.Second, time.Since(start))
		require.Equal(e.t, []wsLease{{1, false}}, e.port.leasesSeen())
		require.Contains(e.t, e.port.closed[0], "write")
	})
}

// R-WS-7: what follows a meta message is processed when the replies to it are
// written, not before.
func TestWebSocketBackPressure(t *testing.T) {
	wsBubble(t, WSOptions{}, func(e *wsEnv) {
		e.port.onReceive(func(p *wsPort, batch []*bayeux.Message) error {
			p.push(Output{Replies: wsReplies([]string{`{"id":"` + batch[0].ID + `"}`})})
			p.link.Wake()
			return nil
		})
		both := wsMasked(frameFin|byte(ws.OpText), `[{"id":"1","channel":"/meta/subscribe"}]`)
		both = append(both, wsMasked(frameFin|byte(ws.OpText), `[{"id":"2","channel":"/a"}]`)...)
		go func() { _, _ = e.client.conn.Write(both) }()
		synctest.Wait()
		require.Equal(e.t, 1, e.port.batchesSeen())
		e.client.expect(`[{"id":"1"}]`, `[{"id":"2"}]`)
		require.Equal(e.t, 2, e.port.batchesSeen())
	})
}

// Replies to publishes that were read together leave together; more is not read
// until they have left [R-WS-7].
func TestWebSocketRepliesGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newWSEnv(t, WSOptions{})
		var conn *wsCountingConn
		e.dialPipe("", func(c net.Conn) net.Conn {
			conn = &wsCountingConn{Conn: c}
			return conn
		})
		var mu sync.Mutex
		var owed []string
		e.port.onReceive(func(p *wsPort, _ []*bayeux.Message) error {
			mu.Lock()
			defer mu.Unlock()
			owed = append(owed, "{}")
			return nil
		})
		e.port.mu.Lock()
		e.port.take = func() Output {
			mu.Lock()
			defer mu.Unlock()
			var out Output
			for _, r := range owed {
				out.Replies = append(out.Replies, wsReplies([]string{r})...)
			}
			owed = nil
			return out
		}
		e.port.mu.Unlock()
		before := conn.count()
		one := wsMasked(frameFin|byte(ws.OpText), `[{}]`)
		e.client.raw(slices.Concat(one, one, one)) // as much as is read at once
		go func() { _, _ = e.client.conn.Write(one) }()
		synctest.Wait()
		require.Equal(t, 3, e.port.batchesSeen())
		e.client.expect(`[{}]`, `[{}]`, `[{}]`, `[{}]`)
		require.Equal(t, before+2, conn.count())
		require.Equal(t, 4, e.port.batchesSeen())

		// A refusal comes behind them, so does a meta message.
		broken, meta := wsMasked(frameFin|byte(ws.OpText), `[`), wsMasked(frameFin|byte(ws.OpText), `[{"channel":"/meta/x"}]`)
		go func() { _, _ = e.client.conn.Write(slices.Concat(one, meta, one, broken)) }()
		e.client.expect(`[{}]`, `[{}]`, `[{}]`)
		e.client.expectClose(wsServerError)
		e.end()
	})
}

// The reader gets its turn although messages never cease.
func TestWebSocketReaderNotStarved(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	stop := e.dialTCP("", nil)
	ended := make(chan struct{})
	go func() { // ends with the connection
		defer close(ended)
		for {
			select {
			case <-e.port.gone:
				return
			default:
				e.port.mu.Lock()
				if len(e.port.outputs) < 100 {
					e.port.outputs = append(e.port.outputs, Output{Messages: wsFrozen(`{"n":1}`)})
				}
				e.port.mu.Unlock()
				e.port.link.Wake()
			}
		}
	}()
	go func() { _, _ = io.Copy(io.Discard, e.client.r) }()
	for range 20 {
		e.client.text(`[{"channel":"/a"}]`)
	}
	require.Eventually(t, func() bool { return e.port.batchesSeen() == 20 }, time.Minute, time.Millisecond)
	e.end()
	<-ended
	stop()
}

// R-WS-24 over TCP: a connection whose peer does not read holds up nobody, loses
// its connection, and gives back what was not written.
func TestWebSocketSlowReaderTCP(t *testing.T) {
	e := newWSEnv(t, WSOptions{WriteTimeout: 100 * time.Millisecond})
	stop := e.dialTCP("", nil)
	slow := e.port
	big := wsFrozen(`"`+strings.Repeat("x", 1<<20)+`"`, `{"n":2}`)
	const outs = 64 // more than the kernel takes
	for range outs {
		slow.push(Output{Messages: big})
	}
	slow.link.Wake()

	other, err := net.Dial("tcp", e.client.conn.RemoteAddr().String())
	require.NoError(t, err)
	_, err = other.Write([]byte(wsTestUpgrade + "\r\n"))
	require.NoError(t, err)
	first := e.client
	e.connected(other)
	for range 100 {
		e.port.push(Output{Messages: wsFrozen(`{"n":1}`)})
		e.port.link.Wake()
		e.client.expect(`[{"n":1}]`)
	}
	<-slow.gone
	leases := slow.leasesSeen()
	require.Less(t, len(leases), outs)
	require.Less(t, leases[len(leases)-1].sent, 2)
	require.Contains(t, slow.closed[0], "write")
	require.NoError(t, first.conn.Close())
	e.end()
	stop()
}

// Writing a shared message to a socket with room makes no garbage. Under the
// race detector sync.Pool loses a quarter of the writers, and a new one is five
// allocations.
func TestWebSocketSendAllocates(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	stop := e.dialTCP("", nil)
	go func() { _, _ = io.Copy(io.Discard, e.client.r) }() // ends with the connection
	out := Output{Messages: wsFrozen(`{"n":1}`), Done: func(int, bool) {}}
	c, _ := e.port.link.(*wsConn)
	budget := 0.1
	if raceDetector {
		budget = 2
	}
	sent := true
	n := testing.AllocsPerRun(1000, func() { sent = c.send(nil, &out) && sent })
	require.True(t, sent)
	require.LessOrEqual(t, n, budget)
	e.end()
	stop()
}
