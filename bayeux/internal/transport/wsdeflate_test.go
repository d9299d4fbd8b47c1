package transport

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// R-WS-3: what is offered and what is answered.
func TestWSNegotiate(t *testing.T) {
	const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	const window = answer + "; server_max_window_bits=15"
	tests := []struct {
		offer []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"permessage-deflate"}, answer},
		{[]string{" Permessage-Deflate ; client_max_window_bits"}, answer},
		{[]string{"permessage-deflate; client_max_window_bits=15"}, answer},
		{[]string{`permessage-deflate; client_max_window_bits="9"`}, answer},
		{[]string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, answer},
		{[]string{"permessage-deflate; server_max_window_bits=15"}, window},
		{[]string{"permessage-deflate; server_max_window_bits=10"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, answer},
		{[]string{"permessage-deflate; server_max_window_bits"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=08"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=+9"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits="}, ""},
		{[]string{"permessage-deflate; client_no_context_takeover=1"}, ""},
		{[]string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		{[]string{"permessage-deflate; unknown"}, ""},
		{[]string{"permessage-deflate;"}, ""},
		{[]string{"permessage-deflate; "}, ""},
		{[]string{`x; y="a,permessage-deflate", permessage-deflate`}, answer},
		{[]string{`x; y="a\",permessage-deflate`}, ""},
		{[]string{"x-webkit-deflate-frame", "foo, permessage-deflate"}, answer},
		{[]string{strings.Repeat(",", 8<<10) + "permessage-deflate"}, ""},
		{[]string{strings.Repeat(`"`, 8<<10)}, ""},
	}
	for _, tt := range tests {
		got, ok := wsNegotiate(tt.offer)
		require.Equal(t, tt.want, got, tt.offer)
		require.Equal(t, tt.want != "", ok, tt.offer)
	}
	require.True(t, WSOptions{Deflate: true, ExtensionsDisabled: []string{"identity"}}.withDefaults().Deflate)
	require.False(t, WSOptions{Deflate: true, ExtensionsDisabled: []string{"permessage-deflate"}}.withDefaults().Deflate)
}

// wsPacked compresses as a client does.
func wsPacked(t testing.TB, texts ...string) (out []string) {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestCompression)
	require.NoError(t, err)
	for _, s := range texts {
		buf.Reset()
		_, err = w.Write([]byte(s))
		require.NoError(t, err)
		require.NoError(t, w.Flush())
		out = append(out, strings.TrimSuffix(buf.String(), "\x00\x00\xff\xff"))
		w.Reset(&buf)
	}
	return out
}

func TestWSDeflateRoundTrip(t *testing.T) {
	var d wsDeflater
	for _, size := range []int{0, 1, 255, 256, 5_000, 100_000} {
		random := make([]byte, size)
		for i := range random {
			random[i] = byte(rand.IntN(256))
		}
		for _, plain := range [][]byte{bytes.Repeat([]byte("a"), size), random} {
			packed, err := d.pack(nil, plain)
			require.NoError(t, err)
			back, err := d.unpack(packed, int64(size))
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, back))
			if size > 0 {
				packed, err = d.pack(nil, plain)
				require.NoError(t, err)
				_, err = d.unpack(packed, int64(size)-1)
				require.ErrorIs(t, err, errWSBomb)
			}
		}
	}
	back, err := d.unpack([]byte{0}, 10) // an empty message (RFC 7692, 7.2.3.6)
	require.NoError(t, err)
	require.Empty(t, back)
	// A stream that ends itself (RFC 7692, 7.2.3.4 and 7.2.3.5).
	back, err = d.unpack([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 10)
	require.NoError(t, err)
	require.Equal(t, "Hello", string(back))
	_, err = d.unpack([]byte{0xff, 0xff, 0xff}, 10)
	require.ErrorIs(t, err, errWSDeflate)
}

