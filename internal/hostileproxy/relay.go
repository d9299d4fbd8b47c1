package hostileproxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// sink takes what a server sends. A piece that is fresh begins something new, others continue the one before.
type sink interface {
	add(piece []byte, fresh bool) error
	end() error
}

var errCut = errors.New("hostileproxy: cut")

// relay passes the response on, and says whether it left whole.
func (r *run) relay(server *backend, resp *http.Response) bool {
	r.keep = r.keep && !resp.Close
	to := &response{run: r, resp: resp, length: resp.ContentLength, header: r.answerHeader(resp)}
	to.bare = r.req.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
	first, early := r.stages(to)
	defer r.stopHolds(to)
	err := r.tooLong(resp, to)
	if err == nil && early {
		err = to.begin(nil)
	}
	if err == nil && !to.bare {
		err = copyTo(first, resp.Body)
	}
	if err == nil {
		err = first.end()
	}
	if err != nil {
		return r.fail(err)
	}
	r.whole = !r.rules.HalfCloseClient
	if resp.Close || r.rules.HTTP10 {
		server.close(false)
	}
	return true
}

// stages builds what the response passes, and says whether its head goes ahead of its body.
func (r *run) stages(to *response) (first sink, early bool) {
	if to.bare {
		return to, false
	}
	rules := r.rules
	first = r.holds(to, &to.stop)
	early = len(to.stop) == 0
	unknown := rules.MaxResponse > 0 && rules.ResponseEnd == ByAnswer && to.length < 0
	if rules.Store || unknown {
		first, early = &store{run: r, to: to, next: first}, false
	}
	if h := to.header; rules.Gzip && acceptsGzip(r.req.Header) && h.Get("Content-Encoding") == "" && to.resp.StatusCode != http.StatusPartialContent {
		h.Set("Content-Encoding", "gzip")
		h.Add("Vary", "Accept-Encoding")
		h.Del("Etag")
		to.length = -1
		first = newSqueeze(r, first)
	}
	if rules.MaxResponse > 0 {
		first = &bound{run: r, to: to, next: first}
	}
	return first, early
}

// tooLong condemns a response that says itself that it is too long, where that is answered.
func (r *run) tooLong(resp *http.Response, to *response) error {
	limit := r.rules.MaxResponse
	if limit == 0 || to.bare || r.rules.ResponseEnd != ByAnswer || resp.ContentLength <= limit {
		return nil
	}
	r.exceed(RuleResponse, ByAnswer, resp.ContentLength)
	return errCut
}

func (r *run) exceed(rule Rule, how End, bytes int64) {
	r.c.cut(verdict{rule: rule, how: how, status: http.StatusBadGateway, since: r.start, bytes: bytes, run: r})
}

func (r *run) stopHolds(to *response) {
	for _, h := range to.stop {
		h.stop()
	}
}

