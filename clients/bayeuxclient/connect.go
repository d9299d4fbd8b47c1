package bayeuxclient

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// connect sends one connect and goes by its reply ([R-AD-6], [R-AD-7]).
func (l *loop) connect(ctx context.Context) (step, time.Duration, error) {
	reply, err := l.poll(ctx)
	if errors.Is(err, errRecheck) {
		l.held = false
		return l.connect, 0, nil
	}
	if reply == nil {
		return l.lost(err)
	}
	advice := parseAdvice(reply.Advice)
	l.rhythm.learn(advice)
	l.learnAck(reply)
	reconnect := ""
	if advice != nil {
		reconnect = advice.Reconnect
	}
	switch {
	case reconnect == bayeux.ReconnectNone && err == nil:
		return nil, 0, ErrServerEnded // [R-CN-15], [R-CN-16]
	case reconnect == bayeux.ReconnectNone:
		return nil, 0, err
	case reconnect == bayeux.ReconnectHandshake, unknownSession(err):
		return l.forgotten(err)
	case err != nil:
		return l.lost(err)
	}
	if !slices.Contains(l.proven, l.via.name()) {
		l.proven = append(l.proven, l.via.name())
	}
	l.rhythm.failures = 0
	l.held, l.worked = true, true
	l.c.gate.open(link{l.id, l.via})
	if l.reported != StateConnected {
		l.report(StateConnected, nil)
	}
	return l.connect, l.rhythm.pause(), nil
}

// forgotten goes on with a new session. One that was refused before it ever
// worked counts as a failure, so that no fault makes the client go in circles.
func (l *loop) forgotten(reason error) (step, time.Duration, error) {
	l.c.gate.shut()
	l.trouble(reason)
	if !l.worked {
		return l.handshake, l.rhythm.backoff(reason), nil
	}
	return l.handshake, l.rhythm.pause(), nil
}

// lost tries again after a pause to reach the session.
func (l *loop) lost(reason error) (step, time.Duration, error) {
	l.c.gate.shut()
	l.held = false
	l.trouble(reason)
	return l.connect, l.rhythm.backoff(reason), nil
}

// poll sends a connect by the present carrier or, if that is gone, a new one.
func (l *loop) poll(ctx context.Context) (*bayeux.Message, error) {
	via, err := l.reach(ctx)
	if err != nil {
		return nil, err
	}
	m := &bayeux.Message{Channel: metaConnect, ClientID: l.id}
	m.SetField("connectionType", bayeux.AppendString(nil, via.name()))
	hold := l.rhythm.held()
	if !l.held {
		// Wants an answer at once, to know where it stands ([R-CN-7]).
		hold = 0
		m.SetAdviceTimeout(0)
	}
	if l.acks {
		m.SetExt("ack", strconv.AppendInt(nil, l.ack, 10)) // [R-ACK-4]
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.c.gate.onRecheck(cancel)
	defer l.c.gate.onRecheck(nil)
	out := l.c.exchange(ctx, via, []*bayeux.Message{m}, hold+l.c.o.MaxNetworkDelay)[0]
	if out.reply == nil && !errors.Is(out.err, errRecheck) {
		// A socket that does not answer is no way to the server any more.
		via.close(false)
	}
	return out.reply, out.err
}

// reach returns a carrier that is alive: the one in use, or one to the same
// session, which outlives its connections ([R-WS-19], [R-WS-21]).
func (l *loop) reach(ctx context.Context) (carrier, error) {
	at := max(slices.Index(l.transports, l.via.name()), 0)
	if n := l.rhythm.failures; n > 0 && n%triesPerTransport == 0 {
		at++
	}
	if name := l.transports[at%len(l.transports)]; name != l.via.name() || !l.via.alive() {
		via, err := l.carrier(ctx, name)
		if err != nil {
			return nil, err
		}
		l.settle(via)
	}
	return l.via, nil
}

// carrier returns a carrier of that name: the present one if it is alive.
func (l *loop) carrier(ctx context.Context, name string) (carrier, error) {
	if l.via != nil && l.via.name() == name && l.via.alive() {
		return l.via, nil
	}
	c := l.c
	if name == LongPolling {
		return &poller{client: c.http, url: c.url, header: c.o.Header, limit: c.o.MaxMessageBytes, sink: c.receive}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.MaxNetworkDelay, ErrTimeout)
	defer cancel()
	s, err := dialSocket(ctx, c.http, c.url, &c.o)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	ok := c.spawn(func() { // ends with the connection or the client
		reason := s.read(c.life, c.receive)
		c.gate.lost(s)
		c.calls.fail(s, reason)
	})
	if !ok {
		s.close(false)
		return nil, ErrClosed
	}
	return s, nil
}
