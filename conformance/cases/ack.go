package cases

import (
	"fmt"
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func ack() []Case { return slices.Concat(ackTerms(), ackNumbers(), ackAgain(), ackOnly()) }

// asking is the ext of a handshake that asks for acknowledgements.
func asking() M { return M{"ext": M{"ack": true}} }

// got acknowledges batch n in a connect.
func got(n any) M { return M{"ext": M{"ack": n}} }

// acking returns a session with acknowledgements that has had its first
// connect, of batch 1.
func acking(t *T) *suite.Client {
	c := t.Session(asking())
	c.Connect(now(), got(0)).Successful().Want("ext.ack", 1)
	return c
}

// ackTerms is about how the extension is asked for.
func ackTerms() []Case {
	return []Case{
		{
			ID: "BX-AK-01", Title: "a handshake that asks for acknowledgements is told that it has them", Level: COMETD, Rules: rules("R-ACK-1"),
			Needs: needs(suite.NeedAck), On: Every | H2,
			Run: func(t *T) { t.Client().Handshake(asking()).Successful().Want("ext.ack", true) },
		},
		{
			ID: "BX-AK-02", Title: "only true asks for acknowledgements", Level: COMETD, Rules: rules("R-ACK-1"), Needs: needs(suite.NeedAck),
			Run: func(t *T) {
				for _, v := range []any{"true", 1, M{}, false, nil} {
					c := t.Client()
					c.Handshake(M{"ext": M{"ack": v}}).Successful().Lacks("ext.ack")
					c.Connect(now(), got(0)).Successful().Lacks("ext.ack")
				}
			},
		},
		{
			ID: "BX-AK-03", Title: "who does not ask gets no batch numbers", Level: COMETD, Rules: rules("R-ACK-1"), Needs: needs(suite.NeedAck),
			Run: func(t *T) {
				c := t.Client()
				c.Handshake().Successful().Lacks("ext.ack")
				c.Connect(now()).Successful().Lacks("ext.ack")
			},
		},
	}
}

// ackNumbers is about the numbers of batches.
func ackNumbers() []Case {
	return []Case{
		{
			ID: "BX-AK-21", Title: "the declared extension is there", Level: COMETD, Rules: rules("R-ACK-1"), Needs: needs(suite.NeedExtensions),
			Run: func(t *T) {
				if !slices.Contains(t.Fixture().Extensions, "ack") {
					t.Skipf("the fixture does not declare it")
				}
				t.Client().Handshake(asking()).Successful().Want("ext.ack", true)
			},
		},
		{
			ID: "BX-AK-22", Title: "only connect replies have a number", Level: COMETD, Rules: rules("R-ACK-3", "R-ACK-10"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c := acking(t)
				c.Subscribe(t.Channel("a")).Successful().Lacks("ext.ack")
				c.Publish(t.Channel("a"), 1).Successful().Lacks("ext.ack")
				c.Unsubscribe(t.Channel("a")).Successful().Lacks("ext.ack")
			},
		},
		{
			ID: "BX-AK-04", Title: "each connect reply has the next number, from 1 on, empty ones too", Level: COMETD, Rules: rules("R-ACK-3"),
			Needs: needs(suite.NeedAck),
			Run: func(t *T) {
				c := t.Session(asking())
				for n := range 4 {
					c.Connect(now(), got(n)).Successful().Want("ext.ack", n+1)
				}
			},
		},
		{
			ID: "BX-AK-05", Title: "a connect reply with messages has the next number as well", Level: COMETD, Rules: rules("R-ACK-3", "R-ACK-6"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				a := c.Send(c.ConnectMessage(got(1)))
				a.Reply(0).Successful().Want("ext.ack", 2)
				wantData(t, a, "x")
				c.Connect(now(), got(2)).Successful().Want("ext.ack", 3)
			},
		},
		{
			ID: "BX-AK-06", Title: "the messages come before the connect reply, in order", Level: COMETD, Rules: rules("R-ACK-6", "R-ACK-11", "R-OUT-2"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i := range 3 {
					other.Publish(ch, i).Successful()
				}
				a := c.Send(c.ConnectMessage(got(1)))
				a.Reply(0).Successful()
				wantData(t, a, 0, 1, 2)
				t.Check(a.All[len(a.All)-1] == a.Replies[0], "the connect reply is not the last")
			},
		},
		{
			ID: "BX-AK-07", Title: "the numbers are the session's own", Level: COMETD, Rules: rules("R-ACK-3"), Needs: needs(suite.NeedAck),
			Run: func(t *T) {
				one := acking(t)
				one.Connect(now(), got(1)).Want("ext.ack", 2)
				acking(t)
				one.Connect(now(), got(2)).Want("ext.ack", 3)
			},
		},
	}
}

// wantData expects the data of all deliveries of an answer, in order.
func wantData(t *T, a *suite.Answer, data ...any) {
	all := a.Deliveries()
	t.Check(len(all) == len(data), "%d messages came, want %d", len(all), len(data))
	for i, want := range data[:min(len(data), len(all))] {
		all[i].Want("data", want)
	}
}

// ackAgain is about messages that were not acknowledged.
func ackAgain() []Case {
	return []Case{
		{
			ID: "BX-AK-08", Title: "what was not acknowledged comes again, at once, with new ones behind it", Level: COMETD,
			Rules: rules("R-ACK-4", "R-ACK-6", "R-ACK-7"), Needs: needs(suite.NeedAck, suite.NeedDelivery, suite.NeedHold),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				other.Publish(ch, 2).Successful()
				first := c.Send(c.ConnectMessage(got(1)))
				wantData(t, first, 1, 2)
				again := c.Start(c.ConnectMessage(got(1))).Wait().AtOnce()
				again.Reply(0).Successful().Want("ext.ack", 3)
				wantData(t, again, 1, 2)
				other.Publish(ch, 3).Successful()
				more := c.Send(c.ConnectMessage(got(1)))
				more.Reply(0).Successful().Want("ext.ack", 4)
				wantData(t, more, 1, 2, 3)
			},
		},
		{
			ID: "BX-AK-09", Title: "a connect that is answered at once for that has advice", Level: COMETD, Rules: rules("R-ACK-7"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery, suite.NeedHold),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, 1).Successful()
				c.Send(c.ConnectMessage(got(1)))
				c.Connect(got(1)).Successful().Advice("retry").Has("advice.timeout")
			},
		},
		{
			ID: "BX-AK-10", Title: "what was acknowledged never comes again", Level: COMETD, Rules: rules("R-ACK-5"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1)
				other.Publish(ch, 2).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(2))), 2)
				a := c.Send(c.ConnectMessage(now(), got(3)))
				a.Reply(0).Successful()
				wantData(t, a)
			},
		},
		{
			ID: "BX-AK-11", Title: "an acknowledgement in the middle forgets what is below it alone", Level: COMETD, Rules: rules("R-ACK-5", "R-ACK-6"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1) // batch 2
				other.Publish(ch, 2).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1, 2) // batch 3
				a := c.Send(c.ConnectMessage(now(), got(2)))
				a.Reply(0).Want("ext.ack", 4)
				wantData(t, a, 2)
			},
		},
		{
			ID: "BX-AK-12", Title: "a number never given out acknowledges everything; 0 and -1 nothing", Level: COMETD, Rules: rules("R-ACK-4", "R-ACK-8"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1)
				for _, n := range []int{0, -1} {
					a := c.Send(c.ConnectMessage(now(), got(n)))
					a.Reply(0).Successful()
					wantData(t, a, 1)
				}
				wantData(t, c.Send(c.ConnectMessage(now(), got(999))))
				wantData(t, c.Send(c.ConnectMessage(now(), got(0))))
			},
		},
		{
			ID: "BX-AK-13", Title: "an acknowledgement that is no number is ignored, and the connect goes on", Level: COMETD, Rules: rules("R-ACK-8"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1)
				a := c.Send(c.ConnectMessage(now(), got("5")))
				a.Reply(0).Successful()
				wantData(t, a, 1)
			},
		},
		{
			ID: "BX-AK-14", Title: "a connect without acknowledgement forgets nothing", Level: COMETD, Rules: rules("R-ACK-9"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1)
				a := c.Send(c.ConnectMessage(now()))
				a.Reply(0).Successful().Want("ext.ack", 3)
				wantData(t, a, 1)
			},
		},
		{
			ID: "BX-AK-15", Title: "what went to a connection that died comes again on the next", Level: COMETD, Rules: rules("R-ACK-11", "R-ACK-15"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery, suite.NeedHold, suite.NeedExpiry),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold(got(1))
				t.Sleep(t.Hold() / 8)
				held.Abort()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				again := left(t, c)
				a := again.Send(again.ConnectMessage(now(), got(1)))
				a.Reply(0).Successful()
				wantData(t, a, 1)
			},
		},
		{
			ID: "BX-AK-23", Title: "what was received but not acknowledged comes again on the next connection", Level: COMETD, Rules: rules("R-ACK-6", "R-ACK-11", "R-WS-18"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery, suite.NeedExpiry),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1)
				other.Publish(ch, 2).Successful()
				again := left(t, c)
				a := again.Send(again.ConnectMessage(now(), got(1)))
				a.Reply(0).Successful()
				wantData(t, a, 1, 2)
			},
		},
		{
			ID: "BX-AK-24", Title: "what was not acknowledged ends with its session", Level: COMETD, Rules: rules("R-ACK-13"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, 1).Successful()
				wantData(t, c.Send(c.ConnectMessage(got(1))), 1)
				c.Disconnect().Successful()
				c.Handshake(asking()).Successful()
				for n := range 2 {
					a := c.Send(c.ConnectMessage(now(), got(n)))
					a.Reply(0).Successful().Want("ext.ack", n+1)
					wantData(t, a)
				}
			},
		},
		{
			ID: "BX-AK-16", Title: "the ids of connects may be the same after a reload", Level: COMETD, Rules: rules("R-ACK-12", "R-RL-2"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for n := 1; n <= 3; n++ {
					other.Publish(ch, n).Successful()
					a := c.Send(c.ConnectMessage(got(n), M{"id": "1"}))
					a.Reply(0).Successful().Want("id", "1").Want("ext.ack", n+1)
					wantData(t, a, n)
				}
			},
		},
	}
}

