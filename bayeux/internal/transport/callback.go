package transport

import (
	"bytes"
	"net/http"
	"strings"
)

// callback returns the name of the callback of a GET: the value of the one
// parameter of that name, if it is a valid one ([R-JP-3]).
func (h *handler) callback(r *http.Request) (string, bool) {
	names, err := formValues(r.URL.RawQuery, h.o.CallbackParameter)
	if err != nil || len(names) != 1 {
		return "", false
	}
	if h.o.CallbackIdentifier && !identifierPath(names[0]) {
		return "", false
	}
	return names[0], validCallback(names[0], h.o.CallbackMaxLength)
}

// identifierPath tells whether each part between dots begins as a JavaScript
// identifier does; validCallback knows of the characters. A hyphen is none.
func identifierPath(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || '0' <= part[0] && part[0] <= '9' || strings.Contains(part, "-") {
			return false
		}
	}
	return true
}

// validCallback checks a name against letters, digits, dot, underscore and
// hyphen ([R-JP-3]).
func validCallback(name string, limit int) bool {
	if name == "" || len(name) > limit {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// callbackPolling serves a GET with a callback ([R-JP-1]).
func (h *handler) callbackPolling(w http.ResponseWriter, r *http.Request, callback string) {
	t := h.newTurn(w, r, h.o.CallbackPolling)
	t.format = format{
		contentType: h.script,
		before:      callback + "(",
		after:       ")",
		script:      true,
	}
	if h.o.JSONPPrefix {
		t.format.before = "/**/" + t.format.before // [R-JP-6]
	}
	t.from = h.newOrigin(r, CallbackPolling)
	if h.guarded(w, r, t.from) {
		return
	}
	texts, err := t.readQuery()
	if err != nil {
		t.refuse(err)
		return
	}
	t.serve(r.Context(), texts)
}

func (t *turn) readQuery() ([][]byte, error) {
	// A GET may have a body; it says nothing, but has to be out of the way.
	if _, err := t.readBody(); err != nil {
		return nil, err
	}
	values, err := formValues(t.r.URL.RawQuery, "message")
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, badRequest("the query has no parameter message") // [R-JP-4]
	}
	texts, size := make([][]byte, len(values)), 0
	for i, v := range values {
		texts[i], size = []byte(v), size+len(v)
	}
	t.h.o.Observer.Bytes(size, 0)
	if size > t.bounds.MaxMessageSize {
		return nil, t.tooLarge()
	}
	return texts, nil
}

// format is how a carrier wraps the array of replies.
type format struct {
	contentType   []string // the value of that header; read-only
	before, after string
	script        bool
}

// append appends the response body: the array has no blanks; handshake reply,
// messages, replies ([R-MSG-2], [R-OUT-1], [R-OUT-2]). Without any it is
// empty ([R-OUT-3]).
func (f *format) append(dst []byte, out *Output) []byte {
	dst = append(dst, f.before...)
	dst = append(dst, '[')
	first := len(dst)
	element := func(json []byte) {
		if len(dst) > first {
			dst = append(dst, ',')
		}
		if f.script {
			dst = appendScript(dst, json)
		} else {
			dst = append(dst, json...)
		}
	}
	if out.Handshake != nil {
		element(out.Handshake)
	}
	for _, m := range out.Messages {
		element(m.JSON)
	}
	for _, group := range out.Replies {
		for _, reply := range group {
			element(reply)
		}
	}
	dst = append(dst, ']')
	return append(dst, f.after...)
}

// appendScript appends JSON as JavaScript: the line separators U+2028 and
// U+2029, which JSON has within strings only, used to end a string literal
// there ([R-JP-6]).
func appendScript(dst, json []byte) []byte {
	for {
		i := bytes.Index(json, []byte("\xe2\x80"))
		if i < 0 || i+2 >= len(json) {
			return append(dst, json...)
		}
		dst = append(dst, json[:i]...)
		width := 3
		switch json[i+2] {
		case 0xa8:
			dst = append(dst, `\u2028`...)
		case 0xa9:
			dst = append(dst, `\u2029`...)
		default:
			width = 2 // The third byte may begin another where text is not UTF-8.
			dst = append(dst, json[i:i+width]...)
		}
		json = json[i+width:]
	}
}
