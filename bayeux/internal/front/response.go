package front

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unique"
)

const (
	// flushAt is how much of an answer is collected before it is written.
	flushAt = 64 << 10
	// sniffed is how much of a body tells its type.
	sniffed = 512
)

// Response is the http.ResponseWriter of the engine. It has what
// http.ResponseController asks for. Like others it is of one goroutine at a time,
// and of none after the handler has returned.
type Response struct {
	c     *Conn
	req   *http.Request // nil: the answer to a held one
	lines string        // header lines that were set before it was held

	header   http.Header
	status   int     // 0: nothing was decided
	out      *buffer // what is to be written
	body     *buffer // while the length of the body is not known
	length   int64   // as declared; -1: not
	written  int64   // of the body
	framed   bool    // the head is in out, or was written
	chunked  bool
	typed    bool // there is a Content-Type
	dated    bool
	last     bool // the connection ends with the answer
	from     *body
	unread   bool // the body has not come whole
	hijacked bool
	err      error
}

var (
	_ http.ResponseWriter = (*Response)(nil)
	_ http.Hijacker       = (*Response)(nil)
	_ http.Flusher        = (*Response)(nil)
)

// begin makes it the answer to req; nil: to a held one.
func (w *Response) begin(c *Conn, req *http.Request) { w.c, w.req, w.length = c, req, -1 }

// Header implements http.ResponseWriter.
func (w *Response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header, 4)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. What is set in the header later
// does not count.
func (w *Response) WriteHeader(status int) {
	switch {
	case w.hijacked || w.status != 0:
		return
	case status < 100 || status > 999:
		// As net/http has it: there is no answer to be made of it.
		panic("front: invalid status " + strconv.Itoa(status)) //nolint:forbidigo // recovered by guarded, a handler's error
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.informal(status)
		return
	}
	w.status = status
	w.out = w.c.s.buffers.get()
	w.head(status)
	if !w.hasBody() {
		w.length = 0
		w.frame()
		return
	}
	if w.length >= 0 && w.typed {
		w.frame()
	}
}

// informal writes an answer that is not the last one.
func (w *Response) informal(status int) {
	w.out = w.c.s.buffers.get()
	w.out.b = appendStatus(w.out.b, status)
	w.fields(true)
	w.out.b = append(w.out.b, "\r\n"...)
	w.flush()
	w.c.s.buffers.put(w.out)
	w.out = nil
}

// hasBody tells whether the status lets the answer have a body.
func (w *Response) hasBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified && w.status >= 200
}

// head collects the status line and the fields that are set.
func (w *Response) head(status int) {
	w.out.b = appendStatus(w.out.b, status)
	w.out.b = append(w.out.b, w.lines...)
	if v, ok := w.header["Content-Length"]; ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(v[0]), 10, 64); err == nil && n >= 0 && len(v) == 1 {
			w.length = n
		}
	}
	_, w.typed = w.header["Content-Type"]
	_, w.dated = w.header["Date"]
	_, encoded := w.header["Content-Encoding"]
	w.typed = w.typed || encoded
	for _, v := range w.header["Connection"] {
		for option := range strings.SplitSeq(v, ",") {
			w.last = w.last || strings.EqualFold(strings.TrimSpace(option), "close")
		}
	}
	w.fields(false)
}

// fields collects what the handler has set. How the body is framed and what
// becomes of the connection is not its business.
func (w *Response) fields(informal bool) {
	for name, values := range w.header {
		switch name {
		case "Content-Length", "Transfer-Encoding":
			continue
		case "Connection":
			if w.last && !informal {
				continue
			}
		}
		for _, v := range values {
			w.out.b = appendField(w.out.b, name, v)
		}
	}
}

func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = strconv.AppendInt(append(b, "status code "...), int64(status), 10)
	}
	return append(b, "\r\n"...)
}

// appendField writes a field, with blanks for what would end the line. What has
// no name of a field is left out.
func appendField(b []byte, name, value string) []byte {
	if name == "" || !all([]byte(name), classToken) {
		return b
	}
	b = append(b, name...)
	b = append(b, ": "...)
	from := len(b)
	b = append(b, strings.Trim(value, " \t\r\n")...)
	for i := from; i < len(b); i++ {
		if b[i] == '\r' || b[i] == '\n' {
			b[i] = ' '
		}
	}
	return append(b, "\r\n"...)
}

// frame ends the head: what the body is, how long, and where it ends.
func (w *Response) frame() {
	w.framed = true
	var body []byte
	if w.body != nil {
		body = w.body.b
	}
	if !w.typed && len(body) > 0 {
		w.out.b = appendField(w.out.b, "Content-Type", http.DetectContentType(body[:min(len(body), sniffed)]))
	}
	switch {
	case !w.hasBody():
	case w.length >= 0:
		w.out.b = append(w.out.b, "Content-Length: "...)
		w.out.b = append(strconv.AppendInt(w.out.b, w.length, 10), "\r\n"...)
	default:
		w.chunked = true
		w.out.b = append(w.out.b, "Transfer-Encoding: chunked\r\n"...)
	}
	if w.last = w.last || w.c.s.stopping.Load() || w.from != nil && w.from.unread(); w.last {
		w.out.b = append(w.out.b, "Connection: close\r\n"...)
	}
	if !w.dated {
		w.out.b = append(w.out.b, "Date: "...)
		w.out.b = time.Now().UTC().AppendFormat(w.out.b, http.TimeFormat)
		w.out.b = append(w.out.b, "\r\n"...)
	}
	w.out.b = append(w.out.b, "\r\n"...)
	if len(body) > 0 {
		w.collect(body)
	}
	w.c.s.buffers.put(w.body)
	w.body = nil
}

