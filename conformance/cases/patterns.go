package cases

import (
	"slices"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
)

// subscribeMatch is about which channels a pattern covers.
func subscribeMatch() []Case {
	return []Case{
		{
			ID: "BX-SB-27", Title: "a subscription covers its channel and no other", Level: MUST, Spec: "Channel Globbing", Rules: rules("R-SB-10"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				covers(t, "foo", []string{"foo"}, []string{"fo", "foobar", "foo/bar", "bar/foo", "Foo"})
			},
		},
		{
			ID: "BX-SB-28", Title: "/* covers exactly one more segment", Level: MUST, Spec: "Channel Globbing", Rules: rules("R-SB-10"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				covers(t, "foo/*", []string{"foo/bar", "foo/x"}, []string{"foo", "foo/bar/boo", "foobar", "bar/foo", "fo/bar"})
			},
		},
		{
			ID: "BX-SB-29", Title: "/** covers one or more segments, and not the channel itself", Level: MUST, Spec: "Channel Globbing",
			Rules: rules("R-SB-10"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				covers(t, "foo/**", []string{"foo/bar", "foo/bar/boo", "foo/a/b/c/d"}, []string{"foo", "foobar", "foobar/x", "bar"})
			},
		},
		{
			ID: "BX-SB-30", Title: "several subscriptions that cover a channel bring its messages once", Level: COMETD, Rules: rules("R-PB-9"),
			Spec: "Delivery", Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a/b")
				c.Subscribe([]string{ch, t.Channel("a/*"), t.Channel("a/**"), t.Channel("**")}).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Receive(ch).Want("channel", ch)
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SB-31", Title: "an unsubscribe from one of several leaves the others", Level: COMETD, Rules: rules("R-PB-9", "R-SB-12"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a/b")
				c.Subscribe([]string{ch, t.Channel("a/*")}).Successful()
				c.Unsubscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Receive(ch)
				c.Unsubscribe(t.Channel("a/*")).Successful()
				t.Helper().Publish(ch, "y").Successful()
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SB-32", Title: "/** brings broadcasts, and no meta or service messages", Level: MUST, Spec: "Channel Globbing",
			Rules: rules("R-SB-7", "R-PB-12"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				if r := c.Subscribe("/**"); !r.OK() {
					t.Skipf("/** is refused: %s", r.Text("error"))
				}
				other := t.Helper()
				other.Publish("/service/bx/"+t.Random(8), "x")
				other.Connect(now())
				other.Publish(ch, "x").Successful()
				c.Receive(ch)
				for _, m := range c.Flush() {
					t.Check(!strings.HasPrefix(m.Channel(), "/meta/") && !strings.HasPrefix(m.Channel(), "/service/"),
						"%s came by /**", m.Raw)
				}
			},
		},
		{
			ID: "BX-SB-33", Title: "a name in braces is an ordinary segment", Level: COMETD, Rules: rules("R-SB-11"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				covers(t, "a/{v}", []string{"a/{v}"}, []string{"a/x", "a"})
			},
		},
	}
}

// covers subscribes to a pattern below the case's channel and checks what of
// it arrives, in the order of publishing.
func covers(t *T, pattern string, in, out []string) {
	c := t.Connected()
	c.Subscribe(t.Channel(pattern)).Successful()
	other := t.Helper()
	for _, name := range slices.Concat(out, in) {
		other.Publish(t.Channel(name), name).Successful()
	}
	for _, name := range in {
		m, ok := c.TryReceive(t.Channel(name), t.Patience())
		if t.Check(ok, "%s does not cover %s", pattern, name) {
			m.Want("data", name)
		}
	}
	for _, m := range c.Flush() {
		t.Failf("%s covers %s, or brings it twice", pattern, m.Channel())
	}
}

// subscribeSpelling is about channels that are written in several ways.
func subscribeSpelling() []Case {
	return []Case{
		{
			ID: "BX-SB-34", Title: "a trailing slash makes no other channel; reply and message keep their spelling", Level: COMETD,
			Rules: rules("R-MSG-12"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch+"/").Successful().Want("subscription", ch+"/")
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				c.Receive(ch).Want("data", 1)
				other.Publish(ch+"/", 2).Successful().Want("channel", ch+"/")
				c.Receive(ch+"/").Want("data", 2)
			},
		},
		{
			ID: "BX-SB-35", Title: "a trailing blank makes no other channel", Level: COMETD, Rules: rules("R-MSG-12"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch + " ").Successful()
				t.Helper().Publish(ch, 1).Successful()
				c.Receive(ch).Want("data", 1)
			},
		},
		{
			ID: "BX-SB-36", Title: "the allowed punctuation may stand in channels, and is told apart", Level: MUST, Spec: "channel", Rules: rules("R-MSG-8"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a-b_c!d~e(f)g$h@i")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(t.Channel("a-b_c!d~e(f)g$h@j"), "no").Successful()
				other.Publish(ch, "yes").Successful()
				c.Receive(ch).Want("data", "yes")
				c.Nothing(t.Channel("a-b_c!d~e(f)g$h@j"))
			},
		},
		{
			ID: "BX-SB-37", Title: "/meta and /service alone are ordinary channels, and case matters", Level: COMETD, Rules: rules("R-MSG-13"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				for _, ch := range []string{"/meta", "/service", "/META/connect"} {
					c.Subscribe(ch).Successful()
				}
			},
		},
	}
}

// subscribeLife is about when subscriptions begin and end.
func subscribeLife() []Case {
	return []Case{
		{
			ID: "BX-SB-38", Title: "a subscription is in force before its reply: a publish beside it comes back", Level: COMETD,
			Rules: rules("R-SB-14", "R-OUT-2", "R-DL-3"), Needs: needs(suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				a := c.Send(c.SubscribeMessage(ch), c.PublishMessage(ch, "x"))
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				t.Require(len(a.All) == 3, "%d messages came, want the message and two replies", len(a.All))
				a.All[0].Want("channel", ch).Want("data", "x")
				t.Check(a.All[1] == a.Replies[0] && a.All[2] == a.Replies[1], "the replies are not in the order of the request")
			},
		},
		{
			ID: "BX-SB-39", Title: "an unsubscribe is in force before its reply", Level: COMETD, Spec: "Unsubscribe Request", Rules: rules("R-SB-12"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				a := c.Send(c.UnsubscribeMessage(ch), c.PublishMessage(ch, "x"))
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				c.Nothing(ch)
				t.Check(len(a.Deliveries()) == 0, "the message came")
			},
		},
		{
			ID: "BX-SB-40", Title: "a subscription ends with its session: a new one on the same cookie or socket has none", Level: COMETD,
			Rules: rules("R-SB-15", "R-HS-9"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				c.Disconnect().Successful()
				c.Handshake().Successful()
				c.Connect(now()).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SB-41", Title: "subscriptions last over many connects", Level: COMETD, Rules: rules("R-SB-15"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i := range 4 {
					c.Connect(now()).Successful()
					other.Publish(ch, i).Successful()
					c.Receive(ch).Want("data", i)
				}
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SB-42", Title: "a service channel may be subscribed to and unsubscribed from, without effect", Level: COMETD, Rules: rules("R-SB-6"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), "/service/bx/"+t.Random(8)
				c.Subscribe(ch).Successful().Want("subscription", ch)
				t.Helper().Publish(ch, "x")
				c.Nothing(ch)
				// In one request: a sweeper takes the channel away, which has no subscriber.
				a := c.Send(c.SubscribeMessage(ch), c.UnsubscribeMessage(ch))
				a.Reply(0).Successful()
				a.Reply(1).Successful()
			},
		},
		{
			ID: "BX-SB-43", Title: "two subscribers both get a message, and one that unsubscribes gets no more", Level: MUST, Spec: "Broadcast Channels",
			Rules: rules("R-SB-10"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				one, two, ch := t.Connected(), t.Connected(), t.Channel("a")
				one.Subscribe(ch).Successful()
				two.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				one.Receive(ch).Want("data", 1)
				two.Receive(ch).Want("data", 1)
				one.Unsubscribe(ch).Successful()
				other.Publish(ch, 2).Successful()
				two.Receive(ch).Want("data", 2)
				one.Nothing(ch)
			},
		},
	}
}
