package floors

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type msg = map[string]any

// serve runs a floor for a test.
func serve(t *testing.T, cfg Config) *Floor {
	t.Helper()
	f, err := Listen(cfg)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- f.Run() }()
	t.Cleanup(func() {
		f.Stop()
		require.NoError(t, <-done)
		f.Stop() // once more is no harm
	})
	return f
}

// client is one of either floor.
type client interface {
	// ask sends messages and returns what comes first.
	ask(text string) []msg
}

func hello(t *testing.T, c client) string {
	t.Helper()
	got := c.ask(`[{"channel":"/meta/handshake","version":"1.0","id":"1"}]`)
	require.Len(t, got, 1)
	require.Equal(t, true, got[0]["successful"])
	require.Equal(t, "1", got[0]["id"])
	id, _ := got[0]["clientId"].(string)
	require.NotEmpty(t, id)
	ask(t, c, `[{"channel":"/meta/connect","advice":{"timeout":0},"id":"2","clientId":"%s"}]`, id)
	return id
}

// ask sends a message that must succeed and be answered alone.
func ask(t *testing.T, c client, text string, args ...any) {
	t.Helper()
	got := c.ask(fmt.Sprintf(text, args...))
	require.Len(t, got, 1)
	require.Equal(t, true, got[0]["successful"], got)
}

type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func dial(t *testing.T, f *Floor) socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	way := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok { // a kernel with large buffers would hide a client that does not read
			err = tcp.SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	conn, response, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(f.URL(), "http"), &websocket.DialOptions{HTTPClient: &http.Client{Transport: way}})
	require.NoError(t, err)
	if response.Body != nil {
		response.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(MaxInput)
	return socket{t, ctx, conn}
}

func (s socket) write(text string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(s.ctx, websocket.MessageText, []byte(text)))
}

func (s socket) read() (all []msg) {
	s.t.Helper()
	_, text, err := s.conn.Read(s.ctx)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(text, &all), string(text))
	return all
}

func (s socket) ask(text string) []msg {
	s.t.Helper()
	s.write(text)
	return s.read()
}

func TestWebSocketFloor(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		t.Run(fmt.Sprint("coalesce=", coalesce), func(t *testing.T) {
			f := serve(t, Config{Protocol: WebSocket, Coalesce: coalesce})
			a, b, publisher := dial(t, f), dial(t, f), dial(t, f)
			for _, s := range []socket{a, b} {
				id := hello(t, s)
				ask(t, s, `[{"channel":"/meta/subscribe","subscription":"/c","id":"3","clientId":"%s"}]`, id)
				s.write(`[{"channel":"/meta/connect","connectionType":"websocket","id":"4","clientId":"x"}]`)
			}
			// A batch is answered by one frame, after what it delivers.
			long := strings.Repeat("x", 70_000)
			got := publisher.ask(`[{"channel":"/c","data":1,"id":"1"},{"channel":"/none","data":2,"id":"2"},{"channel":"/c","data":"` + long + `","id":"3"}]`)
			require.Len(t, got, 3)
			for _, s := range []socket{a, b} {
				require.Equal(t, []msg{{"channel": "/c", "data": 1.0}}, s.read())
				require.Equal(t, []msg{{"channel": "/c", "data": long}}, s.read())
			}
			ask(t, a, `[{"channel":"/meta/unsubscribe","subscription":"/c","id":"5"}]`)
			require.NoError(t, b.conn.Close(websocket.StatusNormalClosure, ""))
			ask(t, publisher, `{"channel":"/c","data":1,"id":"4"}`)
			// What is sent comes in order: nothing was delivered to a.
			ask(t, a, `[{"channel":"/meta/disconnect","id":"6"}]`)
		})
	}
}

// With acknowledged messages a delivery ends the connect that is held, or waits for one.
func TestAcknowledged(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		f := serve(t, Config{Protocol: WebSocket, Coalesce: coalesce})
		c, publisher := dial(t, f), dial(t, f)
		got := c.ask(`[{"channel":"/meta/handshake","id":"1","ext":{"ack":true}}]`)
		require.Equal(t, msg{"ack": true}, got[0]["ext"])
		got = c.ask(`[{"channel":"/meta/connect","id":"2","advice":{"timeout":0},"ext":{"ack":0}}]`)
		require.Equal(t, msg{"ack": 1.0}, got[0]["ext"])
		ask(t, c, `[{"channel":"/meta/subscribe","subscription":"/c","id":"3"}]`)

		ask(t, publisher, `[{"channel":"/c","data":1,"id":"1"}]`)
		ask(t, publisher, `[{"channel":"/c","data":2,"id":"2"}]`)
		one, two, three := msg{"channel": "/c", "data": 1.0}, msg{"channel": "/c", "data": 2.0}, msg{"channel": "/c", "data": 3.0}
		reply := func(id string, batch float64) msg {
			return msg{"channel": "/meta/connect", "id": id, "successful": true, "ext": msg{"ack": batch}}
		}
		require.Equal(t, []msg{one, two, reply("4", 2)}, c.ask(`[{"channel":"/meta/connect","id":"4","ext":{"ack":1}}]`))
		c.write(`[{"channel":"/meta/connect","id":"5","ext":{"ack":2}}]`)
		ask(t, c, `[{"channel":"/none","data":0,"id":"6"}]`) // by now it is held
		ask(t, publisher, `[{"channel":"/c","data":3,"id":"3"}]`)
		require.Equal(t, []msg{three, reply("5", 3)}, c.read())
	}
}

