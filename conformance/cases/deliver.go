package cases

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/halleypush/halley/conformance/suite"
)

func deliver() []Case {
	return slices.Concat(deliverOwn(), deliverWhen(), deliverOrder(), deliverConnectOnly(), deliverLazy(), deliverQueue())
}

// deliverOwn is about messages that a session publishes to itself.
func deliverOwn() []Case {
	return []Case{
		{
			ID: "BX-DL-01", Title: "an own message comes in the answer to its publish, before the reply", Level: COMETD, Spec: "Delivery",
			Rules: rules("R-DL-3", "R-OUT-2", "R-WS-10"), Needs: needs(suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				a := c.Send(c.PublishMessage(ch, "x"))
				a.Reply(0).Successful()
				exactly(t, a, "x")
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-02", Title: "an own message leaves the held connect alone", Level: COMETD, Spec: "Delivery", Rules: rules("R-DL-2", "R-DL-3"),
			Needs: needs(suite.NeedDelivery, suite.NeedHold), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				a := c.Send(c.PublishMessage(ch, "x"), c.PublishMessage(ch, "y"))
				a.Reply(1).Successful()
				exactly(t, a, "x", "y")
				held.StaysHeld(t.Hold() / 4)
				end := held.Wait().HeldFor(t.Hold())
				end.Reply(0).Successful()
				t.Check(len(c.Inbox()) == 2, "the messages came again with the connect, or not at all")
			},
		},
		{
			ID: "BX-DL-03", Title: "over callback-polling an own message comes with a connect, not with the answer to its publish", Level: COMETD,
			Rules: rules("R-JP-5", "R-DL-4"), Needs: needs(suite.NeedDelivery), On: CP,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				a := c.Send(c.PublishMessage(ch, "x"))
				a.Reply(0).Successful()
				exactly(t, a)
				exactly(t, c.Hold(now()).Wait().AtOnce(), "x")
			},
		},
		{
			ID: "BX-DL-04", Title: "over callback-polling an own message ends the held connect", Level: COMETD, Rules: rules("R-JP-5", "R-DL-4"),
			Needs: needs(suite.NeedDelivery, suite.NeedHold), On: CP,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Publish(ch, "x").Successful()
				exactly(t, held.WaitFor(t.Hold()/2), "x")
			},
		},
		{
			ID: "BX-DL-05", Title: "own messages and foreign ones that wait come together, the older first, and then the replies", Level: COMETD,
			Rules: rules("R-OUT-2", "R-DL-1"), Needs: needs(suite.NeedDelivery), On: LP | H2,
			Run: func(t *T) {
				c, a, b := t.Connected(), t.Channel("a"), t.Channel("b")
				c.Subscribe([]string{a, b}).Successful()
				other := t.Helper()
				other.Publish(a, "first").Successful()
				other.Publish(b, "second").Successful()
				exactly(t, c.Send(c.UnsubscribeMessage(t.Channel("none")), c.PublishMessage(b, "third"), c.PublishMessage(a, "fourth")),
					"first", "second", "third", "fourth")
			},
		},
	}
}

