package bayeux

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s to dst as a JSON string: non-ASCII characters as they
// are, U+2028 and U+2029 too, control characters as \u00XX ([R-MSG-15]). Bytes
// that are no UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[from:i]...)
			if c < ' ' {
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			} else {
				dst = append(dst, '\\', c)
			}
			from = i + 1
		}
		i++
	}
	return append(append(dst, s[from:]...), '"')
}

// unquote returns the characters of a JSON string that was scanned before. It
// returns a part of quoted where no escape stands in it. A lone surrogate
// becomes U+FFFD.
func unquote(quoted []byte) []byte {
	in := quoted[1 : len(quoted)-1]
	at := bytes.IndexByte(in, '\\')
	if at < 0 {
		return in
	}
	out := make([]byte, 0, len(in))
	for ; at >= 0; at = bytes.IndexByte(in, '\\') {
		out = append(out, in[:at]...)
		out, in = unescape(out, in[at+1:])
	}
	return append(out, in...)
}

// unescape appends the character of the escape sequence at the start of in,
// its backslash taken, and returns what follows it.
func unescape(out, in []byte) (_, rest []byte) {
	c := in[0]
	switch c {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, _ := hex4(in[1:])
		in = in[5:]
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if len(in) >= 6 && in[0] == '\\' && in[1] == 'u' {
				low, _ := hex4(in[2:])
				pair = utf16.DecodeRune(r, low)
			}
			if r = pair; r != utf8.RuneError {
				in = in[6:]
			}
		}
		return utf8.AppendRune(out, r), in
	}
	return append(out, c), in[1:]
}

// hex4 reads the four hexadecimal digits at the start of b.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case digit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