// A connect is answered when its time has come, and once.
func TestHold(t *testing.T) {
	s := dial(t, serve(t, Config{Protocol: WebSocket, Hold: 20 * time.Millisecond}))
	hello(t, s)
	for id := range 3 {
		got := s.ask(fmt.Sprintf(`[{"channel":"/meta/connect","id":"%d"}]`, id))
		require.Equal(t, fmt.Sprint(id), got[0]["id"])
	}
	p := serve(t, Config{Protocol: LongPolling, Hold: 20 * time.Millisecond})
	c := poller{t, &http.Client{Transport: transport(t)}, p.URL()}
	ask(t, c, `[{"channel":"/meta/connect","id":"4","clientId":"%s"}]`, hello(t, c))
}

type poller struct {
	t      *testing.T
	client *http.Client
	url    string
}

func transport(t *testing.T) *http.Transport {
	t.Helper()
	way := &http.Transport{}
	t.Cleanup(way.CloseIdleConnections)
	return way
}

func (p poller) ask(text string) []msg {
	p.t.Helper()
	all, err := p.try(text)
	require.NoError(p.t, err)
	return all
}

func (p poller) try(text string) (all []msg, err error) {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url, strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return all, json.NewDecoder(response.Body).Decode(&all)
}

func TestLongPollingFloor(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		t.Run(fmt.Sprint("coalesce=", coalesce), func(t *testing.T) {
			f := serve(t, Config{Protocol: LongPolling, Coalesce: coalesce})
			c := poller{t, &http.Client{Transport: transport(t)}, f.URL()}
			a, b, publisher := hello(t, c), hello(t, c), hello(t, c)
			for _, id := range []string{a, b} {
				ask(t, c, `[{"channel":"/meta/subscribe","subscription":"/c","id":"3","clientId":"%s"}]`, id)
			}
			// What is published without a poll waits for the next.
			ask(t, c, `[{"channel":"/c","data":0,"id":"4","clientId":"%s"}]`, publisher)
			type answer struct {
				got []msg
				err error
			}
			answers := make(chan answer, 2)
			for _, id := range []string{a, b} {
				got := c.ask(fmt.Sprintf(`[{"channel":"/meta/connect","id":"5","clientId":"%s"}]`, id))
				require.Len(t, got, 2)
				require.Equal(t, msg{"channel": "/c", "data": 0.0}, got[0])
				go func() {
					got, err := c.try(fmt.Sprintf(`[{"channel":"/meta/connect","id":"6","clientId":"%s"}]`, id))
					answers <- answer{got, err}
				}()
			}
			// Held or not yet there: either way each gets the message once.
			ask(t, c, `[{"channel":"/c","data":{"n":1},"id":"7","clientId":"%s"}]`, publisher)
			for range 2 {
				got := <-answers
				require.NoError(t, got.err)
				require.Len(t, got.got, 2)
				require.Equal(t, msg{"n": 1.0}, got.got[0]["data"])
				require.Equal(t, "6", got.got[1]["id"])
			}
			ask(t, c, `[{"channel":"/meta/unsubscribe","subscription":"/c","id":"8","clientId":"%s"}]`, a)
			ask(t, c, `[{"channel":"/meta/disconnect","id":"8","clientId":"%s"}]`, a)
			got := c.ask(fmt.Sprintf(`[{"channel":"/meta/connect","id":"9","clientId":"%s"}]`, a))
			require.Equal(t, "402::session_unknown", got[0]["error"])
		})
	}
}

// A session whose poll goes away, or is given up, is answered or forgotten.
func TestPollsThatEnd(t *testing.T) {
	f := serve(t, Config{Protocol: LongPolling})
	c := poller{t, &http.Client{Transport: transport(t)}, f.URL()}
	id := hello(t, c)
	connect := fmt.Sprintf(`[{"channel":"/meta/connect","id":"1","clientId":"%s"}]`, id)
	raw, lines := dialRaw(t, f)
	post(t, raw, connect)
	second, _ := dialRaw(t, f)
	post(t, second, connect)
	require.Contains(t, answerOf(t, lines), `"successful":true`, "the second poll ends the first")
	ask(t, c, `[{"channel":"/meta/disconnect","id":"2","clientId":"%s"}]`, id)

	id = hello(t, c)
	raw, _ = dialRaw(t, f)
	post(t, raw, fmt.Sprintf(`[{"channel":"/meta/connect","id":"1","clientId":"%s"}]`, id))
	require.NoError(t, raw.Close())
	require.Eventually(t, func() bool {
		got := c.ask(fmt.Sprintf(`[{"channel":"/c","data":1,"id":"2","clientId":"%s"}]`, id))
		return got[0]["successful"] == false
	}, time.Minute, time.Millisecond)
}