// deliverWhen is about which answers carry messages.
func deliverWhen() []Case {
	return []Case{
		{
			ID: "BX-DL-06", Title: "messages that wait come with the answer to any message of the session, before the replies", Level: SHOULD,
			Spec: "Delivery", Rules: rules("R-DL-1", "R-OUT-2"), Needs: needs(suite.NeedDelivery), On: LP | H2, Also: suite.CometD,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i, m := range []M{
					c.SubscribeMessage(t.Channel("b")), c.UnsubscribeMessage(t.Channel("b")), c.PublishMessage(t.Channel("c"), "x"),
					c.PublishMessage("/service/bx/"+t.Random(8), "x"), c.SubscribeMessage(5), c.ConnectMessage(now()),
				} {
					other.Publish(ch, i).Successful()
					exactly(t, c.Send(m), i)
				}
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-07", Title: "over callback-polling messages that wait come with connects only", Level: COMETD, Rules: rules("R-JP-5", "R-DL-4"),
			Needs: needs(suite.NeedDelivery), On: CP,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				exactly(t, c.Send(c.SubscribeMessage(t.Channel("b"))))
				exactly(t, c.Send(c.PublishMessage(t.Channel("c"), "x")))
				exactly(t, c.Send(c.UnsubscribeMessage(t.Channel("b"))))
				exactly(t, c.Hold().Wait().AtOnce(), "x")
			},
		},
		{
			ID: "BX-DL-08", Title: "what came with one answer does not come again with the next connect", Level: COMETD, Spec: "Delivery",
			Rules: rules("R-DL-1"), Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i := range 4 {
					other.Publish(ch, i).Successful()
					exactly(t, c.Hold(now()).Wait(), i)
					exactly(t, c.Hold(now()).Wait())
				}
			},
		},
		{
			ID: "BX-DL-09", Title: "the first connect brings what came since the handshake", Level: COMETD, Rules: rules("R-DL-1", "R-HS-17"),
			Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Session(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				other.Publish(ch, 2).Successful()
				a := c.Hold().Wait()
				a.Reply(0).Successful()
				exactly(t, a, 1, 2)
			},
		},
		{
			ID: "BX-DL-10", Title: "messages that come between connects, and while one is held, all arrive once and in order", Level: COMETD,
			Rules: rules("R-DL-1", "R-CN-11", "R-PB-14"), Needs: needs(suite.NeedDelivery, suite.NeedHold), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				got := make([]*suite.Message, 0, 16)
				for i := range 8 {
					held := c.Hold(M{"advice": M{"timeout": 400}})
					other.Publish(ch, 2*i).Successful()
					held.Wait().Reply(0).Successful()
					other.Publish(ch, 2*i+1).Successful()
					got = append(got, c.Inbox()...)
				}
				got = append(got, c.ReceiveAll(ch, 16-len(got))...)
				told(t, got, upTo(16)...)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-11", Title: "on a WebSocket a message is pushed when no connect is outstanding", Level: COMETD, Rules: rules("R-WS-12"),
			Needs: needs(suite.NeedDelivery), On: WS,
			Run: func(t *T) {
				c, ch := t.Session(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				deadline := time.Now().Add(t.Patience())
				var got []*suite.Message
				for len(got) == 0 && time.Now().Before(deadline) {
					t.Sleep(t.Prompt() / 50)
					got = c.Inbox()
				}
				told(t, got, "x")
			},
		},
		{
			ID: "BX-DL-12", Title: "two sessions of one browser each get their own messages", Level: COMETD, Rules: rules("R-DL-1", "R-ID-3"),
			Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				one, two := t.Connected(), t.Client()
				two.ShareCookies(one)
				two.Handshake().Successful()
				two.Connect(now()).Successful()
				one.Subscribe(t.Channel("one")).Successful()
				two.Subscribe(t.Channel("two")).Successful()
				other := t.Helper()
				other.Publish(t.Channel("two"), "two").Successful()
				other.Publish(t.Channel("one"), "one").Successful()
				exactly(t, one.Hold(now()).Wait(), "one")
				exactly(t, two.Hold(now()).Wait(), "two")
			},
		},
		{
			ID: "BX-DL-13", Title: "an answer is an array in brackets, in UTF-8, whatever it carries", Level: COMETD, Rules: rules("R-OUT-1"),
			Needs: needs(suite.NeedDelivery), On: LP | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "é😀\u2028").Successful()
				a := c.Hold(now()).Wait()
				exactly(t, a, "é😀\u2028")
				body := a.HTTP.Body
				t.Check(len(body) > 1 && body[0] == '[' && body[len(body)-1] == ']' && utf8.Valid(body), "the body is %q", body)
			},
		},
	}
}

