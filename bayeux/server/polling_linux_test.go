package server

import (
	"bytes"
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
	id   []byte
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

func (c *pollingClient) say(body ...string) []byte {
	c.tell(body...)
	return c.hear()
}

func (c *pollingClient) tell(body ...string) {
	n := 0
	for _, b := range body {
		n += len(b)
	}
	c.out = append(c.out[:0], pollingHead...)
	c.out = fmt.Appendf(c.out, "%d\r\n\r\n", n)
	for _, b := range body {
		c.out = append(c.out, b...)
	}
	_, err := c.conn.Write(c.out)
	if err != nil {
		c.tb.Fatal(err)
	}
}

func (c *pollingClient) hear() []byte {
	n, err := c.conn.Read(c.in)
	if err != nil {
		c.tb.Fatal(err)
	}
	return c.in[:n]
}

func (c *pollingClient) shake() {
	reply := c.say(`[{"id":"1","channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["long-polling"],"advice":{"timeout":60000,"interval":0}}]`)
	_, rest, ok := bytes.Cut(reply, []byte(`"clientId":"`))
	if !ok {
		c.tb.Fatalf("%s", reply)
	}
	c.id = append(c.id[:0], rest[:sessionIDChars]...)
}

func (c *pollingClient) pair() {
	c.shake()
	reply := c.say(`[{"id":"2","channel":"/meta/disconnect","clientId":"`, string(c.id), `"}]`)
	if !bytes.Contains(reply, []byte(`"successful":true`)) {
		c.tb.Fatalf("%s", reply)
	}
}

// BenchmarkPollingPair is a handshake and a disconnect.
func BenchmarkPollingPair(b *testing.B) {
	c := newPollingClient(b)
	c.pair()
	b.ReportAllocs()
	for b.Loop() {
		c.pair()
	}
}
