package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// maxHead bounds the head of a response.
const maxHead = 64 << 10

var errHead = errors.New("the head of the response is longer than 64 KiB")

// appendRequest appends a POST, or for callback-polling a GET, with a body.
func (w *wire) appendRequest(to, body []byte) []byte {
	t := &w.c.eng.target
	if w.kind == CallbackPolling {
		to = append(append(to, "GET "...), t.path...)
		to = append(to, "?jsonp=cb&message="...)
		to = append(to, url.QueryEscape(string(body))...)
	} else {
		to = append(append(to, "POST "...), t.path...)
	}
	to = append(append(to, " HTTP/1.1\r\nHost: "...), t.host...)
	if w.kind != CallbackPolling {
		to = append(to, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		to = strconv.AppendInt(to, int64(len(body)), 10)
	}
	if len(w.c.cookie) > 0 {
		to = append(append(to, "\r\nCookie: "...), w.c.cookie...)
	}
	to = append(to, "\r\n\r\n"...)
	if w.kind != CallbackPolling {
		to = append(to, body...)
	}
	return to
}

// head is what matters of the head of a response.
type head struct {
	status  int
	length  int // -1 when not told
	chunked bool
	closing bool
	cookie  []byte
	size    int // of the head itself
}

// header returns the value of a line, if it is that header.
func header(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

// parseHead reads the head of a response; size is 0 where it is not whole.
func parseHead(data []byte) (h head, err error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) > maxHead {
			return h, errHead
		}
		return h, nil
	}
	h.size, h.length = end+4, -1
	line, rest, _ := bytes.Cut(data[:end], []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return h, fmt.Errorf("no HTTP response: %.40q", line)
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, fmt.Errorf("no HTTP status: %.40q", line)
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if v, ok := header(line, "Content-Length"); ok {
			if h.length, err = strconv.Atoi(string(v)); err != nil || h.length < 0 {
				return h, fmt.Errorf("the Content-Length %q is no length", v)
			}
		} else if v, ok := header(line, "Transfer-Encoding"); ok {
			h.chunked = bytes.EqualFold(v, []byte("chunked"))
		} else if v, ok := header(line, "Connection"); ok {
			h.closing = bytes.EqualFold(v, []byte("close"))
		} else if v, ok := header(line, "Set-Cookie"); ok {
			h.cookie, _, _ = bytes.Cut(v, []byte(";"))
		}
	}
	return h, nil
}

// nextResponse takes the first response; n is 0 where it is not whole.
func (w *wire) nextResponse(data []byte) (payload []byte, n int, err error) {
	h, err := parseHead(data)
	if err != nil || h.size == 0 {
		return nil, 0, err
	}
	body := data[h.size:]
	switch {
	case h.chunked:
		if payload, n, err = unchunk(body); n == 0 || err != nil {
			return nil, 0, err
		}
	case h.length > maxPayload:
		return nil, 0, errTooLong
	case h.length < 0:
		return nil, 0, errors.New("the response has neither a length nor chunks")
	case len(body) < h.length:
		return nil, 0, nil
	default:
		payload, n = body[:h.length], h.length
	}
	if h.status != 200 {
		return nil, 0, fmt.Errorf("status %d", h.status)
	}
	if h.closing {
		return nil, 0, errors.New("the server ends the connection with its answer")
	}
	if h.cookie != nil && w.c.cookie == nil {
		w.c.cookie = bytes.Clone(h.cookie)
	}
	if w.kind == CallbackPolling {
		open, end := bytes.IndexByte(payload, '('), bytes.LastIndexByte(payload, ')')
		if open < 0 || end < open {
			return nil, 0, fmt.Errorf("no callback: %.40q", payload)
		}
		payload = payload[open+1 : end]
	}
	return payload, h.size + n, nil
}

// unchunk joins the chunks of a body; n is 0 where they are not all there.
func unchunk(data []byte) (body []byte, n int, err error) {
	for {
		i := bytes.Index(data[n:], []byte("\r\n"))
		if i < 0 {
			return nil, 0, nil
		}
		digits, _, _ := bytes.Cut(data[n:n+i], []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 32)
		if err != nil {
			return nil, 0, fmt.Errorf("no chunk: %.40q", digits)
		}
		n += i + 2
		if size > maxPayload || len(body)+int(size) > maxPayload {
			return nil, 0, errTooLong
		}
		if len(data)-n < int(size)+2 {
			return nil, 0, nil
		}
		body = append(body, data[n:n+int(size)]...)
		n += int(size) + 2
		if size == 0 { // servers of Bayeux send no trailers
			return body, n, nil
		}
	}
}