// deliverOrder is about the order of messages.
func deliverOrder() []Case {
	return []Case{
		{
			ID: "BX-DL-14", Title: "messages that one session publishes one by one arrive in their order, each once", Level: COMETD,
			Rules: rules("R-PB-14"), Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i := range 12 {
					other.Publish(ch, i).Successful()
				}
				told(t, c.ReceiveAll(ch, 12), upTo(12)...)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-15", Title: "forty messages of one array arrive in their order, each once", Level: COMETD, Rules: rules("R-PB-14", "R-CN-10"),
			Needs: needs(suite.NeedDelivery, suite.NeedHold), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				c.Hold()
				other := t.Helper()
				other.Send(numbered(other, ch, 40)...).Reply(39).Successful()
				told(t, c.ReceiveAll(ch, 40), upTo(40)...)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-16", Title: "a burst ends the held connect at once: some come before its reply, the rest with the next", Level: COMETD,
			Rules: rules("R-CN-9", "R-CN-10", "R-CN-11"), Needs: needs(suite.NeedDelivery, suite.NeedHold), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				other := t.Helper()
				other.Send(numbered(other, ch, 20)...).Reply(19).Successful()
				a := held.WaitFor(t.Hold() / 2)
				a.Reply(0).Successful()
				n := len(a.Deliveries())
				t.Require(n > 0 && n <= 20, "%d messages came with the held connect, want 1 to 20", n)
				exactly(t, a, upTo(n)...)
				if n < 20 {
					exactly(t, c.Hold().Wait().AtOnce(), upTo(20)[n:]...)
				}
				exactly(t, c.Hold(now()).Wait())
			},
		},
		{
			ID: "BX-DL-17", Title: "messages of one session on several channels and patterns arrive in the order of publishing", Level: COMETD,
			Rules: rules("R-PB-14", "R-PB-10"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				names := []string{t.Channel("a"), t.Channel("b/c"), t.Channel("b/d"), t.Channel("e/f/g")}
				c.Subscribe([]string{names[0], t.Channel("b/*"), t.Channel("e/**"), t.Channel("end")}).Successful()
				other := t.Helper()
				all := make([]M, 0, 25)
				for i := range 24 {
					all = append(all, other.PublishMessage(names[(i*3)%4], i))
				}
				other.Send(append(all, other.PublishMessage(t.Channel("end"), "end"))...).Reply(24).Successful()
				told(t, until(c, t.Channel("end")), upTo(24)...)
			},
		},
		{
			ID: "BX-DL-18", Title: "of two sessions that publish at the same time the messages of each arrive in their order, each once", Level: COMETD,
			Rules: rules("R-PB-14"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, a, b := t.Connected(), t.Channel("a"), t.Channel("b")
				c.Subscribe([]string{a, b}).Successful()
				one, two := t.Helper(), t.Helper()
				first, second := one.Start(numbered(one, a, 25)...), two.Start(numbered(two, b, 25)...)
				first.Wait().Reply(24).Successful()
				second.Wait().Reply(24).Successful()
				told(t, c.ReceiveAll(a, 25), upTo(25)...)
				told(t, c.ReceiveAll(b, 25), upTo(25)...)
				noMore(c, a, b)
			},
		},
		{
			ID: "BX-DL-19", Title: "two hundred messages that waited come with one connect, in order", Level: COMETD, Rules: rules("R-CN-11", "R-DL-1"),
			Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Send(numbered(other, ch, 200)...).Reply(199).Successful()
				exactly(t, c.Hold().Wait().AtOnce(), upTo(200)...)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-20", Title: "two subscribers see the messages of one session in the same order", Level: COMETD, Rules: rules("R-PB-14"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				one, two, ch := t.Connected(), t.Connected(), t.Channel("a")
				one.Subscribe(ch).Successful()
				two.Subscribe(t.Channel("*")).Successful()
				one.Hold()
				other := t.Helper()
				for i := range 3 {
					p := numbered(other, ch, 5*i+5)[5*i:]
					other.Send(p...).Reply(4).Successful()
				}
				told(t, one.ReceiveAll(ch, 15), upTo(15)...)
				told(t, two.ReceiveAll(ch, 15), upTo(15)...)
			},
		},
	}
}
