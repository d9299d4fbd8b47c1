package bayeuxclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux"
)

const (
	// resubscribeBatch and resubscribeBytes keep renewals within the strictest
	// limits of a server: 100 messages, 64 KiB.
	resubscribeBatch = 50
	resubscribeBytes = 32 << 10
	// triesPerTransport is how often in a row one transport may fail to reach a
	// live session before the next is tried, which may cost the session
	// ([R-ID-7]). By then a server's usual maxInterval has passed.
	triesPerTransport = 5
)

// loop keeps the session alive: one handshake, then connect after connect. All
// fields belong to the goroutine of run.
type loop struct {
	c      *Client
	rhythm rhythm
	up     chan<- struct{} // closed at the first handshake; then nil

	transports []string // those that may work, in order of preference
	proven     []string // those that did
	via        carrier  // nil before the first handshake
	id         string
	held       bool // the last connect was answered: the next may be held
	worked     bool // a connect of this session was answered
	reported   State

	acks bool
	ack  int64
}

// step does one thing and tells the next, after which pause. A nil next ends
// the client for the reason given.
type step func(ctx context.Context) (next step, pause time.Duration, reason error)

func newLoop(c *Client, up chan<- struct{}) *loop {
	return &loop{
		c: c, up: up, transports: slices.Clone(c.o.Transports), reported: StateConnecting,
		rhythm: rhythm{step: c.o.Backoff, top: c.o.MaxBackoff, jitter: c.o.Jitter},
	}
}

