package cases

import (
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

func connect() []Case {
	return slices.Concat(connectReply(), connectHold(), connectBatch(), connectDuplicate(), connectEnd())
}

// connectReply is about the reply, whenever it comes.
func connectReply() []Case {
	return []Case{
		{
			ID: "BX-CN-01", Title: "a connect succeeds and its reply has channel, successful and the id", Level: MUST,
			Spec: "Connect Response", Rules: rules("R-CN-1"), On: Every | H2 | ES,
			Run: func(t *T) {
				c := t.Session()
				m := c.ConnectMessage(now())
				c.Send(m).Reply(0).Successful().Want("channel", "/meta/connect").Want("id", m["id"])
			},
		},
		{
			ID: "BX-CN-02", Title: "the reply has no client id and nothing else that is not due", Level: COMETD, Rules: rules("R-CN-1"),
			Run: func(t *T) { t.Session().Connect(now()).Only("channel", "id", "successful", "advice") },
		},
		{
			ID: "BX-CN-03", Title: "a connect without connectionType is refused", Level: SHOULD, Spec: "Connect Request", Rules: rules("R-CN-2"),
			Except: suite.CometD | suite.Salesforce, Instead: "BX-CN-04",
			Run: func(t *T) { t.Session().Connect(now(), M{"connectionType": Absent}).Failed() },
		},
		{
			ID: "BX-CN-04", Title: "the connectionType is not looked at", Level: COMETD, Rules: rules("R-CN-2"),
			Run: func(t *T) {
				c := t.Session()
				for _, kind := range []any{Absent, "foo", "websocket", "long-polling"} {
					c.Connect(now(), M{"connectionType": kind}).Successful()
				}
			},
		},
		{
			ID: "BX-CN-05", Title: "a connect of an unknown session fails", Level: MUST, Spec: "clientId", Rules: rules("R-ID-2", "R-ERR-1"),
			On: Every | H2,
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				c.Connect().Failed()
			},
		},
		{
			ID: "BX-CN-06", Title: "a connect of an unknown session is 402::session_unknown, HTTP 200, with the advice to shake hands",
			Level: COMETD, Rules: rules("R-ERR-1", "R-ERR-2"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				a := c.Send(c.ConnectMessage())
				a.AtOnce().Reply(0).Failed("402").Want("advice", M{"reconnect": "handshake", "interval": 0})
			},
		},
		{
			ID: "BX-CN-07", Title: "a connect without a client id fails like one of an unknown session", Level: COMETD, Rules: rules("R-ID-2"),
			Run: func(t *T) {
				c := t.Session()
				c.Connect(M{"clientId": Absent}).Failed("402").Advice("handshake")
			},
		},
	}
}

