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
// refusal ([R-SB-3]). Local sessions may do all and are not asked about
// ([R-SP-1]). AllOf and AnyOf combine policies, Authorizers wraps one.
type Policy interface {
	CanHandshake(ctx context.Context, s Session, m *Message) error
	CanCreate(ctx context.Context, s Session, ch channels.Name, m *Message) error
	CanSubscribe(ctx context.Context, s Session, p channels.Pattern, m *Message) error
	CanPublish(ctx context.Context, s Session, ch channels.Name, m *Message) error
}

// ChannelKeeper is an add-on of Policy for one that is attached to channels, as
// Authorizers are: the channels are to exist, and not to be swept, as long as
// something is attached to them ([R-SB-13]). A server calls Keep once, when it
// is made. hold makes a channel exist until release is called; both may be
// called at any time, but not with a lock held that a policy's methods take.
type ChannelKeeper interface {
	Keep(hold func(ch channels.Name) (release func()))
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

// ClosedPolicy lets everybody handshake and connect, and do nothing else: it
// refuses to create channels, to subscribe and to publish, wildcards and
// service channels included. It is the policy of the strict posture where none
// is given.
type ClosedPolicy struct{}

var _ Policy = ClosedPolicy{}

// CanHandshake allows.
func (ClosedPolicy) CanHandshake(context.Context, Session, *Message) error { return nil }

// CanCreate refuses.
func (ClosedPolicy) CanCreate(context.Context, Session, channels.Name, *Message) error {
	return Deny(ReasonSecurityPolicy)
}

// CanSubscribe refuses.
func (ClosedPolicy) CanSubscribe(context.Context, Session, channels.Pattern, *Message) error {
	return Deny(ReasonSecurityPolicy)
}

// CanPublish refuses.
func (ClosedPolicy) CanPublish(context.Context, Session, channels.Name, *Message) error {
	return Deny(ReasonSecurityPolicy)
}

func refuseMeta(ch channels.Name) error {
	if ch.IsMeta() {
		return Deny(ReasonSecurityPolicy)
	}
	return nil
}