// Write implements http.ResponseWriter.
func (w *Response) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, w.err
	case !w.hasBody():
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.framed {
		w.collect(p)
		return w.wrote(p)
	}
	if w.body == nil {
		w.body = w.c.s.buffers.get()
	}
	w.body.b = append(w.body.b, p...)
	if w.length >= 0 || len(w.body.b) >= flushAt {
		w.frame()
	}
	return w.wrote(p)
}

func (w *Response) wrote(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// collect adds to a framed body.
func (w *Response) collect(p []byte) {
	if w.chunked {
		w.out.b = append(strconv.AppendInt(w.out.b, int64(len(p)), 16), "\r\n"...)
	}
	w.out.b = append(w.out.b, p...)
	if w.chunked {
		w.out.b = append(w.out.b, "\r\n"...)
	}
	if len(w.out.b) >= flushAt {
		w.flush()
	}
}

// flush writes what is collected.
func (w *Response) flush() {
	if w.err == nil && len(w.out.b) > 0 {
		_, w.err = w.c.Write(w.out.b)
	}
	w.out.b = w.out.b[:0]
}

// Flush implements http.Flusher.
func (w *Response) Flush() { _ = w.FlushError() }

// FlushError writes what there is to the connection.
func (w *Response) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.framed {
		w.frame()
	}
	w.flush()
	return w.err
}

// finish ends the answer and tells whether the connection may go on.
func (w *Response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.framed {
		if w.length < 0 {
			w.length = w.written
		}
		w.frame()
	}
	if w.chunked {
		w.out.b = append(w.out.b, "0\r\n\r\n"...)
	}
	w.flush()
	return w.err == nil && !w.last && (w.length < 0 || w.written == w.length) && w.status != http.StatusSwitchingProtocols
}

// release gives the buffers back.
func (w *Response) release() {
	w.c.s.buffers.put(w.out)
	w.c.s.buffers.put(w.body)
	w.out, w.body = nil, nil
}

// Hijack implements http.Hijacker. The connection is a *Conn. As with net/http
// the answer may have begun with 101, whose head leaves first then.
func (w *Response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.c
	if w.hijacked || w.status != 0 && w.status != http.StatusSwitchingProtocols || w.req == nil {
		return nil, nil, http.ErrHijacked
	}
	if w.status != 0 {
		if w.flush(); w.err != nil {
			return nil, nil, w.err
		}
		w.release()
	}
	c.mu.Lock()
	if c.state != busy || c.held != nil {
		c.mu.Unlock()
		return nil, nil, net.ErrClosed
	}
	c.state, c.ctx = taken, nil
	c.out.deadline = 0
	c.mu.Unlock()
	w.hijacked = true
	c.s.hijack()
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, 16), bufio.NewWriterSize(c, 16)), nil
}

// SetReadDeadline is for http.ResponseController. It ends with the request, and
// is that of its body: what comes of the client later ends nothing.
func (w *Response) SetReadDeadline(t time.Time) error { return w.c.SetReadDeadline(t) }

// SetWriteDeadline is for http.ResponseController. It ends with the request.
func (w *Response) SetWriteDeadline(t time.Time) error { return w.c.SetWriteDeadline(t) }

// EnableFullDuplex is for http.ResponseController. The request has been read.
func (*Response) EnableFullDuplex() error { return nil }

// WriteString implements io.StringWriter.
func (w *Response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Hold lets the handler return without an answer: what is written afterwards is
// h's, on another Response, to which the header lines of this one belong. It
// reports nil where that cannot be: something has been decided of the answer, or
// the header says how it is framed.
func (w *Response) Hold(h Held) *Conn {
	c := w.c
	if w.hijacked || w.status != 0 || w.req == nil || !plain(w.header) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != busy {
		return nil
	}
	c.held = h
	return c
}

// Resume takes Hold back: the handler goes on.
func (w *Response) Resume() {
	w.c.mu.Lock()
	w.c.held = nil
	w.c.mu.Unlock()
}

// Leave says that the handler is about to wait for long: the engine does without
// its goroutine until Rejoin, which must follow.
func (w *Response) Leave() { w.c.s.pool.leave() }

// Rejoin says that the handler goes on.
func (w *Response) Rejoin() { w.c.s.pool.rejoin() }

// Left tells whether the client has gone, as far as is known.
func (w *Response) Left() bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.c.state == over || w.c.hasLeft()
}

// plain tells whether the header leaves the answer to who writes it.
func plain(header http.Header) bool {
	for name, values := range header {
		switch name {
		case "Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding", "Content-Type", "Date", "Upgrade", "Trailer":
			return false
		}
		if len(values) == 0 || strings.HasPrefix(name, http.TrailerPrefix) {
			return false
		}
	}
	return true
}

// keep has the connection keep the header lines of an answer to come.
func (w *Response) keep() {
	b := w.c.s.buffers.get()
	defer w.c.s.buffers.put(b)
	for name, values := range w.header {
		for _, v := range values {
			b.b = appendField(b.b, name, v)
		}
	}
	w.c.lines = headerLines{}
	if len(b.b) > 0 {
		w.c.lines = headerLines{unique.Make(string(b.b))}
	}
}

// headerLines are header lines that nearly all answers have alike: they are kept
// once. The zero value is none.
type headerLines struct{ shared unique.Handle[string] }

func (l headerLines) text() string {
	if l == (headerLines{}) {
		return ""
	}
	return l.shared.Value()
}
