package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// ChannelOptions are the properties of a server channel.
type ChannelOptions struct {
	// Persistent channels are not swept ([R-SB-13]).
	Persistent bool
	// Lazy channels' messages may wait ([R-DL-5]); the channels that a lazy
	// wildcard channel matches are lazy too ([R-DL-6]).
	Lazy bool
	// LazyTimeout is how long they may wait. Zero means the option
	// maxLazyTimeout of the receiver's transport.
	LazyTimeout time.Duration
	// SlowConsumer is the policy for messages on this channel, and on those that
	// it matches where no narrower one has its own, for sessions that have none
	// set. SlowUnset leaves it to the option slowConsumer.
	SlowConsumer bayeux.SlowConsumer
	// NoBroadcastToPublisher keeps publishers' own messages from coming back
	// through subscriptions to this channel ([R-PB-11]).
	NoBroadcastToPublisher bool
}

func optionsOf(a channelAttrs) ChannelOptions {
	return ChannelOptions{a.Persistent, a.Lazy, a.LazyTimeout, a.SlowConsumer, a.NoEcho}
}

func (o ChannelOptions) apply(a *channelAttrs) {
	a.Persistent, a.Lazy, a.LazyTimeout, a.NoEcho = o.Persistent, o.Lazy, o.LazyTimeout, o.NoBroadcastToPublisher
	a.SlowConsumer = o.SlowConsumer
}

// check refuses what no channel can have.
func (o ChannelOptions) check() error {
	if o.SlowConsumer >= bayeux.SlowPolicies {
		return fmt.Errorf("there is no policy %s", o.SlowConsumer)
	}
	return nil
}

// ChannelInit initialises a channel that is about to exist: it sets the
// options, and may add listeners or authorizers to the channel. Nobody sees the
// channel before, and whoever wants to use it waits. bayeux.Param has what the
// parameters stand for. An error keeps the channel from existing: a message to
// it is refused with the error if it is a *bayeux.Error, else as not
// initialised. A panic, and a call that takes longer than ExtensionTimeout, are
// such errors. It must not use the channel itself.
type ChannelInit func(ctx context.Context, ch channels.Name, o *ChannelOptions) error

// errNotInitialised is what clients see of an initialiser that failed.
const errNotInitialised = "channel_not_initialised"

// InitChannel has init called, once, whenever a channel that matches comes to
// exist, however that happens: by a subscription, a message, or server code. The
// channel may be a wildcard or a template, as with Listen; where several match
// they are called in the same order. The returned function ends that. It says
// nothing about channels that exist.
func (srv *Server) InitChannel(channel string, init ChannelInit) (remove func(), err error) {
	t, err := channels.ParseTemplate(channel)
	if err != nil {
		return nil, fmt.Errorf("initialise %q: %w", channel, err)
	}
	return srv.inits.add(t, init), nil
}

// CreateChannel makes a channel exist and tells whether it did not before. Only
// then is init called, after those of InitChannel; it may be nil. Of several
// calls at the same time one creates the channel, and the others wait for it.
func (srv *Server) CreateChannel(channel string, init ChannelInit) (created bool, err error) {
	n, err := channels.Parse(channel)
	if err == nil {
		var own func(*channelAttrs) error
		if init != nil {
			own = func(a *channelAttrs) error {
				return srv.initialise(n, func(ctx context.Context, o *ChannelOptions) error { return init(ctx, n, o) }, a)
			}
		}
		created, err = srv.router.Create(n, own)
	}
	if err != nil {
		return false, fmt.Errorf("create channel %q: %w", channel, err)
	}
	return created, nil
}

// initOf returns what initialises a channel, nil where nobody does.
func (srv *Server) initOf(n channels.Name) func(*channelAttrs) error {
	inits := srv.inits.match(n)
	if len(inits) == 0 {
		return nil
	}
	return func(a *channelAttrs) error {
		for _, init := range inits {
			err := srv.initialise(n, func(ctx context.Context, o *ChannelOptions) error {
				return init.Value(bayeux.WithParams(ctx, init.Template, n), n, o)
			}, a)
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// initialise calls an initialiser, which has options of its own until it has
// returned: one that takes too long is not waited for.
func (srv *Server) initialise(n channels.Name, init func(context.Context, *ChannelOptions) error, a *channelAttrs) error {
	o := optionsOf(*a)
	err := srv.within(srv.lifecycle.ctx, nil, "initialiser of "+string(n), func(ctx context.Context) error {
		return init(ctx, &o)
	})
	if err == nil {
		err = o.check()
	}
	if err != nil {
		srv.quiet.failure("init").Err(err).Str("channel", string(n)).Msg("initialiser failed; the channel does not come to exist")
		return err
	}
	o.apply(a)
	return nil
}

// refusedInit makes the error of an initialiser one for a client.
func refusedInit(err error, operation string) *bayeux.Error {
	if e, ok := errors.AsType[*bayeux.Error](err); ok {
		return complete(e, operation)
	}
	return complete(bayeux.Deny(errNotInitialised), operation)
}

// Configure creates the channel where it is missing and sets its properties.
func (srv *Server) Configure(channel string, o ChannelOptions) error {
	n, err := channels.Parse(channel)
	if err == nil {
		err = o.check()
	}
	if err == nil {
		err = srv.router.Update(n, o.apply)
	}
	if err != nil {
		return fmt.Errorf("configure channel %q: %w", channel, err)
	}
	return nil
}

// HasChannel tells whether a channel exists.
func (srv *Server) HasChannel(channel string) bool {
	n, err := channels.Parse(channel)
	return err == nil && srv.router.Exists(n)
}

// Subscribers returns the number of sessions subscribed to exactly this
// channel or pattern.
func (srv *Server) Subscribers(channel string) int {
	n, err := channels.Parse(channel)
	if err != nil {
		return 0
	}
	return srv.router.Subscribers(n)
}
