package filter

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/halleypush/halley/bayeux"
)

// errJSON says that data is no JSON. What clients send was checked before.
var errJSON = errors.New("the data is no JSON")

// walker finds the values of JSON text, one after the other, and builds the
// text with those that were changed. It needs no stack: a string is a name if a
// colon follows, and brackets and commas are passed over. That the text is JSON
// is not checked; it is copied as it stands.
type walker struct {
	src  []byte
	pos  int
	most int

	out    []byte // nil while nothing has changed
	copied int    // how much of src is in out
}

// next returns where the next value stands; start and end are equal behind the
// last one.
func (w *walker) next() (start, end int, err error) {
	for w.pos < len(w.src) {
		switch c := w.src[w.pos]; c {
		case ' ', '\t', '\n', '\r', ',', ':', '{', '}', '[', ']':
			w.pos++
		case '"':
			start = w.pos
			if end, err = w.quoted(); err != nil {
				return 0, 0, err
			}
			if !w.colon() {
				return start, end, nil
			}
		default:
			start = w.pos
			for w.pos < len(w.src) && !bytes.ContainsRune([]byte(" \t\n\r,:{}[]\""), rune(w.src[w.pos])) {
				w.pos++
			}
			return start, w.pos, nil
		}
	}
	return 0, 0, nil
}

// quoted passes the string at the position and returns its end.
func (w *walker) quoted() (end int, err error) {
	for w.pos++; w.pos < len(w.src); w.pos++ {
		switch w.src[w.pos] {
		case '\\':
			w.pos++
		case '"':
			w.pos++
			return w.pos, nil
		}
	}
	return 0, errJSON
}

// colon tells whether a colon follows.
func (w *walker) colon() bool {
	for i := w.pos; i < len(w.src); i++ {
		switch w.src[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return w.src[i] == ':'
		}
	}
	return false
}

// replace puts a value in the place of the one that stood there.
func (w *walker) replace(start, end int, value bayeux.Raw) error {
	if bytes.Equal(value, w.src[start:end]) {
		return nil
	}
	if err := bayeux.Validate(value, 0); err != nil {
		return err
	}
	w.out = append(append(w.out, w.src[w.copied:start]...), value...)
	if w.copied = end; len(w.out) > w.most {
		return errGrown
	}
	return nil
}

func (w *walker) result() bayeux.Raw {
	if w.copied == 0 {
		return w.src
	}
	return append(w.out, w.src[w.copied:]...)
}

// text returns the characters of a string; ok is false for other values.
func text(value bayeux.Raw) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	err := json.Unmarshal(value, &s)
	return s, err == nil
}
