package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
)

func subscribe() []Case {
	return slices.Concat(subscribeReply(), subscribeRefused(), subscribeDenied(), subscribeArray(), subscribeMatch(), subscribeSpelling(), subscribeLife())
}

// subscribeReply is about the reply to a subscription that is granted.
func subscribeReply() []Case {
	return []Case{
		{
			ID: "BX-SB-01", Title: "a subscribe succeeds and its reply has channel, subscription, successful and the id", Level: MUST,
			Spec: "Subscribe Response", Rules: rules("R-SB-1"), Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c := t.Session()
				m := c.SubscribeMessage(t.Channel("a"))
				c.Send(m).Reply(0).Successful().Want("channel", "/meta/subscribe").Want("subscription", m["subscription"]).Want("id", m["id"])
			},
		},
		{
			ID: "BX-SB-02", Title: "the reply has no advice, no client id and nothing else", Level: COMETD, Rules: rules("R-SB-1", "R-AD-5", "R-MSG-4"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				t.Connected().Subscribe(t.Channel("a")).Only("channel", "subscription", "successful", "id")
			},
		},
		{
			ID: "BX-SB-03", Title: "a session may subscribe before its first connect", Level: COMETD, Rules: rules("R-HS-16"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Session(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-SB-04", Title: "an unsubscribe succeeds and its reply has channel, subscription, successful and the id", Level: MUST,
			Spec: "Unsubscribe Response", Rules: rules("R-SB-12"), Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe(t.Channel("a")).Successful()
				m := c.UnsubscribeMessage(t.Channel("a"))
				c.Send(m).Reply(0).Successful().Want("channel", "/meta/unsubscribe").Want("subscription", m["subscription"]).Want("id", m["id"])
			},
		},
		{
			ID: "BX-SB-05", Title: "the reply to an unsubscribe has no advice, no client id and nothing else", Level: COMETD,
			Rules: rules("R-SB-12", "R-AD-5", "R-MSG-4"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				c.Subscribe(t.Channel("a")).Successful()
				c.Unsubscribe(t.Channel("a")).Successful().Only("channel", "subscription", "successful", "id")
			},
		},
		{
			ID: "BX-SB-06", Title: "a second subscribe to the same channel succeeds, and messages come once", Level: COMETD,
			Rules: rules("R-SB-5", "R-PB-9"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				c.Subscribe(ch).Successful()
				c.Subscribe([]string{ch, ch}).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Receive(ch).Want("data", "x")
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SB-07", Title: "one unsubscribe undoes two subscribes", Level: COMETD, Rules: rules("R-SB-5"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				c.Subscribe(ch).Successful()
				c.Unsubscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Nothing(ch)
			},
		},
	}
}

// subscribeRefused is about subscriptions that make no sense.
func subscribeRefused() []Case {
	return []Case{
		{
			ID: "BX-SB-08", Title: "a subscribe without subscription fails", Level: MUST, Spec: "Subscribe Request", Rules: rules("R-SB-2"), On: Every | H2,
			Run: func(t *T) { t.Session().Subscribe(nil, M{"subscription": Absent}).Failed() },
		},
		{
			ID: "BX-SB-09", Title: "a missing or null subscription is 403::subscription_missing", Level: COMETD, Rules: rules("R-SB-2"),
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe(nil, M{"subscription": Absent}).Failed("403::subscription_missing").Lacks("subscription")
				c.Subscribe(nil).Failed("403::subscription_missing")
				c.Unsubscribe(nil, M{"subscription": Absent}).Failed("403::subscription_missing")
				c.Unsubscribe(nil).Failed("403::subscription_missing")
			},
		},
		{
			ID: "BX-SB-10", Title: "what is no channel is 403::subscription_invalid", Level: COMETD, Rules: rules("R-SB-2"),
			Run: func(t *T) {
				c := t.Session()
				for _, what := range []any{5, true, M{}, "", "/", "foo", "/a?", "/a,b", []any{"/a", 5}} {
					c.Subscribe(what).Failed("403::subscription_invalid")
					c.Unsubscribe(what).Failed("403::subscription_invalid")
				}
			},
		},
		{
			ID: "BX-SB-11", Title: "an array with an invalid element subscribes to nothing", Level: COMETD, Rules: rules("R-SB-2"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe([]string{ch, "bad?"}).Failed("403::subscription_invalid")
				t.Helper().Publish(ch, "x").Successful()
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SB-12", Title: "channels with empty segments, or wildcards before the end, are refused for that message alone", Level: COMETD,
			Rules: rules("R-MSG-10"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				for _, what := range []string{"/*/b", "/a/**/b", "//a", "/a//b"} {
					c := t.Session()
					a := c.Send(c.SubscribeMessage(what))
					if a.Refused() {
						t.NonStrictf("%s: the whole request is refused, want a failing reply", what)
						continue
					}
					a.Reply(0).Failed("403::subscription_invalid")
					c.Subscribe(t.Channel("a")).Successful()
				}
			},
		},
		{
			ID: "BX-SB-44", Title: "a session may subscribe to everything", Level: COMETD, Rules: rules("R-SB-7", "R-SB-10"),
			Run: func(t *T) {
				if !strings.HasPrefix(t.Channel("a"), "/bx/") {
					t.Skipf("a channel prefix was asked for")
				}
				c := t.Session()
				c.Subscribe("/**").Successful()
				c.Unsubscribe("/**").Successful()
				c.Subscribe("/*").Successful()
			},
		},
	}
}

