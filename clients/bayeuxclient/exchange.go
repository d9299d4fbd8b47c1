package bayeuxclient

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

const (
	metaHandshake   = channels.MetaPrefix + "handshake"
	metaConnect     = channels.MetaPrefix + "connect"
	metaDisconnect  = channels.MetaPrefix + "disconnect"
	metaSubscribe   = channels.MetaPrefix + "subscribe"
	metaUnsubscribe = channels.MetaPrefix + "unsubscribe"
)

func bayeuxMeta(channel string) bool { return strings.HasPrefix(channel, channels.MetaPrefix) }

// limits are those of what a server may send: its size is limited already.
func limits() bayeux.Limits {
	return bayeux.Limits{Batch: -1, Depth: 1024, ChannelBytes: -1, ChannelSegments: -1}
}

// outcome is what became of one message of a batch.
type outcome struct {
	reply *bayeux.Message // nil when none came
	err   error           // also the refusal that a reply states
}

// ask sends one message by a carrier and waits for its reply; see exchange.
func (c *Client) ask(ctx context.Context, via carrier, m *bayeux.Message) (*bayeux.Message, error) {
	out := c.exchange(ctx, via, []*bayeux.Message{m}, c.o.MaxNetworkDelay)
	return out[0].reply, out[0].err
}

// exchange sends a batch by a carrier and waits for the replies, at most for
// the given time. The end of ctx ends the wait only: the request goes on, since
// its response may hold messages of the session ([R-DL-10]).
func (c *Client) exchange(ctx context.Context, via carrier, ms []*bayeux.Message, limit time.Duration) []outcome {
	out := make([]outcome, len(ms))
	list := make([]*call, len(ms))
	batch := make([]*bayeux.Message, 0, len(ms))
	for i, m := range ms {
		if out[i].err = c.outgoing(ctx, m); out[i].err != nil {
			continue
		}
		list[i] = c.calls.add(m, via, false)
		batch = append(batch, m)
	}
	if len(batch) > 0 {
		c.post(via, bayeux.AppendBatch(nil, batch), present(list), limit) //nolint:contextcheck // outlives ctx on purpose
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, ErrTimeout)
	defer cancel()
	for i, call := range list {
		if call != nil {
			out[i] = c.await(ctx, call)
		}
	}
	return out
}

func present(list []*call) []*call {
	out := make([]*call, 0, len(list))
	for _, c := range list {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// post sends a body on a goroutine of its own, which ends with the time limit
// or the client.
func (c *Client) post(via carrier, body []byte, list []*call, limit time.Duration) {
	ok := c.spawn(func() {
		ctx, cancel := context.WithTimeoutCause(c.life, limit, ErrTimeout)
		defer cancel()
		answered, err := via.send(ctx, body)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			for _, call := range list {
				c.calls.settle(call, nil, err)
			}
		case answered:
			c.calls.answered(list)
		}
	})
	if !ok {
		c.calls.fail(via, ErrClosed)
	}
}

// await waits for the end of a call.
func (c *Client) await(ctx context.Context, call *call) outcome {
	select {
	case <-call.done:
	case <-ctx.Done():
		c.calls.settle(call, nil, context.Cause(ctx))
		<-call.done
	}
	if call.err != nil {
		return outcome{err: call.err}
	}
	return outcome{reply: call.reply, err: replyError(call.reply)}
}

// outgoing shows a message to the extensions, the last first.
func (c *Client) outgoing(ctx context.Context, m *bayeux.Message) error {
	for _, e := range slices.Backward(c.o.Extensions) {
		if err := e.Outgoing(ctx, nil, m); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) incoming(m *bayeux.Message) error {
	for _, e := range c.o.Extensions {
		if err := e.Incoming(c.life, nil, m); err != nil {
			return err
		}
	}
	return nil
}

// receive takes a body from a carrier: replies end their calls, messages are
// queued for their subscribers. Replies go first, so that a callback that waits
// for one is not waited for; only a connect or handshake reply follows the
// messages, for the next connect acknowledges them ([R-ACK-4]).
func (c *Client) receive(_ carrier, body []byte) error {
	ms, err := bayeux.Decode(body, limits())
	if err != nil {
		return err
	}
	type settled struct {
		call  *call
		reply *bayeux.Message
		err   error
	}
	var later []settled
	pushed, fresh := ms[:0], int64(0)
	for _, m := range ms {
		verdict := c.incoming(m)
		call := c.calls.match(m)
		switch {
		case call != nil && (m.Channel == metaConnect || m.Channel == metaHandshake):
			later = append(later, settled{call, m, verdict})
		case call != nil:
			c.settle(call, m, verdict)
		default:
			if !bayeuxMeta(m.Channel) {
				fresh++
			}
			if verdict == nil {
				pushed = append(pushed, m)
			}
		}
	}
	for _, m := range pushed {
		c.push(m)
	}
	c.arrived.Add(fresh)
	select {
	case c.arrival <- struct{}{}:
	default: // Whoever waits is told already.
	}
	for _, s := range later {
		c.settle(s.call, s.reply, s.err)
	}
	return nil
}

func (c *Client) settle(call *call, reply *bayeux.Message, verdict error) {
	switch {
	case verdict != nil:
		c.calls.settle(call, nil, verdict)
	case reply.Fault != nil:
		c.calls.settle(call, nil, reply.Fault)
	default:
		c.calls.settle(call, reply, nil)
	}
}

// push queues a message that is no reply.
func (c *Client) push(m *bayeux.Message) {
	switch {
	case m.Channel == metaDisconnect:
		// Not ours, so the server ends the session ([R-CN-16], [R-WS-22]).
		if m.OK() && !c.leaving.Load() {
			c.end(ErrServerEnded)
		}
	case bayeuxMeta(m.Channel), m.HasID && m.Successful != nil && m.Data == nil:
		// A reply that nobody waits for any more.
	default:
		if subs := c.topics.match(m.Channel); len(subs) > 0 {
			c.enqueue(func() {
				for _, s := range subs {
					s.call(m)
				}
			})
		}
	}
}

// do sends messages of the session once it can be reached, and those again,
// once, that the server answered with 402 after it has a new session.
func (c *Client) do(ctx context.Context, prepare func(l link) []*bayeux.Message) []outcome {
	l, err := c.link(ctx, "")
	if err != nil {
		return refused(len(prepare(l)), err)
	}
	ms := prepare(l)
	out := c.exchange(ctx, l.via, ms, c.o.MaxNetworkDelay)
	var again []int
	for i := range out {
		if unknownSession(out[i].err) && ms[i].ClientID == l.id {
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return out
	}
	c.gate.doubt(l.id)
	if l, err = c.link(ctx, l.id); err != nil {
		return out
	}
	fresh := prepare(l)
	retry := make([]*bayeux.Message, len(again))
	for i, at := range again {
		retry[i] = fresh[at]
	}
	for i, o := range c.exchange(ctx, l.via, retry, c.o.MaxNetworkDelay) {
		out[again[i]] = o
	}
	return out
}

// link waits for a session, at most for the MaxNetworkDelay.
func (c *Client) link(ctx context.Context, stale string) (link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.MaxNetworkDelay, ErrTimeout)
	defer cancel()
	return c.gate.wait(ctx, stale)
}

func refused(n int, err error) []outcome {
	out := make([]outcome, n)
	for i := range out {
		out[i].err = err
	}
	return out
}
