package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/front"
)

// holder answers a turn whose messages have been processed: now, or when the
// answer is due. It calls turn.answer once, unless the client leaves before,
// and turn.end in any case. A holder may return before that and go on
// elsewhere, if it has taken the connection over.
type holder func(context.Context, *turn)

// park leaves the request to the engine that it came by (package front), where it
// did, and else waits.
func park(ctx context.Context, t *turn) {
	if every := t.trickles(); every > 0 {
		block(ctx, t, every)
		return
	}
	w, ok := t.w.(*front.Response)
	if !ok {
		block(ctx, t, 0) // net/http's, or in a wrapper, which could not look on
		return
	}
	h := &parked{h: t.h, exchange: t.exchange, ctx: principalOnly(ctx), secure: t.secure}
	if t.name != LongPolling {
		h.format = new(format)
		*h.format = t.format
	}
	if h.conn = w.Hold(h); h.conn == nil {
		block(ctx, t, 0)
		return
	}
	if !t.exchange.Await(h.wake) {
		w.Resume()
		defer t.end()
		t.answer(ctx)
		return
	}
	t.h.o.Observer.Count(EventHeld)
}

// principalOnly is the context of what happens to a parked turn later: that of
// the request ends with the handler, and what middleware has put there may be
// used again for another one.
func principalOnly(ctx context.Context) context.Context {
	if name := bayeux.PrincipalFrom(ctx); name != "" {
		return bayeux.WithPrincipal(context.Background(), name)
	}
	return context.Background()
}

// parked is what stays of a turn whose request's handler has returned.
type parked struct {
	h        *handler
	conn     *front.Conn
	exchange Exchange
	ctx      context.Context //nolint:containedctx // of the answer
	format   *format         // of callback-polling; nil: long-polling
	secure   bool
}

func (p *parked) wake() { p.conn.Due(p) }

// turn makes a turn of it again.
func (p *parked) turn() *turn {
	t := &turn{h: p.h, exchange: p.exchange, secure: p.secure}
	if p.format == nil {
		t.name, t.format, t.bounds = LongPolling, p.h.plain, p.h.o.LongPolling
	} else {
		t.name, t.format, t.bounds = CallbackPolling, *p.format, p.h.o.CallbackPolling
	}
	return t
}

// Answer implements front.Held.
func (p *parked) Answer(w *front.Response) {
	if w.Left() {
		p.Left() // what is left of the answer is not written
		return
	}
	t := p.turn()
	t.w, t.rc = w, *http.NewResponseController(w)
	defer t.end()
	t.answer(p.ctx)
}

// Left implements front.Held ([R-CN-21]).
func (p *parked) Left() {
	t := p.turn()
	t.left = true
	t.end()
}

// block waits on the goroutine of the request, which works with each version
// of HTTP, with TLS and behind wrapped ResponseWriters ([R-HT-12], [R-CN-25]),
// and sends blanks that often meanwhile; 0: none.
//
// Requests that a client has sent behind this one on the same connection wait
// for the answer, as HTTP/1.1 wants it ([R-CN-26]).
func block(ctx context.Context, t *turn, every time.Duration) {
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
		if !t.wait(ctx, due, every) {
			return
		}
	}
	t.answer(ctx)
}

// wait returns when the answer is due, or the client has gone as ctx tells. It
// reports false where a blank could not be sent: who does not take that has gone
// too.
func (t *turn) wait(ctx context.Context, due <-chan struct{}, every time.Duration) bool {
	if w, ok := t.w.(*front.Response); ok {
		w.Leave()
		defer w.Rejoin()
	}
	var ticks <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-due:
			return true
		case <-ctx.Done(): // [R-CN-21]
			return true
		case <-ticks:
			if t.blank() != nil {
				t.left = true
				return false
			}
		}
	}
}
