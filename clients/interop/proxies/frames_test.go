//go:build interop

package proxies

import (
	"encoding/binary"
	"io"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Types and flags of HTTP/2's frames, as far as they are needed.
const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	frameGoAway   = 7

	flagEndStream  = 1
	flagEndHeaders = 4
)

// frame is a frame of stream 1.
type frame struct {
	kind, flags byte
	payload     []byte
}

func appendFrame(b []byte, f frame, stream uint32) []byte {
	n := len(f.payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), f.kind, f.flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, f.payload...)
}

// headers packs names and values as they are, each as a literal that is not indexed.
func headers(fields ...string) []byte {
	var b []byte
	for i, text := range fields {
		if i%2 == 0 {
			b = append(b, 0)
		}
		if n := len(text); n < 127 {
			b = append(b, byte(n))
		} else {
			b = binary.AppendUvarint(append(b, 127), uint64(n-127))
		}
		b = append(b, text...)
	}
	return b
}

// attackH2 sends frames on a connection of HTTP/2, and reads until their stream ends.
func attackH2(t *testing.T, g *rig, v vector) answers {
	t.Helper()
	c := dial(t, "127.0.0.1", g.address, "h2")
	require.Equal(t, "h2", c.ConnectionState().NegotiatedProtocol)
	out := appendFrame([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame{kind: frameSettings}, 0)
	for _, f := range v.frames {
		out = appendFrame(out, f, 1)
	}
	tell(t, c, out)
	var got answers
	var body []byte
	defer func() { _ = c.Close() }()
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil {
			break
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c, payload); err != nil {
			break
		}
		stream := binary.BigEndian.Uint32(head[5:])
		kind, flags := head[3], head[4]
		if kind == frameData && stream == 1 {
			body = append(body, payload...)
		}
		if stream == 1 && (kind == frameReset || kind <= frameHeaders && flags&flagEndStream != 0) || kind == frameGoAway {
			break
		}
	}
	got.count(body)
	return got
}

// framed are the vectors of HTTP/2, which the proxies turn into HTTP/1.1.
func framed(host string) []vector {
	in := inner(host)
	pseudo := func(method, path, authority, scheme string) []string {
		return []string{":method", method, ":path", path, ":authority", authority, ":scheme", scheme}
	}
	usual := pseudo("POST", "/cometd", host, "https")
	injected := "\r\nX-Forwarded-For: " + stranger + "\r\nX: y"
	with := func(name string, refused bool, first []string, body string, fields ...string) vector {
		fields = append(append(slices.Clip(first), "content-type", "application/json"), fields...)
		return vector{name: "h2 " + name, refused: refused, frames: []frame{
			{frameHeaders, flagEndHeaders, headers(fields...)}, {frameData, flagEndStream, []byte(body)},
		}}
	}
	trailers := with("trailer names a client", false, usual, handshake)
	trailers.frames[1].flags = 0
	trailers.frames = append(trailers.frames, frame{frameHeaders, flagEndHeaders | flagEndStream, headers("x-forwarded-for", stranger)})
	return []vector{
		with("plain", false, usual, handshake),
		with("CL short", true, usual, handshake+in, "content-length", strconv.Itoa(len(handshake))),
		with("CL zero", true, usual, in, "content-length", "0"),
		with("CL long", true, usual, handshake, "content-length", strconv.Itoa(len(handshake+in))),
		with("CL twice", true, usual, handshake+in, "content-length", strconv.Itoa(len(handshake+in)), "content-length", strconv.Itoa(len(handshake))),
		with("CL injected", true, usual, handshake+in, "content-length", strconv.Itoa(len(handshake+in))+"\r\nContent-Length: "+strconv.Itoa(len(handshake))),
		with("TE", false, usual, "0\r\n\r\n"+in, "transfer-encoding", "chunked"),
		with("TE injected into a value", true, usual, "0\r\n\r\n"+in, "x", "y\r\nTransfer-Encoding: chunked"),
		with("LF injected into a value", true, usual, handshake, "x", "y\nX-Forwarded-For: "+stranger),
		with("NUL in a value", true, usual, handshake, "x", "y\x00z"),
		with("name with a line", true, usual, handshake, "x: y"+injected, "z"),
		with("name with a colon", false, usual, handshake, "transfer-encoding: chunked", "z"),
		with("name with a blank", true, usual, handshake, "x-forwarded-for ", stranger),
		with("name in capitals", true, usual, handshake, "X-Forwarded-For", stranger),
		with("name empty", true, usual, handshake, "", "y"),
		with("path with a line", true, pseudo("POST", "/cometd HTTP/1.1"+injected, host, "https"), handshake),
		with("path with a blank", true, pseudo("POST", "/cometd HTTP/1.1 x", host, "https"), handshake),
		with("path empty", true, pseudo("POST", "", host, "https"), handshake),
		with("path absolute", false, pseudo("POST", "https://elsewhere.example/cometd", host, "https"), handshake),
		with("method with a line", true, pseudo("POST /cometd HTTP/1.1"+injected+"\r\n\r\nPOST", "/cometd", host, "https"), handshake),
		with("scheme with a line", true, pseudo("POST", "/cometd", host, "https://x/ HTTP/1.1"+injected), handshake),
		with("authority with a line", true, pseudo("POST", "/cometd", host+injected, "https"), handshake),
		with("authority elsewhere", true, pseudo("POST", "/cometd", "elsewhere.example", "https"), handshake),
		with("Host besides authority", false, usual, handshake, "host", "elsewhere.example"),
		with("path twice", true, append(slices.Clip(usual), ":path", "/metrics"), handshake),
		with("pseudo field late", false, usual[:6], handshake, "x", "y", ":scheme", "https"),
		with("field of the hop", false, usual, handshake, "connection", "X-Forwarded-For"),
		with("upgrade", false, usual, handshake, "upgrade", "h2c", "http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
		with("CONNECT", true, []string{":method", "CONNECT", ":authority", host}, in),
		with("WebSocket to another path", true, append(pseudo("CONNECT", "/metrics", host, "https"), ":protocol", "websocket"), in),
		with("other protocol", true, append(pseudo("CONNECT", "/cometd", host, "https"), ":protocol", "h2c"), in),
		trailers,
	}
}