// subscribeDenied is about channels that may not be subscribed to, or are not
// there.
func subscribeDenied() []Case {
	return []Case{
		{
			ID: "BX-SB-13", Title: "a subscribe to a meta channel fails", Level: MUST, Spec: "Meta Channels", Rules: rules("R-SB-7"), On: Every | H2,
			Run: func(t *T) {
				c := t.Session()
				for _, ch := range []string{"/meta/connect", "/meta/handshake", "/meta/*", "/meta/**"} {
					c.Subscribe(ch).Failed()
				}
			},
		},
		{
			ID: "BX-SB-14", Title: "a meta channel that exists is denied to subscribe, one that does not to create", Level: COMETD, Rules: rules("R-SB-7"),
			Run: func(t *T) {
				c := t.Session()
				for _, ch := range []string{"/meta/connect", "/meta/handshake", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect"} {
					c.Subscribe(ch).Failed("403:denied_by_security_policy:subscribe_denied")
				}
				for _, ch := range []string{"/meta/*", "/meta/**", "/meta/none"} {
					c.Subscribe(ch).Failed("403:denied_by_security_policy:create_denied")
				}
			},
		},
		{
			ID: "BX-SB-15", Title: "an unsubscribe from a meta channel is 403::unsubscribe_failed", Level: COMETD, Rules: rules("R-SB-12"),
			Run: func(t *T) { t.Session().Unsubscribe("/meta/connect").Failed("403::unsubscribe_failed") },
		},
		{
			ID: "BX-SB-16", Title: "an unsubscribe from a channel that never was is 400::channel_missing", Level: COMETD, Rules: rules("R-SB-12"),
			Needs: needs(suite.NeedDelivery),
			Run:   func(t *T) { t.Session().Unsubscribe(t.Channel("never")).Failed("400::channel_missing") },
		},
		{
			ID: "BX-SB-17", Title: "an unsubscribe from a channel that exists succeeds without a subscription", Level: COMETD, Rules: rules("R-SB-12"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				ch := t.Channel("a")
				t.Helper().Subscribe(ch).Successful()
				t.Session().Unsubscribe(ch).Successful()
			},
		},
		{
			ID: "BX-SB-18", Title: "an empty array gets a reply that says whether it was successful", Level: SHOULD, Rules: rules("R-SB-4"),
			Also: suite.CometD,
			Run: func(t *T) {
				c := t.Session()
				r := c.Subscribe([]string{})
				if _, ok := r.Get("successful"); !ok {
					t.NonStrictf("the reply has no successful: %s", r.Raw)
					return
				}
				if !r.OK() {
					r.Failed("403")
				}
			},
		},
		{
			ID: "BX-SB-19", Title: "a subscribe of an unknown session is 402::session_unknown and has no advice", Level: COMETD,
			Rules: rules("R-ERR-1", "R-ERR-2"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				for _, m := range []M{c.SubscribeMessage("/a"), c.UnsubscribeMessage("/a")} {
					c.Send(m).Reply(0).Failed("402").Want("id", m["id"]).Want("channel", m["channel"]).Lacks("advice")
				}
			},
		},
		{
			ID: "BX-SB-20", Title: "a denied subscribe has the reason, and nothing is delivered", Level: COMETD, Rules: rules("R-SB-8", "R-SB-9"),
			Needs: needs(suite.NeedDenied, suite.NeedDelivery),
			Run: func(t *T) {
				d, ok := t.Fixture().DeniedFor("subscribe")
				if !ok {
					t.Skipf("the fixture has no channel that is denied to subscribers")
				}
				c := t.Connected()
				c.Subscribe(d.Channel).Failed(denial(d, "subscribe_denied")).Want("subscription", d.Channel)
				t.Helper().Publish(d.Channel, "x")
				c.Nothing(d.Channel)
			},
		},
		{
			ID: "BX-SB-21", Title: "a subscribe that may not create its channel is denied with create_denied", Level: COMETD, Rules: rules("R-SB-8", "R-SB-9"),
			Needs: needs(suite.NeedDenied),
			Run: func(t *T) {
				d, ok := t.Fixture().DeniedFor("create")
				if !ok {
					t.Skipf("the fixture has no channel that is denied to creators")
				}
				t.Session().Subscribe(d.Channel).Failed(denial(d, "create_denied"))
			},
		},
	}
}

