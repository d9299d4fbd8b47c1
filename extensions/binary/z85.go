package binary

import (
	"errors"
	"fmt"
	"math"
)

// alphabet are the digits of Z85 (ZeroMQ RFC 32).
const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

const (
	base  = len(alphabet)
	group = 4         // bytes
	chars = group + 1 // that a group takes
)

// AppendZ85 appends the Z85 text of b to dst. Four bytes take five characters;
// of a shorter rest each byte takes one, and one more ends it, as CometD's
// clients have it ([R-BI-2]). The text needs no escapes in a JSON string.
func AppendZ85(dst, b []byte) []byte {
	for ; len(b) >= group; b = b[group:] {
		dst = appendGroup(dst, [group]byte(b), chars)
	}
	if len(b) > 0 {
		var padded [group]byte
		copy(padded[:], b)
		dst = appendGroup(dst, padded, len(b)+1)
	}
	return dst
}

// appendGroup appends the first n characters of a group.
func appendGroup(dst []byte, b [group]byte, n int) []byte {
	value := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	var text [chars]byte
	for i := chars - 1; i >= 0; i-- {
		text[i] = alphabet[value%uint32(base)]
		value /= uint32(base)
	}
	return append(dst, text[:n]...)
}

// DecodeZ85 returns the bytes of a Z85 text, as AppendZ85 makes it. The error
// tells the position of what cannot be part of one.
func DecodeZ85(text string) ([]byte, error) {
	if len(text)%chars == 1 {
		return nil, errors.New("Z85: one character too many or too few")
	}
	values := digits()
	out := make([]byte, 0, (len(text)+chars-1)/chars*group)
	for at := 0; at < len(text); at += chars {
		value, n := uint64(0), min(chars, len(text)-at)
		for i := range chars {
			d := int8(base - 1) // beyond the end: what was cut off is rounded up
			if i < n {
				d = values[text[at+i]]
			}
			if d < 0 {
				return nil, fmt.Errorf("Z85: no digit at byte %d", at+i)
			}
			value = value*uint64(base) + uint64(d)
		}
		if value > math.MaxUint32 {
			return nil, fmt.Errorf("Z85: the group at byte %d is too large", at)
		}
		b := [group]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}
		out = append(out, b[:n-1]...)
	}
	return out, nil
}

// digits returns the value of each character, -1 for what is no digit.
func digits() *[256]int8 {
	var values [256]int8
	for i := range values {
		values[i] = -1
	}
	for i := range len(alphabet) {
		values[alphabet[i]] = int8(i)
	}
	return &values
}
