package server

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/ack"
)

// pollingClient says things over one connection to the engine, without garbage
// of its own.
type pollingClient struct {
	tb   testing.TB
	conn net.Conn
	in   []byte
	out  []byte
}

func newPollingClient(tb testing.TB) *pollingClient {
	srv, err := New(Config{Extensions: []bayeux.Extension{ack.New()}, Options: Options{"trustClientSession": "true"}})
	require.NoError(tb, err)
	hs := &http.Server{Handler: srv, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	f := NewFront(hs, "/cometd")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	go func() { _ = f.Serve(l) }()
	tb.Cleanup(func() {
		_ = srv.Shutdown(tb.Context())
		_ = f.Close()
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return &pollingClient{tb: tb, conn: conn, in: make([]byte, 64<<10)}
}

const pollingHead = "POST /cometd HTTP/1.1\r\nHost: push.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: "

func (c *pollingClient) say(text []byte) []byte {
	c.out = append(c.out[:0], pollingHead...)
	c.out = fmt.Appendf(c.out, "%d\r\n\r\n", len(text))
	c.out = append(c.out, text...)
	if _, err := c.conn.Write(c.out); err != nil {
		c.tb.Fatal(err)
	}
	n, err := c.conn.Read(c.in)
	if err != nil {
		c.tb.Fatal(err)
	}
	return c.in[:n]
}

// BenchmarkPollingPair is a handshake and a disconnect by the engine.
func BenchmarkPollingPair(b *testing.B) {
	p := pair{tb: b, say: newPollingClient(b).say}
	p.do()
	b.ReportAllocs()
	for b.Loop() {
		p.do()
	}
}