// ackOnly is about the way that messages take with acknowledgements.
func ackOnly() []Case {
	return []Case{
		{
			ID: "BX-AK-17", Title: "messages leave with connect replies only", Level: COMETD, Rules: rules("R-ACK-2", "R-ACK-10"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				a := c.Send(c.PublishMessage(ch, "own"))
				a.Reply(0).Successful()
				t.Check(len(a.All) == 1, "%d messages came in the answer of the publish, want the reply alone", len(a.All))
				t.Helper().Publish(ch, "foreign").Successful()
				b := c.Send(c.SubscribeMessage(t.Channel("b")))
				t.Check(len(b.Deliveries()) == 0 && len(c.Inbox()) == 0, "a message left without a connect reply")
				wantData(t, c.Send(c.ConnectMessage(got(1))), "own", "foreign")
			},
		},
		{
			ID: "BX-AK-18", Title: "a message ends a held connect, on a WebSocket too", Level: COMETD, Rules: rules("R-ACK-2", "R-ACK-11", "R-WS-15"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery, suite.NeedHold),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold(got(1))
				t.Sleep(t.Hold() / 8)
				t.Helper().Publish(ch, "x").Successful()
				a := held.WaitFor(t.Hold() / 2)
				a.Reply(0).Successful().Want("ext.ack", 2)
				wantData(t, a, "x")
			},
		},
		{
			ID: "BX-AK-19", Title: "the session's own publish ends its held connect", Level: COMETD, Rules: rules("R-ACK-2", "R-DL-4"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery, suite.NeedHold),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold(got(1))
				t.Sleep(t.Hold() / 8)
				c.Publish(ch, "x").Successful()
				a := held.WaitFor(t.Hold() / 2)
				a.Reply(0).Successful().Want("ext.ack", 2)
				m := c.Receive(ch)
				m.Want("data", "x")
				t.Check(m.Unit <= a.Replies[0].Unit, "the message came after the connect reply that it belongs to")
			},
		},
		{
			ID: "BX-AK-20", Title: "many messages over many connects: each once and in order", Level: COMETD, Rules: rules("R-ACK-5", "R-ACK-6"),
			Needs: needs(suite.NeedAck, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := acking(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other, n, next := t.Helper(), 1, 0
				for i := range 10 {
					for j := range i%3 + 1 {
						other.Publish(ch, fmt.Sprintf("%d.%d", i, j)).Successful()
					}
					a := c.Send(c.ConnectMessage(now(), got(n)))
					n++
					a.Reply(0).Successful().Want("ext.ack", n)
					want := make([]any, 0, 3)
					for j := range i%3 + 1 {
						want = append(want, fmt.Sprintf("%d.%d", i, j))
					}
					wantData(t, a, want...)
					next += len(want)
				}
				t.Check(next == 19, "the case has counted wrongly: %d", next)
			},
		},
	}
}
