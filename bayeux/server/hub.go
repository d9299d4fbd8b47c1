package server

import (
	"context"
	"net/http"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// Meta channels with a handler. Names are matched whole: whatever else begins
// with /meta/ is refused ([R-PB-3]).
const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"
)

// pass is one batch on its way through the pipeline, for a request or a
// WebSocket message.
type pass struct {
	srv      *Server
	origin   transport.Origin
	settings *settings
	sess     *session // whom the batch is from; nil: nobody we know
	holder   holder   // answers a held connect
	port     *port    // nil on HTTP
	stranded bool     // it is from one whose first WebSocket was dead
	alone    bool     // the batch has one message, or the carrier is a WebSocket [R-WS-13, R-WS-14]
}

// passOf returns the pass of a WebSocket message. free must follow.
func (srv *Server) passOf(p *port) *pass {
	w, _ := srv.passes.Get().(*pass)
	if w == nil {
		w = new(pass)
	}
	*w = pass{srv: srv, origin: p.origin(), settings: p.settings, holder: p, port: p, alone: true}
	return w
}

// free keeps the pass for another message: nobody refers to it any more.
func (p *pass) free() {
	srv := p.srv
	*p = pass{}
	srv.passes.Put(p)
}

// message takes one message through the pipeline, in the order of [R-MSG-9].
// It returns the reply, or nil for a connect that is held. Every message gets
// exactly one ([R-MSG-3]).
func (p *pass) message(ctx context.Context, m *bayeux.Message) *bayeux.Message {
	p.srv.stats.messagesIn.Add(1)
	if e := m.Validate(p.srv.config.Limits.Messages); e != nil {
		p.srv.stats.refused(e)
		return m.Reply().Fail(e)
	}
	s := p.sender(m)
	if err := p.srv.incoming(ctx, s, m); err != nil {
		return p.vetoed(m, err)
	}
	if reply := p.hear(ctx, s, m); reply != nil {
		return reply
	}
	switch {
	case m.Channel == metaHandshake:
		return p.handshake(ctx, m)
	case s == nil:
		return p.stranger(m)
	case m.Channel == metaConnect:
		return p.connect(s, m)
	case s.isOver():
		return p.late(m) // [R-DC-3]
	}
	return p.other(ctx, s, m) // the end of the batch extends its life [R-EX-3]
}

// other handles what a live session sends besides connects.
func (p *pass) other(ctx context.Context, s *session, m *bayeux.Message) *bayeux.Message {
	switch m.Channel {
	case metaSubscribe:
		return p.subscribe(ctx, s, m)
	case metaUnsubscribe:
		return p.unsubscribe(ctx, s, m)
	case metaDisconnect:
		return s.step(func(now instant.Time) machine.Effects {
			return s.machine.Step(now, p.input(m))
		}).Reply
	default:
		return p.publish(ctx, s, m)
	}
}

// sender returns the session that the message may speak for: the one of the
// batch if the clientId is its own ([R-ID-1]). A handshake speaks for the
// session it asks for.
func (p *pass) sender(m *bayeux.Message) *session {
	if p.sess == nil || m.Channel != metaHandshake && m.ClientID != p.sess.id() {
		return nil
	}
	return p.sess
}

// vetoed answers a message that an extension has ended ([R-SV-4]).
func (p *pass) vetoed(m *bayeux.Message, err error) *bayeux.Message {
	e := p.srv.verdict(err, bayeux.ErrMessageDeleted)
	if e == nil { // handled: the extension has filled in the reply
		return m.Reply()
	}
	if m.Channel == metaHandshake && e.Advice == nil {
		c := *e
		c.Advice = &bayeux.Advice{Reconnect: bayeux.ReconnectNone}
		e = &c
	}
	return m.Reply().Fail(e)
}

// input describes the message and its carrier to the machine.
func (p *pass) input(m *bayeux.Message) machine.Input {
	return machine.Input{
		Message:          m,
		Via:              &p.settings.via,
		Alone:            p.alone,
		MaxSubscriptions: p.srv.maxSubscriptions,
		MultiInterval:    p.settings.multiInterval,
	}
}

