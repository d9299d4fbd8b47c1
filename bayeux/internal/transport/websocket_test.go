package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

func TestWebSocketUpgrade(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	good := map[string]string{
		"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key,
	}
	tests := map[string]struct {
		method   string
		path     string
		proto    int
		change   [2]string
		protocol string
		status   int
		answer   [2]string
	}{
		"good":                                 {status: 101, answer: [2]string{"Sec-Websocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}},
		"R-WS-1 any path":                      {path: "/cometd/handshake?x=1", status: 101},
		"R-WS-2 none configured, never echoed": {change: [2]string{"Sec-WebSocket-Protocol", "bayeux"}, status: 101, answer: [2]string{"Sec-Websocket-Protocol", ""}},
		"R-WS-2 configured and offered":        {protocol: "bayeux", change: [2]string{"Sec-WebSocket-Protocol", "x, bayeux"}, status: 101, answer: [2]string{"Sec-Websocket-Protocol", "bayeux"}},
		"R-WS-2 another offered":               {protocol: "bayeux", change: [2]string{"Sec-WebSocket-Protocol", "Bayeux2"}, status: 500},
		"R-WS-2 none offered":                  {protocol: "bayeux", status: 500},
		"R-WS-5 no cookie":                     {change: [2]string{"Cookie", "BAYEUX_BROWSER=x"}, status: 101, answer: [2]string{"Set-Cookie", ""}},
		"R-WS-3 deflate":                       {change: [2]string{"Sec-WebSocket-Extensions", "permessage-deflate"}, status: 101, answer: [2]string{"Sec-Websocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}},
		"version 12":                           {change: [2]string{"Sec-WebSocket-Version", "12"}, status: 426, answer: [2]string{"Sec-Websocket-Version", "13"}},
		"no version":                           {change: [2]string{"Sec-WebSocket-Version", ""}, status: 426},
		"no key":                               {change: [2]string{"Sec-WebSocket-Key", ""}, status: 400},
		"short key":                            {change: [2]string{"Sec-WebSocket-Key", "c2hvcnQ="}, status: 400},
		"key no base64":                        {change: [2]string{"Sec-WebSocket-Key", "?GhlIHNhbXBsZSBub25jZQ=="}, status: 400},
		"no upgrade":                           {change: [2]string{"Upgrade", ""}, status: 400},
		"connection without upgrade":           {change: [2]string{"Connection", "keep-alive"}, status: 400},
		"POST":                                 {method: "POST", status: 400},
		"HTTP/2":                               {proto: 2, status: 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := newWSEnv(t, WSOptions{Protocol: tt.protocol, Deflate: true})
			path := tt.path
			if path == "" {
				path = "/cometd"
			}
			r := httptest.NewRequest(map[bool]string{true: "GET", false: tt.method}[tt.method == ""], path, nil)
			r.ProtoMajor, r.ProtoMinor = 1, 1
			if tt.proto != 0 {
				r.ProtoMajor, r.ProtoMinor = tt.proto, 0
			}
			for k, v := range good {
				r.Header.Set(k, v)
			}
			if tt.change[1] == "" {
				r.Header.Del(tt.change[0])
			} else {
				r.Header.Set(tt.change[0], tt.change[1])
			}
			near, far := net.Pipe()
			w := &wsPipeWriter{conn: far}
			w.Body = nil
			if tt.status != http.StatusSwitchingProtocols {
				e.carrier.Serve(w, r, Origin{})
				require.Equal(t, tt.status, w.Code)
				if tt.answer[0] != "" {
					require.Equal(t, tt.answer[1], w.Header().Get(tt.answer[0]))
				}
				_ = near.Close()
				return
			}
			go e.carrier.Serve(w, r, Origin{})
			e.connected(near)
			if tt.answer[0] != "" {
				require.Equal(t, tt.answer[1], e.answer.Header.Get(tt.answer[0]))
			}
			e.end()
		})
	}
}

func TestWebSocketUpgradeWithoutHijack(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	for k, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(k, v)
	}
	e.carrier.Serve(w, r, Origin{})
	require.Equal(t, http.StatusNotImplemented, w.Code)
	e.carrier.Close()
	w = httptest.NewRecorder()
	e.carrier.Serve(w, r, Origin{})
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}

// Checks R-WS-7 too: one message after another. Case 116: a ping is answered.
func TestWebSocketMessages(t *testing.T) {
	wsEach(t, WSOptions{}, "", func(e *wsEnv) {
		e.port.onReceive(func(p *wsPort, batch []*bayeux.Message) error {
			p.push(Output{Replies: wsReplies([]string{`{"id":"` + batch[0].ID + `"}`})})
			return nil
		})
		// Several frames in one segment, R-WS-6: binary is ignored, ping answered.
		var all []byte
		all = append(all, wsMasked(frameFin|byte(ws.OpText), `[{"id":"1","channel":"/a"}]`)...)
		all = append(all, wsMasked(frameFin|byte(ws.OpBinary), "\xff\xfe")...)
		all = append(all, wsMasked(frameFin|byte(ws.OpText), `[]`)...)
		all = append(all, wsMasked(frameFin|byte(ws.OpText), `{"id":"2","channel":"/a"}`)...)
		e.client.raw(all)
		e.client.expect(`[{"id":"1"}]`, `[{"id":"2"}]`)
		e.client.frame(frameFin|byte(ws.OpPing), "hello")
		f, err := e.client.next()
		require.NoError(e.t, err)
		require.Equal(e.t, wsFrame{ws.OpPong, 0, "hello"}, f)
		require.Equal(e.t, 2, e.port.batchesSeen())
		// A header in single bytes, a payload in two pieces.
		m := wsMasked(frameFin|byte(ws.OpText), `[{"id":"3","channel":"/a"}]`)
		for i := range 8 {
			e.client.raw(m[i : i+1])
		}
		e.client.raw(m[8:])
		e.client.expect(`[{"id":"3"}]`)
		// The peer's close is echoed.
		e.client.frame(frameFin|byte(ws.OpClose), "\x0b\xb8bye")
		require.Empty(e.t, e.client.expectClose(3000))
		<-e.port.gone
		require.Equal(e.t, 1, e.counts.event(EventWSOpened))
	})
}

func TestWebSocketEarlyBytes(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	e.hub.receive = func(p *wsPort, batch []*bayeux.Message) error {
		p.push(Output{Handshake: []byte(`{"id":"` + batch[0].ID + `"}`)})
		return nil
	}
	stop := e.dialTCP("", wsMasked(frameFin|byte(ws.OpText), `[{"id":"1","channel":"/a"}]`))
	e.client.expect(`[{"id":"1"}]`)
	e.end()
	stop()
}

// Fragments, with control frames in between, of text that splits a character.
func TestWebSocketFragments(t *testing.T) {
	wsEach(t, WSOptions{}, "", func(e *wsEnv) {
		e.port.onReceive(func(p *wsPort, batch []*bayeux.Message) error {
			p.push(Output{Replies: wsReplies([]string{string(batch[0].Data)})})
			return nil
		})
		text := `[{"channel":"/a","data":"äöü€"}]`
		cut := strings.Index(text, "€") + 1
		e.client.frame(byte(ws.OpText), text[:5])
		e.client.frame(byte(ws.OpContinuation), "")
		e.client.frame(frameFin|byte(ws.OpPing), "p")
		f, err := e.client.next()
		require.NoError(e.t, err)
		require.Equal(e.t, wsFrame{ws.OpPong, 0, "p"}, f)
		e.client.frame(byte(ws.OpContinuation), text[5:cut])
		e.client.frame(frameFin|byte(ws.OpPong), "unasked")
		e.client.frame(frameFin|byte(ws.OpContinuation), text[cut:])
		e.client.expect(`["äöü€"]`)
	})
}

func TestWebSocketViolations(t *testing.T) {
	text, fin := byte(ws.OpText), byte(frameFin)
	unmasked := frameAppendControl(nil, ws.OpText, []byte("[]"))
	big := strings.Repeat("x", 126)
	many := "[" + strings.Repeat("{},", 1000) + "{}]"
	tests := map[string]struct {
		send []byte
		code int
	}{
		"unmasked":                   {unmasked, 1002},
		"RSV1 without extension":     {wsMasked(fin|frameRSV1|text, "[]"), 1002},
		"RSV2":                       {wsMasked(fin|0x20|text, "[]"), 1002},
		"RSV3":                       {wsMasked(fin|0x10|text, "[]"), 1002},
		"opcode 3":                   {wsMasked(fin|3, "[]"), 1002},
		"opcode 11":                  {wsMasked(fin|11, ""), 1002},
		"fragmented ping":            {wsMasked(byte(ws.OpPing), "x"), 1002},
		"ping of 126 bytes":          {wsMasked(fin|byte(ws.OpPing), big), 1002},
		"continuation of nothing":    {wsMasked(fin, "x"), 1002},
		"text in a message":          {append(wsMasked(text, "["), wsMasked(fin|text, "]")...), 1002},
		"length with the top bit":    {[]byte{fin | text, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 1002},
		"length in too many bytes":   {[]byte{fin | text, 0xfe, 0, 5, 1, 2, 3, 4}, 1002},
		"length in far too many":     {[]byte{fin | text, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4}, 1002},
		"close of one byte":          {wsMasked(fin|byte(ws.OpClose), "x"), 1002},
		"close 999":                  {wsMasked(fin|byte(ws.OpClose), "\x03\xe7"), 1002},
		"close 1005":                 {wsMasked(fin|byte(ws.OpClose), "\x03\xed"), 1002},
		"close 1006":                 {wsMasked(fin|byte(ws.OpClose), "\x03\xee"), 1002},
		"close 1016":                 {wsMasked(fin|byte(ws.OpClose), "\x03\xf8"), 1002},
		"close 5000":                 {wsMasked(fin|byte(ws.OpClose), "\x13\x88"), 1002},
		"close reason not UTF-8":     {wsMasked(fin|byte(ws.OpClose), "\x03\xe8\xff"), 1007},
		"close without a code":       {wsMasked(fin|byte(ws.OpClose), ""), 1005},
		"close 1000":                 {wsMasked(fin|byte(ws.OpClose), "\x03\xe8ok"), 1000},
		"not UTF-8":                  {wsMasked(fin|text, "[\"\xc3\x28\"]"), 1007},
		"not UTF-8 over fragments":   {append(wsMasked(text, "[\"\xe2\x82"), wsMasked(fin, "\"]")...), 1007},
		"R-WS-8 no JSON":             {wsMasked(fin|text, "not json"), 1011},
		"R-WS-8 empty":               {wsMasked(fin|text, ""), 1011},
		"R-WS-8 empty string":        {wsMasked(fin|text, `""`), 1011},
		"R-WS-8 null":                {wsMasked(fin|text, "null"), 1011},
		"R-WS-8 number":              {wsMasked(fin|text, "[5]"), 1011},
		"R-WS-8 deep":                {wsMasked(fin|text, strings.Repeat("[", 60_000)), 1011},
		"too many messages":          {wsMasked(fin|text, many), 1008},
		"R-WS-9 announced":           {[]byte{fin | text, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4}, 1009},
		"R-WS-9 one too long":        {wsMasked(fin|text, strings.Repeat(" ", 64<<10+1)), 1009},
		"R-WS-9 binary too":          {wsMasked(fin|byte(ws.OpBinary), strings.Repeat(" ", 64<<10+1)), 1009},
		"R-WS-9 fragments":           {append(wsMasked(text, strings.Repeat(" ", 40_000)), wsMasked(fin, strings.Repeat(" ", 40_000))...), 1009},
		"R-WS-9 not by one byte":     {wsMasked(fin|text, "[]"+strings.Repeat(" ", 64<<10-2)), 0},
		"R-WS-8 refused":             {wsMasked(fin|text, `[{"channel":"/refuse","id":"500"}]`), 1011},
		"rate":                       {wsMasked(fin|text, `[{"channel":"/refuse","id":"429"}]`), 1008},
		"too large for the server":   {wsMasked(fin|text, `[{"channel":"/refuse","id":"413"}]`), 1008},
		"a reason of great length":   {wsMasked(fin|text, `[{"channel":"/refuse","id":"long"}]`), 1011},
		"an error without a status":  {wsMasked(fin|text, `[{"channel":"/refuse","id":"plain"}]`), 1011},
		"deep violation behind a []": {append(wsMasked(fin|text, "[]"), unmasked...), 1002},
	}
	refuse := func(_ *wsPort, batch []*bayeux.Message) error {
		switch batch[0].ID {
		case "plain":
			return errors.New("plain")
		case "long":
			return &StatusError{Status: 400, Reason: strings.Repeat("ä", 100)}
		case "429":
			return &StatusError{Status: 429, Reason: "slow down"}
		case "413":
			return &StatusError{Status: 413, Reason: "too large"}
		}
		return &StatusError{Status: 500, Reason: "no"}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wsBubble(t, WSOptions{}, func(e *wsEnv) {
				e.port.onReceive(refuse)
				go func() {
					// The rest may find nobody to read it.
					_, _ = e.client.conn.Write(tt.send)
					if tt.code == 0 {
						_, _ = e.client.conn.Write(wsMasked(fin|byte(ws.OpClose), "\x03\xe8"))
					}
				}()
				code := tt.code
				if code == 0 {
					code = 1000
				}
				reason := e.client.expectClose(code)
				require.LessOrEqual(t, len(reason), 123)
				<-e.port.gone
				synctest.Wait()
				require.Equal(t, 1, e.counts.event(fmt.Sprint(EventWSClosed, code)))
				require.Equal(t, map[bool]int{true: 1}[code == 1009], e.counts.limit(wsLimitSize))
			})
		})
	}
}

// After our close the peer's messages do nothing, and its close ends all.
func TestWebSocketNothingAfterClose(t *testing.T) {
	wsEach(t, WSOptions{}, "", func(e *wsEnv) {
		e.client.text("null")
		f, err := e.client.next()
		require.NoError(e.t, err)
		require.Equal(e.t, ws.OpClose, f.op)
		e.client.text(`[{"channel":"/a"}]`)
		e.client.frame(frameFin|byte(ws.OpClose), f.payload)
		_, err = e.client.next()
		require.Error(e.t, err)
		<-e.port.gone
		require.Zero(e.t, e.port.batchesSeen())
	})
}

func TestWebSocketOutput(t *testing.T) {
	three := wsFrozen(`{"n":1}`, `{"n":2}`, `{"n":3}`)
	all := Output{
		Handshake: []byte(`{"h":1}`), Messages: three,
		Replies: wsReplies([]string{`{"r":1}`, `{"r":2}`}, []string{`{"r":3}`}),
	}
	joined := all
	joined.Joined, joined.Handshake = true, nil
	replies := []string{`[{"r":1},{"r":2}]`, `[{"r":3}]`}
	tests := map[string]struct {
		o     WSOptions
		out   Output
		want  []string
		limit int
	}{
		"R-WS-10 one message a frame": {WSOptions{}, all, append([]string{`[{"h":1}]`, `[{"n":1}]`, `[{"n":2}]`, `[{"n":3}]`}, replies...), 60_000},
		"R-WS-10 two":                 {WSOptions{MessagesPerFrame: 2}, all, append([]string{`[{"h":1}]`, `[{"n":1},{"n":2}]`, `[{"n":3}]`}, replies...), 60_000},
		"R-WS-10 all":                 {WSOptions{MessagesPerFrame: -1}, all, append([]string{`[{"h":1}]`, `[{"n":1},{"n":2},{"n":3}]`}, replies...), 60_000},
		"R-WS-11 messages alone":      {WSOptions{}, Output{Messages: three[:1]}, []string{`[{"n":1}]`}, 60_000},
		"R-WS-14 replies alone":       {WSOptions{}, Output{Replies: all.Replies}, replies, 60_000},
		"R-ACK-11 joined":             {WSOptions{AckMessageLimit: 500}, joined, []string{`[{"n":1},{"n":2},{"n":3},{"r":1},{"r":2},{"r":3}]`}, 500},
		"R-ACK-11 separate":           {WSOptions{AckFramesSeparate: true}, joined, append([]string{`[{"n":1}]`, `[{"n":2}]`, `[{"n":3}]`}, replies...), 1_000_000},
		"R-WS-15 deliver-only":        {WSOptions{}, Output{Messages: three[:2], Replies: all.Replies[1:]}, []string{`[{"n":1}]`, `[{"n":2}]`, `[{"r":3}]`}, 60_000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wsEach(t, tt.o, "", func(e *wsEnv) {
				e.port.push(tt.out)
				e.port.link.Wake() // R-WS-12: no connect is outstanding
				e.client.expect(tt.want...)
				e.client.frame(frameFin|byte(ws.OpPing), "") // behind Done
				_, err := e.client.next()
				require.NoError(e.t, err)
				require.Equal(e.t, []wsLease{{len(tt.out.Messages), true}}, e.port.leasesSeen())
				require.Equal(e.t, tt.limit, e.port.firstLimit())
			})
		})
	}
}

