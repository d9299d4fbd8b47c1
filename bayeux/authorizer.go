package bayeux

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/halleypush/halley/channels"
)

// Operation is what a session wants to do with a channel.
type Operation string

// The operations that authorizers are asked about.
const (
	OperationCreate    Operation = "create"
	OperationSubscribe Operation = "subscribe"
	OperationPublish   Operation = "publish"
)

// Verdict is the answer of an authorizer. The zero value ignores.
type Verdict struct {
	granted bool
	reason  string
}

// Ignore leaves the decision to others.
func Ignore() Verdict { return Verdict{} }

// Grant allows the operation, unless another authorizer denies it.
func Grant() Verdict { return Verdict{granted: true} }

// Refuse denies the operation whatever others say; clients see the reason. An
// empty reason is ReasonSecurityPolicy.
func Refuse(reason string) Verdict {
	if reason == "" {
		reason = ReasonSecurityPolicy
	}
	return Verdict{reason: reason}
}

// Authorizer decides on operations of remote sessions on the channels that it
// was added to; Param(ctx, …) has the parameters of these. It may block; it is
// called outside locks, by many goroutines. One that panics refuses.
type Authorizer func(ctx context.Context, op Operation, ch channels.Name, s Session, m *Message) Verdict

// GrantOnly grants these operations and ignores the others, as CometD's
// GrantAuthorizer does; without any it denies what nobody else grants.
func GrantOnly(granted ...Operation) Authorizer {
	granted = slices.Clone(granted)
	return func(_ context.Context, op Operation, _ channels.Name, _ Session, _ *Message) Verdict {
		if slices.Contains(granted, op) {
			return Grant()
		}
		return Ignore()
	}
}

// Authorizers is a Policy that asks another one first and then the authorizers
// of the channel ([R-SP-3]): those of the wildcards that match it, from /**
// inwards, then of templates such as /room/{id}, then its own; those of one
// channel in the order in which they were added. Where there are none the
// operation is granted. The first that refuses decides, and the others are not
// asked; else at least one must grant, or the reason is ReasonNotGranting. Meta
// channels are left to the wrapped policy.
//
// A subscription to a wildcard asks the authorizers of that wildcard and of the
// wider ones, not those of the channels below it.
//
// A channel or wildcard with an authorizer exists, so that nobody is asked for
// OperationCreate of it ([R-SP-4]), and is not swept; a template is no channel.
//
// It is safe for concurrent use; a change is in force with the next operation,
// one under way asks those that there were when it began.
type Authorizers struct {
	policy Policy

	mu      sync.RWMutex
	table   channels.Table[*attached]
	keepers []func(channels.Name) (release func())
}

var (
	_ Policy        = (*Authorizers)(nil)
	_ ChannelKeeper = (*Authorizers)(nil)
)

// attached is an authorizer in its place; mu of the Authorizers guards the
// others of its fields.
type attached struct {
	decide Authorizer

	releases []func()
	removed  bool
}

// NewAuthorizers wraps a policy; nil means DefaultPolicy.
func NewAuthorizers(policy Policy) *Authorizers {
	if policy == nil {
		policy = DefaultPolicy{}
	}
	return &Authorizers{policy: policy}
}

// Add adds an authorizer to a channel, a wildcard or a template with
// parameters. The returned function removes it; it is idempotent.
func (a *Authorizers) Add(channel string, authorizer Authorizer) (remove func(), err error) {
	t, err := channels.ParseTemplate(channel)
	if err != nil {
		return nil, fmt.Errorf("add an authorizer to %q: %w", channel, err)
	}
	a.mu.Lock()
	entry := a.table.Add(t, &attached{decide: authorizer})
	keepers := a.keepers
	a.mu.Unlock()
	for _, hold := range keepers {
		a.keep(entry, hold)
	}
	return func() { a.remove(entry) }, nil
}

// Keep implements ChannelKeeper. It keeps the channels of the wrapped policy
// too.
func (a *Authorizers) Keep(hold func(channels.Name) (release func())) {
	a.mu.Lock()
	a.keepers = append(slices.Clip(a.keepers), hold)
	entries := a.table.All()
	a.mu.Unlock()
	for _, entry := range entries {
		a.keep(entry, hold)
	}
	keepAll([]Policy{a.policy}, hold)
}

// keep holds the channel of an entry, unless that is removed meanwhile.
func (a *Authorizers) keep(entry *channels.Entry[*attached], hold func(channels.Name) (release func())) {
	if entry.Params() > 0 {
		return
	}
	release := hold(entry.Name())
	a.mu.Lock()
	late := entry.Value.removed
	if !late {
		entry.Value.releases = append(entry.Value.releases, release)
	}
	a.mu.Unlock()
	if late {
		release()
	}
}

func (a *Authorizers) remove(entry *channels.Entry[*attached]) {
	a.mu.Lock()
	a.table.Remove(entry)
	releases := entry.Value.releases
	entry.Value.releases, entry.Value.removed = nil, true
	a.mu.Unlock()
	for _, release := range releases {
		release()
	}
}

// CanHandshake asks the wrapped policy.
func (a *Authorizers) CanHandshake(ctx context.Context, s Session, m *Message) error {
	return a.policy.CanHandshake(ctx, s, m)
}

// CanCreate asks the wrapped policy, then the authorizers.
func (a *Authorizers) CanCreate(ctx context.Context, s Session, ch channels.Name, m *Message) error {
	if err := a.policy.CanCreate(ctx, s, ch, m); err != nil {
		return err
	}
	return a.decide(ctx, OperationCreate, ch, s, m)
}

// CanSubscribe asks the wrapped policy, then the authorizers.
func (a *Authorizers) CanSubscribe(ctx context.Context, s Session, p channels.Pattern, m *Message) error {
	if err := a.policy.CanSubscribe(ctx, s, p, m); err != nil {
		return err
	}
	return a.decide(ctx, OperationSubscribe, p.Name(), s, m)
}

// CanPublish asks the wrapped policy, then the authorizers.
func (a *Authorizers) CanPublish(ctx context.Context, s Session, ch channels.Name, m *Message) error {
	if err := a.policy.CanPublish(ctx, s, ch, m); err != nil {
		return err
	}
	return a.decide(ctx, OperationPublish, ch, s, m)
}

func (a *Authorizers) decide(ctx context.Context, op Operation, ch channels.Name, s Session, m *Message) error {
	if ch.IsMeta() {
		return nil
	}
	asked, granted := a.match(ch), false
	for _, entry := range asked {
		v := entry.Value.decide(WithParams(ctx, entry.Template, ch), op, ch, s, m)
		if v.reason != "" {
			return Deny(v.reason) // [R-SB-9]
		}
		granted = granted || v.granted
	}
	if len(asked) > 0 && !granted {
		return Deny(ReasonNotGranting)
	}
	return nil
}

func (a *Authorizers) match(ch channels.Name) []*channels.Entry[*attached] {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.table.Match(ch)
}