// handshake makes the batch's session one that exists: it is registered before
// the reply leaves.
func (p *pass) handshake(ctx context.Context, m *bayeux.Message) *bayeux.Message {
	s := p.sess
	in := p.input(m)
	in.Refused = p.srv.admit()
	if in.Refused == nil {
		in.Refused = p.srv.ask(ctx, s, bayeux.ErrHandshakeDenied.Text, func(ctx context.Context) error {
			return p.srv.config.Policy.CanHandshake(ctx, s, m)
		})
	}
	var first turn // before that of whatever ends the session
	eff := s.step(func(now instant.Time) machine.Effects {
		e := s.machine.Step(now, in)
		if e.Reply.OK() {
			first = s.turnLocked()
		}
		return e
	})
	if !eff.Reply.OK() {
		p.srv.stats.handshakesRefused.Add(1)
		return eff.Reply
	}
	if !p.srv.begin(ctx, s, first) {
		// An id of 134 random bits is taken only if randomness is broken; the
		// handshake fails rather than to share a session.
		return m.Reply().Fail(bayeux.ErrHandshakeFailed) // [R-HS-11]
	}
	return eff.Reply
}

// connect answers a connect or lets it be held ([R-CN-4]).
func (p *pass) connect(s *session, m *bayeux.Message) *bayeux.Message {
	in := p.input(m)
	leave := p.countBrowser(s, &in)
	var stuck *port
	var began instant.Time
	var l lesson
	t, lane := p.tripOf()
	eff := s.stepWith(p.holder, nil, func(now instant.Time) machine.Effects {
		began = now
		if p.port == nil {
			stuck = s.moveLocked(nil) // the session has moved to HTTP ([R-WS-21])
		}
		if t != nil {
			l = t.cameLocked(s, now, lane, m)
		}
		in.Pending = p.srv.draining.Load() ||
			(!in.Via.Push || s.onlyLocked(s.port)) && s.pendingLocked(now)
		if t == nil {
			return s.machine.Step(now, in)
		}
		t.planLocked(s, now, &in)
		e := s.machine.Step(now, in)
		if e.Hold.ID != 0 {
			t.began = now
		}
		return e
	})
	stuck.cut()
	l.tell(s)
	p.countCapped(m)
	if eff.Hold.ID == 0 {
		leave()
		return eff.Reply
	}
	p.srv.stats.holds.Add(1)
	switch h := p.holder.(type) {
	case *exchange:
		h.onEnd(leave)
	case *port:
		h.noteHold(eff.Hold.Until.Sub(began))
	}
	return nil
}

// countCapped counts a client that asks for more time than it may have.
func (p *pass) countCapped(m *bayeux.Message) {
	if len(m.Advice) == 0 {
		return
	}
	asks, lim := m.ClientAdvice(), p.srv.config.Limits
	if lim.ClientTimeout > 0 && asks.Timeout > lim.ClientTimeout {
		p.srv.stats.limit("advice.timeout")
	}
	if lim.ClientInterval > 0 && asks.Interval > lim.ClientInterval {
		p.srv.stats.limit("advice.interval")
	}
}

// countBrowser asks whether the browser may hold one more connect
// ([R-MC-1, R-MC-7]); the returned function ends the count.
func (p *pass) countBrowser(s *session, in *machine.Input) (leave func()) {
	limit := p.settings.perBrowser
	if p.origin.HTTP2 {
		limit = p.settings.perBrowserHTTP2
	}
	if p.port != nil || limit < 0 || p.origin.Browser == "" {
		return func() {}
	}
	browser := p.origin.Browser
	if p.srv.browsers.enter(browser, s) > limit {
		in.Browser = machine.BrowserPoll // [R-MC-2]
		if p.settings.multiInterval <= 0 {
			in.Browser = machine.BrowserRefuse // [R-MC-3]
		}
	}
	srv := p.srv // p has the request, which need not stay for as long as the hold
	return func() { srv.browsers.leave(browser, s) }
}

func (s *session) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// checkBatch refuses what no session may send: a handshake among other
// messages (WIRE 16 on [R-HS-12]).
func checkBatch(batch []*bayeux.Message) error {
	for _, m := range batch {
		if m.Channel == metaHandshake && len(batch) > 1 {
			return &transport.StatusError{
				Status: http.StatusBadRequest,
				Reason: "a /meta/handshake must be the only message of its batch",
			}
		}
	}
	return nil
}
