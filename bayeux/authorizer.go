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
// was added to. It may block; it is called outside locks, by many goroutines.
type Authorizer func(ctx context.Context, op Operation, ch channels.Name, s Session, m *Message) Verdict

// Authorizers is a Policy that asks another one first and then the authorizers
// of the channel ([R-SP-3]): those on the channel itself and on the wildcards
// that match it. Where there are none the operation is granted; one that
// refuses decides; else at least one must grant, or the reason is
// ReasonNotGranting. Meta channels are left to the wrapped policy.
//
// It is safe for concurrent use; a change is in force with the next operation.
type Authorizers struct {
	policy Policy

	mu     sync.RWMutex
	byName map[channels.Name][]*Authorizer
}

var _ Policy = (*Authorizers)(nil)

// NewAuthorizers wraps a policy; nil means DefaultPolicy.
func NewAuthorizers(policy Policy) *Authorizers {
	if policy == nil {
		policy = DefaultPolicy{}
	}
	return &Authorizers{policy: policy, byName: make(map[channels.Name][]*Authorizer)}
}

// Add adds an authorizer to a channel or wildcard. The returned function
// removes it; it is idempotent.
func (a *Authorizers) Add(channel string, authorizer Authorizer) (remove func(), err error) {
	n, err := channels.Parse(channel)
	if err != nil {
		return nil, fmt.Errorf("add an authorizer to %q: %w", channel, err)
	}
	entry := &authorizer
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byName[n] = append(slices.Clip(a.byName[n]), entry)
	return func() { a.remove(n, entry) }, nil
}

func (a *Authorizers) remove(n channels.Name, entry *Authorizer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(a.byName[n]), func(x *Authorizer) bool { return x == entry })
	if a.byName[n] = left; len(left) == 0 {
		delete(a.byName, n)
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
	for _, authorizer := range asked {
		v := (*authorizer)(ctx, op, ch, s, m)
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

// match returns the authorizers of a channel, from the widest wildcard to the
// channel itself.
func (a *Authorizers) match(ch channels.Name) []*Authorizer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.byName) == 0 {
		return nil
	}
	var out []*Authorizer
	for _, n := range append(ch.Wilds(), ch) {
		out = append(out, a.byName[n]...)
	}
	return out
}
