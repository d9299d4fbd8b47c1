package bayeux

import (
	"encoding/binary"
	"unicode/utf8"
)

// scanner walks JSON text without recursion and without garbage. It is strict
// where RFC 8259 is ([R-MSG-16]), but takes duplicate keys and lone surrogate
// escapes as they are. That the text is UTF-8 is checked beforehand, see
// checkUTF8.
type scanner struct {
	src  []byte
	pos  int
	max  int // open brackets allowed; negative: any number
	mark int // where the last key begins
	nest nest
}

// nest remembers the kinds of the open brackets, one bit each.
type nest struct {
	depth int
	low   uint64
	high  []uint64
}

func (n *nest) push(object bool) {
	bit := uint64(1) << (n.depth & 63)
	word := &n.low
	if k := n.depth>>6 - 1; k >= 0 {
		if k == len(n.high) {
			n.high = append(n.high, 0)
		}
		word = &n.high[k]
	}
	*word &^= bit
	if object {
		*word |= bit
	}
	n.depth++
}

// inObject tells whether the innermost bracket is a brace.
func (n *nest) inObject() bool {
	top := n.depth - 1
	word := n.low
	if k := top>>6 - 1; k >= 0 {
		word = n.high[k]
	}
	return word>>(top&63)&1 != 0
}

func (s *scanner) fail(kind DecodeKind, text string) *DecodeError {
	return &DecodeError{Kind: kind, Offset: s.pos, Text: text}
}

