package front

import (
	"bytes"
	"context"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// maxHead bounds the heads that the engine takes. Larger ones are net/http's.
const maxHead = 8 << 10

// verdict is what parse says of the bytes that a connection has sent.
type verdict int

const (
	// whole: they are the head of an ordinary request, and of its body what has
	// come.
	whole verdict = iota
	// partial: they may become a head.
	partial
	// other: they are net/http's to judge.
	other
)

// ordinary is a request as parse has found it. Its slices are of the bytes that
// were read.
type ordinary struct {
	post, upgrade bool
	head          []byte // the request line and fields
	target        []byte
	host          []byte
	fields        []byte // the header lines, each with its CRLF
	lines         int
	query         bool
	body          []byte // what has come of it
	missing       int    // what has not
}

// parse judges what was read. It is a list of what is allowed: a request line
// with POST or GET, a path of unreserved characters and HTTP/1.1; header lines
// of a token, a colon and visible ASCII; one Host; for a POST one Content-Length
// in decimal, for a GET none; nothing that changes what follows, such as
// Transfer-Encoding, Expect or Trailer; and no byte more than the request has.
// The body is as many bytes as Content-Length says, wherever they come. So there is nothing in it about which two readers could disagree.
func parse(p []byte, limit int) (r ordinary, v verdict) {
	if !begins(p) {
		return r, other
	}
	end := bytes.Index(p[:min(len(p), limit+4)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(p) >= limit {
			return r, other
		}
		return r, partial
	}
	r.head = p[:end+2]
	line, fields, _ := bytes.Cut(r.head, []byte("\r\n"))
	if !r.requestLine(line) {
		return r, other
	}
	r.fields = fields
	var seen seenFields
	if !r.header(&seen) || !r.accept(&seen) {
		return r, other
	}
	r.body = p[end+4:]
	if r.missing = max(seen.length, 0) - len(r.body); r.missing < 0 {
		return r, other
	}
	return r, whole
}

// begins tells whether p may be the beginning of an ordinary request.
func begins(p []byte) bool {
	const post, get = "POST /", "GET /"
	return len(p) > 0 && (string(p[:min(len(p), len(post))]) == post[:min(len(p), len(post))] ||
		string(p[:min(len(p), len(get))]) == get[:min(len(p), len(get))])
}

func (r *ordinary) requestLine(line []byte) bool {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, proto, _ := bytes.Cut(rest, []byte(" "))
	if string(proto) != "HTTP/1.1" || len(target) == 0 || target[0] != '/' || bytes.HasPrefix(target, []byte("//")) {
		return false
	}
	r.post = string(method) == http.MethodPost
	if !r.post && string(method) != http.MethodGet {
		return false
	}
	r.target = target
	path, query, has := bytes.Cut(target, []byte("?"))
	r.query = has
	return all(path, classPath) && all(query, classQuery)
}

// seenFields is what the header says of the message and of the connection.
type seenFields struct {
	hosts, lengths, upgrades, connections int
	length                                int // -1: none
	websocket                             bool
	keep, turn                            bool // what Connection asks for
	pragma, cache                         bool
}

func (r *ordinary) header(s *seenFields) bool {
	s.length = -1
	for rest := r.fields; len(rest) > 0; r.lines++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || len(name) == 0 || !all(name, classToken) || !all(value, classValue) {
			return false
		}
		if !r.field(s, name, bytes.Trim(value, " \t")) {
			return false
		}
	}
	return true
}

// field looks at a field that the engine has to know. What has a meaning for
// the message or for the connection, and is not expected here, is not
// ordinary.
func (r *ordinary) field(s *seenFields, name, value []byte) bool {
	switch known(name) {
	case fieldHost:
		s.hosts++
		r.host = value
	case fieldLength:
		s.lengths++
		s.length = number(value)
		return s.length >= 0
	case fieldConnection:
		s.connections++
		return s.connection(value)
	case fieldUpgrade:
		s.upgrades++
		s.websocket = same(value, "websocket")
	case fieldPragma:
		s.pragma = true
	case fieldCache:
		s.cache = true
	case fieldRefused:
		return false
	case fieldOrdinary:
	}
	return true
}

// connection reads the value of Connection: keep-alive, upgrade or both.
func (s *seenFields) connection(value []byte) bool {
	first, second, both := bytes.Cut(value, []byte(","))
	return s.option(first) && (!both || s.option(bytes.TrimLeft(second, " ")))
}

func (s *seenFields) option(value []byte) bool {
	switch {
	case same(value, "keep-alive"):
		s.keep = true
	case same(value, "upgrade"):
		s.turn = true
	default:
		return false
	}
	return true
}

// accept tells whether the fields together make an ordinary request.
func (r *ordinary) accept(s *seenFields) bool {
	switch {
	case s.hosts != 1 || len(r.host) == 0 || !all(r.host, classHost):
		return false
	case s.connections > 1 || s.upgrades > 1 || s.lengths > 1:
		return false
	case s.pragma && !s.cache: // net/http makes a Cache-Control of it
		return false
	case r.post:
		return s.length >= 0 && !s.turn && s.upgrades == 0
	case s.length >= 0:
		return false
	}
	r.upgrade = s.turn
	return s.turn == (s.upgrades == 1) && s.turn == s.websocket
}

// number reads decimal digits without leading zeros; -1 if it is none, or too
// large to be of interest.
func number(p []byte) int {
	if len(p) == 0 || len(p) > 9 || len(p) > 1 && p[0] == '0' {
		return -1
	}
	n := 0
	for _, b := range p {
		if b < '0' || b > '9' {
			return -1
		}
		n = n*10 + int(b-'0')
	}
	return n
}

// same compares without the case of letters; want has small ones.
func same(p []byte, want string) bool {
	if len(p) != len(want) {
		return false
	}
	for i, b := range p {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b != want[i] {
			return false
		}
	}
	return true
}

type field int

const (
	fieldOrdinary field = iota
	fieldHost
	fieldLength
	fieldConnection
	fieldUpgrade
	fieldPragma
	fieldCache
	fieldRefused
)

// known tells which field it is; names are compared without their case.
func known(name []byte) field {
	is := func(want string) bool { return same(name, want) }
	switch len(name) {
	case 2:
		return when(is("te"), fieldRefused)
	case 4:
		return when(is("host"), fieldHost)
	case 6:
		if is("pragma") {
			return fieldPragma
		}
		return when(is("expect"), fieldRefused)
	case 7:
		if is("upgrade") {
			return fieldUpgrade
		}
		return when(is("trailer"), fieldRefused)
	case 10:
		return when(is("connection"), fieldConnection)
	case 13:
		return when(is("cache-control"), fieldCache)
	case 14:
		if is("http2-settings") {
			return fieldRefused
		}
		return when(is("content-length"), fieldLength)
	case 16:
		return when(is("proxy-connection"), fieldRefused)
	case 17:
		return when(is("transfer-encoding"), fieldRefused)
	}
	return fieldOrdinary
}

func when(is bool, f field) field {
	if is {
		return f
	}
	return fieldOrdinary
}

// request makes what net/http's server would make of it, but for what is the
// connection's: address and body. u becomes the URL of the request.
func (r *ordinary) request(ctx context.Context, u *url.URL) (*http.Request, error) {
	text := string(r.head) // all strings are of this one
	method, rest, _ := strings.Cut(text, " ")
	target := rest[:len(r.target)]
	u.Path = target
	if r.query {
		parsed, err := url.ParseRequestURI(target)
		if err != nil {
			return nil, err
		}
		u = parsed
	}
	req := new(http.Request).WithContext(ctx)
	req.Method, req.URL, req.RequestURI = method, u, target
	req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/1.1", 1, 1
	req.Header, req.Host = fieldsOf(text[len(text)-len(r.fields):], r.lines)
	req.Body, req.ContentLength = http.NoBody, int64(len(r.body)+r.missing)
	return req, nil
}

// fieldsOf makes a header of its lines, but for the host, which is the
// request's.
func fieldsOf(text string, lines int) (header http.Header, host string) {
	header = make(http.Header, lines)
	values := make([]string, lines)
	for len(text) > 0 {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		name = textproto.CanonicalMIMEHeaderKey(name)
		value = strings.Trim(value, " \t")
		if name == "Host" {
			host = value
			continue
		}
		if some := header[name]; some != nil {
			header[name] = append(some, value)
			continue
		}
		values[0] = value
		header[name], values = values[:1:1], values[1:]
	}
	return header, host
}
