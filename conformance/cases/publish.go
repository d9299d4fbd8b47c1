package cases

import (
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func publish() []Case {
	return slices.Concat(publishReply(), publishFields(), publishRefused(), publishReach(), publishFixture(), publishServer())
}

// publishReply is about the reply to a publish that is granted.
func publishReply() []Case {
	return []Case{
		{
			ID: "BX-PB-01", Title: "the reply to a publish has successful", Level: MUST, Spec: "successful", Rules: rules("R-PB-1"),
			Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) { t.Session().Publish(t.Channel("a"), "x").Want("successful", true) },
		},
		{
			ID: "BX-PB-02", Title: "a publish is answered with its channel, its id and successful, and nothing else", Level: COMETD,
			Spec: "Publish Response", Rules: rules("R-PB-1", "R-MSG-4", "R-AD-5"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Send(c.PublishMessage(t.Channel("a"), M{"x": 1}, M{"id": "p1", "ext": M{"y": 2}}))
				a.Reply(0).Successful().Want("channel", t.Channel("a")).Want("id", "p1").Only("channel", "id", "successful")
				exactly(t, a)
			},
		},
		{
			ID: "BX-PB-03", Title: "a publish to a service channel where nobody listens is answered in the same way", Level: COMETD,
			Rules: rules("R-PB-1"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), "/service/bx/"+t.Random(8)
				a := c.Send(c.PublishMessage(ch, "x", M{"id": "p1"}))
				a.Reply(0).Successful().Want("channel", ch).Want("id", "p1").Only("channel", "id", "successful")
				exactly(t, a)
			},
		},
		{
			ID: "BX-PB-04", Title: "a session may publish before its first connect", Level: COMETD, Rules: rules("R-HS-16"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Session().Publish(ch, "x").Successful()
				c.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-PB-05", Title: "a publish that is no array is answered with an array", Level: MAY, Spec: "Messages", Rules: rules("R-MSG-1", "R-MSG-2"),
			Needs: needs(suite.NeedDelivery, suite.NeedBare), Also: suite.CometD,
			Run: func(t *T) {
				c := t.Connected()
				a := c.SendRaw(`{"channel":"` + t.Channel("a") + `","clientId":"` + c.ID + `","id":"p1","data":1}`)
				a.Reply(0).Successful().Want("id", "p1")
				t.Check(!a.Bare, "the answer is no array")
			},
		},
	}
}

