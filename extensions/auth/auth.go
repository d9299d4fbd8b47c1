package auth

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Channel is where clients refresh their token and are told of its end.
const Channel channels.Name = "/service/auth"

const (
	handshake = "/meta/handshake"
	subscribe = "/meta/subscribe"
	local     = "local" // the transport of sessions of server code, which nobody has to authenticate
)

// Server is what the extension needs of the server; *server.Server has it.
type Server interface {
	OnSession(begin func(bayeux.Session), end func(s bayeux.Session, reason string)) (remove func())
	OnSubscription(channel string, subscribed, unsubscribed func(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message)) (remove func(), err error)
}

// Extension authenticates sessions. It is safe for concurrent use.
type Extension struct {
	config   Config
	log      zerolog.Logger
	refusals zerolog.Logger // a few a second: strangers cause them
	count    counts

	mu sync.Mutex // nothing is called while it is held
	// Guarded by mu.
	attached bool
	sessions sessions
	revoked  revocations
	expiries schedule
	warnings schedule
}

var _ bayeux.Extension = (*Extension)(nil)

// refusalsPerSecond bounds the lines of the log about refused handshakes.
const refusalsPerSecond = 20

// New returns the extension, or says what in the configuration is wrong.
// Without Attach it refuses all handshakes.
func New(c Config) (*Extension, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	x := &Extension{config: c, log: c.Logger.With().Str("component", "auth").Logger()}
	x.refusals = x.log.Sample(&zerolog.BurstSampler{Burst: refusalsPerSecond, Period: time.Second})
	x.count.init()
	x.sessions.init()
	x.revoked.init(c.MaxRevocations)
	x.expiries.run, x.warnings.run = x.expire, x.warn
	return x, nil
}

// Attach lets the extension see the server's sessions begin and end. It is
// called once, before the server serves; the returned function ends it.
func (x *Extension) Attach(srv Server) (remove func(), err error) {
	noSubscription, err := srv.OnSubscription("/**", x.subscribed, nil)
	if err != nil {
		return nil, err
	}
	noSession := srv.OnSession(x.begin, x.end)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.attached = true
	return func() {
		noSubscription()
		noSession()
		x.mu.Lock()
		defer x.mu.Unlock()
		x.attached = false
		x.expiries.stop()
		x.warnings.stop()
	}, nil
}

// Incoming implements bayeux.Extension.
func (x *Extension) Incoming(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	switch {
	case from == nil || from.Transport() == local:
		return nil
	case m.Channel == handshake:
		return x.handshake(ctx, from, m)
	case m.Channel == subscribe:
		m.Reply().SetNote(subjectKey{}, bayeux.SubjectOf(from))
		return nil
	case isChannel(m.Channel):
		return x.refresh(ctx, from, m)
	}
	return nil
}

// Outgoing implements bayeux.Extension.
func (*Extension) Outgoing(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

// isChannel tells whether a publish goes to Channel, however it is spelt.
func isChannel(text string) bool {
	if !strings.HasPrefix(text, string(Channel)) {
		return false
	}
	n, err := channels.Parse(text)
	return err == nil && n == Channel
}

// handshake finds out whom a new session acts for.
func (x *Extension) handshake(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	c := &Credentials{Request: bayeux.RequestFrom(ctx)}
	subject, err := x.identify(ctx, m, c)
	if err != nil {
		f := failureOf(err)
		x.count.handshake(f.Outcome)
		x.tell(f, from, c.Request, "handshake refused")
		return refusal(f.Outcome)
	}
	if subject == nil {
		x.count.handshake(Anonymous)
		return nil
	}
	a, ok := from.(bayeux.Authentication)
	if !ok {
		return refusal(Unavailable)
	}
	a.SetSubject(subject)
	x.count.handshake(Accepted)
	return nil
}

// identify returns whom a handshake is of; nil is nobody, who may be here.
func (x *Extension) identify(ctx context.Context, m *bayeux.Message, c *Credentials) (*bayeux.Subject, error) {
	if !x.isAttached() {
		return nil, Refuse(Unavailable, "Attach was not called")
	}
	var err error
	if c.Token, err = x.find(m, c.Request); err != nil {
		return nil, err
	}
	subject, err := x.judge(ctx, c)
	switch {
	case err != nil || subject != nil:
		return subject, err
	case c.Token != "":
		return nil, invalid("no method has judged the token")
	case !x.config.Anonymous:
		return nil, Refuse(Missing, "no credentials")
	}
	return nil, nil //nolint:nilnil // anonymous
}

// judge asks the methods, and whether what they accept was revoked.
func (x *Extension) judge(ctx context.Context, c *Credentials) (*bayeux.Subject, error) {
	for _, m := range x.config.Methods {
		s, err := m.Authenticate(ctx, c)
		if err != nil {
			return nil, err
		}
		if s != nil {
			return s, x.valid(s)
		}
	}
	return nil, nil //nolint:nilnil // nobody has anything to say
}

func (x *Extension) valid(s *bayeux.Subject) error {
	now := time.Now()
	if !s.Expires.IsZero() && !now.Before(s.Expires) {
		return Refuse(Expired, "the credentials have expired")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.revoked.covers(s, now) {
		return Refuse(Revoked, "the credentials of user %.64q were revoked", s.User)
	}
	return nil
}

func (x *Extension) isAttached() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.attached
}

// tell logs why something was refused.
func (x *Extension) tell(f *RefusedError, s bayeux.Session, r *bayeux.Request, what string) {
	level := zerolog.InfoLevel
	if f.Outcome == Unavailable {
		level = zerolog.ErrorLevel
	}
	x.refusals.WithLevel(level).Str("address", addressOf(r)).Str("outcome", string(f.Outcome)).Str("reason", f.Reason).Str("transport", s.Transport()).Msg(what)
}
