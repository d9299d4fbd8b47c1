package bayeux

import (
	"context"

	"github.com/halleypush/halley/channels"
)

// Policy decides what sessions may do. Nil allows. A *Error refuses and goes
// to the client (see Error for what may be left out); any other error refuses
// with the reason denied_by_security_policy and is logged. Calls may block;
// they run outside locks, on many goroutines ([R-SP-2]).
//
// A subscription or publication asks CanCreate first when the channel does not
// exist ([R-SP-4]); it gets what was asked for, a wildcard too. For an array
// of subscriptions each element is asked for, in order, up to the first
// refusal ([R-SB-3]). Local sessions are not asked about.
type Policy interface {
	CanHandshake(ctx context.Context, s Session, m *Message) error
	CanCreate(ctx context.Context, s Session, ch channels.Name, m *Message) error
	CanSubscribe(ctx context.Context, s Session, p channels.Pattern, m *Message) error
	CanPublish(ctx context.Context, s Session, ch channels.Name, m *Message) error
}

// DefaultPolicy is CometD's: everybody may do everything except with meta
// channels ([R-SP-1]).
type DefaultPolicy struct{}

var _ Policy = DefaultPolicy{}

// CanHandshake allows.
func (DefaultPolicy) CanHandshake(context.Context, Session, *Message) error { return nil }

// CanCreate refuses meta channels.
func (DefaultPolicy) CanCreate(_ context.Context, _ Session, ch channels.Name, _ *Message) error {
	return refuseMeta(ch)
}

// CanSubscribe refuses meta channels.
func (DefaultPolicy) CanSubscribe(_ context.Context, _ Session, p channels.Pattern, _ *Message) error {
	return refuseMeta(p.Name())
}

// CanPublish refuses meta channels.
func (DefaultPolicy) CanPublish(_ context.Context, _ Session, ch channels.Name, _ *Message) error {
	return refuseMeta(ch)
}

func refuseMeta(ch channels.Name) error {
	if ch.IsMeta() {
		return Deny(ReasonSecurityPolicy)
	}
	return nil
}
