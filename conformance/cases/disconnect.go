package cases

import (
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func disconnect() []Case {
	return slices.Concat(disconnectReply(), disconnectAfter(), disconnectHeld(), disconnectKick(), disconnectRemove())
}

// disconnectReply is about the answer to a disconnect.
func disconnectReply() []Case {
	return []Case{
		{
			ID: "BX-DC-01", Title: "a disconnect is answered, with channel, successful and the id", Level: MUST, Spec: "Disconnect Response",
			Rules: rules("R-DC-1"), On: Every | H2 | ES,
			Run: func(t *T) {
				c := t.Connected()
				c.Disconnect(M{"id": "d1"}).Successful().Want("channel", "/meta/disconnect").Want("id", "d1")
			},
		},
		{
			ID: "BX-DC-02", Title: "the reply to a disconnect has no advice, no client id and nothing else", Level: COMETD,
			Rules: rules("R-DC-1", "R-AD-5", "R-MSG-4"), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Send(c.DisconnectMessage(M{"ext": M{"x": 1}}))
				a.AtOnce().Reply(0).Successful().Only("channel", "id", "successful")
				exactly(t, a)
			},
		},
		{
			ID: "BX-DC-03", Title: "a session may disconnect before its first connect", Level: COMETD, Rules: rules("R-DC-1"), On: Every | H2,
			Run: func(t *T) {
				c := t.Session()
				c.Disconnect().Successful()
				c.Connect(now()).Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-DC-04", Title: "a disconnect of an unknown session is 402::session_unknown and has no advice", Level: COMETD,
			Rules: rules("R-ERR-1", "R-ERR-3"), On: Every | H2,
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				for _, id := range []any{"nobody", Absent} {
					c.Disconnect(M{"clientId": id, "id": "d1"}).Failed("402").Want("id", "d1").Only("channel", "id", "successful", "error")
				}
			},
		},
		{
			ID: "BX-DC-05", Title: "messages that wait come with the answer to the disconnect, before the reply", Level: COMETD, Rules: rules("R-DC-2", "R-OUT-2"),
			Needs: needs(suite.NeedDelivery), On: LP | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				other.Publish(ch, 2).Successful()
				a := c.Send(c.DisconnectMessage())
				a.Reply(0).Successful()
				exactly(t, a, 1, 2)
			},
		},
	}
}

