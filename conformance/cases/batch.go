package cases

import (
	"fmt"
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func batch() []Case { return slices.Concat(batchReplies(), batchOrder(), batchSessions(), batchSide()) }

// batchReplies is about the replies to an array of messages.
func batchReplies() []Case {
	return []Case{
		{
			ID: "BX-BT-01", Title: "each publish of an array has its own reply, in the order of the request", Level: COMETD,
			Rules: rules("R-MSG-3", "R-PB-1"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Send(c.PublishMessage(t.Channel("a"), 1, M{"id": "one"}), c.PublishMessage(t.Channel("b"), 2, M{"id": "two"}),
					c.PublishMessage(t.Channel("a"), 3, M{"id": "three"}))
				for i, id := range []string{"one", "two", "three"} {
					a.Reply(i).Successful().Want("id", id)
				}
				exactly(t, a)
			},
		},
		{
			ID: "BX-BT-02", Title: "fifteen messages of all kinds have fifteen replies, in the order of the request", Level: COMETD,
			Rules: rules("R-MSG-3"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				all := make([]M, 0, 15)
				for i := range 3 {
					ch := t.Channel(fmt.Sprint("a", i))
					all = append(all, c.SubscribeMessage(ch), c.PublishMessage(t.Channel("b"), i), c.UnsubscribeMessage(ch),
						c.PublishMessage("/service/bx/"+t.Random(6), i), c.SubscribeMessage([]string{ch, ch + "/*"}))
				}
				a := c.Send(all...)
				for i, m := range all {
					a.Reply(i).Successful().Want("id", m["id"]).Want("channel", m["channel"])
				}
				exactly(t, a)
			},
		},
		{
			ID: "BX-BT-03", Title: "two hundred publishes of one array have two hundred replies and arrive in order", Level: COMETD,
			Rules: rules("R-MSG-3", "R-PB-14"), Needs: needs(suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Connected()
				a := other.Send(numbered(other, ch, 200)...)
				a.Reply(199).Successful()
				exactly(t, a)
				told(t, c.ReceiveAll(ch, 200), upTo(200)...)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-BT-04", Title: "messages that fail have their replies in their places, and the others are done", Level: COMETD,
			Rules: rules("R-MSG-3", "R-MSG-6", "R-MSG-8"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Connected()
				a := other.Send(other.PublishMessage(ch, 1), other.PublishMessage("/bad?", 2), other.PublishMessage(ch, 3),
					other.PublishMessage(ch, 4, M{"id": "a-b"}), other.SubscribeMessage(5), other.PublishMessage("/meta/none", 5),
					other.PublishMessage(ch, 6))
				for i, want := range []string{"", "405::channel_invalid", "", "405::message_id_invalid", "403::subscription_invalid", "403:", ""} {
					if want == "" {
						a.Reply(i).Successful()
					} else {
						a.Reply(i).Failed(want)
					}
				}
				exactly(t, a)
				told(t, c.ReceiveAll(ch, 3), 1, 3, 6)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-BT-05", Title: "messages of the same id have a reply each", Level: COMETD, Rules: rules("R-MSG-3", "R-MSG-5"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				id := M{"id": "same"}
				a := c.Send(c.PublishMessage(t.Channel("a"), 1, id), c.SubscribeMessage(t.Channel("a"), id), c.PublishMessage(t.Channel("b"), 2, id),
					c.PublishMessage(t.Channel("c"), 3, id))
				for i := range 4 {
					a.Reply(i).Successful().Want("id", "same")
				}
				exactly(t, a)
			},
		},
		{
			ID: "BX-BT-06", Title: "messages without an id have replies without one", Level: COMETD, Rules: rules("R-MSG-3", "R-MSG-4"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				none := M{"id": Absent}
				a := c.Send(c.PublishMessage(t.Channel("a"), 1, none), c.SubscribeMessage(t.Channel("b"), none), c.PublishMessage(t.Channel("c"), 2, none))
				for i := range 3 {
					a.Reply(i).Successful().Lacks("id")
				}
				exactly(t, a)
			},
		},
		{
			ID: "BX-BT-07", Title: "on a WebSocket the replies to an array come in one frame, and messages in frames before it", Level: COMETD,
			Rules: rules("R-WS-10"), Needs: needs(suite.NeedDelivery), On: WS,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				a := c.Send(numbered(c, ch, 3)...)
				exactly(t, a, 0, 1, 2)
				t.Require(len(a.All) == 6, "%d messages came", len(a.All))
				for i := 1; i < 6; i++ {
					want := min(i, 3)
					got := a.All[i].Unit - a.All[0].Unit
					t.Check(got == want, "message %d came %d frames after the first, want %d", i, got, want)
				}
			},
		},
	}
}

// batchOrder is about the order in which messages of an array are done.
func batchOrder() []Case {
	return []Case{
		{
			ID: "BX-BT-08", Title: "the messages of an array are done one after the other: each subscribe and unsubscribe counts for what follows",
			Level: COMETD, Rules: rules("R-PB-14", "R-SB-14", "R-OUT-2"), Needs: needs(suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, a, b := t.Connected(), t.Channel("a"), t.Channel("b")
				answer := c.Send(c.PublishMessage(a, 0), c.SubscribeMessage(a), c.PublishMessage(a, 1), c.UnsubscribeMessage(a), c.PublishMessage(a, 2),
					c.SubscribeMessage(b), c.PublishMessage(b, 3), c.PublishMessage(a, 4))
				exactly(t, answer, 1, 3)
				noMore(c, a, b)
			},
		},
		{
			ID: "BX-BT-09", Title: "a publish before the subscribe of its own array does not come", Level: COMETD, Rules: rules("R-PB-14", "R-SB-14"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				a := c.Send(c.PublishMessage(ch, "x"), c.SubscribeMessage(ch))
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				t.Check(len(a.Deliveries()) == 0, "the message came")
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-BT-10", Title: "the messages of an array come before all of its replies, whatever the array mixes", Level: COMETD,
			Rules: rules("R-OUT-2", "R-DL-2"), Needs: needs(suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, a, b := t.Connected(), t.Channel("a"), t.Channel("b")
				c.Subscribe([]string{a, t.Channel("**")}).Successful()
				answer := c.Send(c.PublishMessage(a, 1), c.SubscribeMessage(b), c.PublishMessage(b, 2), c.SubscribeMessage(5), c.PublishMessage(a, 3),
					c.UnsubscribeMessage(b), c.PublishMessage(b, 4))
				exactly(t, answer, 1, 2, 3, 4)
				noMore(c, a, b)
			},
		},
		{
			ID: "BX-BT-11", Title: "a connect in an array has its reply in its place, and what waits comes before all replies", Level: COMETD,
			Rules: rules("R-CN-12", "R-OUT-2"), Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, 1).Successful()
				a := c.Start(c.PublishMessage(ch, 2), c.ConnectMessage(), c.PublishMessage(ch, 3)).Wait().AtOnce()
				a.Reply(1).Successful().Want("channel", "/meta/connect")
				exactly(t, a, 1, 2, 3)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-BT-12", Title: "an array of own messages leaves the held connect alone, however many they are", Level: COMETD,
			Rules: rules("R-DL-2", "R-CN-19"), Needs: needs(suite.NeedDelivery, suite.NeedHold), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				exactly(t, c.Send(numbered(c, ch, 50)...), upTo(50)...)
				held.StaysHeld(t.Hold() / 4)
				held.Wait().HeldFor(t.Hold()).Reply(0).Successful()
				t.Check(len(c.Inbox()) == 50, "the messages came again, or not all")
			},
		},
	}
}

