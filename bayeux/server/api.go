package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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
	// NoBroadcastToPublisher keeps publishers' own messages from coming back
	// through subscriptions to this channel ([R-PB-11]).
	NoBroadcastToPublisher bool
}

// Configure creates the channel where it is missing and sets its properties.
func (srv *Server) Configure(channel string, o ChannelOptions) error {
	n, err := channels.Parse(channel)
	if err != nil {
		return fmt.Errorf("configure channel %q: %w", channel, err)
	}
	srv.router.Update(n, func(a *channelAttrs) {
		a.Persistent, a.Lazy, a.LazyTimeout, a.NoEcho = o.Persistent, o.Lazy, o.LazyTimeout, o.NoBroadcastToPublisher
	})
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
	n, err := channels.Parse(m.Channel)
	if err != nil || !n.IsBroadcast() || n.IsWild() {
		return fmt.Errorf("publish to %q: %w", m.Channel, ErrNotBroadcast)
	}
	srv.router.Ensure(n, nil)
	if e := srv.listen(ctx, nil, n, m); e != nil {
		return e
	}
	if !srv.fanOut(ctx, nil, n, m) {
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

// OnSession has begin called when a session has come to exist and end when it
// has ended, with the reason; either may be nil. Calls come on goroutines of
// their own: end may overtake begin of a very short session. The returned
// function ends that.
func (srv *Server) OnSession(begin func(bayeux.Session), end func(s bayeux.Session, reason string)) (remove func()) {
	return srv.hooks.add(&sessionHook{begin: begin, end: end})
}

type sessionHook struct {
	begin func(bayeux.Session)
	end   func(bayeux.Session, string)
}

// hooks are the listeners to sessions' beginnings and ends.
type hooks struct {
	mu   sync.Mutex
	list []*sessionHook
	busy sync.WaitGroup
}

func (h *hooks) add(k *sessionHook) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(slices.Clip(h.list), k)
	return func() { h.drop(k) }
}

func (h *hooks) drop(k *sessionHook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var kept []*sessionHook
	for _, x := range h.list {
		if x != k {
			kept = append(kept, x)
		}
	}
	h.list = kept
}

func (h *hooks) snapshot() []*sessionHook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list
}

func (h *hooks) begin(s *session) {
	for _, k := range h.snapshot() {
		if k.begin != nil {
			h.busy.Go(func() { k.begin(s) })
		}
	}
}

func (h *hooks) end(s *session, reason string) {
	for _, k := range h.snapshot() {
		if k.end != nil {
			h.busy.Go(func() { k.end(s, reason) })
		}
	}
}