// copyTo passes on what the reader gives, each piece at once.
func copyTo(to sink, from io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if aerr := to.add(buf[:n], true); aerr != nil {
				return aerr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// response writes to the client.
type response struct {
	run    *run
	resp   *http.Response
	header http.Header
	length int64 // of the body as the client gets it; below zero is unknown.
	bare   bool  // has no body.
	begun  bool
	stop   []*hold // what may hold it back.
}

// begin sends the head, together with more.
func (w *response) begin(more []byte) error {
	r := w.run
	if !r.claim(false) {
		return errCut
	}
	w.begun = true
	if !r.rules.HalfCloseClient {
		r.answer = w.resp.StatusCode
	}
	proto := "HTTP/1.1"
	switch {
	case w.bare:
	case w.length >= 0:
		w.header.Set("Content-Length", fmt.Sprint(w.length))
	case r.req.ProtoAtLeast(1, 1):
		w.header.Del("Content-Length")
		w.header.Set("Transfer-Encoding", "chunked")
	default:
		w.header.Del("Content-Length")
		r.keep = false
	}
	if !r.req.ProtoAtLeast(1, 1) {
		proto = "HTTP/1.0"
	}
	if !r.keep {
		w.header.Set("Connection", "close")
	} else if proto == "HTTP/1.0" {
		w.header.Set("Connection", "keep-alive")
	}
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "%s %s\r\n", proto, w.resp.Status)
	_ = w.header.Write(text)
	text.WriteString("\r\n")
	text.Write(w.framed(more))
	return w.send(text.Bytes(), len(more))
}

// framed is the piece as it goes into the body; an empty one is nothing.
func (w *response) framed(piece []byte) []byte {
	if len(piece) == 0 || w.header.Get("Transfer-Encoding") == "" {
		return piece
	}
	text := fmt.Appendf(make([]byte, 0, len(piece)+16), "%x\r\n", len(piece))
	return append(append(text, piece...), "\r\n"...)
}

func (w *response) send(text []byte, body int) error {
	if err := w.run.c.send(text); err != nil {
		return err
	}
	if !w.run.rules.HalfCloseClient {
		w.run.received.Add(int64(body))
	}
	return nil
}

func (w *response) add(piece []byte, _ bool) error {
	if !w.begun {
		return w.begin(piece)
	}
	return w.send(w.framed(piece), len(piece))
}

func (w *response) end() error {
	if !w.begun {
		if err := w.begin(nil); err != nil {
			return err
		}
	}
	if w.bare || w.header.Get("Transfer-Encoding") == "" {
		return nil
	}
	return w.send([]byte("0\r\n\r\n"), 0)
}

// bound ends a response that is too long.
type bound struct {
	run  *run
	to   *response
	next sink
	come int64
}

func (b *bound) add(piece []byte, fresh bool) error {
	rules := b.run.rules
	left := rules.MaxResponse - b.come
	b.come += int64(len(piece))
	if int64(len(piece)) <= left {
		return b.next.add(piece, fresh)
	}
	if rules.ResponseEnd != ByAnswer && left > 0 {
		if err := b.next.add(piece[:left], fresh); err != nil {
			return err
		}
	}
	for _, h := range b.to.stop {
		h.release()
	}
	b.run.exceed(RuleResponse, rules.ResponseEnd, b.come)
	return errCut
}

func (b *bound) end() error { return b.next.end() }

// store keeps a response until it is whole.
type store struct {
	run  *run
	to   *response
	next sink
	kept []byte
}

func (s *store) add(piece []byte, _ bool) error {
	if len(s.kept)+len(piece) > s.run.c.p.keep {
		s.run.exceed(RuleStore, ByAnswer, int64(len(s.kept)+len(piece)))
		return errCut
	}
	s.kept = append(s.kept, piece...)
	return nil
}

func (s *store) end() error {
	s.to.length = int64(len(s.kept))
	if s.run.rules.Store {
		s.run.did(RuleStore, s.to.length)
	}
	if err := s.next.add(s.kept, true); err != nil {
		return err
	}
	return s.next.end()
}

// squeeze compresses.
type squeeze struct {
	run  *run
	next sink
	text bytes.Buffer
	zip  *gzip.Writer
	come int64
}

func newSqueeze(r *run, next sink) *squeeze {
	s := &squeeze{run: r, next: next}
	s.zip = gzip.NewWriter(&s.text)
	return s
}

func (s *squeeze) add(piece []byte, fresh bool) error {
	s.come += int64(len(piece))
	_, _ = s.zip.Write(piece) // A buffer takes all.
	_ = s.zip.Flush()
	return s.pass(fresh)
}

func (s *squeeze) pass(fresh bool) error {
	defer s.text.Reset()
	return s.next.add(s.text.Bytes(), fresh)
}

func (s *squeeze) end() error {
	_ = s.zip.Close()
	s.run.did(RuleGzip, s.come)
	if err := s.pass(false); err != nil {
		return err
	}
	return s.next.end()
}

// held counts what a hold did, from when it began.
func (r *run) held(rule Rule, since time.Time, bytes int) {
	r.c.p.count(r.c.addr, did(rule, time.Since(since), int64(bytes)))
}
