package cases

import (
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func advice() []Case { return slices.Concat(adviceGiven(), adviceAsked()) }

// adviceGiven is about when the server advises.
func adviceGiven() []Case {
	return []Case{
		{
			ID: "BX-AD-01", Title: "a connect without advice is answered without", Level: COMETD, Rules: rules("R-AD-1", "R-AD-2"),
			Run: func(t *T) { t.Session().Connect().Successful().Lacks("advice") },
		},
		{
			ID: "BX-AD-02", Title: "a connect with advice, even {}, is answered with the full advice", Level: COMETD, Rules: rules("R-AD-1", "R-AD-2"),
			Run: func(t *T) {
				for _, asked := range []M{{}, {"timeout": 0}} {
					reply := t.Session().Connect(M{"advice": asked}).Successful().Advice("retry")
					reply.Has("advice.interval", "advice.timeout")
				}
			},
		},
		{
			ID: "BX-AD-03", Title: "a connect with advice null is answered without", Level: COMETD, Rules: rules("R-AD-2"),
			Run: func(t *T) { t.Session().Connect(M{"advice": nil}).Successful().Lacks("advice") },
		},
		{
			ID: "BX-AD-04", Title: "the advised timeout is the server's, not the one that the client asked for", Level: COMETD, Rules: rules("R-AD-3"),
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Client()
				served, _ := c.Handshake().Number("advice.timeout")
				c.Connect(now()).Want("advice.timeout", served)
				c.Connect(M{"advice": M{"timeout": 20}}).Want("advice.timeout", served)
			},
		},
		{
			ID: "BX-AD-05", Title: "the advised timeout is the time that a connect is held", Level: COMETD, Rules: rules("R-AD-3", "R-HS-7"),
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				served, _ := t.Client().Handshake().Number("advice.timeout")
				held := float64(t.Hold().Milliseconds())
				t.Check(held >= served*0.9 && held <= served*1.3+float64(t.Slack().Milliseconds()),
					"the advice says %v ms, a connect was held for %v ms", served, held)
			},
		},
		{
			ID: "BX-AD-06", Title: "replies to subscribe, unsubscribe, publish and disconnect have no advice", Level: COMETD, Rules: rules("R-AD-5"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe(t.Channel("a")).Successful().Lacks("advice")
				c.Publish(t.Channel("a"), 1).Successful().Lacks("advice")
				c.Unsubscribe(t.Channel("a")).Successful().Lacks("advice")
				c.Disconnect().Successful().Lacks("advice")
			},
		},
		{
			ID: "BX-AD-07", Title: "failing replies other than to a connect have no advice", Level: COMETD, Rules: rules("R-ERR-2", "R-AD-5"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				c.Subscribe(t.Channel("a")).Failed("402").Lacks("advice")
				c.Unsubscribe(t.Channel("a")).Failed("402").Lacks("advice")
				c.Publish(t.Channel("a"), 1).Failed("402").Lacks("advice")
				c.Disconnect().Failed("402").Lacks("advice")
			},
		},
		{
			ID: "BX-AD-08", Title: "reconnect is retry, handshake or none", Level: MUST, Spec: "reconnect advice field", Rules: rules("R-AD-6"),
			Run: func(t *T) {
				unknown := t.Client()
				unknown.ID = "nobody"
				for _, m := range []*suite.Message{t.Client().Handshake(), t.Session().Connect(now()), unknown.Connect()} {
					if _, ok := m.Get("advice.reconnect"); !ok {
						continue
					}
					t.Check(slices.Contains([]string{"retry", "handshake", "none"}, m.Text("advice.reconnect")), "advice in %s", m.Raw)
				}
			},
		},
		{
			ID: "BX-AD-09", Title: "advice has no hosts and no part for a single transport", Level: COMETD, Rules: rules("R-AD-8"),
			Run: func(t *T) {
				for _, m := range []*suite.Message{t.Client().Handshake(), t.Session().Connect(now())} {
					m.Lacks("advice.hosts", "advice.long-polling", "advice.callback-polling", "advice.websocket")
				}
			},
		},
		{
			ID: "BX-AD-10", Title: "a session that moves to another transport is advised there", Level: COMETD, Rules: rules("R-AD-1", "R-WS-21"),
			On: WS, Needs: needs(suite.NeedLP),
			Run: func(t *T) {
				old := t.ConnectedOn(LP)
				c := t.Client()
				c.ID = old.ID
				c.Connect(now()).Successful().Advice("retry").Has("advice.timeout")
			},
		},
		{
			ID: "BX-AD-14", Title: "a session that moves is advised also where it has not asked, once", Level: COMETD, Rules: rules("R-AD-1", "R-AD-2"),
			On: WS, Needs: needs(suite.NeedLP, suite.NeedHold),
			Run: func(t *T) {
				old := t.ConnectedOn(LP)
				c := t.Client()
				c.ID = old.ID
				c.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful().Advice("retry").Has("advice.timeout")
				c.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
			},
		},
	}
}

// adviceAsked is about the client's advice.
func adviceAsked() []Case {
	return []Case{
		{
			ID: "BX-AD-11", Title: "the client's interval is echoed, and the next connect sets it back", Level: COMETD, Rules: rules("R-CN-14"),
			Run: func(t *T) {
				c := t.Client()
				served, _ := c.Handshake().Number("advice.interval")
				c.Connect(M{"advice": M{"timeout": 0, "interval": 517}}).Successful().Want("advice.interval", 517)
				c.Connect(now()).Successful().Want("advice.interval", served)
			},
		},
		{
			ID: "BX-AD-12", Title: "a client that announces a long interval is not dropped while it sleeps", Level: COMETD,
			Rules: rules("R-CN-14", "R-EX-2"), Needs: needs(suite.NeedExpiry),
			Run: func(t *T) {
				_, gone := t.Expiry()
				c := t.Session()
				c.Connect(M{"advice": M{"timeout": 0, "interval": gone.Milliseconds()}}).Successful()
				t.Sleep(gone)
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-AD-13", Title: "advice of the wrong type harms no session", Level: SHOULD, Rules: rules("R-MSG-11"),
			Run: func(t *T) {
				c := t.Connected()
				a := c.Start(c.ConnectMessage(M{"advice": M{"timeout": "0"}})).Wait()
				t.Check(a.HTTP == nil || a.HTTP.Status < 500, "HTTP %d", status(a))
				c.Connect(now()).Successful()
			},
		},
	}
}

func status(a *suite.Answer) int {
	if a.HTTP == nil {
		return 0
	}
	return a.HTTP.Status
}