// run returns why it ended.
func (l *loop) run(ctx context.Context) error {
	next := step(l.handshake)
	for {
		after, pause, reason := next(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case after == nil:
			return reason
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		if next = after; l.c.leaving.Load() {
			// Nothing more is asked of a session that is being given up, nor is
			// another one taken for it ([R-DC-3]).
			<-ctx.Done()
			return context.Cause(ctx)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// handshake takes a new session.
func (l *loop) handshake(ctx context.Context) (step, time.Duration, error) {
	l.c.gate.shut()
	l.held, l.worked = false, false
	before := l.c.arrived.Load()
	reply, err := l.greet(ctx)
	if reply != nil {
		l.rhythm.learn(parseAdvice(reply.Advice))
	}
	var refusals error
	if err == nil {
		refusals, err = l.adopt(ctx, reply)
		l.gifts(ctx, reply, before)
	}
	if err == nil {
		l.c.gate.open(link{l.id, l.via})
		if l.up != nil {
			close(l.up)
			l.up = nil
		} else {
			l.report(StateRehandshaken, refusals)
		}
		return l.connect, l.rhythm.pause(), nil
	}
	e, _ := errors.AsType[*bayeux.Error](err)
	final := e != nil && e.Advice != nil && e.Advice.Reconnect == bayeux.ReconnectNone
	if final || errors.Is(err, ErrNoTransport) || l.up != nil && !l.c.o.RetryStart {
		return nil, 0, err
	}
	l.trouble(err)
	return l.handshake, l.rhythm.backoff(err), nil
}

// greet sends the handshake by the first transport that answers. The error of
// the reply comes with the reply. A transport that fails before it ever worked
// is struck off once another one works.
func (l *loop) greet(ctx context.Context) (*bayeux.Message, error) {
	var failed []error
	for i, name := range l.transports {
		via, err := l.carrier(ctx, name)
		var reply *bayeux.Message
		if err == nil {
			// Alone in its batch ([R-HS-12]).
			reply, err = l.c.ask(ctx, via, l.greeting())
		}
		if reply != nil {
			l.settle(via)
			kept := slices.Clone(l.transports[i:])
			for _, earlier := range slices.Backward(l.transports[:i]) {
				if slices.Contains(l.proven, earlier) {
					kept = slices.Insert(kept, 0, earlier)
				}
			}
			l.transports = kept
			return reply, err
		}
		if via != nil {
			via.close(false)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failed = append(failed, fmt.Errorf("%s: %w", name, err))
	}
	return nil, errors.Join(failed...)
}

// settle makes via the way to the server.
func (l *loop) settle(via carrier) {
	if l.via != nil && l.via != via {
		l.via.close(false)
	}
	l.via = via
}

func (l *loop) greeting() *bayeux.Message {
	m := &bayeux.Message{Channel: metaHandshake, Ext: l.c.o.HandshakeExt}
	m.SetField("version", bayeux.Raw(`"1.0"`))
	m.SetField("minimumVersion", bayeux.Raw(`"1.0"`))
	types := []byte{'['}
	for i, name := range l.transports {
		if i > 0 {
			types = append(types, ',')
		}
		types = bayeux.AppendString(types, name)
	}
	m.SetField("supportedConnectionTypes", append(types, ']'))
	if l.c.o.Ack {
		m.SetExt("ack", bayeux.Raw("true")) // [R-ACK-1]
	}
	return m
}

// adopt takes over the session of a successful reply, picks the transport that
// both sides prefer, and renews the subscriptions. refusals are what the server
// said to these; err means that there is no session.
func (l *loop) adopt(ctx context.Context, reply *bayeux.Message) (refusals, err error) {
	if reply.ClientID == "" {
		return nil, errors.New("bayeuxclient: handshake reply without a clientId")
	}
	var offered []string
	read(reply.Field("supportedConnectionTypes"), &offered)
	if offered != nil {
		// Neither side refuses at the handshake; the client decides ([R-HS-4]).
		at := slices.IndexFunc(l.transports, func(name string) bool { return slices.Contains(offered, name) })
		if at < 0 {
			return nil, ErrNoTransport
		}
		if name := l.via.name(); !slices.Contains(offered, name) {
			via, err := l.carrier(ctx, l.transports[at])
			if err != nil {
				return nil, err
			}
			l.settle(via)
		}
	}
	l.id = reply.ClientID
	l.learnAck(reply)
	return l.resubscribe(ctx)
}

// learnAck reads the reply's ext.ack ([R-ACK-1], [R-ACK-3]).
func (l *loop) learnAck(reply *bayeux.Message) {
	raw, _ := reply.ExtMember("ack")
	if reply.Channel == metaConnect {
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil && l.acks {
			l.ack = n
		}
		return
	}
	var enabled struct {
		Enabled bool
		Batch   int64
	}
	read(raw, &enabled.Enabled)
	read(raw, &enabled)
	l.acks, l.ack = l.c.o.Ack && enabled.Enabled, enabled.Batch
}

// gifts waits for the messages that the server sends after its handshake reply,
// which the first connect acknowledges ([R-HS-18]). Where they do not come in
// time, it does not.
func (l *loop) gifts(ctx context.Context, reply *bayeux.Message, before int64) {
	var n int64
	read(reply.Field("x-messages"), &n)
	ctx, cancel := context.WithTimeout(ctx, l.c.o.MaxNetworkDelay)
	defer cancel()
	for l.c.arrived.Load()-before < n {
		select {
		case <-l.c.arrival:
		case <-ctx.Done():
			l.ack = 0
			return
		}
	}
}

// resubscribe tells a new session's server of all live subscriptions, one
// message each, since an array of channels ends at the first refused ([R-SB-3]).
func (l *loop) resubscribe(ctx context.Context) (refusals, err error) {
	var all []error
	send := func(ms []*bayeux.Message) error {
		for i, o := range l.c.exchange(ctx, l.via, ms, l.c.o.MaxNetworkDelay) {
			if o.err == nil {
				continue
			}
			if o.reply == nil || unknownSession(o.err) {
				return o.err
			}
			all = append(all, fmt.Errorf("%s: %w", ms[i].Subscription, o.err))
		}
		return nil
	}
	var batch []*bayeux.Message
	size := 0
	for _, name := range l.c.topics.names() {
		if len(batch) == resubscribeBatch || size > resubscribeBytes {
			if err := send(batch); err != nil {
				return nil, err
			}
			batch, size = nil, 0
		}
		batch = append(batch, subscribeMessage(metaSubscribe, l.id, name))
		size += len(name) + 128
	}
	if len(batch) > 0 {
		err = send(batch)
	}
	return errors.Join(all...), err
}

// report reports a state.
func (l *loop) report(s State, reason error) {
	l.reported = s
	l.c.report(s, reason)
}

// trouble reports that the server is not reached, at the first failure in a
// row.
func (l *loop) trouble(reason error) {
	switch {
	case l.c.leaving.Load():
	case l.up != nil:
		l.report(StateConnecting, reason)
	case l.reported != StateBroken:
		l.report(StateBroken, reason)
	}
}