// disconnectAfter is about what a session can do no more.
func disconnectAfter() []Case {
	return []Case{
		{
			ID: "BX-DC-06", Title: "after a disconnect the session is unknown", Level: MUST, Spec: "clientId", Rules: rules("R-DC-3", "R-ERR-1"),
			On: Every | H2 | ES,
			Run: func(t *T) {
				c := t.Connected()
				c.Disconnect().Successful()
				if a := c.Send(c.ConnectMessage(now())); a.End == nil { // some servers close the socket
					a.Reply(0).Failed()
				}
			},
		},
		{
			ID: "BX-DC-07", Title: "after a disconnect all is 402::session_unknown, with advice to the connect alone", Level: COMETD,
			Rules: rules("R-DC-3", "R-ERR-1", "R-ERR-2", "R-ERR-3"), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				c.Disconnect().Successful()
				for _, m := range []M{
					c.SubscribeMessage(t.Channel("a")), c.UnsubscribeMessage(t.Channel("a")), c.PublishMessage(t.Channel("a"), 1),
					c.PublishMessage("/service/bx", 1), c.DisconnectMessage(),
				} {
					c.Send(m).Reply(0).Failed("402").Want("id", m["id"]).Want("channel", m["channel"]).Lacks("advice")
				}
				a := c.Start(c.ConnectMessage()).Wait().AtOnce()
				a.Reply(0).Failed("402").Want("advice", M{"reconnect": "handshake", "interval": 0})
			},
		},
		{
			ID: "BX-DC-08", Title: "what follows a disconnect in its array is 402, and a connect there is told not to come back", Level: COMETD,
			Rules: rules("R-DC-3", "R-ERR-4"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, watcher, ch := t.Connected(), t.Connected(), t.Channel("a")
				watcher.Subscribe(ch).Successful()
				a := c.Start(c.PublishMessage(ch, 1), c.DisconnectMessage(), c.PublishMessage(ch, 2), c.SubscribeMessage(ch), c.ConnectMessage(),
					c.DisconnectMessage()).Wait().AtOnce()
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				a.Reply(2).Failed("402").Lacks("advice")
				a.Reply(3).Failed("402").Lacks("advice")
				a.Reply(4).Failed("402").Advice("none")
				a.Reply(5).Failed("402").Lacks("advice")
				exactly(t, a)
				watcher.Receive(ch).Want("data", 1)
				watcher.Nothing(ch)
				c.Connect().Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-DC-09", Title: "a connect before the disconnect in its array is answered at once", Level: COMETD, Rules: rules("R-CN-12", "R-DC-1"),
			Needs: needs(suite.NeedHold), On: Polls | H2,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Start(c.ConnectMessage(), c.DisconnectMessage()).Wait().AtOnce()
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				exactly(t, a)
			},
		},
		{
			ID: "BX-DC-10", Title: "a disconnect leaves the other sessions of its browser as they are", Level: COMETD, Rules: rules("R-DC-1"),
			Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				one, two, ch := t.Connected(), t.Client(), t.Channel("a")
				two.ShareCookies(one)
				two.Handshake().Successful()
				two.Connect(now()).Successful()
				one.Subscribe(ch).Successful()
				two.Subscribe(ch).Successful()
				one.Disconnect().Successful()
				t.Helper().Publish(ch, "x").Successful()
				two.Receive(ch).Want("data", "x")
				two.Publish(ch, "y").Successful()
			},
		},
		{
			ID: "BX-DC-11", Title: "after a disconnect a new handshake makes another session, with the same cookie or on the same socket", Level: COMETD,
			Rules: rules("R-DC-4", "R-HS-9"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				old := c.ID
				c.Disconnect().Successful()
				c.Handshake().Successful()
				t.Check(c.ID != old, "the new session has the id of the old one")
				c.Connect(now()).Successful()
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				c.Receive(ch).Want("data", "x")
				c.Publish(ch, "y", M{"clientId": old}).Failed("402")
			},
		},
		{
			ID: "BX-DC-12", Title: "the socket stays open after a disconnect", Level: COMETD, Rules: rules("R-DC-4"), On: WS,
			Run: func(t *T) {
				c := t.Connected()
				c.Disconnect().Successful()
				t.Sleep(t.Prompt() / 8)
				a := c.Send(c.ConnectMessage())
				t.Require(a.End == nil, "the server closed the socket: %v", a.End)
				a.Reply(0).Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-DC-13", Title: "a session that disconnected gets no more messages", Level: COMETD, Rules: rules("R-DL-9", "R-EX-5"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, watcher, ch := t.Connected(), t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				watcher.Subscribe(ch).Successful()
				c.Disconnect().Successful()
				t.Helper().Publish(ch, "x").Successful()
				watcher.Receive(ch)
				a := c.Send(c.ConnectMessage())
				a.Reply(0).Failed("402")
				t.Check(len(a.Deliveries()) == 0 && len(c.Inbox()) == 0, "a message came after the disconnect")
			},
		},
	}
}