// connectHold is about when a connect waits, and for how long.
func connectHold() []Case {
	return []Case{
		{
			ID: "BX-CN-30", Title: "a connect waits, as the advice says, and its reply is a successful one", Level: COMETD,
			Rules: rules("R-CN-4", "R-CN-8"), On: Every | H2,
			Run: func(t *T) {
				c := t.Client()
				timeout, _ := c.Handshake().Successful().Number("advice.timeout")
				if timeout < 300 || timeout > 90_000 {
					t.Skipf("the advice has a timeout of %v ms", timeout)
				}
				c.Connect(now()).Successful()
				a := c.Hold().Wait()
				a.Reply(0).Successful()
				t.Check(a.Took > 100*time.Millisecond, "it is answered after %v", a.Took.Round(time.Millisecond))
			},
		},
		{
			ID: "BX-CN-08", Title: "the first connect is answered at once, whatever timeout it asks for", Level: COMETD,
			Rules: rules("R-CN-4", "R-CN-5"), Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				t.Session().Hold().Wait().AtOnce().Reply(0).Successful()
				t.Session().Hold(M{"advice": M{"timeout": 60000}}).Wait().AtOnce().Reply(0).Successful()
			},
		},
		{
			ID: "BX-CN-09", Title: "the second connect is held for the server's timeout and then succeeds, empty", Level: COMETD,
			Rules: rules("R-CN-4", "R-CN-8"), Needs: needs(suite.NeedHold), On: Every | H2,
			Run: func(t *T) {
				a := t.Connected().Hold().Wait().HeldFor(t.Hold())
				a.Reply(0).Successful().Lacks("advice")
				t.Check(len(a.All) == 1, "%d messages came", len(a.All))
			},
		},
		{
			ID: "BX-CN-10", Title: "advice.timeout 0 is answered at once", Level: SHOULD, Spec: "timeout advice field", Rules: rules("R-CN-7"),
			Needs: needs(suite.NeedHold), On: Every | H2 | ES, Also: suite.CometD,
			Run: func(t *T) { t.Connected().Hold(now()).Wait().AtOnce().Reply(0).Successful() },
		},
		{
			ID: "BX-CN-11", Title: "a shorter advice.timeout of the client is honoured", Level: SHOULD, Spec: "timeout advice field",
			Rules: rules("R-CN-6"), Needs: needs(suite.NeedHold), Also: suite.CometD,
			Run: func(t *T) {
				d := t.Hold() / 3
				a := t.Connected().Hold(M{"advice": M{"timeout": d.Milliseconds()}}).Wait().HeldFor(d)
				a.Reply(0).Successful()
				t.Check(a.Took < t.Hold()*9/10, "it was held for the server's time, %v", t.Hold())
			},
		},
		{
			ID: "BX-CN-12", Title: "a longer advice.timeout of the client is honoured", Level: SHOULD, Spec: "timeout advice field",
			Rules: rules("R-CN-6"), Needs: needs(suite.NeedHold), Also: suite.CometD,
			Run: func(t *T) {
				d := t.Hold() * 3 / 2
				a := t.Connected().Hold(M{"advice": M{"timeout": d.Milliseconds()}}).WaitFor(d + t.Hold()/2 + t.Slack())
				a.HeldFor(d).Reply(0).Successful()
			},
		},
		{
			ID: "BX-CN-13", Title: "the client's timeout holds for that connect only", Level: COMETD, Rules: rules("R-CN-6"),
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Connected()
				c.Hold(M{"advice": M{"timeout": 50}}).Wait().AtOnce().Reply(0).Successful()
				c.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
		{
			ID: "BX-CN-14", Title: "advice without timeout, or with -1, is held for the server's", Level: COMETD, Rules: rules("R-CN-6"),
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				a, b := t.Connected(), t.Connected()
				one, two := a.Hold(M{"advice": M{}}), b.Hold(M{"advice": M{"timeout": -1}})
				one.Wait().HeldFor(t.Hold()).Reply(0).Successful()
				two.Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
		{
			ID: "BX-CN-15", Title: "a message for the session ends the hold at once, and comes before the reply", Level: COMETD,
			Spec: "Connect Response", Rules: rules("R-CN-9", "R-OUT-2"), Needs: needs(suite.NeedHold, suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 10)
				t.Helper().Publish(ch, "x").Successful()
				a := held.Wait().AtOnce()
				a.Reply(0).Successful()
				t.Require(len(a.All) == 2, "%d messages came, want the message and the reply", len(a.All))
				a.All[0].Want("channel", ch).Want("data", "x")
				t.Check(a.All[1] == a.Replies[0], "the reply is not the last")
			},
		},
		{
			ID: "BX-CN-16", Title: "a connect that finds messages waiting is answered at once with all of them, in order", Level: COMETD,
			Rules: rules("R-CN-11", "R-DL-1"), Needs: needs(suite.NeedHold, suite.NeedDelivery), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i := range 3 {
					other.Publish(ch, i).Successful()
				}
				a := c.Hold().Wait().AtOnce()
				got := a.Deliveries()
				t.Require(len(got) == 3, "%d of 3 messages came", len(got))
				for i, m := range got {
					m.Want("data", i)
				}
			},
		},
		{
			ID: "BX-CN-17", Title: "other requests leave a held connect alone", Level: COMETD, Rules: rules("R-CN-19"), Needs: needs(suite.NeedHold),
			On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Subscribe(t.Channel("a")).Successful()
				c.Unsubscribe(t.Channel("a")).Successful()
				held.StaysHeld(t.Hold() / 4)
				held.Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
		{
			ID: "BX-CN-18", Title: "on a WebSocket messages are pushed and the connect stays held", Level: COMETD, Rules: rules("R-WS-11"),
			Needs: needs(suite.NeedHold, suite.NeedDelivery), On: WS,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Helper().Publish(ch, "x").Successful()
				c.Receive(ch).Want("data", "x")
				held.StaysHeld(t.Hold() / 4)
				held.Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
	}
}

// connectBatch is about a connect beside other messages.
func connectBatch() []Case {
	return []Case{
		{
			ID: "BX-CN-19", Title: "a connect with other messages is not held, and the replies come in the order of the request", Level: COMETD,
			Spec: "Connect Request", Rules: rules("R-CN-12", "R-CN-4"), Needs: needs(suite.NeedHold), On: Polls | H2,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Send(c.SubscribeMessage(t.Channel("a")), c.ConnectMessage(), c.SubscribeMessage(t.Channel("b"))).AtOnce()
				for i := range 3 {
					a.Reply(i).Successful()
					t.Check(len(a.All) == 3 && a.All[i] == a.Replies[i], "reply %d is not at its place", i)
				}
			},
		},
		{
			ID: "BX-CN-20", Title: "a message may be sent beside a connect", Level: MUST, Spec: "Connect Request", Rules: rules("R-CN-12"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Connected()
				a := c.Start(c.ConnectMessage(now()), c.SubscribeMessage(t.Channel("a"))).Wait()
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				t.Helper().Publish(t.Channel("a"), 1).Successful()
				c.Receive(t.Channel("a"))
			},
		},
		{
			ID: "BX-CN-21", Title: "two connects in one array are both answered at once", Level: COMETD, Rules: rules("R-CN-13"),
			Needs: needs(suite.NeedHold), On: Polls,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Send(c.ConnectMessage(), c.ConnectMessage()).AtOnce()
				a.Reply(0).Successful()
				a.Reply(1).Successful()
			},
		},
		{
			ID: "BX-CN-22", Title: "on a WebSocket the messages beside a held connect are answered without waiting for it", Level: SHOULD,
			Rules: rules("R-WS-14"), Needs: needs(suite.NeedHold), On: WS,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Start(c.ConnectMessage(), c.SubscribeMessage(t.Channel("a"))).WaitFor(t.Prompt())
				a.Reply(1).Successful()
			},
		},
	}
}

