package transport

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// writeChunk is how much is written under one write deadline.
	writeChunk = 64 << 10
	// maxPooled keeps single large bodies out of the pool of buffers.
	maxPooled = 64 << 10
	// maxReason bounds the text of an error page.
	maxReason = 300
)

// turn is one HTTP request on its way to its answer. It belongs to one
// goroutine at a time.
type turn struct {
	h      *handler
	w      http.ResponseWriter
	r      *http.Request
	rc     http.ResponseController
	bounds Bounds
	format format

	from     Origin
	secure   bool    // the client used HTTPS
	name     string  // of the transport
	unread   bool    // The body has not been read to its end.
	input    *[]byte // A pooled buffer with the body, while that is needed.
	exchange Exchange
	done     func(sent int, replied bool) // of the Output; nil before Take
	length   [1]string                    // the value of Content-Length
	ended    bool                         // Done or Abandon was called.
	left     bool                         // The client has gone: a parked turn has no request to tell, and a blank may find out first.
	begun    bool                         // The head, and a blank, have left (see blank).
	answered bool                         // The answer was written, or tried to be.
}

// newTurn begins a turn, and the time in which the body must arrive. That
// holds even when nobody reads it: net/http itself does so before the
// connection goes on.
func (h *handler) newTurn(w http.ResponseWriter, r *http.Request, b Bounds) *turn {
	t := &turn{h: h, w: w, r: r, rc: *http.NewResponseController(w), bounds: b}
	if t.unread = r.ContentLength != 0; t.unread {
		_ = t.rc.SetReadDeadline(deadline(h.o.BodyTimeout)) // Not to be had everywhere.
	}
	return t
}

// serve decodes the texts, has the hub process them and answers, now or when
// the hold ends.
func (t *turn) serve(ctx context.Context, texts [][]byte) {
	batch, err := t.decode(texts)
	if err != nil {
		t.refuse(err)
		return
	}
	t.h.recycle(t.input)
	t.input = nil
	if len(batch) == 0 { // An empty array gets an empty array (WIRE 16).
		_ = t.write(&Output{})
		return
	}
	t.h.o.Observer.Count(EventRequest)
	exchange, err := t.h.hub.Request(ctx, t.from, batch)
	if err != nil {
		t.refuse(err)
		return
	}
	t.exchange, t.secure, t.name = exchange, t.from.Request.Secure, t.from.Transport
	if exchange.Await(nil) {
		t.h.hold(ctx, t)
		return
	}
	defer t.end()
	t.answer(ctx)
}

// answer takes what leaves and writes it. Nothing is taken for a client that
// has gone ([R-CN-21]).
func (t *turn) answer(ctx context.Context) {
	if ctx.Err() != nil {
		t.end()
		return
	}
	out := t.exchange.Take(ctx, t.bounds.ResponseBytes)
	t.done = out.Done
	switch {
	case ctx.Err() != nil: // Extensions may have taken their time.
		t.end()
	case out.Err != nil:
		t.refuse(out.Err) // [R-CN-20]
		t.end()
	case t.write(&out) != nil:
		t.end()
	default:
		t.ended = true
		t.done(len(out.Messages), true)
	}
}

// end settles a turn that came to nothing: the unit of HTTP is the response,
// so all that was taken goes back (DESIGN 4.4). It is idempotent, and stands
// by for panics below.
func (t *turn) end() {
	if t.ended {
		return
	}
	t.ended = true
	if t.left || t.r != nil && t.r.Context().Err() != nil {
		t.h.o.Observer.Count(EventAborted)
	}
	if t.done != nil {
		t.done(0, false)
	} else {
		t.exchange.Abandon()
	}
	t.complete()
}

// write writes a successful answer. What Bayeux has to say, refusals too, comes
// with 200: to clients any other status is a broken connection ([R-HT-5],
// [R-HT-6], [R-HT-10]).
func (t *turn) write(out *Output) error {
	buf, _ := t.h.buffers.Get().(*[]byte)
	*buf = t.format.append((*buf)[:0], out)
	header := t.w.Header()
	header["Content-Type"] = t.format.contentType
	if out.SetBrowser != "" {
		// [R-HS-14]
		header.Add("Set-Cookie", t.h.o.cookie(t.name).header(out.SetBrowser, t.secure))
	}
	err := t.send(http.StatusOK, *buf)
	// After a failed write HTTP/2 may still be reading the buffer.
	if err == nil {
		t.h.recycle(buf)
	}
	return err
}

// recycle puts a buffer back that nobody uses any more.
func (h *handler) recycle(buf *[]byte) {
	if buf != nil && cap(*buf) <= maxPooled {
		h.buffers.Put(buf)
	}
}

// send writes a whole response to the operating system, and tells whether it
// could: without the flush net/http would keep the error to itself. The write
// deadline ends with the request, net/http sees to that.
func (t *turn) send(status int, body []byte) error {
	t.answered = true
	_ = t.rc.SetWriteDeadline(deadline(t.h.o.WriteTimeout)) // Not to be had everywhere.
	if !t.begun {
		t.length[0] = strconv.Itoa(len(body))
		t.w.Header()["Content-Length"] = t.length[:]
		t.w.WriteHeader(status)
	}
	err := t.writeChunks(body)
	if err != nil {
		t.h.o.Observer.Count(EventWriteFailed)
		return err
	}
	t.h.o.Observer.Bytes(0, len(body))
	return nil
}

func (t *turn) writeChunks(body []byte) error {
	for chunk := range slices.Chunk(body, writeChunk) {
		if len(body) > writeChunk {
			_ = t.rc.SetWriteDeadline(deadline(t.h.o.WriteTimeout))
		}
		if _, err := t.w.Write(chunk); err != nil {
			return err
		}
	}
	err := t.rc.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil // A wrapper in front hides it; net/http flushes in the end.
	}
	return err
}

// retryAfter is the value of that header.
func retryAfter(d time.Duration) string {
	return strconv.FormatFloat(math.Ceil(d.Seconds()), 'f', 0, 64)
}

// refuse answers with an error page; behind blanks with an empty array. Errors
// that are no *StatusError are ours and not the client's to see.
func (t *turn) refuse(err error) {
	refusal, ok := errors.AsType[*StatusError](err)
	if !ok || refusal.Status < 400 || refusal.Status > 599 {
		refusal = &StatusError{Status: http.StatusInternalServerError, Reason: "internal error"}
	}
	t.h.o.Observer.Count(EventRefused)
	if t.begun {
		_ = t.send(http.StatusOK, []byte(noReplies)) // the status has left
		return
	}
	header := t.w.Header()
	header.Set("Content-Type", "text/plain;charset=UTF-8")
	header.Set("Cache-Control", "must-revalidate,no-cache,no-store") // [R-HT-5]
	if refusal.RetryAfter > 0 {
		header.Set("Retry-After", retryAfter(refusal.RetryAfter))
	}
	if t.unread && t.r.ProtoMajor == 1 {
		// What is left of the body is not worth reading. On HTTP/2 this header
		// would end the whole connection instead of the stream.
		header.Set("Connection", "close")
	}
	reason := refusal.Reason
	if reason == "" {
		reason = http.StatusText(refusal.Status)
	}
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	_ = t.send(refusal.Status, append([]byte(reason), '\n'))
}
