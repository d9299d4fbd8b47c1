package bench

import (
	"context"
	"net"
	"sync"
)

// dismissers is how many connections end sessions at a time.
const dismissers = 16

// dismiss ends the polling sessions, after close: their own connections were
// busy with the connects that were held. What the server does not answer in
// the time of a drain it is left to forget.
func (e *engine) dismiss(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Drain)
	defer cancel()
	all := make(chan *client)
	var group sync.WaitGroup
	for range dismissers {
		group.Go(func() { e.dismissSome(ctx, all) }) // ends with all
	}
	send := func(c *client) {
		if c.kind == WebSocket || c.stage != living {
			return
		}
		select {
		case all <- c:
		case <-ctx.Done():
		}
	}
	for _, c := range e.clients {
		send(c)
	}
	for _, p := range e.pubs {
		send(p.c)
	}
	close(all)
	group.Wait()
}

// dismissSome ends sessions over a connection of its own. One that fails is
// not replaced.
func (e *engine) dismissSome(ctx context.Context, all <-chan *client) {
	var conn net.Conn
	var err error
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	buf := make([]byte, 0, readBuffer)
	for c := range all {
		if conn == nil && err == nil {
			if conn, err = e.dial(ctx); err == nil {
				end, _ := ctx.Deadline()
				err = conn.SetDeadline(end)
			}
		}
		if err == nil && ctx.Err() == nil {
			err = dismissOne(conn, c, buf)
		}
	}
}

// dismissOne ends a session.
func dismissOne(conn net.Conn, c *client, buf []byte) error {
	w := &wire{c: c, kind: c.kind}
	if _, err := conn.Write(w.appendRequest(nil, c.meta("/meta/disconnect", ""))); err != nil {
		return err
	}
	for buf = buf[:0]; len(buf) < cap(buf); {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return err
		}
		buf = buf[:len(buf)+n]
		if _, n, err = w.nextResponse(buf); n > 0 || err != nil {
			return err
		}
	}
	return errTooLong
}
