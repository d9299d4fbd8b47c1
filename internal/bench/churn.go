package bench

import (
	"context"
	"errors"
	"net/netip"
)

// churn lets each client make sessions and end them until the run stops: over
// one connection when polling, over a new one each time on WebSocket.
func (r *run) churn(ctx context.Context) {
	to, notNumeric := netip.ParseAddrPort(r.target.addr)
	for i := range r.cfg.Clients {
		c := &client{eng: r.engine, tally: r.tallies[i%len(r.tallies)], kind: r.cfg.Transport}
		if c.kind == WebSocket && len(r.loops) > 0 && notNumeric == nil {
			r.loops[i%len(r.loops)].visit(c, to)
			continue
		}
		r.routines.Go(func() { // ends when the run stops, or with a failure
			if c.kind != WebSocket {
				if err := r.open(ctx, &wire{c: c, kind: c.kind}); err != nil {
					r.lost(err)
				}
				return
			}
			for r.await() && !r.stopping.Load() {
				if err := r.visit(ctx, c); err != nil {
					r.lost(err)
					return
				}
			}
		})
	}
}

// visit makes a connection and a session, and ends both.
func (r *run) visit(ctx context.Context, c *client) error {
	c.since = r.now()
	conn, err := r.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return errDone
		}
		return err
	}
	if err = r.drive(conn, &wire{c: c, kind: c.kind}); errors.Is(err, errDone) {
		return nil
	}
	return err
}
