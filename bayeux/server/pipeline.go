package server

import (
	"context"
	"errors"
	"slices"

	"github.com/halleypush/halley/bayeux"
)

// extension is a server-wide extension, of which channels it wants to see the
// messages, and whether it returns at once.
type extension struct {
	bayeux.Extension

	selects bayeux.Selective // nil: all
	prompt  bool
}

func (e extension) concerns(channel string) bool {
	return e.selects == nil || e.selects.Concerns(channel)
}

// concerned tells whether a server-wide extension wants to see messages of a
// channel.
func (srv *Server) concerned(channel string) bool {
	for _, e := range srv.extensions {
		if e.concerns(channel) {
			return true
		}
	}
	return false
}

// bounded tells whether a call of the extensions with messages of a channel needs
// a context that ends: one of them, or of the session's, may not return at once.
func (srv *Server) bounded(s *session, channel string) bool {
	if s != nil && len(s.extensions()) > 0 {
		return true
	}
	for _, e := range srv.extensions {
		if !e.prompt && e.concerns(channel) {
			return true
		}
	}
	return false
}

// callExtensions is call, or less where that is enough.
func (srv *Server) callExtensions(ctx context.Context, s *session, channel string, f func(ctx context.Context) error) error {
	if srv.bounded(s, channel) {
		return srv.call(ctx, s, f)
	}
	return srv.safely(ctx, f)
}

// incoming runs the extensions on a message that came in: server-wide ones in
// order, then the session's own ([R-SV-4]).
func (srv *Server) incoming(ctx context.Context, s *session, m *bayeux.Message) error {
	if !srv.concerned(m.Channel) && (s == nil || len(s.extensions()) == 0) {
		return nil
	}
	return srv.callExtensions(ctx, s, m.Channel, func(ctx context.Context) error {
		for _, e := range srv.extensions {
			if !e.concerns(m.Channel) {
				continue
			}
			if err := e.Incoming(ctx, view(s), m); err != nil {
				return err
			}
		}
		if s == nil {
			return nil
		}
		for _, e := range s.extensions() {
			if err := e.Incoming(ctx, s, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// outgoing runs the extensions on a message for one session, in reverse. The
// server-wide ones are left out for a broadcast, which they have seen once.
func (srv *Server) outgoing(ctx context.Context, s *session, m *bayeux.Message, serverWide bool) error {
	if (!serverWide || !srv.concerned(m.Channel)) && (s == nil || len(s.extensions()) == 0) {
		return nil
	}
	return srv.callExtensions(ctx, s, m.Channel, func(ctx context.Context) error {
		if s != nil {
			for _, e := range slices.Backward(s.extensions()) {
				if err := e.Outgoing(ctx, s, m); err != nil {
					return err
				}
			}
		}
		if !serverWide {
			return nil
		}
		return srv.outgoingServerWide(ctx, view(s), m)
	})
}

// outgoingServerWide runs the server-wide extensions, in reverse; to is nil for
// a broadcast.
func (srv *Server) outgoingServerWide(ctx context.Context, to bayeux.Session, m *bayeux.Message) error {
	for _, e := range slices.Backward(srv.extensions) {
		if !e.concerns(m.Channel) {
			continue
		}
		if err := e.Outgoing(ctx, to, m); err != nil {
			return err
		}
	}
	return nil
}

// leaves runs outgoing and reports whether the message goes on. What an
// extension returned besides Drop is logged.
func (srv *Server) leaves(ctx context.Context, s *session, m *bayeux.Message, serverWide bool) bool {
	err := srv.outgoing(ctx, s, m, serverWide)
	if err != nil && !errors.Is(err, bayeux.Drop) {
		e := srv.quiet.failure("outgoing").Err(err).Str("channel", m.Channel)
		if s != nil {
			e = e.Str("session", s.id())
		}
		e.Msg("extension failed; the message is dropped")
	}
	return err == nil
}

// view keeps a missing session a nil interface.
func view(s *session) bayeux.Session {
	if s == nil {
		return nil
	}
	return s
}

// verdict turns what an extension or listener returned into the error of the
// reply; nil for Handled. What is no verdict is logged and answered with def.
func (srv *Server) verdict(err error, def *bayeux.Error) *bayeux.Error {
	var e *bayeux.Error
	switch {
	case errors.Is(err, bayeux.Handled):
		return nil
	case errors.As(err, &e):
		return complete(e, def.Text)
	case errors.Is(err, bayeux.Drop):
	default:
		srv.quiet.failure("incoming").Err(err).Msg("extension failed; the message is dropped")
	}
	return def
}

// complete fills in what a refusal left out: 403, and the operation.
func complete(e *bayeux.Error, operation string) *bayeux.Error {
	if e.Code != 0 && e.Text != "" {
		return e
	}
	c := *e
	if c.Code == 0 {
		c.Code = 403
	}
	if c.Text == "" {
		c.Text = operation
	}
	return &c
}

// ask asks the policy, outside all locks ([R-SP-2]); nil allows.
func (srv *Server) ask(ctx context.Context, s *session, operation string, f func(context.Context) error) *bayeux.Error {
	if srv.permissive || s.isLocal() { // [R-SP-1]
		return nil // DefaultPolicy refuses meta channels only, which never get here
	}
	err := srv.call(ctx, s, f)
	if err == nil {
		return nil
	}
	srv.stats.denied.Add(1)
	if srv.closed {
		srv.adviseClosed("a client was refused")
	}
	if e, ok := errors.AsType[*bayeux.Error](err); ok {
		return complete(e, operation)
	}
	srv.quiet.failure("policy").Err(err).Str("operation", operation).Msg("policy failed; the operation is refused")
	if operation == bayeux.ErrHandshakeDenied.Text {
		return bayeux.ErrHandshakeDenied
	}
	return complete(bayeux.Deny(bayeux.ReasonSecurityPolicy), operation)
}

// encodeOne runs the outgoing extensions on a reply that leaves and encodes it,
// nil where one drops it.
func (srv *Server) encodeOne(ctx context.Context, s *session, r *bayeux.Message) []byte {
	if !srv.leaves(ctx, s, r, true) {
		return nil
	}
	return bayeux.AppendMessage(nil, r)
}
