package bayeux

import (
	"context"

	"github.com/halleypush/halley/channels"
)

// AllOf returns a policy that allows what all of the policies allow. They are
// asked in order, up to the first that refuses: its error counts. Without any
// it allows everything.
func AllOf(policies ...Policy) Policy { return allOf(policies) }

// AnyOf returns a policy that allows what one of the policies allows. They are
// asked in order, up to the first that allows; where none does, the error of
// the last counts. Without any it refuses everything.
//
// An error that is no refusal counts as one: a policy that fails does not keep
// the next from being asked.
func AnyOf(policies ...Policy) Policy { return anyOf(policies) }

type (
	allOf []Policy
	anyOf []Policy
)

var (
	_ ChannelKeeper = allOf{}
	_ ChannelKeeper = anyOf{}
)

// CanHandshake implements Policy.
func (all allOf) CanHandshake(ctx context.Context, s Session, m *Message) error {
	return all.each(func(p Policy) error { return p.CanHandshake(ctx, s, m) })
}

// CanCreate implements Policy.
func (all allOf) CanCreate(ctx context.Context, s Session, ch channels.Name, m *Message) error {
	return all.each(func(p Policy) error { return p.CanCreate(ctx, s, ch, m) })
}

// CanSubscribe implements Policy.
func (all allOf) CanSubscribe(ctx context.Context, s Session, p channels.Pattern, m *Message) error {
	return all.each(func(policy Policy) error { return policy.CanSubscribe(ctx, s, p, m) })
}

// CanPublish implements Policy.
func (all allOf) CanPublish(ctx context.Context, s Session, ch channels.Name, m *Message) error {
	return all.each(func(p Policy) error { return p.CanPublish(ctx, s, ch, m) })
}

func (all allOf) each(ask func(Policy) error) error {
	for _, p := range all {
		if err := ask(p); err != nil {
			return err
		}
	}
	return nil
}

// Keep implements ChannelKeeper.
func (all allOf) Keep(hold func(channels.Name) (release func())) { keepAll(all, hold) }

// CanHandshake implements Policy.
func (some anyOf) CanHandshake(ctx context.Context, s Session, m *Message) error {
	return some.each(func(p Policy) error { return p.CanHandshake(ctx, s, m) })
}

// CanCreate implements Policy.
func (some anyOf) CanCreate(ctx context.Context, s Session, ch channels.Name, m *Message) error {
	return some.each(func(p Policy) error { return p.CanCreate(ctx, s, ch, m) })
}

// CanSubscribe implements Policy.
func (some anyOf) CanSubscribe(ctx context.Context, s Session, p channels.Pattern, m *Message) error {
	return some.each(func(policy Policy) error { return policy.CanSubscribe(ctx, s, p, m) })
}

// CanPublish implements Policy.
func (some anyOf) CanPublish(ctx context.Context, s Session, ch channels.Name, m *Message) error {
	return some.each(func(p Policy) error { return p.CanPublish(ctx, s, ch, m) })
}

func (some anyOf) each(ask func(Policy) error) error {
	var err error = Deny(ReasonSecurityPolicy)
	for _, p := range some {
		if err = ask(p); err == nil {
			return nil
		}
	}
	return err
}

// Keep implements ChannelKeeper.
func (some anyOf) Keep(hold func(channels.Name) (release func())) { keepAll(some, hold) }

func keepAll(policies []Policy, hold func(channels.Name) (release func())) {
	for _, p := range policies {
		if k, ok := p.(ChannelKeeper); ok {
			k.Keep(hold)
		}
	}
}
