package bayeuxclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Publish sends data to a channel and returns when the server has accepted it:
// nil, or the *bayeux.Error of its refusal. data is a bayeux.Raw, which is sent
// byte for byte, or anything that encoding/json marshals.
//
// While the session cannot be reached Publish waits for it, at most for the
// MaxNetworkDelay; as long again for the reply. Messages published by one
// goroutine arrive in its order.
func (c *Client) Publish(ctx context.Context, channel string, data any) error {
	raw, err := payload(channel, data)
	if err != nil {
		return err
	}
	return c.do(ctx, func(l link) []*bayeux.Message {
		return []*bayeux.Message{{Channel: channel, ClientID: l.id, Data: raw}}
	})[0].err
}

// Request makes a remote call: it publishes data to a channel below /service/
// and returns the message with which the server answers under the same id
// ([R-SV-1]), waiting for it as Publish waits, or as long as ctx where that has
// a deadline. A failed call gives the message, whose data tells more, together
// with ErrCallFailed. A server that has no such call gives ErrTimeout.
func (c *Client) Request(ctx context.Context, channel string, data any) (*bayeux.Message, error) {
	raw, err := payload(channel, data)
	if err != nil {
		return nil, err
	}
	l, err := c.link(ctx, "")
	if err != nil {
		return nil, err
	}
	m := &bayeux.Message{Channel: channel, ClientID: l.id, Data: raw}
	if err := c.outgoing(ctx, m); err != nil {
		return nil, err
	}
	pending := c.calls.add(m, l.via, true)
	c.post(l.via, bayeux.AppendBatch(nil, []*bayeux.Message{m}), []*call{pending}, c.o.MaxNetworkDelay) //nolint:contextcheck // outlives ctx on purpose
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.o.MaxNetworkDelay, ErrTimeout)
		defer cancel()
	}
	out := c.await(ctx, pending)
	if out.err != nil && out.reply != nil && out.reply.Data != nil {
		return out.reply, fmt.Errorf("%w: %s", ErrCallFailed, out.reply.Data)
	}
	if unknownSession(out.err) {
		c.gate.doubt(l.id)
	}
	return out.reply, out.err
}

// payload checks what is to be published.
func payload(channel string, data any) (bayeux.Raw, error) {
	name, err := channels.Parse(channel)
	if err == nil && name.IsMeta() {
		err = errors.New("not a channel for messages")
	}
	if err != nil {
		return nil, fmt.Errorf("bayeuxclient: channel %q: %w", channel, err)
	}
	if raw, ok := data.(bayeux.Raw); ok {
		if err := bayeux.Validate(raw, -1); err != nil {
			return nil, fmt.Errorf("bayeuxclient: data: %w", err)
		}
		return raw, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(data); err != nil {
		return nil, fmt.Errorf("bayeuxclient: data: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Result is what became of one message of a Batch, once the batch is done.
type Result struct{ err error }

// Err returns nil when the server has accepted the message, else why it has
// not, as Publish does.
func (r *Result) Err() error { return r.err }

// Batch collects messages that leave together, in one array. It is for the
// function that Client.Batch calls, and for its goroutine.
type Batch struct {
	list    []batched
	results []*Result
}

type batched struct {
	channel string
	data    bayeux.Raw
	sub     *Subscription // to be subscribed; nil for a publish
}

// Publish adds a message; see Client.Publish.
func (b *Batch) Publish(channel string, data any) *Result {
	raw, err := payload(channel, data)
	return b.add(batched{channel: channel, data: raw}, err)
}

// Subscribe adds a subscription; see Client.Subscribe. The server is told in any
// case, below /service/ too. The subscription is void if the result is an error.
func (b *Batch) Subscribe(channel string, f func(*bayeux.Message)) (*Subscription, *Result) {
	s, err := newSubscription(channel, f)
	return s, b.add(batched{channel: channel, sub: s}, err)
}

func (b *Batch) add(item batched, err error) *Result {
	r := &Result{err: err}
	if err == nil {
		b.list = append(b.list, item)
		b.results = append(b.results, r)
	}
	return r
}

// Batch calls fill and then sends what it has added to the batch in one array,
// in that order. It returns when all is answered; the error joins those of the
// results, whose number must fit the server's limits: 1,000 messages with
// Halley, 64 KiB over a WebSocket. What fill added with an error is left out.
// fill must not call methods of the client that wait.
func (c *Client) Batch(ctx context.Context, fill func(*Batch)) error {
	var b Batch
	fill(&b)
	if len(b.list) == 0 {
		return nil
	}
	unlock, err := c.topics.lock(ctx, b.subscribes())
	if err != nil {
		for _, r := range b.results {
			r.err = err
		}
		return err
	}
	defer unlock()
	for _, item := range b.list {
		if item.sub != nil {
			item.sub.client = c
			c.topics.add(item.sub)
		}
	}
	out := c.do(ctx, b.messages)
	var all []error
	for i, o := range out {
		b.results[i].err = o.err
		all = append(all, o.err)
		if s := b.list[i].sub; s != nil && o.err != nil {
			c.topics.remove(s)
		}
	}
	return errors.Join(all...)
}

func (b *Batch) subscribes() bool {
	for _, item := range b.list {
		if item.sub != nil {
			return true
		}
	}
	return false
}

func (b *Batch) messages(l link) []*bayeux.Message {
	ms := make([]*bayeux.Message, len(b.list))
	for i, item := range b.list {
		if item.sub != nil {
			ms[i] = subscribeMessage(metaSubscribe, l.id, item.sub.name)
		} else {
			ms[i] = &bayeux.Message{Channel: item.channel, ClientID: l.id, Data: item.data}
		}
	}
	return ms
}