// batchSessions is about arrays whose messages are of several sessions.
func batchSessions() []Case {
	return []Case{
		{
			ID: "BX-BT-13", Title: "an array is of the session of its first message: those of another one are 402, also of a live one", Level: COMETD,
			Rules: rules("R-ID-1", "R-ERR-1"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				one, two, watcher, ch := t.Connected(), t.Client(), t.Connected(), t.Channel("a")
				two.ShareCookies(one)
				two.Handshake().Successful()
				watcher.Subscribe(ch).Successful()
				a := one.Send(one.PublishMessage(ch, 1), one.PublishMessage(ch, 2, M{"clientId": two.ID}), one.SubscribeMessage(ch, M{"clientId": two.ID}),
					one.PublishMessage(ch, 3), one.ConnectMessage(now(), M{"clientId": two.ID}))
				a.Reply(0).Successful()
				a.Reply(1).Failed("402").Lacks("advice")
				a.Reply(2).Failed("402").Lacks("advice")
				a.Reply(3).Successful()
				a.Reply(4).Failed("402").Advice("handshake")
				exactly(t, a)
				told(t, watcher.ReceiveAll(ch, 2), 1, 3)
				noMore(watcher, ch)
				two.Publish(ch, 4).Successful()
			},
		},
		{
			ID: "BX-BT-14", Title: "messages of an array that name no session are 402, the others are done", Level: COMETD, Rules: rules("R-ID-1", "R-ID-2"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, watcher, ch := t.Connected(), t.Connected(), t.Channel("a")
				watcher.Subscribe(ch).Successful()
				a := c.Send(c.PublishMessage(ch, 1), c.PublishMessage(ch, 2, M{"clientId": Absent}), c.PublishMessage(ch, 3, M{"clientId": "nobody"}),
					c.PublishMessage(ch, 4))
				a.Reply(0).Successful()
				a.Reply(1).Failed("402")
				a.Reply(2).Failed("402")
				a.Reply(3).Successful()
				exactly(t, a)
				told(t, watcher.ReceiveAll(ch, 2), 1, 4)
				noMore(watcher, ch)
			},
		},
		{
			ID: "BX-BT-15", Title: "over HTTP an array whose first message is of no session fails as a whole, message by message", Level: COMETD,
			Rules: rules("R-ID-1"), Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, watcher, ch := t.Connected(), t.Connected(), t.Channel("a")
				watcher.Subscribe(ch).Successful()
				for _, id := range []any{"nobody", Absent} {
					a := c.Send(c.PublishMessage(ch, 1, M{"clientId": id}), c.PublishMessage(ch, 2), c.SubscribeMessage(ch))
					for i := range 3 {
						a.Reply(i).Failed("402").Lacks("advice")
					}
					exactly(t, a)
				}
				watcher.Nothing(ch)
				c.Publish(ch, 3).Successful()
			},
		},
	}
}

