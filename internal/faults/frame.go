package faults

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

var errOpaque = errors.New("not a frame that can be looked into")

// packet is a WebSocket message, or a control frame, as a hook sees it.
type packet struct {
	l  *link
	up bool // on the way to the server
	op ws.OpCode
	// payload is unmasked, and inflated where the connection has compression.
	payload []byte
	frames  int // in how many it came
	drop    bool
	// parts, if set, leave as frames of their own instead of payload.
	parts [][]byte

	raw        []byte // as it came
	compressed bool
	changed    bool
}

// set replaces what is carried.
func (k *packet) set(op ws.OpCode, payload []byte) {
	k.op, k.payload, k.changed = op, payload, true
}

// bytes returns the packet as it leaves.
func (k *packet) bytes() []byte {
	switch {
	case k.parts != nil:
		all := make([]byte, 0, len(k.payload))
		for _, part := range k.parts {
			all = append(all, encodeFrame(k.up, k.op, part)...)
		}
		return all
	case k.changed:
		return encodeFrame(k.up, k.op, k.payload)
	default:
		return k.raw
	}
}

// encodeFrame writes a message as one frame; those to the server are masked.
func encodeFrame(up bool, op ws.OpCode, payload []byte) []byte {
	f := ws.NewFrame(op, true, payload)
	if up {
		var mask [4]byte
		_, _ = rand.Read(mask[:])
		f = ws.MaskFrameWith(f, mask)
	}
	var b bytes.Buffer
	_ = ws.WriteFrame(&b, f) // to memory
	return b.Bytes()
}

// readFrame reads one frame: header, payload without mask, and the bytes as
// they came. An error comes with the bytes that were read.
func readFrame(r *bufio.Reader) (h ws.Header, payload, raw []byte, err error) {
	var b bytes.Buffer
	h, err = ws.ReadHeader(io.TeeReader(r, &b))
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = errors.Join(errOpaque, err)
		}
		return h, nil, b.Bytes(), err
	}
	if !sound(h) {
		return h, nil, b.Bytes(), errOpaque
	}
	n, err := io.CopyN(&b, r, h.Length)
	payload = bytes.Clone(b.Bytes()[b.Len()-int(n):])
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	return h, payload, b.Bytes(), err
}

// sound tells whether a header is one that a receiver would not refuse before
// it has seen the payload.
func sound(h ws.Header) bool {
	if h.OpCode.IsControl() {
		return h.Length <= ws.MaxControlFramePayloadSize && h.Fin && h.Rsv == 0 && h.OpCode <= ws.OpPong
	}
	limit := int64(maxText)
	if h.Masked {
		limit = maxMessage
	}
	return h.Length <= limit && h.OpCode <= ws.OpBinary && !h.Rsv2() && !h.Rsv3()
}

// readPacket reads frames until a message or a control frame is complete.
// open is the message whose fragments are on the way; it is nil between
// messages. An error comes with the bytes that were not handed on.
func readPacket(r *bufio.Reader, open **packet) (k *packet, rest []byte, err error) {
	for {
		h, payload, raw, err := readFrame(r)
		if err != nil {
			if *open != nil {
				raw = append((*open).raw, raw...)
			}
			return nil, raw, err
		}
		if h.OpCode.IsControl() {
			return &packet{op: h.OpCode, payload: payload, raw: raw, frames: 1}, nil, nil
		}
		if *open == nil {
			*open = &packet{op: h.OpCode, compressed: h.Rsv1()}
		}
		m := *open
		m.payload, m.raw, m.frames = append(m.payload, payload...), append(m.raw, raw...), m.frames+1
		if len(m.payload) > maxText || h.Masked && len(m.payload) > maxMessage {
			return nil, m.raw, errOpaque
		}
		if h.Fin {
			*open = nil
			return m, nil, nil
		}
	}
}

// inflate undoes permessage-deflate without a kept context.
func inflate(payload []byte) ([]byte, error) {
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	r := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader(tail)))
	out, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(out) > maxText {
		err = errOpaque
	}
	return out, err
}
