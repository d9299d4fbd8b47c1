package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Opcode is the kind of a WebSocket frame.
type Opcode byte

// The opcodes of RFC 6455.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	CloseFrame   Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case CloseFrame:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	default:
		return fmt.Sprintf("opcode %d", byte(o))
	}
}

// maxFrame bounds the frames that are read.
const maxFrame = 64 << 20

// Frame is one WebSocket frame. The zero values of the flags make a whole,
// masked message, as a client must send it.
type Frame struct {
	Op       Opcode
	More     bool // FIN is not set
	RSV      byte // the three reserved bits, RSV1 is 4
	Unmasked bool // break the rule that clients mask
	Key      [4]byte
	Payload  []byte
	Claim    int64 // announce this length instead of the payload's; 0 means the payload's
}

// Bytes returns the frame as a client sends it.
func (f Frame) Bytes() []byte {
	first := byte(f.Op)&0x0f | f.RSV<<4&0x70
	if !f.More {
		first |= 0x80
	}
	length, mask := int64(len(f.Payload)), byte(0x80)
	if f.Claim != 0 {
		length = f.Claim
	}
	if f.Unmasked {
		mask = 0
	}
	out := []byte{first}
	switch {
	case length < 126:
		out = append(out, mask|byte(length))
	case length < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, mask|126), uint16(length))
	default:
		out = binary.BigEndian.AppendUint64(append(out, mask|127), uint64(length))
	}
	if f.Unmasked {
		return append(out, f.Payload...)
	}
	out = append(out, f.Key[:]...)
	for i, b := range f.Payload {
		out = append(out, b^f.Key[i%4])
	}
	return out
}

func (f Frame) describe() string {
	words := []string{f.Op.String() + " frame"}
	if f.More {
		words = append(words, "not final")
	}
	if f.RSV != 0 {
		words = append(words, fmt.Sprintf("rsv %03b", f.RSV))
	}
	if f.Claim != 0 {
		words = append(words, fmt.Sprintf("announces %d bytes", f.Claim))
	}
	if f.Op == CloseFrame && len(f.Payload) >= 2 {
		words = append(words, fmt.Sprintf("code %d", binary.BigEndian.Uint16(f.Payload)))
	}
	return strings.Join(words, ", ")
}

// readFrame reads a frame of a server, or of a client, which must mask it.
func readFrame(r io.Reader, fromClient bool) (Frame, error) {
	var head [10]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return Frame{}, err
	}
	f := Frame{Op: Opcode(head[0] & 0x0f), More: head[0]&0x80 == 0, RSV: head[0] >> 4 & 7, Unmasked: head[1]&0x80 == 0}
	length := uint64(head[1] & 0x7f)
	switch length {
	case 126:
		if _, err := io.ReadFull(r, head[2:4]); err != nil {
			return Frame{}, err
		}
		length = uint64(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		if _, err := io.ReadFull(r, head[2:10]); err != nil {
			return Frame{}, err
		}
		length = binary.BigEndian.Uint64(head[2:10])
	}
	if length > maxFrame {
		return Frame{}, fmt.Errorf("a frame of %d bytes is over the limit of %d", length, maxFrame)
	}
	if f.Unmasked == fromClient {
		return Frame{}, errors.New("a frame is masked by the server, or not masked by the client")
	}
	if !f.Unmasked {
		if _, err := io.ReadFull(r, f.Key[:]); err != nil {
			return Frame{}, err
		}
	}
	f.Payload = make([]byte, length)
	_, err := io.ReadFull(r, f.Payload)
	if !f.Unmasked {
		for i := range f.Payload {
			f.Payload[i] ^= f.Key[i%4]
		}
	}
	return f, err
}
