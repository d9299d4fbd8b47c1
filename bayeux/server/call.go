package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/rawio"
)

// errPanicked stands for what a panic said, which may be a client's data.
var errPanicked = errors.New("it panicked")

// callContext is the context that extensions, policies and listeners get. It
// ends with the call, with the request, with the session or after
// ExtensionTimeout; its timer is made only if somebody asks for Done, so that a
// call which does not wait costs nothing.
type callContext struct {
	context.Context //nolint:containedctx // it is a context

	sess  *session
	limit time.Duration
	start time.Time

	mu     sync.Mutex
	inner  context.Context //nolint:containedctx // made on demand
	cancel context.CancelFunc
	over   bool // the call has returned
}

// call runs f with such a context. It may compute for long: the scheduler's watch
// is to know.
func (srv *Server) call(ctx context.Context, s *session, f func(ctx context.Context) error) error {
	c := &callContext{Context: ctx, sess: s, limit: srv.config.ExtensionTimeout, start: srv.now()}
	defer c.close()
	rawio.Announce()
	return srv.safely(c, f) //nolint:contextcheck // c wraps ctx
}

// safely runs f. A panic in it is the caller's code's fault and nobody else's loss:
// it is logged and comes back as an error.
func (srv *Server) safely(ctx context.Context, f func(ctx context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			srv.quiet.failure("panic").Str("panic", fmt.Sprintf("%T", v)).Bytes("stack", debug.Stack()).Msg("an extension, policy or listener panicked")
			err = errPanicked
		}
	}()
	return f(ctx)
}

// errTooLong says that a call was not waited for any longer.
var errTooLong = errors.New("the call took longer than ExtensionTimeout")

// within is call on a goroutine of its own, which is waited for no longer than
// a call may take. One that takes longer goes on alone, its context done.
func (srv *Server) within(ctx context.Context, s *session, what string, f func(ctx context.Context) error) error {
	done := make(chan error, 1)
	srv.lifecycle.tasks.Go(func() { done <- srv.call(ctx, s, f) })
	limit := srv.config.ExtensionTimeout
	if limit <= 0 {
		return <-done
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		srv.stats.limit("extensionTimeout")
		srv.quiet.failure("stuck").Str("call", what).Dur("limit", limit).Msg("server code does not return; others go on")
		return errTooLong
	}
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) {
	at, ok := c.Context.Deadline()
	if c.limit > 0 {
		if own := c.start.Add(c.limit); !ok || own.Before(at) {
			return own, true
		}
	}
	return at, ok
}

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} { return c.open().Done() }

// Err implements context.Context.
func (c *callContext) Err() error {
	c.mu.Lock()
	inner, over := c.inner, c.over
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case over:
		return context.Canceled
	}
	if err := c.Context.Err(); err != nil {
		return err
	}
	if at, ok := c.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	if c.sess != nil && c.sess.isOver() {
		return context.Canceled
	}
	return nil
}

func (c *callContext) open() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner != nil {
		return c.inner
	}
	if at, ok := c.Deadline(); ok {
		c.inner, c.cancel = context.WithDeadline(c.Context, at)
	} else {
		c.inner, c.cancel = context.WithCancel(c.Context)
	}
	switch {
	case c.over: // whoever has kept it learns that it is over, and costs nothing
		c.cancel()
	case c.sess != nil:
		go watch(c.inner, c.cancel, c.sess.gone())
	}
	return c.inner
}

// watch ends a call when its session ends; it ends with the call.
func watch(ctx context.Context, cancel context.CancelFunc, ended <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-ended:
		cancel()
	}
}

func (c *callContext) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}
