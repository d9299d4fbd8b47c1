package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

var errTarget = errors.New("a target is one segment or more, without a wildcard")

// RemoteCall answers the remote calls of a target, "echo" or "/room/{id}/close",
// whose parameters bayeux.Param has. The caller gets ([R-SV-1], [R-SV-2])
//
//   - the result, {"successful":true,"data":…}, where f returns no error;
//   - the failure data of an error of Fail, {"successful":false,"data":…};
//   - {"class":…,"message":…} as failure data for any other error: that of
//     Exception or Reveal as they say; all others, and panics, as ClassError and
//     no more. These are logged. Data that does not fit is of ClassData, and the
//     message says which field is wrong;
//   - the refusal of the message, without an answer of the call, where f returns
//     bayeux.Drop or a *bayeux.Error.
//
// A result that is null is sent as null: clients would take a message without
// data for something else ([R-SV-3]). Calls of a target that nobody answers are
// acknowledged as any message, and time out at the client ([R-SV-2]).
//
// f runs in the turn of its client's messages, as a listener: one that takes long
// keeps that client waiting; AsyncCall does not. The returned function ends the
// answering.
func RemoteCall[In, Out any](srv Server, target string, f func(ctx context.Context, from bayeux.Session, in In) (Out, error)) (remove func(), err error) {
	return AsyncCall(srv, target, func(ctx context.Context, caller *Caller[Out], in In) error {
		out, err := f(ctx, caller.Session(), in)
		if err != nil {
			return err
		}
		return caller.Result(ctx, out)
	})
}

// AsyncCall is RemoteCall for a handler that may answer when it has returned, by
// its Caller, from any goroutine: its own to bound and to end. ctx ends with the
// handler; one that outlives it needs another. An error answers as it does for
// RemoteCall, unless the call has been answered.
func AsyncCall[In, Out any](srv Server, target string, f func(ctx context.Context, caller *Caller[Out], in In) error) (remove func(), err error) {
	channel := channels.ServicePrefix + strings.TrimPrefix(target, "/")
	n, err := channels.Parse(channel)
	if err == nil && (n.IsWild() || !n.IsService()) {
		err = errTarget
	}
	if err != nil {
		return nil, fmt.Errorf("remote call of %q: %w", target, err)
	}
	return srv.Listen(channel, func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		if from == nil {
			return nil // nobody to answer
		}
		caller := &Caller[Out]{srv: srv, from: from, channel: m.Channel, id: m.ID, hasID: m.HasID}
		return caller.conclude(ctx, contained(func() error {
			in, wrong := decode[In](m.Data)
			if wrong != nil {
				return caller.exception(ctx, ClassData, wrong.String())
			}
			return f(ctx, caller, in)
		}))
	})
}

// Caller is a client that waits for the answer to a remote call. It takes one
// answer. It is safe for concurrent use.
type Caller[Out any] struct {
	srv     Server
	from    bayeux.Session
	channel string
	id      string
	hasID   bool

	answered atomic.Bool
}

// Session returns the caller's session.
func (c *Caller[Out]) Session() bayeux.Session { return c.from }

// Result answers the call with a result. It returns ErrAnswered when there was
// an answer before, and an error when the result does not marshal, which the
// caller then gets as one of ClassError, or when the session has ended.
func (c *Caller[Out]) Result(ctx context.Context, out Out) error {
	raw, err := json.Marshal(out)
	if err != nil {
		return errors.Join(fmt.Errorf("result of %s: %w", c.channel, err), c.exception(ctx, ClassError, messageError))
	}
	return c.answer(ctx, raw, true)
}

// Fail answers the call with an error, as RemoteCall does, except that
// bayeux.Drop and a *bayeux.Error, for which it is too late, are errors as any
// other. The errors are those of Result.
func (c *Caller[Out]) Fail(ctx context.Context, err error) error {
	if f, ok := errors.AsType[*failureError](err); ok {
		raw, err := json.Marshal(f.data)
		if err != nil {
			return errors.Join(fmt.Errorf("failure of %s: %w", c.channel, err), c.exception(ctx, ClassError, messageError))
		}
		return c.answer(ctx, raw, false)
	}
	if e, ok := errors.AsType[*exceptionError](err); ok {
		return c.exception(ctx, e.class, e.message)
	}
	return c.exception(ctx, ClassError, messageError)
}

func (c *Caller[Out]) exception(ctx context.Context, class, message string) error {
	raw := bayeux.AppendString([]byte(`{"class":`), class)
	raw = bayeux.AppendString(append(raw, `,"message":`...), message)
	return c.answer(ctx, append(raw, '}'), false)
}

// answer sends the message that the client knows by its id and its data.
func (c *Caller[Out]) answer(ctx context.Context, data bayeux.Raw, ok bool) error {
	if !c.answered.CompareAndSwap(false, true) {
		return ErrAnswered
	}
	m := &bayeux.Message{Channel: c.channel, HasChannel: true, ID: c.id, HasID: c.hasID, Data: data}
	return c.srv.DeliverMessage(ctx, c.from.ID(), m.Succeed(ok))
}

// contained calls f. A panic is an error as any other, with the stack for the
// log; what it says may be the client's data.
func contained(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic with a %T\n%s", v, debug.Stack())
		}
	}()
	return f()
}

// conclude answers with the handler's error, and returns what is for the server
// to act on or to log.
func (c *Caller[Out]) conclude(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*bayeux.Error](err); ok || errors.Is(err, bayeux.Drop) {
		return err
	}
	sent := c.Fail(ctx, err)
	if errors.Is(sent, ErrAnswered) {
		sent = nil
	}
	if _, ok := errors.AsType[*failureError](err); ok {
		err = nil
	}
	if err = errors.Join(err, sent); err == nil {
		return nil
	}
	return fmt.Errorf("remote call of %s: %w", c.channel, err)
}