func dialRaw(t *testing.T, f *Floor) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(f.URL(), "http://"), "/cometd"))
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

func post(t *testing.T, w io.Writer, body string) {
	t.Helper()
	_, err := fmt.Fprintf(w, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
	require.NoError(t, err)
}

func answerOf(t *testing.T, lines *bufio.Reader) string {
	t.Helper()
	response, err := http.ReadResponse(lines, nil)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// Bytes may come one by one, requests one behind the other.
func TestPieces(t *testing.T) {
	conn, lines := dialRaw(t, serve(t, Config{Protocol: LongPolling}))
	body := `[{"channel":"/meta/handshake","id":"1"}]`
	for _, b := range fmt.Appendf(nil, "POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body) {
		_, err := conn.Write([]byte{b})
		require.NoError(t, err)
	}
	require.Contains(t, answerOf(t, lines), "clientId")
	var two strings.Builder
	post(t, &two, body)
	post(t, &two, body)
	_, err := io.WriteString(conn, two.String())
	require.NoError(t, err)
	require.Contains(t, answerOf(t, lines), "clientId")
	require.Contains(t, answerOf(t, lines), "clientId")
}

// What a floor does not take ends the connection.
func TestRefused(t *testing.T) {
	const upgrade = "GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for name, try := range map[string]struct{ protocol, text string }{
		"no key":       {WebSocket, "GET / HTTP/1.1\r\n\r\n"},
		"binary":       {WebSocket, upgrade + "\x82\x80abcd"},
		"not masked":   {WebSocket, upgrade + "\x81\x00"},
		"fragment":     {WebSocket, upgrade + "\x01\x80abcd"},
		"too long":     {WebSocket, upgrade + "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		"get":          {LongPolling, "GET / HTTP/1.1\r\n\r\n"},
		"no length":    {LongPolling, "POST / HTTP/1.1\r\n\r\n"},
		"bad length":   {LongPolling, "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"},
		"large":        {LongPolling, "POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n"},
		"endless head": {LongPolling, strings.Repeat("x", MaxInput+readSize)},
	} {
		t.Run(name, func(t *testing.T) {
			conn, _ := dialRaw(t, serve(t, Config{Protocol: try.protocol}))
			_, _ = io.WriteString(conn, try.text)
			_, err := io.Copy(io.Discard, conn)
			if err != nil {
				require.ErrorContains(t, err, "reset")
			}
		})
	}
	_, err := Listen(Config{Protocol: "carrier pigeon"})
	require.ErrorContains(t, err, `"carrier pigeon"`)
	f := serve(t, Config{Protocol: WebSocket})
	_, err = Listen(Config{Protocol: WebSocket, Port: f.port})
	require.ErrorContains(t, err, "bind")
}

// A subscriber that does not read is closed when its queue is full, and no
// other suffers.
func TestSlowSubscriber(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		t.Run(fmt.Sprint("coalesce=", coalesce), func(t *testing.T) {
			f := serve(t, Config{Protocol: WebSocket, Coalesce: coalesce})
			slow, publisher := dial(t, f), dial(t, f)
			ask(t, slow, `[{"channel":"/meta/subscribe","subscription":"/c","id":"1"}]`)
			text := `[{"channel":"/c","data":"` + strings.Repeat("x", MaxInput/2) + `","id":"1"}]`
			for range 32 { // 16 MiB: more than the queue and the kernel's buffers
				ask(t, publisher, "%s", text)
			}
			var err error
			for count := 0; err == nil; count++ {
				require.Less(t, count, 32)
				_, _, err = slow.conn.Read(slow.ctx)
			}
		})
	}
}

// What the socket does not take at once arrives later, whole and in order.
func TestBacklog(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		t.Run(fmt.Sprint("coalesce=", coalesce), func(t *testing.T) {
			f := serve(t, Config{Protocol: WebSocket, Coalesce: coalesce})
			s, publisher := dial(t, f), dial(t, f)
			ask(t, s, `[{"channel":"/meta/subscribe","subscription":"/c","id":"1"}]`)
			pad := strings.Repeat("x", MaxInput/4)
			for n := range 28 { // 7 MiB
				ask(t, publisher, `[{"channel":"/c","data":[%d,"%s"],"id":"1"}]`, n, pad)
			}
			for n := range 28 {
				require.Equal(t, []any{float64(n), pad}, s.read()[0]["data"])
			}
		})
	}
}
