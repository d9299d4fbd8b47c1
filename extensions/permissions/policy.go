package permissions

import (
	"context"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Config configures a Policy.
type Config struct {
	// Rules are those to begin with. Nil allows nothing but handshakes and what
	// credentials grant.
	Rules *Rules
	// Refused is told of each refusal, in the turn of the client's message; it
	// must not block. Nil: nobody is told.
	Refused func(ctx context.Context, r Refusal)
	// NoCache turns the cache of verdicts off.
	NoCache bool
}

// Refusal is what a client was not allowed.
type Refusal struct {
	Session   bayeux.Session
	Operation bayeux.Operation
	Channel   channels.Name // empty for a handshake
	// Rule is a title such as "rule 3 (readers)", Source where it stands. Both
	// are empty where no rule allows it.
	Rule, Source string
}

// Policy asks rules. It is safe for concurrent use.
//
// It knows whom a session acts for by bayeux.SubjectOf, asked anew each time: a
// session that gets another subject is judged by that from its next message on.
// To know again what was decided it keeps something with each subject, not with
// sessions: a new subject or new rules begin afresh by construction, and
// what belongs to a subject goes with it, by the garbage collector, without
// anybody telling of the ends of sessions. It exists from the first question on
// and takes about 450 bytes, and 40 and the name for each of up to 16 verdicts.
// All anonymous sessions share one.
type Policy struct {
	rules   atomic.Pointer[Rules]
	refused func(context.Context, Refusal)
	slots   int
	seed    maphash.Seed
	// known has what is known of a subject: weak.Pointer[bayeux.Subject] to
	// *atomic.Pointer[identity].
	known sync.Map
}

var _ bayeux.Policy = (*Policy)(nil)

// New makes a policy.
func New(c Config) *Policy {
	p := &Policy{refused: c.Refused, slots: fewSlots, seed: maphash.MakeSeed()}
	if c.NoCache {
		p.slots = 0
	}
	p.Replace(c.Rules)
	return p
}

// Replace puts other rules in the place of those there are; nil as in Config.
// An operation under way is decided by one or the other. Subscriptions that
// exist stay until the server's Review.
func (p *Policy) Replace(r *Rules) {
	if r == nil {
		r = &Rules{principals: newPrincipals()}
		r.build()
	}
	p.rules.Store(r)
}

// Rules returns those in force.
func (p *Policy) Rules() *Rules { return p.rules.Load() }

// identity returns what is known of a session's subject under the rules of now.
func (p *Policy) identity(s bayeux.Session) *identity {
	rules, subject := p.rules.Load(), bayeux.SubjectOf(s)
	if subject == nil {
		return rules.nobody
	}
	key := weak.Make(subject)
	known, ok := p.known.Load(key)
	if !ok {
		var late bool
		if known, late = p.known.LoadOrStore(key, new(atomic.Pointer[identity])); !late {
			runtime.AddCleanup(subject, p.forget, key)
		}
	}
	at, _ := known.(*atomic.Pointer[identity])
	id := at.Load()
	if id == nil || id.rules != rules {
		id = rules.identify(subject, p.slots)
		at.Store(id)
	}
	return id
}

func (p *Policy) forget(key weak.Pointer[bayeux.Subject]) { p.known.Delete(key) }

// CanHandshake implements bayeux.Policy. Everybody may where no rule is about
// handshakes.
func (p *Policy) CanHandshake(ctx context.Context, s bayeux.Session, _ *bayeux.Message) error {
	return p.ask(ctx, s, handshake, "")
}

// CanSubscribe implements bayeux.Policy.
func (p *Policy) CanSubscribe(ctx context.Context, s bayeux.Session, pattern channels.Pattern, _ *bayeux.Message) error {
	return p.ask(ctx, s, subscribe, pattern.Name())
}

// CanPublish implements bayeux.Policy.
func (p *Policy) CanPublish(ctx context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	return p.ask(ctx, s, publish, ch)
}

// CanCreate implements bayeux.Policy. Who may do what needs the channel may
// create it, unless a rule denies that. Who may not is told so as if the channel
// existed: the answer does not tell which channels there are.
func (p *Policy) CanCreate(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	op := publish
	if m != nil && m.Channel == "/meta/subscribe" {
		op = subscribe
	}
	if err := p.ask(ctx, s, op, ch); err != nil {
		return err
	}
	id := p.identity(s)
	if d := p.decide(id, create, ch); ruled(d) {
		return p.answer(ctx, s, id.rules, d, create, ch)
	}
	return nil
}

func (p *Policy) ask(ctx context.Context, s bayeux.Session, op operation, name channels.Name) error {
	id := p.identity(s)
	return p.answer(ctx, s, id.rules, p.decide(id, op, name), op, name)
}

func (p *Policy) decide(id *identity, op operation, name channels.Name) int32 {
	if p.slots == 0 {
		return id.rules.decide(id, op, name)
	}
	return id.decide(op, name, p.seed)
}

func (p *Policy) answer(ctx context.Context, s bayeux.Session, rules *Rules, decision int32, op operation, name channels.Name) error {
	e := rules.refuse(decision, op)
	if e == nil {
		return nil
	}
	if p.refused != nil {
		r := Refusal{Session: s, Operation: Operations()[op], Channel: name}
		if ruled(decision) {
			r.Rule, r.Source = title(int(decision), rules.rules[decision].Name), rules.rules[decision].Source
		}
		p.refused(ctx, r)
	}
	return e
}
