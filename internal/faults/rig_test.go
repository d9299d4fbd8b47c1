package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux/server"

	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server in memory inside a synctest bubble, the raw clients that
// talk to it, and the log of all that they see.
type world struct {
	t    *testing.T
	on   string // the transport under test
	srv  *server.Server
	dial dialer

	start time.Time
	busy  sync.WaitGroup

	mu     sync.Mutex
	log    []string
	names  map[string]string // session ids and cookies, to names that stay
	actors []*actor
}

// script is a dialogue of raw clients.
type script func(w *world)

// memory lets instances listen without a network.
func memory() (net.Listener, dialer, error) {
	l := testkit.Listen()
	return l, l.Dial, nil
}

// play runs a script against a server with the fault and returns what its
// clients saw: lines of time in ms, client and text. The zero Fault is the
// proxy without one; direct leaves the proxy out.
func play(t *testing.T, f Fault, on string, direct bool, run script) (log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		i, err := start(t.Context(), f, Options{Config: fixture, Prepare: furnish, listen: memory})
		require.NoError(t, err)
		w := &world{t: t, on: on, srv: i.server, dial: i.dial, start: time.Now(), names: map[string]string{}}
		if direct {
			w.dial = i.proxy.dial
		}
		defer func() {
			w.close()
			i.stop()
			time.Sleep(time.Second) // net/http lingers after a refusal
		}()
		run(w)
		w.mu.Lock()
		defer w.mu.Unlock()
		log = w.text()
	})
	return log
}

func (w *world) close() {
	for _, a := range w.actors {
		a.hangUp()
	}
	w.busy.Wait()
}

// text joins the log, with names for what is random, the lines of one client
// together.
func (w *world) text() string {
	all := slices.Clone(w.log)
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	text := strings.Join(all, "\n")
	for id, name := range w.names {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

// usual is what ids and cookies look like; others stay in the log as they are,
// and so do those that faults make.
var (
	usual   = regexp.MustCompile(`^[0-9a-zA-Z]{16,32}$`)
	unusual = regexp.MustCompile(`^(0000|7f3kd82nv0w)`)
)

func (w *world) name(value, name string) {
	if _, known := w.names[value]; !known && usual.MatchString(value) && !unusual.MatchString(value) {
		w.names[value] = name
	}
}

// pass lets virtual time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// actor is a raw client.
type actor struct {
	w      *world
	name   string
	on     string
	suffix string      // of the path
	query  string      // of the URL, for long-polling
	header http.Header // of HTTP requests and upgrades

	client *http.Client
	cancel context.CancelFunc // of the last request
	conn   net.Conn           // the WebSocket
	buf    *bufio.Reader
	squash bool // the WebSocket has compression

	// Guarded by w.mu.
	id, cookie string // cookie is name=value
	ids        []string
	last       string // the last body
}

// new makes a client on the transport under test. Names have one letter.
func (w *world) new(name string) *actor {
	a := &actor{w: w, name: name, on: w.on, header: http.Header{}}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	a.client = &http.Client{
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx) },
			Protocols:          protocols,
			DisableKeepAlives:  true, // or net/http repeats a GET that was cut
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.actors = append(w.actors, a)
	return a
}

// overHTTP2 has the client talk HTTP/2.
func (a *actor) overHTTP2() *actor {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	a.client.Transport.(*http.Transport).Protocols = protocols
	return a
}

func (a *actor) say(format string, args ...any) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	line := fmt.Sprintf("%s %d %s", a.name, time.Since(a.w.start).Milliseconds(), fmt.Sprintf(format, args...))
	a.w.log = append(a.w.log, line)
}

// look takes what a handshake gives.
func (a *actor) look(body string) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.last = body
	if i := strings.IndexByte(body, '('); i >= 0 && !strings.HasPrefix(body, "[") {
		body = strings.TrimSuffix(body[i+1:], ")")
	}
	var msgs []map[string]any
	if json.Unmarshal([]byte(body), &msgs) != nil {
		return
	}
	for _, m := range msgs {
		if id, _ := m["clientId"].(string); id != "" && m["channel"] == metaHandshake {
			a.id, a.ids = id, append(a.ids, id)
			a.w.name(id, fmt.Sprintf("<%s%d>", a.name, len(a.ids)))
		}
	}
}

// fill puts the session's id in place of $, and those of others in place of
// $a, $b and so on.
func (a *actor) fill(body string) string {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	if n := len(a.ids); n > 1 {
		body = strings.ReplaceAll(body, "$old", a.ids[n-2])
	}
	body = strings.ReplaceAll(body, "$cookie", a.cookie)
	for _, other := range a.w.actors {
		body = strings.ReplaceAll(body, "$"+other.name, other.id)
	}
	return strings.ReplaceAll(body, "$", a.id)
}

// post sends a body and lets come what comes at once.
func (a *actor) post(body string) {
	a.w.t.Helper()
	body = a.fill(body)
	if a.on == WebSocket {
		if a.conn == nil && !a.open() {
			return
		}
		a.frame(ws.OpText, []byte(body))
		return
	}
	if a.on == CallbackPolling {
		a.request(http.MethodGet, "jsonp=cb&message="+url.QueryEscape(body), "")
		return
	}
	a.request(http.MethodPost, a.query, body)
}

