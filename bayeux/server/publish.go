package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/channels"
)

// publish handles a client's message to a channel that is not one of ours
// ([R-PB-1]).
func (p *pass) publish(ctx context.Context, s *session, m *bayeux.Message) *bayeux.Message {
	name, err := channels.Parse(m.Channel)
	if err != nil {
		return m.Reply().Fail(bayeux.ErrChannelInvalid) // [R-MSG-10]
	}
	if e := p.mayPublish(ctx, s, name, m); e != nil {
		return m.Reply().Fail(e)
	}
	if _, err := p.srv.router.Create(name, nil); err != nil {
		return m.Reply().Fail(refusedInit(err, bayeux.DeniedChannelCreate))
	}
	if e := p.srv.listen(ctx, s, name, m); e != nil {
		return m.Reply().Fail(e)
	}
	if reply := m.Reply(); reply.Successful == nil {
		reply.Succeed(true)
	}
	if name.IsBroadcast() && p.srv.heard(name, m) { // [R-PB-12]
		out := m.Broadcast(p.srv.relayReplyFields)
		if !p.srv.fanOut(ctx, s, name, out) {
			return m.Reply().Fail(bayeux.ErrMessageDeleted)
		}
	}
	return m.Reply()
}

// heard tells whether anybody is to see the broadcast of a message. If not, that
// is the end of it.
func (srv *Server) heard(name channels.Name, m *bayeux.Message) bool {
	if srv.concerned(m.Channel) || srv.config.Broker != nil || srv.router.Heard(name) {
		return true
	}
	srv.stats.published.Add(1)
	return false
}

// mayPublish asks for CREATE where the channel is new, then for PUBLISH
// ([R-PB-2, R-SP-4]). Meta channels are refused whatever the policy says
// ([R-PB-3]).
func (p *pass) mayPublish(ctx context.Context, s *session, name channels.Name, m *bayeux.Message) *bayeux.Error {
	if name.IsMeta() || strings.HasPrefix(m.Channel, channels.MetaPrefix) {
		operation := bayeux.DeniedChannelCreate
		if isMeta(name) {
			operation = bayeux.DeniedPublish
		}
		return complete(bayeux.Deny(bayeux.ReasonSecurityPolicy), operation)
	}
	policy := p.srv.config.Policy
	if !p.srv.router.Exists(name) {
		if e := p.srv.roomForChannel(bayeux.DeniedChannelCreate); e != nil {
			return e
		}
		e := p.srv.ask(ctx, s, bayeux.DeniedChannelCreate, func(ctx context.Context) error {
			return policy.CanCreate(ctx, s, name, m)
		})
		if e != nil {
			return e
		}
	}
	return p.srv.ask(ctx, s, bayeux.DeniedPublish, func(ctx context.Context) error {
		return policy.CanPublish(ctx, s, name, m)
	})
}

func isMeta(name channels.Name) bool {
	switch name {
	case metaHandshake, metaConnect, metaSubscribe, metaUnsubscribe, metaDisconnect:
		return true
	}
	return false
}

// roomForChannel bounds the channels that clients can make the server keep.
func (srv *Server) roomForChannel(operation string) *bayeux.Error {
	if srv.router.Len() < maxChannels {
		return nil
	}
	srv.stats.limit("channels")
	return &bayeux.Error{Code: 403, Args: "channels_limit", Text: operation}
}

// maxChannels bounds the channels of a server; unused ones are swept.
const maxChannels = 4_000_000

// fanOut delivers a broadcast to its subscribers: server-wide extensions once,
// then the message is frozen and queued to each session in turn; no two locks
// are held (DESIGN 4.2). It returns when all have it, so that a publisher's
// messages keep their order ([R-PB-14]). It reports false when an extension dropped it.
func (srv *Server) fanOut(ctx context.Context, from *session, name channels.Name, m *bayeux.Message) bool {
	if srv.concerned(m.Channel) {
		err := srv.call(ctx, from, func(ctx context.Context) error {
			return srv.outgoingServerWide(ctx, nil, m)
		})
		if err != nil {
			return srv.verdict(err, bayeux.ErrMessageDeleted) == nil
		}
	}
	srv.spread(ctx, from, name, m)
	srv.handOn(ctx, name, m)
	return true
}

