package transport

import (
	"context"
	"time"
)

// holder answers a turn whose messages have been processed: now, or when the
// answer is due. It calls turn.answer once, unless the client leaves before,
// and turn.end in any case. A holder may return before that and go on
// elsewhere, if it has taken the connection over.
type holder func(context.Context, *turn)

// block waits on the goroutine of the request, which works with each version
// of HTTP, with TLS and behind wrapped ResponseWriters ([R-HT-12], [R-CN-25]).
//
// Requests that a client has sent behind this one on the same connection wait
// for the answer, as HTTP/1.1 wants it ([R-CN-26]).
func block(ctx context.Context, t *turn) {
	defer t.end()
	due := make(chan struct{}, 1)
	held := t.exchange.Await(func() {
		select {
		case due <- struct{}{}:
		default:
		}
	})
	if held {
		t.h.o.Observer.Count(EventHeld)
		// Neither does the server's own time-out for writing cut the hold
		// ([R-HT-13]); the one for reading ended with the body.
		_ = t.rc.SetWriteDeadline(time.Time{})
		select {
		case <-due:
		case <-ctx.Done(): // [R-CN-21]
		}
	}
	t.answer(ctx)
}
