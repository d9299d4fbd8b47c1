package cases

import (
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

func identity() []Case {
	return slices.Concat(identityBatch(), identityCookie(), identitySocket(), identityUnknown())
}

// identityBatch is about the client ids in one request.
func identityBatch() []Case {
	return []Case{
		{
			ID: "BX-ID-01", Title: "the session of a request is that of its first message; another's id beside it is unknown", Level: COMETD,
			Spec: "clientId", Rules: rules("R-ID-1"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				one, two := t.Session(), t.Session()
				two.ShareCookies(one)
				ch := t.Channel("a")
				a := one.Send(one.SubscribeMessage(ch), one.PublishMessage(ch, "x", M{"clientId": two.ID}), one.SubscribeMessage(t.Channel("b")))
				a.Reply(0).Successful()
				a.Reply(1).Failed("402").Lacks("advice")
				a.Reply(2).Successful()
			},
		},
		{
			ID: "BX-ID-02", Title: "a first message of nobody makes the whole request one of nobody", Level: COMETD, Rules: rules("R-ID-1"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Session()
				a := c.Send(c.SubscribeMessage(t.Channel("a"), M{"clientId": "nobody"}), c.SubscribeMessage(t.Channel("b")))
				a.Reply(0).Failed("402")
				a.Reply(1).Failed("402")
				c.Subscribe(t.Channel("c")).Successful()
			},
		},
		{
			ID: "BX-ID-03", Title: "a message without a client id among others fails alone", Level: COMETD, Rules: rules("R-ID-1", "R-ID-2"),
			Run: func(t *T) {
				c := t.Session()
				a := c.Send(c.SubscribeMessage(t.Channel("a")), c.SubscribeMessage(t.Channel("b"), M{"clientId": Absent}))
				a.Reply(0).Successful()
				a.Reply(1).Failed("402").Lacks("advice")
			},
		},
		{
			ID: "BX-ID-04", Title: "a publish without a client id fails", Level: COMETD, Rules: rules("R-ID-2"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				listener, ch := t.Connected(), t.Channel("a")
				listener.Subscribe(ch).Successful()
				t.Session().Publish(ch, "x", M{"clientId": Absent}).Failed("402").Lacks("advice")
				listener.Nothing(ch)
			},
		},
		{
			ID: "BX-ID-05", Title: "client ids are compared as they are, case and all", Level: COMETD, Rules: rules("R-ID-2"),
			Run: func(t *T) {
				c := t.Session()
				kept := c.ID
				for _, id := range []any{kept + "x", kept[:len(kept)-1], kept[1:], "", " " + kept} {
					c.Subscribe(t.Channel("a"), M{"clientId": id}).Failed("402")
				}
				c.Subscribe(t.Channel("a")).Successful()
			},
		},
	}
}

// identityCookie is about the browser's cookie.
func identityCookie() []Case {
	return []Case{
		{
			ID: "BX-ID-06", Title: "without its cookie a session is unknown over HTTP", Level: COMETD, Rules: rules("R-ID-3"), On: Polls | H2,
			Needs: needs(suite.NeedCookie),
			Run: func(t *T) {
				c := t.Connected()
				kept := c.Cookies()
				c.SetCookies()
				c.Connect().Failed("402").Want("advice", M{"reconnect": "handshake", "interval": 0})
				c.Subscribe(t.Channel("a")).Failed("402").Lacks("advice")
				c.SetCookies(kept...)
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-ID-21", Title: "a client id alone opens no session over HTTP", Level: COMETD, Rules: rules("R-ID-3", "R-ID-4"), On: Polls | H2,
			Run: func(t *T) {
				if trust, _ := t.Fixture().Options["trustClientSession"].(bool); trust {
					t.Skipf("the fixture declares trustClientSession")
				}
				c := t.Connected()
				c.SetCookies()
				c.Connect(now()).Failed("402")
			},
		},
		{
			ID: "BX-ID-07", Title: "another browser's cookie does not open a session, which is none the worse for it", Level: COMETD,
			Rules: rules("R-ID-3"), On: Polls | H2, Needs: needs(suite.NeedCookie, suite.NeedDelivery),
			Run: func(t *T) {
				victim, thief, ch := t.Connected(), t.Connected(), t.Channel("a")
				victim.Subscribe(ch).Successful()
				own := thief.ID
				thief.ID = victim.ID
				thief.Connect().Failed("402")
				thief.Disconnect().Failed("402")
				thief.ID = own
				t.Helper().Publish(ch, "x").Successful()
				victim.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-ID-08", Title: "of two cookies of the name the first counts", Level: COMETD, Rules: rules("R-ID-3"), On: Polls,
			Needs: needs(suite.NeedCookie),
			Run: func(t *T) {
				c := t.Connected()
				name := t.Facts().Cookie
				var value string
				for _, pair := range c.Cookies() {
					if pair[0] == name {
						value = pair[1]
					}
				}
				c.SetCookies([2]string{name, "forged"}, [2]string{name, value})
				c.Connect(now()).Failed("402")
				c.SetCookies([2]string{name, value}, [2]string{name, "forged"})
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-ID-09", Title: "a cookie beside others is found", Level: COMETD, Rules: rules("R-ID-3"), On: Polls | H2, Needs: needs(suite.NeedCookie),
			Run: func(t *T) {
				c := t.Session()
				c.SetCookies(slices.Concat([][2]string{{"a", "b"}}, c.Cookies(), [][2]string{{"z", "y"}})...)
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-ID-10", Title: "a new handshake makes a new session beside the old one, which goes on", Level: COMETD, Rules: rules("R-HS-9"),
			Needs: needs(suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				old, ch := t.Connected(), t.Channel("a")
				old.Subscribe(ch).Successful()
				next := t.Client()
				next.ShareCookies(old)
				next.Handshake(M{"clientId": old.ID}).Successful()
				t.Check(next.ID != old.ID, "the same client id again")
				t.Helper().Publish(ch, "x").Successful()
				old.Receive(ch).Want("data", "x")
				next.Connect(now()).Successful()
			},
		},
	}
}

// identitySocket is about sessions that move between connections.
func identitySocket() []Case {
	return []Case{
		{
			ID: "BX-ID-11", Title: "a session goes on over a new WebSocket, subscriptions and queue kept", Level: COMETD,
			Rules: rules("R-ID-5", "R-WS-18", "R-WS-19"), On: WS, Needs: needs(suite.NeedDelivery, suite.NeedExpiry, suite.NeedHold),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				c.Hold()
				t.Sleep(t.Hold() / 8)
				again := left(t, c)
				t.Sleep(300 * time.Millisecond)
				t.Helper().Publish(ch, "x").Successful()
				again.Connect(now()).Successful()
				again.Receive(ch).Want("data", "x")
				again.Nothing(ch)
			},
		},
		{
			ID: "BX-ID-12", Title: "any message takes a session to a new WebSocket", Level: COMETD, Rules: rules("R-ID-5", "R-WS-19", "R-WS-12"), On: WS,
			Needs: needs(suite.NeedDelivery, suite.NeedExpiry),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Close()
				again := t.Client()
				again.ID = c.ID
				again.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x").Successful()
				again.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-ID-13", Title: "on a WebSocket that has its session other client ids are unknown", Level: COMETD, Rules: rules("R-ID-5"), On: WS,
			Run: func(t *T) {
				one, two := t.Session(), t.Session()
				one.Subscribe(t.Channel("a")).Successful()
				one.Subscribe(t.Channel("a"), M{"clientId": two.ID}).Failed("402").Lacks("advice")
				one.Subscribe(t.Channel("a"), M{"clientId": Absent}).Failed("402")
				two.Subscribe(t.Channel("a")).Successful()
			},
		},
		{
			ID: "BX-ID-14", Title: "after a second handshake on a WebSocket the first session's id is unknown there", Level: COMETD, Rules: rules("R-WS-23"),
			On: WS,
			Run: func(t *T) {
				c := t.Session()
				old := c.ID
				c.Handshake().Successful()
				t.Check(c.ID != old, "the same client id again")
				c.Connect(now()).Successful()
				c.Subscribe(t.Channel("a"), M{"clientId": old}).Failed("402")
			},
		},
		{
			ID: "BX-ID-15", Title: "a session of long-polling goes on over a WebSocket", Level: COMETD, Rules: rules("R-ID-7", "R-WS-21"), On: WS,
			Needs: needs(suite.NeedLP, suite.NeedHold, suite.NeedDelivery),
			Run: func(t *T) {
				lp, ch := t.ConnectedOn(LP), t.Channel("a")
				lp.Subscribe(ch).Successful()
				held := lp.Hold()
				t.Sleep(t.Hold() / 8)
				ws := t.Client()
				ws.ID = lp.ID
				ws.Connect(now()).Successful().Has("advice.timeout")
				ended := held.WaitFor(t.Hold() / 2)
				t.Check(ended.HTTP != nil && ended.HTTP.Status >= 400, "the held poll was not ended with an HTTP error")
				t.Helper().Publish(ch, "x").Successful()
				ws.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-ID-16", Title: "a session of a WebSocket is unknown over HTTP, where it has no cookie", Level: COMETD, Rules: rules("R-ID-7"), On: WS,
			Needs: needs(suite.NeedLP, suite.NeedCookie),
			Run: func(t *T) {
				ws := t.Connected()
				lp := t.ClientOn(LP)
				lp.ID = ws.ID
				lp.Connect().Failed("402").Advice("handshake")
				ws.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-ID-20", Title: "a socket that closes while no connect is held costs no message", Level: SHOULD,
			Rules: rules("R-WS-18", "R-DL-10"), On: WS, Needs: needs(suite.NeedDelivery, suite.NeedExpiry), Also: suite.CometD,
			Run: closedSocket,
		},
		{
			ID: "BX-ID-17", Title: "sessions of long-polling and callback-polling are apart", Level: COMETD, Rules: rules("R-JP-5"), On: Polls,
			Needs: needs(suite.NeedLP, suite.NeedCP, suite.NeedCookie),
			Run: func(t *T) {
				there := LP
				if t.On() == LP {
					there = CP
				}
				c := t.Connected()
				other := t.ClientOn(there)
				other.ID = c.ID
				other.ShareCookies(c)
				other.Connect().Failed("402").Advice("handshake")
				c.Connect(now()).Successful()
			},
		},
	}
}

// closedSocket publishes to sessions whose sockets have closed. Whether a server
// that writes to such a socket loses a message is a matter of moments, so there
// are several.
func closedSocket(t *T) {
	ch, last, other := t.Channel("a"), t.Channel("last"), t.Helper()
	back := make([]*suite.Client, 5)
	for i := range back {
		c := t.Connected()
		c.Subscribe([]string{ch, last}).Successful()
		back[i] = left(t, c)
	}
	t.Sleep(300 * time.Millisecond)
	other.Publish(ch, 1).Successful()
	other.Publish(ch, 2).Successful()
	for _, c := range back {
		c.Connect(now()).Successful()
	}
	other.Publish(last, "x").Successful()
	for _, c := range back {
		got := until(c, last)
		if len(got) == 2 {
			told(t, got, 1, 2)
			continue
		}
		t.NonStrictf("%d of 2 messages came: what was published when the socket had closed was lost, without a connect to miss it", len(got))
	}
}

// identityUnknown is about sessions that are not there.
func identityUnknown() []Case {
	return []Case{
		{
			ID: "BX-ID-18", Title: "each kind of message of an unknown session fails with 402, its id echoed, without advice", Level: COMETD,
			Spec: "clientId", Rules: rules("R-ERR-1", "R-ERR-2", "R-ERR-3"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				for _, m := range []M{
					c.SubscribeMessage("/a"), c.UnsubscribeMessage("/a"), c.PublishMessage("/a", 1), c.PublishMessage("/service/a", 1), c.DisconnectMessage(),
				} {
					c.Send(m).Reply(0).Failed("402").Want("id", m["id"]).Want("channel", m["channel"]).Lacks("advice", "clientId")
				}
			},
		},
		{
			ID: "BX-ID-22", Title: "the text for an unknown session is that of CometD 5 and later", Level: SHOULD, Rules: rules("R-ERR-1", "R-ERR-6"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				c.Connect().Failed("402::session_unknown")
				c.Subscribe(t.Channel("a")).Failed("402::session_unknown")
			},
		},
		{
			ID: "BX-ID-19", Title: "a session that has disconnected is unknown", Level: MUST, Spec: "Disconnect Request", Rules: rules("R-ERR-1"), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				c.Disconnect().Successful()
				c.Connect().Failed()
				c.Subscribe(t.Channel("a")).Failed()
			},
		},
	}
}