// connectDuplicate is about a connect that arrives while one is held.
func connectDuplicate() []Case {
	return []Case{
		{
			ID: "BX-CN-23", Title: "a second connect ends the one that is held with an HTTP error, and is held in full itself", Level: COMETD,
			Spec: "Connect Request", Rules: rules("R-CN-20"), Needs: needs(suite.NeedHold), On: Polls,
			Run: func(t *T) {
				c := t.Connected()
				older := c.Hold()
				t.Sleep(t.Hold() / 4)
				newer := c.Hold()
				a := older.WaitFor(t.Hold() / 2)
				t.Check(a.HTTP != nil && a.HTTP.Status >= 400 && a.HTTP.Status != 408, "the older got %v, want an HTTP error other than 408", a.HTTP)
				t.Check(len(a.All) == 0, "the older has %d messages", len(a.All))
				newer.Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
		{
			ID: "BX-CN-24", Title: "two connects at a time lose no message", Level: COMETD, Rules: rules("R-CN-20"), On: Polls,
			Needs: needs(suite.NeedHold, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				older := c.Hold()
				t.Sleep(t.Hold() / 8)
				newer := c.Hold()
				older.Wait()
				t.Helper().Publish(ch, "x").Successful()
				newer.Wait().Reply(0).Successful()
				c.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-CN-25", Title: "on a WebSocket the newer connect replaces the held one, which is never answered", Level: COMETD,
			Rules: rules("R-WS-20"), Needs: needs(suite.NeedHold), On: WS,
			Run: func(t *T) {
				c := t.Connected()
				older := c.Hold()
				t.Sleep(t.Hold() / 4)
				newer := c.Hold()
				newer.Wait().HeldFor(t.Hold()).Reply(0).Successful()
				t.Check(!older.Answered(), "the older connect was answered")
			},
		},
	}
}

// connectEnd is about connects that end in another way.
func connectEnd() []Case {
	return []Case{
		{
			ID: "BX-CN-26", Title: "a disconnect releases the held connect", Level: SHOULD, Spec: "Disconnect Request",
			Rules: rules("R-CN-15"), Needs: needs(suite.NeedHold), On: Every | H2, Also: suite.CometD,
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Disconnect().Successful()
				a := held.WaitFor(t.Hold() / 2)
				t.Check(a.Err == nil || a.End != nil, "the held connect was not released: %v", a.Err)
			},
		},
		{
			ID: "BX-CN-27", Title: "the connect that a disconnect released succeeds, with the advice none alone", Level: COMETD,
			Rules: rules("R-CN-15", "R-WS-22"), Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Disconnect().Successful()
				held.WaitFor(t.Hold()/2).Reply(0).Successful().Want("advice", M{"reconnect": "none"})
				c.Connect().Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-CN-28", Title: "messages that come while no one listens after an aborted poll are not lost", Level: SHOULD,
			Rules: rules("R-CN-21", "R-DL-10"), Needs: needs(suite.NeedHold, suite.NeedDelivery, suite.NeedExpiry), On: Polls,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 4)
				held.Abort()
				t.Sleep(min(t.Hold()/4, 500*time.Millisecond))
				t.Helper().Publish(ch, "x").Successful()
				_, ok := c.TryReceive(ch, t.Hold()+t.Slack())
				t.Check(ok, "the message is lost")
			},
		},
		{
			ID: "BX-CN-29", Title: "a publish that is pipelined behind a held connect waits for it", Level: INFO, Rules: rules("R-CN-26"),
			Needs: needs(suite.NeedHold), On: LP,
			Run: func(t *T) {
				c := t.Connected()
				conn := t.Dial()
				began := time.Now()
				for _, m := range []M{c.ConnectMessage(), c.PublishMessage(t.Channel("a"), 1)} {
					if _, err := conn.Write(c.HTTPRequest(m).Bytes(t.Target())); err != nil {
						t.Fatalf("the server closed: %v", err)
					}
				}
				for _, what := range []string{"connect", "publish"} {
					res, err := conn.ReadResponse(t.Context(), "POST")
					t.Require(err == nil, "no answer to the %s: %v", what, err)
					t.Infof("HTTP %d to the %s after %v", res.Status, what, time.Since(began).Round(time.Millisecond))
				}
			},
		},
	}
}
