package transport

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Close codes (RFC 6455, 7.4.1).
const (
	wsGoingAway   = 1001
	wsProtocol    = 1002
	wsNoStatus    = 1005
	wsAbnormal    = 1006
	wsBadPayload  = 1007
	wsPolicy      = 1008
	wsTooBig      = 1009
	wsServerError = 1011
)

const (
	frameFin      = 0x80
	frameRSV1     = 0x40
	frameMaxHead  = ws.MaxHeaderSize
	frameMaxText  = ws.MaxControlFramePayloadSize - 2 // a close reason
	frameFirstCap = 4 << 10                           // trust in an announced length
)

// frameEvent is what frameReader.next has found.
type frameEvent int

const (
	frameNone  frameEvent = iota // more bytes are needed
	framePart                    // a frame that asks for nothing: a fragment, binary, a pong
	frameText                    // a whole text message
	framePing                    // a ping; its payload is in ctl
	frameClose                   // a close frame; its payload is in ctl
)

// frameFault is a violation and the close code it is answered with.
type frameFault struct {
	code   int
	reason string
}

// frameReader takes the bytes of a client apart. It keeps the message in
// assembly and nothing else, so that no read buffer is needed in between. It
// is owned by the goroutine that reads.
type frameReader struct {
	limit   int64 // bytes of a message; negative: none
	deflate bool  // permessage-deflate was negotiated

	// discard drops data messages: our close has been asked for.
	discard bool
	// lost drops everything: frames can no longer be told apart.
	lost bool

	inFrame bool
	head    ws.Header
	left    int64 // bytes of the payload still to come

	opcode ws.OpCode // of the message in assembly, 0 if none
	packed bool      // it is compressed
	size   int64     // bytes announced so far
	body   []byte
	ctl    []byte
}

// init makes a reader for a new connection of one that may have been used. What
// held control frames is kept.
func (f *frameReader) init(limit int64, deflate bool) {
	*f = frameReader{limit: limit, deflate: deflate, ctl: f.ctl[:0]}
}

// blank tells whether the reader is as init leaves it: between two messages of
// a connection that goes on.
func (f *frameReader) blank() bool {
	return !f.inFrame && f.opcode == 0 && f.body == nil && !f.discard && !f.lost
}

// next takes bytes from p, to the end of a frame at most, and tells how many.
// A rest that was not taken is an incomplete header: it has to be offered
// again with more.
func (f *frameReader) next(p []byte) (n int, event frameEvent, fault *frameFault) {
	if f.lost {
		return len(p), frameNone, nil
	}
	if !f.inFrame {
		if n, fault = f.header(p); fault != nil {
			return n, frameNone, fault
		}
		if n == 0 {
			return 0, frameNone, nil
		}
		if fault = f.begin(); fault != nil {
			return n, frameNone, fault
		}
	}
	n += f.payload(p[n:])
	if f.left > 0 {
		return n, frameNone, nil
	}
	f.inFrame = false
	return n, f.end(), nil
}

// fail makes a violation that loses the framing.
func (f *frameReader) fail(reason string) *frameFault {
	f.lost = true
	return &frameFault{wsProtocol, reason}
}

