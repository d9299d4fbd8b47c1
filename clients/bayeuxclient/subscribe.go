package bayeuxclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Subscription is one callback for the messages of a channel. It is safe for
// concurrent use.
type Subscription struct {
	client *Client
	name   channels.Name
	f      func(*bayeux.Message)
	ended  atomic.Bool
}

func newSubscription(channel string, f func(*bayeux.Message)) (*Subscription, error) {
	name, err := channels.Parse(channel)
	switch {
	case err == nil && name.IsMeta():
		err = errors.New("not a channel to subscribe to")
	case err == nil && f == nil:
		err = errors.New("no callback")
	}
	if err != nil {
		return nil, fmt.Errorf("bayeuxclient: channel %q: %w", channel, err)
	}
	return &Subscription{name: name, f: f}, nil
}

// Channel returns the name that was subscribed to, normalised.
func (s *Subscription) Channel() string { return string(s.name) }

func (s *Subscription) call(m *bayeux.Message) {
	if !s.ended.Load() {
		s.f(m)
	}
}

// Subscribe has f called for each message on a channel, which may end in * or
// ** ([R-SB-10]), until Unsubscribe. It returns when the server has agreed; the
// error is the *bayeux.Error of its refusal otherwise. After a new handshake the
// subscription is renewed without further ado.
//
// Several subscriptions to one channel are one to the server. Messages that
// match several channels reach the callback of each. Channels below /service/
// are not subscribed to at the server, which sends on them what it likes
// ([R-SB-6]): f is registered and no message sent. f gets a message that is
// shared by all callbacks and read-only; see the package comment for how it is
// called.
func (c *Client) Subscribe(ctx context.Context, channel string, f func(*bayeux.Message)) (*Subscription, error) {
	s, err := newSubscription(channel, f)
	if err != nil {
		return nil, err
	}
	s.client = c
	unlock, err := c.topics.lock(ctx, true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	first := c.topics.add(s)
	if !first || s.name.IsService() {
		return s, nil
	}
	err = c.do(ctx, func(l link) []*bayeux.Message {
		return []*bayeux.Message{subscribeMessage(metaSubscribe, l.id, s.name)}
	})[0].err
	if err != nil {
		c.topics.remove(s)
		return nil, err
	}
	return s, nil
}

// Unsubscribe ends the subscription: the callback is not called again once this
// was called, except that a call may be under way. With the last subscription to a
// channel the server is told; the error says that it could not be, or did not
// agree, and is of no consequence for the callback. A second call does nothing.
func (s *Subscription) Unsubscribe(ctx context.Context) error {
	if s.ended.Swap(true) {
		return nil
	}
	c := s.client
	unlock, err := c.topics.lock(ctx, true)
	if err != nil {
		c.topics.remove(s)
		return err
	}
	defer unlock()
	if last := c.topics.remove(s); !last || s.name.IsService() {
		return nil
	}
	return c.do(ctx, func(l link) []*bayeux.Message {
		return []*bayeux.Message{subscribeMessage(metaUnsubscribe, l.id, s.name)}
	})[0].err
}

func subscribeMessage(channel, id string, name channels.Name) *bayeux.Message {
	return &bayeux.Message{Channel: channel, ClientID: id, Subscription: bayeux.AppendString(nil, string(name))}
}

// topics are the live subscriptions. Its turn is a lock that honours contexts,
// held by whoever tells the server of a change; mu guards the map and is never
// held while anything waits.
type topics struct {
	turn chan struct{}

	mu   sync.RWMutex
	subs map[channels.Name][]*Subscription
}

func newTopics() topics {
	return topics{turn: make(chan struct{}, 1), subs: make(map[channels.Name][]*Subscription)}
}

// lock takes the turn, if wanted.
func (t *topics) lock(ctx context.Context, wanted bool) (unlock func(), err error) {
	if !wanted {
		return func() {}, nil
	}
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// add registers s and tells whether it is the first of its channel.
func (t *topics) add(s *Subscription) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs[s.name] = append(slices.Clip(t.subs[s.name]), s)
	return len(t.subs[s.name]) == 1
}

// remove takes s away and tells whether it was the last of its channel.
func (t *topics) remove(s *Subscription) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.subs[s.name]
	at := slices.Index(list, s)
	if at < 0 {
		return false
	}
	if len(list) == 1 {
		delete(t.subs, s.name)
		return true
	}
	t.subs[s.name] = slices.Delete(slices.Clone(list), at, at+1)
	return false
}

// match returns the subscriptions that a message on the channel is for, from
// /** to the channel itself ([R-PB-10]). They are ready to be kept.
func (t *topics) match(channel string) []*Subscription {
	name, err := channels.Parse(channel)
	if err != nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.subs) == 0 {
		return nil
	}
	var out []*Subscription
	for _, n := range append(name.Wilds(), name) {
		out = append(out, t.subs[n]...)
	}
	return out
}

// names returns the channels that the server must know of, sorted.
func (t *topics) names() []channels.Name {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]channels.Name, 0, len(t.subs))
	for n := range t.subs {
		if !n.IsService() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