// disconnectHeld is about a connect that is held when the client disconnects.
func disconnectHeld() []Case {
	return []Case{
		{
			ID: "BX-DC-14", Title: "a disconnect has its reply in its own answer, and the held connect in its own, at once", Level: COMETD,
			Rules: rules("R-CN-15", "R-DC-1"), Needs: needs(suite.NeedHold), On: Polls | H2,
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				a := c.Send(c.DisconnectMessage()).AtOnce()
				a.Reply(0).Successful()
				exactly(t, a)
				end := held.WaitFor(t.Hold() / 2)
				end.Reply(0).Successful().Want("advice", M{"reconnect": "none"}).Only("channel", "id", "successful", "advice")
				exactly(t, end)
			},
		},
		{
			ID: "BX-DC-15", Title: "on a WebSocket a disconnect is answered, and the held connect too, each once", Level: COMETD,
			Rules: rules("R-CN-15", "R-WS-22"), Needs: needs(suite.NeedHold), On: WS,
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Disconnect().Successful().Only("channel", "id", "successful")
				r := held.WaitFor(t.Hold() / 2).Reply(0)
				r.Successful().Want("advice", M{"reconnect": "none"}).Only("channel", "id", "successful", "advice")
			},
		},
		{
			ID: "BX-DC-16", Title: "after a disconnect the browser may hold for another session at once", Level: COMETD, Rules: rules("R-CN-15", "R-MC-5"),
			Needs: needs(suite.NeedHold), On: Polls,
			Run: func(t *T) {
				one, two := t.Connected(), t.Client()
				two.ShareCookies(one)
				two.Handshake().Successful()
				two.Connect(now()).Successful()
				held := one.Hold()
				t.Sleep(t.Hold() / 8)
				one.Disconnect().Successful()
				held.WaitFor(t.Hold() / 2).Reply(0)
				two.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice.multiple-clients")
			},
		},
	}
}

// end has a service of the fixture end the session of a client.
func end(t *T, c *suite.Client, service string) {
	t.Helper().Publish(service, M{"session": c.ID}).Successful()
}

// pushedDisconnect expects the one disconnect that a server pushes.
func pushedDisconnect(t *T, all []*suite.Message) {
	t.Require(len(all) == 1, "%d replies came that nobody asked for, want the disconnect", len(all))
	all[0].Successful().Want("channel", "/meta/disconnect").Only("channel", "successful")
}

