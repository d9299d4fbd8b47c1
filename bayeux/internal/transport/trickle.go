package transport

import (
	"net/http"
	"time"
)

// noReplies is the answer where nothing can be said any more: the head has left.
const noReplies = "[]"

// trickles returns how often blanks are to be sent while t waits, 0 for never.
// An answer by callback-polling has to begin with the name of the callback, and
// one by HTTP/1.0 has no chunks, so that its end could be a cut as well.
func (t *turn) trickles() time.Duration {
	x, ok := t.exchange.(Trickler)
	if !ok || t.name != LongPolling || !t.r.ProtoAtLeast(1, 1) {
		return 0
	}
	if every := x.Trickle(); every > 0 && canFlush(t.w) {
		return every
	}
	return 0
}

// canFlush tells whether what is written can leave before the handler returns,
// in the order in which http.ResponseController looks.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch inner := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return false
		}
	}
}

// blank sends white space of JSON, and the head before the first.
func (t *turn) blank() error {
	// Its deadline must not stay: over HTTP/2 it would end the stream, written to
	// or not.
	_ = t.rc.SetWriteDeadline(deadline(t.h.o.WriteTimeout))
	if !t.begun {
		t.begun = true
		t.h.o.Observer.Count(EventTrickled)
		header := t.w.Header()
		header["Content-Type"] = t.format.contentType
		header["X-Accel-Buffering"] = t.h.unbuffered // nginx would keep the blanks to itself
		t.w.WriteHeader(http.StatusOK)
	}
	if err := t.writeChunks([]byte(" ")); err != nil {
		return err
	}
	t.h.o.Observer.Bytes(0, 1)
	_ = t.rc.SetWriteDeadline(time.Time{}) // Not to be had everywhere.
	return nil
}

// complete makes JSON of blanks that nothing has come behind.
func (t *turn) complete() {
	if t.begun && !t.answered && !t.left {
		_ = t.rc.SetWriteDeadline(deadline(t.h.o.WriteTimeout))
		_ = t.writeChunks([]byte(noReplies))
	}
}
