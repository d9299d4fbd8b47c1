package service

import (
	"context"

	"github.com/halleypush/halley/bayeux"
)

// Server is what services need of a server; *server.Server has it.
type Server interface {
	Listen(channel string, l bayeux.Listener) (remove func(), err error)
	DeliverMessage(ctx context.Context, id string, m *bayeux.Message) error
}

// Listen has f called with the data of each message to a channel, a wildcard or
// a template such as /room/{id}, as the server's Listen does; bayeux.Param has
// the parameters. from is nil for what the server publishes itself.
//
// An error of f means what it means for a listener: bayeux.Drop and a
// *bayeux.Error refuse the message, any other is logged and the message goes on.
// Data that does not fit refuses the message with 400:field:data_invalid; the
// field is a path such as room.size, or empty. The returned function ends the
// listening.
func Listen[In any](srv Server, channel string, f func(ctx context.Context, from bayeux.Session, in In) error) (remove func(), err error) {
	return srv.Listen(channel, func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		in, wrong := decode[In](m.Data)
		if wrong != nil {
			return wrong.refusal()
		}
		return f(ctx, from, in)
	})
}
