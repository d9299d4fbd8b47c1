package demo

import (
	"context"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Prefixes of the channels that clients may use, and of those among them that
// only the server publishes to.
const (
	broadcastPrefix = "/demo/"
	servicePrefix   = "/service/demo/"
	membersChannel  = "/demo/members"
	feedPrefix      = "/demo/feed/"
)

// Policy permits the channels of the demo and nothing else, whatever the
// posture. Members and feed are the server's: clients may read them only.
type Policy struct{}

var _ bayeux.Policy = Policy{}

// CanHandshake allows.
func (Policy) CanHandshake(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

// CanCreate allows the channels of the demo.
func (Policy) CanCreate(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	return permit(ch)
}

// CanSubscribe allows the channels of the demo and patterns within them.
func (Policy) CanSubscribe(_ context.Context, _ bayeux.Session, p channels.Pattern, _ *bayeux.Message) error {
	return permit(p.Name())
}

// CanPublish allows the channels of the demo but those of the server.
func (Policy) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	if ch == membersChannel || strings.HasPrefix(string(ch), feedPrefix) {
		return bayeux.Deny(bayeux.ReasonSecurityPolicy)
	}
	return permit(ch)
}

// permit looks at the text of the name: a pattern such as /demo/** begins with
// the prefix, one that reaches further, such as /** or /*, does not.
func permit(ch channels.Name) error {
	if strings.HasPrefix(string(ch), broadcastPrefix) || strings.HasPrefix(string(ch), servicePrefix) {
		return nil
	}
	return bayeux.Deny(bayeux.ReasonSecurityPolicy)
}
