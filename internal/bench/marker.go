package bench

import (
	"bytes"
	"strings"
)

// A message carries its stream, its number in it and the time it was due, in
// hexadecimal of fixed width, so that a receiver finds them without parsing
// JSON: {"hb":"ssssss.nnnnnnnn.tttttttttttttttt","p":"xxx"}. A stream is what one
// publisher sends to one channel: only within it is there an order.
const (
	markerStart = `"hb":"`
	markerLen   = 6 + 1 + 8 + 1 + 16
	dataStart   = `{"hb":"`
	dataMiddle  = `","p":"`
	dataEnd     = `"}`
)

// mark is what a message carries.
type mark struct {
	stream, seq uint32
	due         int64
}

// padding fills data to a size.
func padding(size int) string {
	return strings.Repeat("x", max(0, size-len(dataStart)-markerLen-len(dataMiddle)-len(dataEnd)))
}

func appendHex(to []byte, v uint64, digits int) []byte {
	const hex = "0123456789abcdef"
	for i := digits - 1; i >= 0; i-- {
		to = append(to, hex[v>>(4*i)&15])
	}
	return to
}

// appendData appends the data of a message.
func appendData(to []byte, m mark, pad string) []byte {
	to = append(to, dataStart...)
	to = appendHex(to, uint64(m.stream), 6)
	to = append(to, '.')
	to = appendHex(to, uint64(m.seq), 8)
	to = append(to, '.')
	to = appendHex(to, uint64(m.due), 16) //nolint:gosec // as it is read back
	to = append(to, dataMiddle...)
	to = append(to, pad...)
	return append(to, dataEnd...)
}

func parseHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint64(c)
	}
	return v, true
}

// nextMark returns the first mark of a payload and what follows it.
func nextMark(p []byte) (m mark, rest []byte, found bool) {
	for {
		i := bytes.Index(p, []byte(markerStart))
		if i < 0 {
			return mark{}, nil, false
		}
		p = p[i+len(markerStart):]
		if len(p) < markerLen {
			return mark{}, nil, false
		}
		stream, a := parseHex(p[:6])
		seq, b := parseHex(p[7:15])
		due, c := parseHex(p[16:32])
		if a && b && c {
			return mark{uint32(stream), uint32(seq), int64(due)}, p[markerLen:], true //nolint:gosec // of that width
		}
	}
}
