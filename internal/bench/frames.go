package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gobwas/ws"
)

// maxPayload bounds a message of the server.
const maxPayload = 16 << 20

var (
	errClosed  = errors.New("the server closed the WebSocket")
	errTooLong = errors.New("the server sent more than 16 MiB in one message")
)

// maskKey masks all that the generator sends: the unpredictable key of the RFC
// protects proxies, and there is none here.
func maskKey() [4]byte { return [4]byte{0x5a, 0xc3, 0x17, 0x9e} }

// appendFrame appends a masked frame of a client.
func appendFrame(to []byte, op ws.OpCode, payload []byte) []byte {
	to = append(to, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		to = append(to, 0x80|byte(n))
	case n < 1<<16:
		to = binary.BigEndian.AppendUint16(append(to, 0x80|126), uint16(n))
	default:
		to = binary.BigEndian.AppendUint64(append(to, 0x80|127), uint64(n))
	}
	key := maskKey()
	to = append(to, key[:]...)
	from := len(to)
	to = append(to, payload...)
	ws.Cipher(to[from:], key, 0)
	return to
}

// splitFrame returns the first frame of data and its length; 0 where it is not
// whole.
func splitFrame(data []byte) (op ws.OpCode, fin bool, payload []byte, n int, err error) {
	if len(data) < 2 {
		return 0, false, nil, 0, nil
	}
	if data[0]&0x70 != 0 || data[1]&0x80 != 0 {
		return 0, false, nil, 0, errors.New("the server sent a frame that is masked or compressed")
	}
	head, size := 2, uint64(data[1])
	switch {
	case size == 126 && len(data) >= 4:
		head, size = 4, uint64(binary.BigEndian.Uint16(data[2:]))
	case size == 127 && len(data) >= 10:
		head, size = 10, binary.BigEndian.Uint64(data[2:])
	case size >= 126:
		return 0, false, nil, 0, nil
	}
	if size > maxPayload {
		return 0, false, nil, 0, errTooLong
	}
	end := head + int(size)
	if len(data) < end {
		return 0, false, nil, 0, nil
	}
	return ws.OpCode(data[0] & 15), data[0]&0x80 != 0, data[head:end], end, nil
}

// nextFrame takes the first frame; the payload is nil where it completes no
// message. Answers to pings are appended to out.
func (w *wire) nextFrame(data, out []byte) (payload, more []byte, n int, err error) {
	op, fin, payload, n, err := splitFrame(data)
	if n == 0 || err != nil {
		return nil, out, n, err
	}
	switch op {
	case ws.OpPing:
		return nil, appendFrame(out, ws.OpPong, payload), n, nil
	case ws.OpPong:
		return nil, out, n, nil
	case ws.OpClose:
		if len(payload) >= 2 {
			return nil, out, n, fmt.Errorf("%w: %d %q", errClosed, binary.BigEndian.Uint16(payload), payload[2:])
		}
		return nil, out, n, errClosed
	default: // data
	}
	if fin && len(w.part) == 0 {
		return payload, out, n, nil
	}
	if len(w.part)+len(payload) > maxPayload {
		return nil, out, n, errTooLong
	}
	w.part = append(w.part, payload...)
	if !fin {
		return nil, out, n, nil
	}
	whole := w.part
	w.part = nil
	return whole, out, n, nil
}

// upgradeRequest asks for a WebSocket.
func (t *target) upgradeRequest() string {
	return "GET " + t.path + " HTTP/1.1\r\nHost: " + t.host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: aGFsbGV5LWJlbmNoLWtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

// nextUpgrade takes the answer to the upgrade.
func nextUpgrade(data []byte) (n int, err error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > maxHead {
			return 0, errHead
		}
		return 0, nil
	}
	if line, _, _ := bytes.Cut(data, []byte("\r\n")); !bytes.Contains(line, []byte(" 101")) {
		return 0, fmt.Errorf("no WebSocket: the server answered %q", line)
	}
	return end + 4, nil
}