// disconnectKick is about a server that disconnects a session.
func disconnectKick() []Case {
	held := needs(suite.NeedKick, suite.NeedHold)
	return []Case{
		{
			ID: "BX-DC-17", Title: "a server that disconnects a session ends the held connect at once: a disconnect without id, then the reply with advice none",
			Level: COMETD, Rules: rules("R-CN-16"), Needs: held, On: Polls | H2,
			Run: func(t *T) {
				c := t.Connected()
				p := c.Hold()
				t.Sleep(t.Hold() / 8)
				end(t, c, t.Fixture().Kick)
				a := p.WaitFor(t.Hold() / 2)
				r := a.Reply(0).Successful().Want("advice", M{"reconnect": "none"}).Only("channel", "id", "successful", "advice")
				pushedDisconnect(t, c.Strays())
				t.Check(len(a.All) == 2 && a.All[1] == r, "the reply to the connect is not the last of two")
				c.Connect().Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-DC-18", Title: "on a WebSocket a server that disconnects a session pushes a disconnect without id, then the reply with advice none",
			Level: COMETD, Rules: rules("R-CN-16", "R-WS-22"), Needs: held, On: WS,
			Run: func(t *T) {
				c := t.Connected()
				p := c.Hold()
				t.Sleep(t.Hold() / 8)
				end(t, c, t.Fixture().Kick)
				a := p.WaitFor(t.Hold() / 2)
				r := a.Reply(0).Successful().Want("advice", M{"reconnect": "none"}).Only("channel", "id", "successful", "advice")
				pushedDisconnect(t, c.Strays())
				t.Check(len(a.All) == 2 && a.All[1] == r, "the reply to the connect is not the last of two")
				c.Connect().Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-DC-19", Title: "a session that the server disconnected while no connect was held is told at the next: unknown, shake hands", Level: COMETD,
			Rules: rules("R-CN-16", "R-ERR-2"), Needs: needs(suite.NeedKick), On: Polls | H2,
			Run: func(t *T) {
				c := t.Connected()
				end(t, c, t.Fixture().Kick)
				c.Publish(t.Channel("a"), 1).Failed("402").Lacks("advice")
				a := c.Hold().Wait().AtOnce()
				a.Reply(0).Failed("402").Want("advice", M{"reconnect": "handshake", "interval": 0})
				exactly(t, a)
			},
		},
		{
			ID: "BX-DC-20", Title: "on a WebSocket a session that the server disconnected is unknown, the socket stays open and a new handshake works",
			Level: COMETD, Rules: rules("R-CN-16", "R-DC-4", "R-WS-22"), Needs: needs(suite.NeedKick), On: WS,
			Run: func(t *T) {
				c := t.Connected()
				end(t, c, t.Fixture().Kick)
				a := c.Send(c.ConnectMessage())
				a.Reply(0).Failed("402").Advice("handshake")
				for _, m := range c.Strays() { // pushed or not, as it was connected before or not
					m.Want("channel", "/meta/disconnect").Lacks("id")
				}
				c.Handshake().Successful()
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-DC-21", Title: "a session that the server disconnected has no subscriptions any more; others keep theirs", Level: COMETD,
			Rules: rules("R-CN-16", "R-EX-5"), Needs: needs(suite.NeedKick, suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, watcher, ch := t.Connected(), t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				watcher.Subscribe(ch).Successful()
				end(t, c, t.Fixture().Kick)
				t.Helper().Publish(ch, "x").Successful()
				watcher.Receive(ch)
				a := c.Hold().Wait()
				a.Reply(0).Failed("402")
				exactly(t, a)
			},
		},
		{
			ID: "BX-DC-22", Title: "messages that waited when the server disconnected a session come before the disconnect", Level: COMETD,
			Rules: rules("R-CN-16", "R-DL-9", "R-OUT-2"), Needs: append(slices.Clone(held), suite.NeedLazy, suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				p := c.Hold(longer(wait))
				t.Sleep(t.Hold() / 8)
				helper := t.Helper()
				helper.Send(helper.PublishMessage(ch, "x"), helper.PublishMessage(t.Fixture().Kick, M{"session": c.ID})).Reply(1).Successful()
				a := p.Wait()
				a.Reply(0).Successful().Advice("none")
				told(t, c.Inbox(), "x")
				pushedDisconnect(t, c.Strays())
				t.Check(len(a.All) == 3 && a.All[0].Channel() == ch && a.All[2] == a.Replies[0], "want the message, the disconnect and the reply, in this order")
			},
		},
		{
			ID: "BX-DC-23", Title: "a session may have the server disconnect it by its own message", Level: COMETD, Rules: rules("R-CN-16", "R-PB-1"),
			Needs: needs(suite.NeedKick), On: Polls | H2,
			Run: func(t *T) {
				c := t.Connected()
				c.Send(c.PublishMessage(t.Fixture().Kick, M{})).Reply(0).Successful()
				for _, m := range c.Strays() {
					m.Want("channel", "/meta/disconnect").Lacks("id")
				}
				c.Connect().Failed("402").Advice("handshake")
			},
		},
	}
}

// disconnectRemove is about a server that forgets a session.
func disconnectRemove() []Case {
	return []Case{
		{
			ID: "BX-DC-24", Title: "a server that removes a session leaves the held connect to its end, and then answers with advice none", Level: COMETD,
			Rules: rules("R-CN-17"), Needs: needs(suite.NeedRemove, suite.NeedHold), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				p := c.Hold()
				t.Sleep(t.Hold() / 8)
				end(t, c, t.Fixture().Remove)
				p.StaysHeld(t.Hold() / 4)
				a := p.Wait().HeldFor(t.Hold())
				a.Reply(0).Successful().Want("advice", M{"reconnect": "none"}).Only("channel", "id", "successful", "advice")
				exactly(t, a)
				c.Connect().Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-DC-25", Title: "a session that the server removed is unknown, and gets no messages", Level: COMETD, Rules: rules("R-CN-17", "R-EX-5"),
			Needs: needs(suite.NeedRemove, suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, watcher, ch := t.Connected(), t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				watcher.Subscribe(ch).Successful()
				end(t, c, t.Fixture().Remove)
				t.Helper().Publish(ch, "x").Successful()
				watcher.Receive(ch)
				a := c.Send(c.ConnectMessage())
				a.Reply(0).Failed("402").Advice("handshake")
				exactly(t, a)
				t.Check(len(c.Inbox()) == 0, "a message came")
			},
		},
	}
}
