package transport

import (
	"context"
	"net/http"
	"time"
)

// Trickler is an Exchange whose held connect is to be kept in motion: there are
// proxies that give up a response of which no byte comes for long.
type Trickler interface {
	// Trickle is how often a blank is to be sent while the connect is held; 0:
	// never.
	Trickle() time.Duration
}

// trickles tells how often. Blanks are of JSON, so that callback-polling, which
// answers with a script, has none; and they need an answer whose length need not be
// known at its beginning, which HTTP/1.0 does not have.
func (t *turn) trickles() time.Duration {
	e, ok := t.exchange.(Trickler)
	if !ok || t.name != LongPolling || t.r == nil || !t.r.ProtoAtLeast(1, 1) {
		return 0
	}
	return e.Trickle()
}

// drip is block with a blank every so often. The first one takes the status along:
// whatever is to be refused after that is an empty array, which is no answer to
// anything, as a connection that broke would be.
func (t *turn) drip(ctx context.Context, every time.Duration, due <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-due:
			return
		case <-ctx.Done(): // [R-CN-21]
			return
		case <-ticker.C:
			if t.blank() != nil {
				t.gone = true
				return
			}
		}
	}
}

// blank sends one.
func (t *turn) blank() error {
	_ = t.rc.SetWriteDeadline(deadline(t.h.o.WriteTimeout)) // Not to be had everywhere.
	if !t.begun {
		t.begun = true
		header := t.w.Header()
		header["Content-Type"] = t.format.contentType
		header.Set("X-Accel-Buffering", "no") // some proxies gather what comes in small pieces
		t.w.WriteHeader(http.StatusOK)
	}
	err := t.writeChunks([]byte{' '})
	_ = t.rc.SetWriteDeadline(time.Time{})
	if err == nil {
		t.h.o.Observer.Count(EventTrickled)
		t.h.o.Observer.Bytes(0, 1)
	}
	return err
}
