package transport

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

const (
	wsDeflateName = "permessage-deflate"
	// wsDeflateFrom is the size from which compression is worth its time.
	wsDeflateFrom = 256
	// wsExtensionsMax bounds the header that is looked at.
	wsExtensionsMax = 8 << 10
	// wsDeflateTail ends what a sync flush left open (RFC 7692, 7.2.2), then
	// ends the stream.
	wsDeflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
)

var (
	errWSBomb    = errors.New("message too large after decompression")
	errWSDeflate = errors.New("invalid compressed data")
)

// wsNegotiate answers the Sec-WebSocket-Extensions of an upgrade: the first
// offer of permessage-deflate that can be met, or nothing. A malformed offer is
// declined, as is a header out of all proportion.
//
// Neither side keeps a context: ours because one compressed form is shared by
// all receivers, theirs so that an idle connection has no window (RFC 7692,
// 7.1.1).
func wsNegotiate(headers []string) (answer string, ok bool) {
	total := 0
	for _, h := range headers {
		if total += len(h); total > wsExtensionsMax {
			return "", false
		}
	}
	for _, h := range headers {
		for h != "" {
			var offer string
			offer, h = wsSplit(h, ',')
			if answer, ok = wsAccept(offer); ok {
				return answer, true
			}
		}
	}
	return "", false
}

// wsSplit cuts s at the first sep outside of a quoted string.
func wsSplit(s string, sep byte) (head, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// wsAccept answers one offer.
func wsAccept(offer string) (answer string, ok bool) {
	name, rest := wsSplit(offer, ';')
	if !strings.EqualFold(strings.TrimSpace(name), wsDeflateName) || strings.HasSuffix(offer, ";") {
		return "", false
	}
	answer = wsDeflateName + "; server_no_context_takeover; client_no_context_takeover"
	var seen [4]bool
	for rest != "" {
		var param string
		param, rest = wsSplit(rest, ';')
		key, value, valued := strings.Cut(param, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		i, fine := wsDeflateParam(key, value, valued)
		if !fine || seen[i] {
			return "", false
		}
		seen[i] = true
		if key == "server_max_window_bits" {
			answer += "; server_max_window_bits=15"
		}
	}
	return answer, true
}

// wsDeflateParam checks a parameter of an offer. A smaller window of ours is
// not on offer: the shared form is made with the full one.
func wsDeflateParam(key, value string, valued bool) (index int, ok bool) {
	switch key {
	case "server_no_context_takeover":
		return 0, !valued
	case "client_no_context_takeover":
		return 1, !valued
	case "server_max_window_bits":
		return 2, value == "15"
	case "client_max_window_bits":
		bits, err := strconv.Atoi(value)
		return 3, !valued || err == nil && bits >= 8 && bits <= 15 && value[0] != '0' && value[0] != '+'
	}
	return 0, false
}

// wsDeflater compresses and decompresses. It is safe for concurrent use.
type wsDeflater struct {
	writers, readers sync.Pool
}

type wsPackedWriter struct {
	flate *flate.Writer
	out   bytes.Buffer
}

// pack appends the compressed p to dst.
func (d *wsDeflater) pack(dst, p []byte) ([]byte, error) {
	w, _ := d.writers.Get().(*wsPackedWriter)
	if w == nil {
		fw, err := flate.NewWriter(io.Discard, flate.BestSpeed)
		if err != nil {
			return dst, err
		}
		w = &wsPackedWriter{flate: fw}
	}
	defer d.writers.Put(w)
	w.out.Reset()
	w.flate.Reset(&w.out)
	if _, err := w.flate.Write(p); err != nil {
		return dst, err
	}
	if err := w.flate.Flush(); err != nil {
		return dst, err
	}
	dst = append(dst, bytes.TrimSuffix(w.out.Bytes(), []byte(wsDeflateTail[:4]))...)
	if w.out.Cap() > frameKeepCap {
		w.out = bytes.Buffer{}
	}
	return dst, nil
}

// frame returns the whole frame of payload, compressed if that is shorter.
func (d *wsDeflater) frame(payload []byte) []byte {
	packed, err := d.pack(make([]byte, 0, len(payload)/2+frameMaxHead), payload)
	first := frameFin | frameRSV1 | byte(ws.OpText)
	if err != nil || len(packed) >= len(payload) {
		first, packed = frameFin|byte(ws.OpText), payload
	}
	b := make([]byte, 0, frameMaxHead+len(packed))
	return append(frameAppendHead(b, first, len(packed)), packed...)
}

// build returns the compressed frame of a message; see bayeux.FormDeflated.
func (d *wsDeflater) build(json []byte) []byte {
	if len(json) < wsDeflateFrom {
		return frameBuild(json)
	}
	return d.frame(frameAppendArray(make([]byte, 0, len(json)+2), [][]byte{json}))
}

type wsPackedReader struct {
	flate  io.ReadCloser
	packed bytes.Reader // a ByteReader, so that flate needs no buffer of its own
}

// unpack decompresses p, which it takes over, to at most limit bytes
// (negative: any number).
func (d *wsDeflater) unpack(p []byte, limit int64) ([]byte, error) {
	r, _ := d.readers.Get().(*wsPackedReader)
	if r == nil {
		r = &wsPackedReader{flate: flate.NewReader(strings.NewReader(""))}
	}
	defer d.readers.Put(r)
	r.packed.Reset(append(p, wsDeflateTail...))
	defer r.packed.Reset(nil)
	reset, ok := r.flate.(flate.Resetter)
	if !ok || reset.Reset(&r.packed, nil) != nil {
		return nil, errWSDeflate
	}
	var out bytes.Buffer
	var source io.Reader = r.flate
	if limit >= 0 {
		source = io.LimitReader(source, limit+1)
	}
	if _, err := out.ReadFrom(source); err != nil {
		return nil, errWSDeflate
	}
	if limit >= 0 && int64(out.Len()) > limit {
		return nil, errWSBomb
	}
	return out.Bytes(), nil
}