// checkUTF8 refuses text that is not UTF-8 ([R-MSG-16]).
func checkUTF8(src []byte) *DecodeError {
	if utf8.Valid(src) {
		return nil
	}
	at := 0
	for at < len(src) {
		r, n := utf8.DecodeRune(src[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return &DecodeError{Kind: DecodeSyntax, Offset: at, Text: "invalid UTF-8"}
}

// peek skips blanks and returns the next byte, 0 at the end. A NUL in the text
// is no JSON either, so the two need no telling apart.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.src); s.pos++ {
		if c := s.src[s.pos]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
	}
	return 0
}

// open enters the bracket at the position.
func (s *scanner) open(object bool) *DecodeError {
	if s.max >= 0 && s.nest.depth >= s.max {
		return s.fail(DecodeDepth, "nested too deeply") // [R-HT-7]
	}
	s.nest.push(object)
	s.pos++
	return nil
}

func (s *scanner) close() {
	s.nest.depth--
	s.pos++
}

// raw skips the value at the position and returns its bytes.
func (s *scanner) raw() (Raw, *DecodeError) {
	s.peek()
	start := s.pos
	if err := s.value(); err != nil {
		return nil, err
	}
	return s.src[start:s.pos:s.pos], nil
}

// value skips the value at the position, which may hold others.
func (s *scanner) value() *DecodeError {
	base := s.nest.depth
	for {
		opened, err := s.begin()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		more, err := s.next(base)
		if err != nil || !more {
			return err
		}
	}
}

// begin skips a scalar or an empty array or object, or enters one that is not
// empty and stops where its first value has to be.
func (s *scanner) begin() (opened bool, err *DecodeError) {
	switch c := s.peek(); c {
	case '{':
		if err = s.open(true); err != nil {
			return false, err
		}
		if s.peek() == '}' {
			s.close()
			return false, nil
		}
		_, err = s.key()
		return true, err
	case '[':
		if err = s.open(false); err != nil {
			return false, err
		}
		if s.peek() == ']' {
			s.close()
			return false, nil
		}
		return true, nil
	default:
		return false, s.scalar(c)
	}
}

// next goes on after a value: out of the brackets that end here, down to depth
// base, or to where the next value of the innermost one has to be.
func (s *scanner) next(base int) (more bool, err *DecodeError) {
	for s.nest.depth > base {
		c := s.peek()
		object := s.nest.inObject()
		switch {
		case c == ',':
			s.pos++
			if object {
				_, err = s.key()
			}
			return true, err
		case object && c == '}', !object && c == ']':
			s.close()
		default:
			return false, s.fail(DecodeSyntax, "comma or closing bracket expected")
		}
	}
	return false, nil
}

// key skips a key and its colon and returns the key as it is written, quotes
// included.
func (s *scanner) key() ([]byte, *DecodeError) {
	if s.peek() != '"' {
		return nil, s.fail(DecodeSyntax, "key expected")
	}
	start := s.pos
	s.mark = start
	if err := s.quoted(); err != nil {
		return nil, err
	}
	key := s.src[start:s.pos:s.pos]
	if s.peek() != ':' {
		return nil, s.fail(DecodeSyntax, "colon expected")
	}
	s.pos++
	return key, nil
}

// member goes to the next member of the object that was entered last and
// returns its key, unquoted; ok is false behind the closing brace. The
// position is then before the member's value.
func (s *scanner) member(first bool) (key []byte, ok bool, err *DecodeError) {
	switch c := s.peek(); {
	case c == '}':
		s.close()
		return nil, false, nil
	case first:
	case c == ',':
		s.pos++
	default:
		return nil, false, s.fail(DecodeSyntax, "comma or closing bracket expected")
	}
	quoted, err := s.key()
	if err != nil {
		return nil, false, err
	}
	return unquote(quoted), true, nil
}

// end makes sure that nothing follows.
func (s *scanner) end() *DecodeError {
	if s.peek(); s.pos < len(s.src) {
		return s.fail(DecodeSyntax, "trailing text")
	}
	return nil
}

func (s *scanner) scalar(c byte) *DecodeError {
	switch {
	case c == '"':
		return s.quoted()
	case c == '-' || digit(c):
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	case s.pos >= len(s.src):
		return s.fail(DecodeSyntax, "unexpected end")
	}
	return s.fail(DecodeSyntax, "value expected")
}

func (s *scanner) literal(word string) *DecodeError {
	if len(s.src)-s.pos < len(word) || string(s.src[s.pos:s.pos+len(word)]) != word {
		return s.fail(DecodeSyntax, "value expected")
	}
	s.pos += len(word)
	return nil
}

func digit(c byte) bool { return c-'0' < 10 }

// number skips a number. What follows it is for the caller to refuse.
func (s *scanner) number() *DecodeError {
	if s.at() == '-' {
		s.pos++
	}
	if s.at() == '0' {
		s.pos++ // A leading zero stands alone.
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.at() == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if c := s.at(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.at(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return nil
}

// digits skips one digit or more.
func (s *scanner) digits() *DecodeError {
	if !digit(s.at()) {
		return s.fail(DecodeSyntax, "digit expected")
	}
	for digit(s.at()) {
		s.pos++
	}
	return nil
}

// at returns the byte at the position, 0 at the end.
func (s *scanner) at() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// quoted skips the string that begins at the position.
func (s *scanner) quoted() *DecodeError {
	s.pos++
	for {
		s.pos = plain(s.src, s.pos)
		switch c := s.at(); {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case s.pos >= len(s.src):
			return s.fail(DecodeSyntax, "unexpected end")
		default:
			return s.fail(DecodeSyntax, "control character in a string")
		}
	}
}

// plain returns the position of the first byte from pos on that is a quote, a
// backslash or a control character. Eight bytes at a time: long strings are
// most of what there is to read.
func plain(src []byte, pos int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; pos+8 <= len(src); pos += 8 {
		w := binary.LittleEndian.Uint64(src[pos:])
		quote := w ^ ones*'"'
		slash := w ^ ones*'\\'
		if ((w-ones*' ')&^w|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break
		}
	}
	for pos < len(src) && src[pos] != '"' && src[pos] != '\\' && src[pos] >= ' ' {
		pos++
	}
	return pos
}

// escape skips the escape sequence at the position. Surrogates need not pair.
func (s *scanner) escape() *DecodeError {
	s.pos++
	switch s.at() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		if _, ok := hex4(s.src[s.pos+1:]); ok {
			s.pos += 5
			return nil
		}
	}
	return s.fail(DecodeSyntax, "invalid escape")
}