// One compressed form serves all, small ones stay plain, and what does not
// shrink too.
func TestWebSocketDeflate(t *testing.T) {
	long := `{"d":"` + strings.Repeat("abc", 200) + `"}`
	wsEach(t, WSOptions{Deflate: true}, "Sec-WebSocket-Extensions: permessage-deflate\r\n", func(e *wsEnv) {
		require.NotEmpty(e.t, e.answer.Header.Get("Sec-WebSocket-Extensions"))
		e.port.onReceive(func(p *wsPort, batch []*bayeux.Message) error {
			p.push(Output{Replies: wsReplies([]string{string(batch[0].Data)})})
			return nil
		})
		shared := &bayeux.Frozen{JSON: []byte(long)}
		e.port.push(Output{
			Messages: []*bayeux.Frozen{shared, shared, {JSON: []byte(`{"n":1}`)}},
			Replies:  wsReplies([]string{long, long}, []string{`{"r":1}`}),
		})
		e.port.link.Wake()
		for _, want := range []string{"[" + long + "]", "[" + long + "]", `[{"n":1}]`, "[" + long + "," + long + "]", `[{"r":1}]`} {
			f, err := e.client.next()
			require.NoError(e.t, err)
			require.Equal(e.t, len(want) > 256, f.rsv != 0)
			if f.rsv != 0 {
				require.Less(e.t, len(f.payload), 100)
				back, err := new(wsDeflater).unpack([]byte(f.payload), -1)
				require.NoError(e.t, err)
				f.payload = string(back)
			}
			require.Equal(e.t, want, f.payload)
		}
		// The client's: compressed, in fragments, and plain ones too.
		for i, p := range wsPacked(e.t, `[{"channel":"/a","data":1}]`, `[{"channel":"/a","data":"äö"}]`) {
			e.client.frame(frameRSV1|byte(ws.OpText), p[:7])
			e.client.frame(byte(ws.OpContinuation), p[7:9])
			e.client.frame(frameFin|byte(ws.OpContinuation), p[9:])
			e.client.expect([]string{"[1]", `["äö"]`}[i])
			e.client.text(`[{"channel":"/a","data":2}]`)
			e.client.expect("[2]")
		}
	})
}

func TestWebSocketDeflateViolations(t *testing.T) {
	rsv, fin, text := byte(frameRSV1), byte(frameFin), byte(ws.OpText)
	bomb := wsPacked(t, "["+strings.Repeat(" ", 1<<20)+"]")[0]
	notUTF8 := wsPacked(t, "[\"\xff\"]")[0]
	tests := map[string]struct {
		send []byte
		code int
	}{
		"R-WS-9 bomb":            {wsMasked(rsv|fin|text, bomb), 1009},
		"R-WS-9 bigger packed":   {wsMasked(rsv|fin|text, strings.Repeat("x", 70_000)), 1009},
		"garbage":                {wsMasked(rsv|fin|text, "\xff\xff\xff"), 1007},
		"not UTF-8":              {wsMasked(rsv|fin|text, notUTF8), 1007},
		"empty":                  {wsMasked(rsv|fin|text, "\x00"), 1011},
		"RSV1 on a ping":         {wsMasked(rsv|fin|byte(ws.OpPing), ""), 1002},
		"RSV1 on a fragment":     {append(wsMasked(text, "["), wsMasked(rsv|fin, "]")...), 1002},
		"RSV2 with extension":    {wsMasked(0x20|rsv|fin|text, ""), 1002},
		"RSV1 on a bad opcode":   {wsMasked(rsv|fin|5, ""), 1002},
		"binary is not unpacked": {append(wsMasked(rsv|fin|byte(ws.OpBinary), bomb), wsMasked(fin|byte(ws.OpClose), "\x03\xe8")...), 1000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newWSEnv(t, WSOptions{Deflate: true})
				e.dialPipe("Sec-WebSocket-Extensions: permessage-deflate\r\n", nil)
				go func() { _, _ = e.client.conn.Write(tt.send) }() // the rest may find nobody
				_ = e.client.expectClose(tt.code)
				e.end()
				require.Equal(t, 1, e.counts.event(fmt.Sprint(EventWSClosed, tt.code)))
				require.Zero(t, e.port.batchesSeen())
			})
		})
	}
}

func FuzzWSNegotiate(f *testing.F) {
	for _, s := range []string{"permessage-deflate", `permessage-deflate; client_max_window_bits="15", x`, `a;b="\`, ";;,,=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		answer, ok := wsNegotiate([]string{s})
		if ok != strings.HasPrefix(answer, wsDeflateName) || ok && !strings.Contains(strings.ToLower(s), wsDeflateName) {
			t.Fatalf("%q: %q %v", s, answer, ok)
		}
	})
}