// spread queues a broadcast for the subscribers of this node.
func (srv *Server) spread(ctx context.Context, from *session, name channels.Name, m *bayeux.Message) {
	buf, _ := srv.receivers.Get().(*[]router.Receiver[session])
	list, delivery := srv.router.Collect(name, (*buf)[:0])
	b := broadcast{srv: srv, from: from, name: name, m: m, delivery: delivery}
	b.lazy = m.Lazy || delivery.Lazy // [R-DL-6]
	if len(list) > 0 {
		b.now = srv.moment()
	}
	echo := srv.broadcastToPublisher && !from.silent()
	for _, r := range list {
		if r.S == from && (!echo || r.NoEcho) {
			continue // [R-PB-11]
		}
		b.to(ctx, r.S)
	}
	srv.stats.published.Add(1)
	clear(list)
	*buf = list[:0]
	if cap(list) <= 1<<16 {
		srv.receivers.Put(buf)
	}
}

func (s *session) silent() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noEcho
}

// broadcast is one message on its way to many sessions.
type broadcast struct {
	srv      *Server
	from     *session
	name     channels.Name
	m        *bayeux.Message
	now      instant.Time
	lazy     bool
	delivery router.Delivery
	frozen   *bayeux.Frozen
}

func (b *broadcast) to(ctx context.Context, s *session) {
	f, ok := b.forSession(ctx, s)
	if !ok {
		return
	}
	var until instant.Time
	if b.lazy {
		wait := s.way().maxLazy
		if b.delivery.Lazy {
			wait = b.delivery.Timeout(wait)
		}
		if wait > 0 {
			until = b.now.Add(wait)
		}
	}
	s.offer(ctx, b.now, f, until, b.delivery.SlowConsumer)
}

// forSession returns the encoded message: the shared one, unless an extension
// of the session edited its own copy.
func (b *broadcast) forSession(ctx context.Context, s *session) (*bayeux.Frozen, bool) {
	if len(s.extensions()) > 0 {
		v := b.m.Share()
		if !b.srv.leaves(ctx, s, v, false) {
			return nil, false
		}
		if own := v.Edited(); own != nil {
			return b.freeze(own), true
		}
	}
	if b.frozen == nil {
		b.frozen = b.freeze(b.m) // encoded once [R-PB-13]
	}
	return b.frozen, true
}

func (b *broadcast) freeze(m *bayeux.Message) *bayeux.Frozen {
	f := bayeux.Freeze(m)
	f.Channel = string(b.name) // however it is spelt
	return f
}

// deliverTo queues a message of the server for one session; a channel's
// laziness does not apply ([R-DL-6]).
func (srv *Server) deliverTo(ctx context.Context, s *session, m *bayeux.Message) {
	if !srv.leaves(ctx, s, m, true) {
		return
	}
	now := srv.moment()
	var until instant.Time
	if m.Lazy {
		until = now.Add(s.way().maxLazy)
	}
	s.offer(ctx, now, bayeux.Freeze(m), until, bayeux.SlowUnset)
}

// farewell makes the pushed /meta/disconnect, without an id ([R-CN-16]); nil
// when the client would not get it, or an extension drops it.
func (srv *Server) farewell(ctx context.Context, s *session) *bayeux.Frozen {
	if !s.hears() {
		return nil
	}
	m := (&bayeux.Message{Channel: metaDisconnect}).Succeed(true)
	if !srv.leaves(ctx, s, m, true) {
		return nil
	}
	return bayeux.Freeze(m)
}

// hears tells whether the client would get a farewell: with the answer to a
// held connect or to the request that is being processed ([R-CN-16], [R-AC-1]),
// or by a push.
func (s *session) hears() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && s.hearsLocked()
}

func (s *session) hearsLocked() bool {
	_, _, _, held := s.machine.Held()
	return held || s.batch > 0 || s.port != nil && !s.port.afterConnect.Load()
}

// serverMessage makes a message of the server ([R-PB-7]).
func serverMessage(channel string, data any) (*bayeux.Message, error) {
	if _, err := channels.Parse(channel); err != nil {
		return nil, fmt.Errorf("channel %q: %w", channel, err)
	}
	if c, ok := data.(bayeux.Content); ok {
		m := &bayeux.Message{Channel: channel}
		if err := c.Fill(m); err != nil {
			return nil, fmt.Errorf("data for %q: %w", channel, err)
		}
		return m, nil
	}
	raw, ok := data.(bayeux.Raw)
	if !ok && data != nil {
		var err error
		if raw, err = json.Marshal(data); err != nil {
			return nil, fmt.Errorf("data for %q: %w", channel, err)
		}
	} else if len(raw) > 0 && !json.Valid(raw) {
		return nil, fmt.Errorf("data for %q is not JSON", channel)
	}
	if len(raw) == 0 {
		raw = nil
	}
	return &bayeux.Message{Channel: channel, Data: raw}, nil
}
