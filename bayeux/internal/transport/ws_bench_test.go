package transport

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux"
)

// One message in, one reply out, over TCP.
func BenchmarkWebSocketRoundTrip(b *testing.B) {
	e := newWSEnv(b, WSOptions{})
	reply := Output{Replies: wsReplies([]string{`{"channel":"/a","id":"1","successful":true}`})}
	e.hub.receive = func(p *wsPort, _ []*bayeux.Message) error {
		p.push(reply)
		p.mu.Lock()
		p.batches, p.leases, p.limits = nil, nil, nil
		p.mu.Unlock()
		return nil
	}
	stop := e.dialTCP("", nil)
	m := wsMasked(frameFin|byte(ws.OpText), `[{"channel":"/a","id":"1","clientId":"abcdefghijkl","data":{"x":1}}]`)
	p := make([]byte, 2+2+len(reply.Replies[0][0]))
	b.ReportAllocs()
	for b.Loop() {
		e.client.raw(m)
		if _, err := io.ReadFull(e.client.r, p); err != nil {
			b.Fatal(err)
		}
	}
	e.end()
	stop()
}

// Encoding and writing of one shared message, without the kernel.
func BenchmarkWebSocketFlush(b *testing.B) {
	near, far := net.Pipe()
	defer near.Close()
	s := NewWebSocket(&wsHub{}, WSOptions{})
	c := newWSConn(s, wsNullConn{far}, &bayeux.Request{}, false)
	out := Output{Messages: wsFrozen(`{"d":"` + strings.Repeat("x", 150) + `"}`), Done: func(int, bool) {}}
	b.ReportAllocs()
	for b.Loop() {
		if !c.send(nil, &out) {
			b.Fatal("not sent")
		}
	}
}

type wsNullConn struct{ net.Conn }

func (wsNullConn) Write(p []byte) (int, error) { return len(p), nil }

// Memory of our side of an idle connection; the kernel's is not in it.
func BenchmarkWebSocketIdle(b *testing.B) {
	for _, poll := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "epoll"}[poll], func(b *testing.B) {
			o := WSOptions{}
			if poll {
				o.Poller = newSystemPoller(b)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := NewWebSocket(&wsHub{}, o)
			const n = 1000
			conns := make([]net.Conn, 0, 2*n)
			for range n {
				near, _ := net.Dial("tcp", l.Addr().String())
				far, _ := l.Accept()
				conns = append(conns, near, far)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range n {
				c := newWSConn(s, conns[2*i+1], &bayeux.Request{}, false)
				c.port = &wsPort{t: b, idle: 1e15, gone: make(chan struct{})}
				s.enter()
				s.remember(c)
				go c.start(nil)
			}
			for b.Loop() {
				runtime.GC()
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/n, "B/conn")
			for _, c := range conns {
				_ = c.Close()
			}
			s.Close()
			_ = l.Close()
			if poll {
				_ = o.Poller.Wait(context.Background())
			}
		})
	}
}