// header parses the header at the start of p and returns its length, 0 when
// it is not complete.
func (f *frameReader) header(p []byte) (int, *frameFault) {
	if len(p) < ws.MinHeaderSize {
		return 0, nil
	}
	n, size := ws.MinHeaderSize, int64(p[1]&0x7f)
	switch size {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	masked := p[1]&0x80 != 0
	if masked {
		n += 4
	}
	if len(p) < n {
		return 0, nil
	}
	switch size {
	case 126:
		size = int64(binary.BigEndian.Uint16(p[2:]))
		if size < 126 {
			return n, f.fail("frame length not minimal")
		}
	case 127:
		long := binary.BigEndian.Uint64(p[2:])
		if long>>63 != 0 || long < 1<<16 {
			return n, f.fail("frame length invalid")
		}
		size = int64(long)
	}
	f.head = ws.Header{
		Fin: p[0]&frameFin != 0, Rsv: p[0] >> 4 & 7, OpCode: ws.OpCode(p[0] & 15),
		Masked: masked, Length: size,
	}
	if masked {
		copy(f.head.Mask[:], p[n-4:n])
	}
	return n, nil
}

// begin checks the header and starts its payload.
func (f *frameReader) begin() *frameFault {
	check := f.head
	data := check.OpCode == ws.OpText || check.OpCode == ws.OpBinary
	packed := f.deflate && data && check.Rsv == ws.Rsv(true, false, false)
	if packed {
		check.Rsv = 0 // RFC 7692, 6: the first frame of a message, and only that
	}
	state := ws.StateServerSide
	if f.opcode != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(check, state); err != nil {
		return f.fail(err.Error())
	}
	f.inFrame, f.left = true, f.head.Length
	if f.head.OpCode.IsControl() {
		f.ctl = f.ctl[:0]
		return nil
	}
	if data {
		f.opcode, f.packed, f.size, f.body = f.head.OpCode, packed, 0, nil
	}
	if f.discard {
		return nil
	}
	// [R-WS-9] What the header announces counts, before any of it has come; the
	// difference is what cannot overflow.
	if f.limit >= 0 && f.head.Length > f.limit-f.size {
		f.discard, f.body = true, nil
		return &frameFault{wsTooBig, fmt.Sprintf("message too large: %d > %d bytes", f.size+f.head.Length, f.limit)}
	}
	f.size += f.head.Length
	return nil
}

// payload takes what p has of the frame's payload.
func (f *frameReader) payload(p []byte) int {
	n := int(min(f.left, int64(len(p))))
	offset := int((f.head.Length - f.left) % 4)
	f.left -= int64(n)
	switch {
	case f.head.OpCode.IsControl():
		f.ctl = frameUnmask(f.ctl, p[:n], f.head.Mask, offset)
	case f.opcode == ws.OpText && !f.discard:
		if f.body == nil {
			f.body = make([]byte, 0, min(f.head.Length, frameFirstCap))
		}
		f.body = frameUnmask(f.body, p[:n], f.head.Mask, offset)
	}
	return n
}

func frameUnmask(dst, p []byte, mask [4]byte, offset int) []byte {
	start := len(dst)
	dst = append(dst, p...)
	ws.Cipher(dst[start:], mask, offset)
	return dst
}

// end tells what the frame that is now complete was good for.
func (f *frameReader) end() frameEvent {
	switch f.head.OpCode {
	case ws.OpPing:
		return framePing
	case ws.OpClose:
		return frameClose
	case ws.OpPong:
		return framePart
	case ws.OpContinuation, ws.OpText, ws.OpBinary:
	}
	if !f.head.Fin {
		return framePart
	}
	text := f.opcode == ws.OpText
	f.opcode = 0
	if !text || f.discard {
		return framePart // [R-WS-6] binary messages are ignored
	}
	return frameText
}

// take hands over the message that frameText announced.
func (f *frameReader) take() (body []byte, packed bool) {
	body, f.body = f.body, nil
	return body, f.packed
}

// frameCloseCode reads the payload of a close frame. Without a code it is
// 1005.
func frameCloseCode(p []byte) (int, *frameFault) {
	if len(p) == 0 {
		return wsNoStatus, nil
	}
	if len(p) == 1 {
		return 0, &frameFault{wsProtocol, "close frame of one byte"}
	}
	code := int(binary.BigEndian.Uint16(p))
	registered := code >= 1000 && code <= 1014 && code != 1004 && code != wsNoStatus && code != wsAbnormal
	if !registered && (code < 3000 || code > 4999) {
		return 0, &frameFault{wsProtocol, "close code not allowed"}
	}
	if !utf8.Valid(p[2:]) {
		return 0, &frameFault{wsBadPayload, "close reason is not UTF-8"}
	}
	return code, nil
}

// frameAppendHead appends the header of a whole, unmasked frame.
func frameAppendHead(dst []byte, first byte, size int) []byte {
	switch {
	case size < 126:
		return append(dst, first, byte(size)) //nolint:gosec // below 126
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(size))
	}
}

// frameAppendControl appends a control frame.
func frameAppendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(frameAppendHead(dst, frameFin|byte(op), len(payload)), payload...)
}

// frameAppendClose appends a close frame. Codes that must not be sent leave an
// empty one; the reason is cut to what a control frame holds.
func frameAppendClose(dst []byte, code int, reason string) []byte {
	if code == wsNoStatus || code == wsAbnormal {
		return frameAppendControl(dst, ws.OpClose, nil)
	}
	reason = wsCut(reason, frameMaxText)
	dst = frameAppendHead(dst, frameFin|byte(ws.OpClose), 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...) //nolint:gosec // close codes have two bytes
}

// wsCut shortens s to at most n bytes of valid UTF-8.
func wsCut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	if !utf8.ValidString(s) {
		return ""
	}
	return s
}

// frameArraySize returns the length of the JSON array of the elements.
func frameArraySize(elements [][]byte) int {
	size := 1 + max(len(elements), 1) // brackets and commas
	for _, e := range elements {
		size += len(e)
	}
	return size
}

// frameAppendArray appends the JSON array of the elements.
func frameAppendArray(dst []byte, elements [][]byte) []byte {
	dst = append(dst, '[')
	for i, e := range elements {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e...)
	}
	return append(dst, ']')
}

// frameBuild returns the plain frame of a message; see bayeux.FormFrame.
func frameBuild(json []byte) []byte {
	b := make([]byte, 0, frameMaxHead+2+len(json))
	b = frameAppendHead(b, frameFin|byte(ws.OpText), 2+len(json))
	b = append(b, '[')
	b = append(b, json...)
	return append(b, ']')
}