// request sends an HTTP request, with whatever is in it.
func (a *actor) request(method, query, body string) {
	a.w.t.Helper()
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	target := "http://memory/cometd" + a.suffix
	if query != "" {
		target += "?" + query
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	require.NoError(a.w.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(r.Header, a.header)
	a.w.mu.Lock()
	if a.cookie != "" && r.Header.Get("Cookie") == "" {
		r.Header.Set("Cookie", a.cookie)
	}
	a.w.mu.Unlock()
	cancel := a.cancel
	a.w.busy.Go(func() {
		defer cancel()
		a.do(r)
	})
	synctest.Wait()
}

// much is a body that may be refused before it is read.
const much = 1 << 18

// ask sends a request. Where a server answers and closes before it has read
// all, the client of net/http tells of the answer, or of the end that its
// writing has met: that request is sent by hand.
func (a *actor) ask(r *http.Request) (*http.Response, error) {
	if r.ContentLength < much {
		return a.client.Do(r)
	}
	conn, err := a.w.dial(r.Context())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(r.Context(), func() { _ = conn.Close() })
	a.w.busy.Go(func() { _ = r.Write(conn) })
	return http.ReadResponse(bufio.NewReader(conn), r)
}

func (a *actor) do(r *http.Request) {
	resp, err := a.ask(r)
	if err != nil {
		a.say("failed")
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a.w.mu.Lock()
	for _, c := range resp.Cookies() {
		a.cookie = c.Name + "=" + c.Value
		a.w.name(c.Value, "<cookie "+a.name+">")
	}
	a.w.mu.Unlock()
	a.look(string(body))
	head := ""
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range resp.Header {
			if !yield(name) {
				return
			}
		}
	}) {
		if !slices.Contains([]string{"Content-Length", "Date", "X-Content-Type-Options"}, name) {
			head += fmt.Sprintf(" {%s: %s}", name, strings.Join(resp.Header[name], " | "))
		}
	}
	if resp.Header.Get("X-Content-Type-Options") == "" {
		head += " {sniffing}"
	}
	if err != nil {
		head += " {truncated}"
	}
	a.say("%d%s %s", resp.StatusCode, head, body)
}

// abort ends the last request.
func (a *actor) abort() {
	if a.cancel != nil {
		a.cancel()
	}
	synctest.Wait()
}

// open opens a WebSocket.
func (a *actor) open() bool {
	a.w.t.Helper()
	conn, err := a.w.dial(context.Background())
	require.NoError(a.w.t, err)
	a.conn, a.buf = conn, bufio.NewReader(conn)
	target := "/cometd" + a.suffix
	if a.query != "" {
		target += "?" + a.query
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: memory\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", target)
	if a.cookie != "" {
		fmt.Fprintf(&b, "Cookie: %s\r\n", a.cookie)
	}
	require.NoError(a.w.t, a.header.Write(&b))
	b.WriteString("\r\n")
	_, err = conn.Write(b.Bytes())
	require.NoError(a.w.t, err)
	resp, err := http.ReadResponse(a.buf, nil)
	if err != nil {
		a.say("upgrade failed")
		a.hangUp()
		return false
	}
	head := ""
	for _, name := range []string{"Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Set-Cookie"} {
		if v := resp.Header.Get(name); v != "" {
			head += fmt.Sprintf(" {%s: %s}", name, v)
		}
	}
	a.say("upgrade %d%s", resp.StatusCode, head)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		a.hangUp()
		return false
	}
	a.squash = resp.Header.Get("Sec-Websocket-Extensions") != ""
	a.w.busy.Go(func() { a.listen(conn, a.buf, a.squash) })
	synctest.Wait()
	return true
}

// listen logs all frames of a WebSocket until its end.
func (a *actor) listen(conn net.Conn, buf *bufio.Reader, squash bool) {
	for {
		h, payload, _, err := readFrame(buf)
		if err != nil {
			a.say("end of the socket")
			_ = conn.Close()
			return
		}
		switch h.OpCode {
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			a.say("close %d %s", code, reason)
			_, _ = conn.Write(encodeFrame(true, ws.OpClose, payload[:min(2, len(payload))]))
		case ws.OpPing:
			a.say("ping %s", payload)
			_, _ = conn.Write(encodeFrame(true, ws.OpPong, payload))
		case ws.OpPong:
			a.say("pong %s", payload)
		default:
			if h.Rsv1() && squash {
				payload, err = inflate(payload)
				assert.NoError(a.w.t, err) //nolint:testifylint // not the goroutine of the test
			}
			a.look(string(payload))
			kind := map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary", ws.OpContinuation: "more"}[h.OpCode]
			a.say("%s %s", kind, payload)
		}
	}
}

// frame sends a frame on the WebSocket.
func (a *actor) frame(op ws.OpCode, payload []byte) {
	a.bytes(encodeFrame(true, op, payload))
}

func (a *actor) bytes(b []byte) {
	if _, err := a.conn.Write(b); err != nil {
		a.say("write failed")
	}
	synctest.Wait()
}

// hangUp cuts the WebSocket and everything else.
func (a *actor) hangUp() {
	if a.conn != nil {
		_ = a.conn.Close()
		a.conn = nil
	}
	if a.cancel != nil {
		a.cancel()
	}
	synctest.Wait()
	a.client.CloseIdleConnections()
}

// raw sends bytes on a connection of their own and logs what comes back until
// the connection ends or nothing comes any more.
func (a *actor) raw(text string, wait time.Duration) {
	a.w.t.Helper()
	conn, err := a.w.dial(context.Background())
	require.NoError(a.w.t, err)
	a.w.busy.Go(func() { _, _ = conn.Write([]byte(text)) })
	a.w.busy.Go(func() {
		buf := bufio.NewReader(conn)
		for {
			resp, err := http.ReadResponse(buf, nil)
			if err != nil {
				a.say("end of the connection")
				return
			}
			body, _ := io.ReadAll(resp.Body)
			a.look(string(body))
			chunks := ""
			if len(resp.TransferEncoding) > 0 {
				chunks = " in chunks"
			}
			a.say("raw %d%s %s", resp.StatusCode, chunks, body)
		}
	})
	a.w.pass(wait)
	require.NoError(a.w.t, conn.Close())
	synctest.Wait()
}
