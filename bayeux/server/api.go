package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/channels"
)

// Errors of the server's API.
var (
	// ErrNoSession says that no session has that id.
	ErrNoSession = errors.New("no such session")
	// ErrNotBroadcast says that a message cannot be broadcast there: a meta,
	// service or wildcard channel ([R-PB-8]).
	ErrNotBroadcast = errors.New("not a broadcast channel")
)

// Echo is an ability of sessions: whether their own messages come back to them
// where they are subscribed ([R-PB-11]).
type Echo interface {
	SetBroadcastToPublisher(on bool)
}

var _ Echo = (*session)(nil)

// Publish broadcasts a message of the server ([R-PB-7]). data is bayeux.Raw, a
// bayeux.Content, or anything that encoding/json marshals. Listeners and extensions see it
// with no session. It returns when the message is queued for all subscribers.
func (srv *Server) Publish(ctx context.Context, channel string, data any) error {
	m, err := serverMessage(channel, data)
	if err != nil {
		return err
	}
	return srv.PublishMessage(ctx, m)
}

// PublishMessage broadcasts a message with all its fields, for what Publish
// cannot say: ext, lazy, others. The message must not be used afterwards.
func (srv *Server) PublishMessage(ctx context.Context, m *bayeux.Message) error {
	return srv.broadcast(ctx, nil, m)
}

// broadcast publishes a message of server code; from is nil for the server
// itself.
func (srv *Server) broadcast(ctx context.Context, from *session, m *bayeux.Message) error {
	n, err := channels.Parse(m.Channel)
	if err != nil || !n.IsBroadcast() || n.IsWild() {
		return fmt.Errorf("publish to %q: %w", m.Channel, ErrNotBroadcast)
	}
	if _, err := srv.router.Create(n, nil); err != nil {
		return fmt.Errorf("publish to %q: %w", m.Channel, err)
	}
	if e := srv.listen(ctx, from, n, m); e != nil {
		return e
	}
	if !srv.fanOut(ctx, from, n, m) {
		return bayeux.ErrMessageDeleted
	}
	return nil
}

// Session returns the session of that id; nil and false if there is none.
func (srv *Server) Session(id string) (bayeux.Session, bool) {
	if s := srv.registry.get(id); s != nil {
		return s, true
	}
	return nil, false
}

// Sessions returns the sessions there are, in no order.
func (srv *Server) Sessions() []bayeux.Session {
	all := srv.registry.all()
	out := make([]bayeux.Session, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

// DeliverMessage queues a message with all its fields for one session.
func (srv *Server) DeliverMessage(ctx context.Context, id string, m *bayeux.Message) error {
	s := srv.registry.get(id)
	if s == nil {
		return fmt.Errorf("deliver to %q: %w", id, ErrNoSession)
	}
	srv.deliverTo(ctx, s, m)
	return nil
}

// Remove ends a session without telling its client: a held connect stays until
// its time and is then answered with reconnect none ([R-CN-17]).
func (srv *Server) Remove(id string) error {
	s := srv.registry.get(id)
	if s == nil {
		return fmt.Errorf("remove %q: %w", id, ErrNoSession)
	}
	s.end(machine.ReasonRemoved)
	return nil
}
