package server

import (
	"context"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Broker carries broadcasts between the nodes of a cluster (DESIGN 4.8). A
// single node has none. Its methods are called outside all locks.
type Broker interface {
	// Publish hands a broadcast of this node to the others, encoded. It must
	// not block for long: the publisher waits. An error is logged; the local
	// subscribers have the message all the same.
	Publish(ctx context.Context, channel channels.Name, message []byte) error
	// Join has deliver called with each broadcast of the other nodes, those of
	// one node and channel in their order. leave ends that and waits for calls
	// under way.
	Join(deliver func(ctx context.Context, channel channels.Name, message []byte)) (leave func(), err error)
}

// join connects the server to its broker, if it has one.
func (srv *Server) join() error {
	if srv.config.Broker == nil {
		return nil
	}
	leave, err := srv.config.Broker.Join(srv.relay)
	if err != nil {
		return fmt.Errorf("join the broker: %w", err)
	}
	srv.leave = leave
	return nil
}

// relay delivers a broadcast of another node to the subscribers of this one.
// Policy, listeners and server-wide extensions were asked there.
func (srv *Server) relay(ctx context.Context, channel channels.Name, message []byte) {
	batch, err := bayeux.Decode(message, srv.config.Limits.Messages)
	if err != nil || len(batch) != 1 {
		srv.log.Error().Err(err).Str("channel", string(channel)).Msg("message from the broker does not decode")
		return
	}
	srv.spread(ctx, nil, channel, batch[0])
}

// handOn gives a broadcast to the other nodes.
func (srv *Server) handOn(ctx context.Context, channel channels.Name, m *bayeux.Message) {
	if srv.config.Broker == nil {
		return
	}
	if err := srv.config.Broker.Publish(ctx, channel, bayeux.AppendMessage(nil, m)); err != nil {
		srv.log.Error().Err(err).Str("channel", string(channel)).Msg("broker failed; other nodes miss a message")
	}
}