// Many wakes from everywhere: each message once, in order.
func TestWebSocketWakeStorm(t *testing.T) {
	wsEach(t, WSOptions{}, "", func(e *wsEnv) {
		const pushers, each = 8, 100
		var wg sync.WaitGroup
		var order sync.Mutex
		n := 0
		for range pushers {
			wg.Go(func() {
				for range each {
					order.Lock()
					e.port.push(Output{Messages: wsFrozen(fmt.Sprint(n))})
					n++
					order.Unlock()
					e.port.link.Wake()
					e.port.link.Wake()
				}
			})
		}
		wg.Go(func() {
			for range each {
				e.client.text(`[]`)
				e.client.frame(frameFin|byte(ws.OpPing), "x")
			}
		})
		pongs := 0
		for i := 0; i < pushers*each || pongs < each; {
			f, err := e.client.next()
			require.NoError(e.t, err)
			if f.op == ws.OpPong {
				pongs++
				continue
			}
			require.Equal(e.t, fmt.Sprintf("[%d]", i), f.payload)
			i++
		}
		wg.Wait()
	})
}

// A published client agrees, with and without compression.
func TestWebSocketInterop(t *testing.T) {
	modes := map[string]websocket.CompressionMode{
		"plain": websocket.CompressionDisabled, "takeover": websocket.CompressionContextTakeover,
		"no takeover": websocket.CompressionNoContextTakeover, "TLS": websocket.CompressionDisabled,
	}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			e := newWSEnv(t, WSOptions{Deflate: true, Poller: newSystemPoller(t)})
			e.hub.receive = func(p *wsPort, batch []*bayeux.Message) error {
				p.push(Output{Messages: []*bayeux.Frozen{{JSON: batch[0].Data}}, Replies: wsReplies([]string{string(batch[0].Data)})})
				return nil
			}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				e.carrier.Serve(w, r, Origin{}) //nolint:contextcheck // a connection is its own context
			}))
			if name == "TLS" {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			ctx := context.Background()
			c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{
				HTTPClient: srv.Client(), CompressionMode: mode, CompressionThreshold: 1,
			})
			require.NoError(t, err)
			c.SetReadLimit(1 << 20)
			for _, size := range []int{1, 300, 5_000, 60_000} {
				data := `"` + strings.Repeat("abcde", size/5) + `"`
				for range 2 {
					require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(`[{"channel":"/a","data":`+data+`}]`)))
					for range 2 {
						_, p, err := c.Read(ctx)
						require.NoError(t, err)
						require.Equal(t, "["+data+"]", string(p))
					}
				}
			}
			require.NoError(t, c.Close(websocket.StatusNormalClosure, "bye"))
			port := <-e.hub.ports
			<-port.gone
			srv.Close()
			e.carrier.Close()
			require.Equal(t, 1, e.counts.event(EventWSClosed+"1000"))
			require.NoError(t, e.carrier.o.Poller.Wait(ctx))
		})
	}
}

// The server may speak, and hang up, before Attach has returned.
func TestWebSocketAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newWSEnv(t, WSOptions{})
		e.hub.attach = func(p *wsPort) {
			p.push(Output{Replies: wsReplies([]string{`{"r":1}`})})
			p.link.Wake()
			p.link.Close(1008, "not you")
		}
		e.dialPipe("", nil)
		e.client.expect(`[{"r":1}]`)
		require.Equal(t, "not you", e.client.expectClose(1008))
		require.Equal(t, WebSocket, e.port.from.Transport)
		e.end()
	})
}

// A server that refuses everything as a whole.
func TestWebSocketOutputError(t *testing.T) {
	wsBubble(t, WSOptions{}, func(e *wsEnv) {
		e.port.push(Output{Err: &StatusError{Status: 500, Reason: "broken"}})
		e.port.link.Wake()
		require.Equal(e.t, "broken", e.client.expectClose(1011))
		require.Equal(e.t, []wsLease{{0, false}}, e.port.leasesSeen())
	})
}