// batchSide is about requests side by side.
func batchSide() []Case {
	return []Case{
		{
			ID: "BX-BT-16", Title: "requests of one session at the same time each have their own replies", Level: COMETD, Rules: rules("R-MSG-3", "R-WS-7"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				all := make([]*suite.Pending, 0, 10)
				for i := range cap(all) {
					all = append(all, c.Start(c.PublishMessage(t.Channel("a"), i), c.SubscribeMessage(t.Channel(fmt.Sprint("b", i)))))
				}
				for i, p := range all {
					a := p.Wait()
					a.Reply(0).Successful()
					a.Reply(1).Successful().Want("subscription", t.Channel(fmt.Sprint("b", i)))
					if t.On() != WS {
						exactly(t, a)
					}
				}
			},
		},
		{
			ID: "BX-BT-17", Title: "on a WebSocket frames are done one after the other, and answered in their order", Level: COMETD, Rules: rules("R-WS-7"),
			Needs: needs(suite.NeedDelivery), On: WS,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				all := make([]*suite.Pending, 0, 12)
				for i := range cap(all) {
					all = append(all, c.Start(c.PublishMessage(ch, i)))
				}
				last := 0
				for i, p := range all {
					r := p.Wait().Reply(0).Successful()
					t.Check(r.Unit > last, "the reply to frame %d came before that to the one before", i)
					last = r.Unit
				}
				told(t, c.Inbox(), upTo(12)...)
			},
		},
		{
			ID: "BX-BT-18", Title: "messages of two sessions' arrays that arrive at the same time are all delivered, each array in its order", Level: COMETD,
			Rules: rules("R-PB-14"), Needs: needs(suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, one, two := t.Connected(), t.Connected(), t.Connected()
				a, b := t.Channel("a"), t.Channel("b")
				c.Subscribe(t.Channel("*")).Successful()
				first, second := one.Start(numbered(one, a, 60)...), two.Start(numbered(two, b, 60)...)
				first.Wait().Reply(59).Successful()
				second.Wait().Reply(59).Successful()
				told(t, c.ReceiveAll(a, 60), upTo(60)...)
				told(t, c.ReceiveAll(b, 60), upTo(60)...)
				c.Nothing(a, b)
			},
		},
	}
}
