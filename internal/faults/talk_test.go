package faults

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
	"github.com/stretchr/testify/require"
)

// deflated compresses a message for permessage-deflate.
func deflated(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// talk makes a script of words. One letter names who acts from there on;
// ~500 lets 500 ms pass; !do and #do are acts of the client (see act); =GET is
// a request of that method with what follows as its body, ?a=b a GET with that
// query. Anything else is sent as a message.
func talk(words ...string) script {
	return func(w *world) {
		var a *actor
		byName := map[string]*actor{}
		for _, word := range words {
			switch {
			case len(word) == 1 && word >= "a" && word <= "z":
				if byName[word] == nil {
					byName[word] = w.new(word)
				}
				a = byName[word]
			case word != "" && strings.Contains("~!#=?", word[:1]):
				a.act(word)
			default:
				a.post(word)
			}
		}
	}
}

func (a *actor) act(word string) {
	a.w.t.Helper()
	what, rest, _ := strings.Cut(word[1:], " ")
	switch word[0] {
	case '~':
		n, err := strconv.Atoi(what)
		if err != nil {
			a.w.t.Fatalf("what is %q?", word)
		}
		a.w.pass(time.Duration(n) * time.Millisecond)
	case '=':
		a.request(what, a.query, a.fill(rest))
	case '?':
		a.request(http.MethodGet, a.fill(word[1:]), "")
	case '#':
		a.frames(what, []byte(a.fill(rest)))
	default:
		a.do1(what, rest)
	}
}

// frames sends what is no plain text message on the WebSocket.
func (a *actor) frames(kind string, payload []byte) {
	a.w.t.Helper()
	if a.conn == nil && !a.open() {
		return
	}
	switch kind {
	case "binary":
		a.frame(ws.OpBinary, payload)
	case "ping":
		a.frame(ws.OpPing, payload)
	case "fragments":
		half := len(payload) / 2
		first := ws.NewFrame(ws.OpText, false, payload[:half])
		var b strings.Builder
		_ = ws.WriteFrame(&b, ws.MaskFrameWith(first, [4]byte{1, 2, 3, 4}))
		_ = ws.WriteFrame(&b, ws.MaskFrameWith(ws.NewFrame(ws.OpContinuation, true, payload[half:]), [4]byte{5, 6, 7, 8}))
		a.bytes([]byte(b.String()))
	case "deflated":
		h := ws.NewFrame(ws.OpText, true, deflated(a.w.t, payload))
		h.Header.Rsv = ws.Rsv(true, false, false)
		var b strings.Builder
		_ = ws.WriteFrame(&b, ws.MaskFrameWith(h, [4]byte{1, 2, 3, 4}))
		a.bytes([]byte(b.String()))
	case "hex":
		b, err := hex.DecodeString(strings.ReplaceAll(string(payload), " ", ""))
		require.NoError(a.w.t, err)
		a.bytes(b)
	default:
		a.w.t.Fatalf("what is #%s?", kind)
	}
}

func (a *actor) do1(what, rest string) {
	a.w.t.Helper()
	switch what {
	case "begin":
		a.begin()
	case "abort": // the last request
		a.abort()
	case "cut": // the WebSocket
		if a.conn != nil {
			_ = a.conn.Close()
			a.conn = nil
			a.w.pass(0)
		}
	case "back": // to the session before
		a.id = a.ids[len(a.ids)-2]
	case "move": // to another transport
		a.on = rest
	case "cookie":
		a.cookie = ""
		if rest != "" {
			a.cookie = cookieName + "=" + rest
		}
	case "share": // the cookie of another
		for _, other := range a.w.actors {
			if other.name == rest {
				a.cookie = other.cookie
			}
		}
	case "header":
		name, value, _ := strings.Cut(a.fill(rest), ": ")
		a.header[name] = []string{value}
	case "suffix":
		a.suffix = rest
	case "query":
		a.query = rest
	case "http2":
		a.overHTTP2()
	case "raw":
		a.raw(a.fill(rest), 10*time.Millisecond)
	default:
		a.w.t.Fatalf("what is !%s?", what)
	}
}

// Bodies. $ is the session's id.

const (
	hello   = `[{"channel":"/meta/handshake","id":"h","version":"1.0","supportedConnectionTypes":["websocket","long-polling","callback-polling"]}]`
	connect = `[{"channel":"/meta/connect","id":"c1","clientId":"$","connectionType":"long-polling"}]`
	poll    = `[{"channel":"/meta/connect","id":"c0","clientId":"$","connectionType":"long-polling","advice":{"timeout":0}}]`
	leave   = `[{"channel":"/meta/disconnect","id":"d","clientId":"$"}]`
)

func sub(channel string) string {
	return `[{"channel":"/meta/subscribe","id":"s","clientId":"$","subscription":` + quote(channel) + `}]`
}

func unsub(channel string) string {
	return `[{"channel":"/meta/unsubscribe","id":"u","clientId":"$","subscription":` + quote(channel) + `}]`
}

func pub(channel, data string) string {
	return `[{"channel":` + quote(channel) + `,"id":"p","clientId":"$","data":` + data + `}]`
}

// begin makes a session whose first connect is over.
func (a *actor) begin() *actor {
	a.w.t.Helper()
	a.post(hello)
	a.post(poll)
	return a
}

// messages joins bodies of arrays to one.
func messages(bodies ...string) string {
	var all []string
	for _, b := range bodies {
		all = append(all, strings.TrimSuffix(strings.TrimPrefix(b, "["), "]"))
	}
	return "[" + strings.Join(all, ",") + "]"
}