// publishRefused is about publishes that fail.
func publishRefused() []Case {
	return []Case{
		{
			ID: "BX-PB-22", Title: "a publish to a meta channel that does not exist fails", Level: MUST, Spec: "Meta Channels", Rules: rules("R-PB-3"),
			On:  Every | H2,
			Run: func(t *T) { t.Session().Publish("/meta/foo", "x").Failed() },
		},
		{
			ID: "BX-PB-23", Title: "a publish to a meta channel that does not exist is denied to create it, for that message alone", Level: COMETD,
			Rules: rules("R-PB-3", "R-MSG-4"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				for _, ch := range []string{"/meta/foo", "/meta/connect/foo", "/meta/Connect"} {
					a := c.Send(c.PublishMessage(ch, "x", M{"id": "p1"}), c.PublishMessage(t.Channel("a"), "y"))
					a.Reply(0).Failed("403:denied_by_security_policy:channel_create_denied").Want("channel", ch).Want("id", "p1").
						Only("channel", "id", "successful", "error")
					a.Reply(1).Successful()
					exactly(t, a)
				}
			},
		},
		{
			ID: "BX-PB-24", Title: "a publish of no session, or of an unknown one, is 402::session_unknown, without advice, and not delivered",
			Level: COMETD, Rules: rules("R-ID-2", "R-ERR-1", "R-ERR-2"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Client()
				for _, id := range []any{Absent, "nobody", nil, ""} {
					other.Publish(ch, "x", M{"clientId": id, "id": "p1"}).Failed("402").Want("channel", ch).Want("id", "p1").
						Only("channel", "id", "successful", "error")
				}
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-PB-25", Title: "a publish that may not create its channel is denied with channel_create_denied", Level: COMETD,
			Rules: rules("R-PB-2", "R-SP-1", "R-SP-4"), Needs: needs(suite.NeedDenied),
			Run: func(t *T) { refusals(t, "create", "channel_create_denied") },
		},
		{
			ID: "BX-PB-26", Title: "a denied publish has the reason, and nothing is delivered", Level: COMETD,
			Rules: rules("R-PB-2", "R-SP-1", "R-SP-3"), Needs: needs(suite.NeedDenied, suite.NeedDelivery),
			Run: func(t *T) { refusals(t, "publish", "publish_denied") },
		},
		{
			ID: "BX-PB-27", Title: "a message that a listener vetoes is 404::message_deleted and not delivered", Level: COMETD,
			Rules: rules("R-PB-4"), Needs: needs(suite.NeedVeto, suite.NeedDelivery),
			Run: func(t *T) { deleted(t, t.Fixture().Veto) },
		},
	}
}

// refusals publishes to each channel that the fixture denies for an operation.
func refusals(t *T, operation, what string) {
	c, tag := t.Connected(), t.Random(12)
	other := t.Helper()
	seen := 0
	for _, d := range t.Fixture().Denied {
		if d.Operation != operation {
			continue
		}
		seen++
		c.Subscribe(d.Channel) // refused as well where the channel cannot be
		other.Publish(d.Channel, tag, M{"id": "p1"}).Failed(denial(d, what)).Want("channel", d.Channel).Want("id", "p1").
			Only("channel", "id", "successful", "error")
	}
	if seen == 0 {
		t.Skipf("the fixture denies no %s", operation)
	}
	for _, m := range tagged(c.Flush(), tag) {
		t.Failf("a refused message came: %s", m.Raw)
	}
}

// deleted publishes to a channel whose messages are deleted, between others.
func deleted(t *T, channel string) {
	c, tag, other := t.Connected(), t.Random(12), t.Channel("a")
	c.Subscribe([]string{channel, other}).Successful()
	helper := t.Helper()
	a := helper.Send(helper.PublishMessage(other, 1), helper.PublishMessage(channel, tag, M{"id": "p1"}), helper.PublishMessage(other, 2))
	a.Reply(0).Successful()
	a.Reply(1).Failed("404::message_deleted").Want("channel", channel).Want("id", "p1").Only("channel", "id", "successful", "error")
	a.Reply(2).Successful()
	told(t, c.ReceiveAll(other, 2), 1, 2)
	t.Check(len(tagged(c.Flush(), tag)) == 0, "the deleted message came")
}

// publishReach is about who gets a message.
func publishReach() []Case {
	return []Case{
		{
			ID: "BX-PB-28", Title: "a message reaches each of six subscribers once", Level: MUST, Spec: "Delivery", Rules: rules("R-PB-9"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				ch := t.Channel("a/b")
				subscribers := make([]*suite.Client, 0, 6)
				for i := range cap(subscribers) {
					c := t.Connected()
					c.Subscribe([]string{ch, t.Channel("a/*"), t.Channel("a/**"), t.Channel("**")}[:1+i%4]).Successful()
					subscribers = append(subscribers, c)
				}
				t.Helper().Publish(ch, "x").Successful()
				for _, c := range subscribers {
					c.Receive(ch).Want("data", "x")
					c.Nothing(ch)
				}
			},
		},
		{
			ID: "BX-PB-29", Title: "a publisher that is subscribed gets its own message, once", Level: COMETD, Spec: "Delivery", Rules: rules("R-PB-11"),
			Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe([]string{ch, t.Channel("*")}).Successful()
				c.Publish(ch, "x").Successful()
				c.Receive(ch).Want("data", "x")
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-PB-30", Title: "a publisher that is not subscribed gets no message", Level: COMETD, Rules: rules("R-PB-1"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(t.Channel("b")).Successful()
				c.Publish(ch, "x").Successful()
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-PB-31", Title: "a message may be published to a pattern: it reaches the subscribers of that pattern and of those that cover it",
			Level: COMETD, Rules: rules("R-PB-8"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				ch := t.Channel("f/*")
				same, covering, below, deep := t.Connected(), t.Connected(), t.Connected(), t.Connected()
				same.Subscribe(ch).Successful()
				covering.Subscribe(t.Channel("**")).Successful()
				below.Subscribe(t.Channel("f/x")).Successful()
				deep.Subscribe(t.Channel("f/x/**")).Successful()
				t.Helper().Publish(ch, "x").Successful().Want("channel", ch)
				same.Receive(ch).Want("data", "x")
				covering.Receive(ch).Want("data", "x")
				same.Nothing(ch)
				below.Nothing(ch)
				deep.Nothing(ch)
			},
		},
		{
			ID: "BX-PB-32", Title: "/meta, /service and names in capitals are channels to publish to like others", Level: COMETD,
			Rules: rules("R-MSG-13"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, tag := t.Connected(), t.Random(12)
				other := t.Helper()
				for _, ch := range []string{"/meta", "/service", "/META/connect", "/Service/bx", "/metabx", "/servicebx"} {
					c.Subscribe(ch).Successful()
					other.Publish(ch, tag).Successful()
					receiveTagged(c, ch, tag).Want("channel", ch)
				}
			},
		},
	}
}

// publishFixture is about channels that the server was set up with.
func publishFixture() []Case {
	return []Case{
		{
			ID: "BX-PB-33", Title: "where publishers get no echo, the other subscribers get the message and the publisher does not", Level: COMETD,
			Rules: rules("R-PB-11"), Needs: needs(suite.NeedNoEcho, suite.NeedDelivery),
			Run: func(t *T) {
				c, two, ch, tag := t.Connected(), t.Connected(), t.Fixture().NoEcho, t.Random(12)
				c.Subscribe(ch).Successful()
				two.Subscribe(ch).Successful()
				c.Publish(ch, tag).Successful()
				receiveTagged(two, ch, tag)
				t.Check(len(tagged(c.Flush(), tag)) == 0, "the publisher got its own message")
				two.Publish(ch, tag+"2").Successful()
				receiveTagged(c, ch, tag+"2")
			},
		},
		{
			ID: "BX-PB-34", Title: "channels whose authorizers grant are open beside those that are refused", Level: COMETD, Rules: rules("R-SP-3"),
			Needs: needs(suite.NeedGranted, suite.NeedDelivery),
			Run: func(t *T) {
				c, tag := t.Connected(), t.Random(12)
				other := t.Helper()
				for _, ch := range t.Fixture().Granted {
					c.Subscribe(ch).Successful()
					other.Publish(ch, tag).Successful()
					receiveTagged(c, ch, tag)
				}
			},
		},
		{
			ID: "BX-PB-35", Title: "a message that an extension deletes is 404::message_deleted and not delivered", Level: COMETD,
			Rules: rules("R-SV-4"), Needs: needs(suite.NeedExtension, suite.NeedDelivery),
			Run: func(t *T) { deleted(t, needName(t, t.Fixture().Extension.Delete, "extension.delete")) },
		},
		{
			ID: "BX-PB-36", Title: "a message that an extension answers has the extension's reply, and is not delivered", Level: COMETD,
			Rules: rules("R-SV-4"), Needs: needs(suite.NeedExtension, suite.NeedDelivery),
			Run: func(t *T) {
				ch, tag := needName(t, t.Fixture().Extension.Answer, "extension.answer"), t.Random(12)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				c.Publish(ch, tag, M{"id": "p1"}).Successful().Want("channel", ch).Want("id", "p1").Has("ext")
				t.Check(len(tagged(c.Flush(), tag)) == 0, "the message came")
			},
		},
		{
			ID: "BX-PB-37", Title: "a reply that an extension deletes does not come; the message and the other replies do", Level: COMETD,
			Rules: rules("R-MSG-3", "R-SV-4"), Needs: needs(suite.NeedExtension, suite.NeedDelivery),
			Run: func(t *T) {
				ch, tag := needName(t, t.Fixture().Extension.NoReply, "extension.noReply"), t.Random(12)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				other := t.Connected()
				p := other.Start(other.PublishMessage(t.Channel("a"), 1), other.PublishMessage(ch, tag), other.PublishMessage(t.Channel("a"), 2))
				a := p.WaitFor(t.Prompt())
				a.Reply(0).Successful()
				a.Reply(2).Successful()
				t.Check(a.Replies[1] == nil, "a reply came where the extension deletes it")
				receiveTagged(c, ch, tag)
				other.Publish(t.Channel("a"), 3).Successful()
			},
		},
	}
}

// needName skips the case if the fixture leaves a name out.
func needName(t *T, name, what string) string {
	if name == "" {
		t.Skipf("the fixture has no %s", what)
	}
	return name
}

// publishServer is about messages of the server itself.
func publishServer() []Case {
	return []Case{
		{
			ID: "BX-PB-38", Title: "what the server publishes reaches all subscribers with channel and data alone", Level: COMETD, Rules: rules("R-PB-7"),
			Needs: needs(suite.NeedBroadcast, suite.NeedDelivery),
			Run: func(t *T) {
				c, two, ch := t.Connected(), t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				two.Subscribe(t.Channel("*")).Successful()
				t.Helper().Publish(t.Fixture().Broadcast, M{"channel": ch, "data": M{"x": 1}}).Successful()
				for _, s := range []*suite.Client{c, two} {
					s.Receive(ch).Want("data", M{"x": 1}).Only("channel", "data")
					s.Nothing(ch)
				}
			},
		},
		{
			ID: "BX-PB-39", Title: "what the server delivers to a session needs no subscription, and reaches nobody else", Level: COMETD,
			Rules: rules("R-PB-7", "R-SB-6"), Needs: needs(suite.NeedPush, suite.NeedDelivery),
			Run: func(t *T) {
				c, two := t.Connected(), t.Connected()
				other := t.Helper()
				for _, ch := range []string{t.Channel("a"), "/service/bx/" + t.Random(8)} {
					two.Subscribe(ch).Successful()
					other.Publish(t.Fixture().Push, M{"channel": ch, "data": "x", "session": c.ID}).Successful()
					c.Receive(ch).Want("data", "x").Only("channel", "data")
					two.Nothing(ch)
				}
			},
		},
		{
			ID: "BX-PB-40", Title: "many messages that the server delivers keep their order", Level: COMETD, Rules: rules("R-PB-14"),
			Needs: needs(suite.NeedPush, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				t.Helper().Publish(t.Fixture().Push, M{"channel": ch, "count": 30, "session": c.ID}).Successful()
				told(t, c.ReceiveAll(ch, 30), upTo(31)[1:]...)
				c.Nothing(ch)
			},
		},
	}
}