// denial is how the error of a declared refusal begins; without a declared
// reason any reason will do.
func denial(d suite.Denial, operation string) string {
	if d.Reason == "" {
		return "403:"
	}
	return fmt.Sprintf("403:%s:%s", d.Reason, operation)
}

// subscribeArray is about several channels in one message.
func subscribeArray() []Case {
	return []Case{
		{
			ID: "BX-SB-22", Title: "an array of channels is subscribed to, with one reply that has the same array", Level: MUST,
			Spec: "Subscribe Request", Rules: rules("R-SB-1"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				all := []string{t.Channel("b"), t.Channel("a"), t.Channel("c/*")}
				a := c.Send(c.SubscribeMessage(all))
				a.Reply(0).Successful().Want("subscription", all)
				t.Check(len(a.All) == 1, "%d messages came, want one reply", len(a.All))
				other := t.Helper()
				for _, ch := range []string{t.Channel("a"), t.Channel("b"), t.Channel("c/d")} {
					other.Publish(ch, ch).Successful()
					c.Receive(ch).Want("data", ch)
				}
			},
		},
		{
			ID: "BX-SB-23", Title: "an array of one channel stays an array in the reply", Level: COMETD, Rules: rules("R-SB-1"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe([]string{t.Channel("a")}).Successful().Want("subscription", []string{t.Channel("a")})
			},
		},
		{
			ID: "BX-SB-24", Title: "an array of channels is unsubscribed from", Level: MUST, Spec: "Unsubscribe Request", Rules: rules("R-SB-12"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				a, b, kept := t.Channel("a"), t.Channel("b"), t.Channel("kept")
				c.Subscribe([]string{a, b, kept}).Successful()
				c.Unsubscribe([]string{a, b}).Successful().Want("subscription", []string{a, b})
				other := t.Helper()
				for _, ch := range []string{a, b, kept} {
					other.Publish(ch, "x").Successful()
				}
				c.Receive(kept)
				c.Nothing(a, b)
			},
		},
		{
			ID: "BX-SB-25", Title: "a refused element ends an array: those before it stay subscribed, those after it are not", Level: COMETD,
			Rules: rules("R-SB-3"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				before, after := t.Channel("before"), t.Channel("after")
				c.Subscribe([]string{before, "/meta/connect", after}).Failed("403:denied_by_security_policy:subscribe_denied")
				other := t.Helper()
				other.Publish(before, "x").Successful()
				other.Publish(after, "x").Successful()
				_, ok := c.TryReceive(before, t.Patience())
				t.Check(ok, "the element before the refused one is not subscribed to")
				c.Nothing(after)
			},
		},
		{
			ID: "BX-SB-26", Title: "an unsubscribe stops at the first channel that does not exist", Level: COMETD, Rules: rules("R-SB-12"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				before, after := t.Channel("before"), t.Channel("after")
				c.Subscribe([]string{before, after}).Successful()
				c.Unsubscribe([]string{before, t.Channel("never"), after}).Failed("400::channel_missing")
				other := t.Helper()
				other.Publish(before, "x").Successful()
				other.Publish(after, "x").Successful()
				c.Receive(after)
				c.Nothing(before)
			},
		},
	}
}
