package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
)

func services() []Case {
	return slices.Concat(serviceChannels(), serviceEcho(), servicePush(), remoteCalls(), remoteReach())
}

// serviceChannels is about service channels where nobody listens.
func serviceChannels() []Case {
	return []Case{
		{
			ID: "BX-SV-01", Title: "a message on a service channel is not broadcast", Level: MUST, Spec: "Service Channels", Rules: rules("R-PB-12", "R-SB-6"),
			Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c, ch := t.Connected(), "/service/bx/"+t.Random(8)
				for _, s := range []string{ch, "/service/bx/*", "/service/**", "/**"} {
					c.Subscribe(s)
				}
				other := t.Helper()
				for i := range 3 {
					other.Publish(ch, i)
				}
				for _, m := range c.Flush() {
					t.Check(!strings.HasPrefix(m.Channel(), "/service/"), "a message came: %s", m.Raw)
				}
			},
		},
		{
			ID: "BX-SV-02", Title: "the publisher on a service channel does not get its own message, subscribed or not", Level: COMETD,
			Rules: rules("R-PB-12", "R-SB-6", "R-PB-11"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), "/service/bx/"+t.Random(8)
				c.Subscribe([]string{ch, "/service/**"}).Successful()
				a := c.Send(c.PublishMessage(ch, 1), c.PublishMessage(ch, 2))
				a.Reply(0).Successful()
				a.Reply(1).Successful()
				exactly(t, a)
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SV-03", Title: "a message on a service channel of no session is 402::session_unknown, without advice", Level: COMETD,
			Rules: rules("R-ERR-1", "R-ERR-2", "R-ID-2"), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Client(), "/service/bx/"+t.Random(8)
				for _, id := range []any{Absent, "nobody"} {
					c.Publish(ch, 1, M{"clientId": id, "id": "s1"}).Failed("402").Want("channel", ch).Want("id", "s1").
						Only("channel", "id", "successful", "error")
				}
			},
		},
		{
			ID: "BX-SV-04", Title: "messages on service channels leave the held connect alone", Level: COMETD, Rules: rules("R-CN-19", "R-PB-12"),
			Needs: needs(suite.NeedHold), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Publish("/service/bx/"+t.Random(8), 1).Successful()
				held.StaysHeld(t.Hold() / 4)
				held.Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
	}
}

// serviceEcho is about a service that answers on its own channel.
func serviceEcho() []Case {
	return []Case{
		{
			ID: "BX-SV-05", Title: "what a service answers comes in the answer to the message, before the reply", Level: COMETD,
			Rules: rules("R-PB-12", "R-OUT-2", "R-DL-2"), Needs: needs(suite.NeedEcho), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Fixture().Echo
				a := c.Send(c.PublishMessage(ch, M{"x": 1}, M{"id": "e1"}))
				a.Reply(0).Successful().Want("id", "e1").Want("channel", ch).Only("channel", "id", "successful")
				exactly(t, a, M{"x": 1})
				a.All[0].Want("channel", ch).Only("channel", "data")
			},
		},
		{
			ID: "BX-SV-06", Title: "over callback-polling what a service answers comes with a connect", Level: COMETD, Rules: rules("R-PB-12", "R-JP-5"),
			Needs: needs(suite.NeedEcho), On: CP,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Fixture().Echo
				exactly(t, c.Send(c.PublishMessage(ch, "x")))
				exactly(t, c.Hold().Wait().AtOnce(), "x")
			},
		},
		{
			ID: "BX-SV-07", Title: "the answers to an array come in its order, before all replies", Level: COMETD, Rules: rules("R-PB-12", "R-OUT-2", "R-PB-14"),
			Needs: needs(suite.NeedEcho, suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, echo, ch := t.Connected(), t.Fixture().Echo, t.Channel("a")
				c.Subscribe(ch).Successful()
				exactly(t, c.Send(c.PublishMessage(echo, 1), c.PublishMessage(ch, 2), c.PublishMessage(echo, 3), c.SubscribeMessage(t.Channel("b")),
					c.PublishMessage(echo, 4)), 1, 2, 3, 4)
			},
		},
		{
			ID: "BX-SV-08", Title: "what a service answers reaches the sender alone", Level: COMETD, Spec: "Service Channels", Rules: rules("R-PB-12"),
			Needs: needs(suite.NeedEcho, suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, watcher, ch, tag := t.Connected(), t.Connected(), t.Fixture().Echo, t.Random(12)
				watcher.Subscribe([]string{ch, "/service/**", t.Channel("a")}).Successful()
				c.Publish(ch, tag).Successful()
				c.Receive(ch).Want("data", tag)
				t.Check(len(tagged(watcher.Flush(), tag)) == 0, "the answer came to another session")
				noMore(c, ch)
			},
		},
		{
			ID: "BX-SV-09", Title: "an own service answer leaves the held connect alone", Level: COMETD, Rules: rules("R-DL-2", "R-PB-12"),
			Needs: needs(suite.NeedEcho, suite.NeedHold), On: LP | WS | H2,
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				exactly(t, c.Send(c.PublishMessage(t.Fixture().Echo, "x")), "x")
				held.StaysHeld(t.Hold() / 4)
				end := held.Wait().HeldFor(t.Hold())
				end.Reply(0).Successful()
				t.Check(len(c.Inbox()) == 1, "the answer came again, or not at all")
			},
		},
		{
			ID: "BX-SV-10", Title: "a session may use services before its first connect", Level: COMETD, Rules: rules("R-HS-16", "R-PB-12"),
			Needs: needs(suite.NeedEcho), On: Every | H2,
			Run: func(t *T) {
				c := t.Session()
				c.Publish(t.Fixture().Echo, "x").Successful()
				c.Receive(t.Fixture().Echo).Want("data", "x")
			},
		},
		{
			ID: "BX-SV-11", Title: "with connect-only delivery what a service answers ends the held connect", Level: COMETD,
			Rules: rules("R-DL-4", "R-PB-12"), Needs: needs(suite.NeedEcho, suite.NeedConnectOnly, suite.NeedHold), On: Polls | H2,
			Run: func(t *T) {
				c := connectOnly(t)
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				exactly(t, c.Send(c.PublishMessage(t.Fixture().Echo, "x")))
				exactly(t, held.WaitFor(t.Hold()/2), "x")
			},
		},
		{
			// Not by a broadcast: CometD makes of it what is no JSON, and all
			// subscribers of /** would choke on it.
			ID: "BX-SV-30", Title: "a number beyond what a double holds comes back byte for byte", Level: SHOULD, Rules: rules("R-MSG-15"),
			Needs: needs(suite.NeedEcho), On: LP | WS,
			Run: func(t *T) {
				c := t.Connected()
				a := c.Send(c.PublishMessage(t.Fixture().Echo, suite.Raw(`[1e400,-1E+999]`)))
				a.Reply(0).Successful()
				t.Require(len(a.Deliveries()) == 1, "%d messages came, want the echo", len(a.Deliveries()))
				a.Deliveries()[0].Bytes("data", `[1e400,-1E+999]`)
			},
		},
	}
}

// servicePush is about messages that a server sends to one session.
func servicePush() []Case {
	held := needs(suite.NeedPush, suite.NeedHold)
	return []Case{
		{
			ID: "BX-SV-12", Title: "what the server delivers ends the held connect at once, without a subscription", Level: COMETD,
			Rules: rules("R-CN-9", "R-PB-7", "R-SB-6"), Needs: held, On: Polls | H2,
			Run: func(t *T) {
				for _, ch := range []string{t.Channel("a"), "/service/bx/" + t.Random(8)} {
					c := t.Connected()
					p := c.Hold()
					t.Sleep(t.Hold() / 8)
					t.Helper().Publish(t.Fixture().Push, M{"channel": ch, "data": M{"x": 1}, "session": c.ID}).Successful()
					a := p.WaitFor(t.Hold() / 2)
					a.Reply(0).Successful().Lacks("advice")
					exactly(t, a, M{"x": 1})
					a.All[0].Want("channel", ch).Only("channel", "data")
				}
			},
		},
		{
			ID: "BX-SV-13", Title: "on a WebSocket what the server delivers is pushed, and the connect stays held", Level: COMETD,
			Rules: rules("R-WS-11", "R-PB-7"), Needs: held, On: WS,
			Run: func(t *T) {
				c, ch := t.Connected(), "/service/bx/"+t.Random(8)
				p := c.Hold()
				t.Helper().Publish(t.Fixture().Push, M{"channel": ch, "data": 1, "session": c.ID}).Successful()
				c.Receive(ch).Want("data", 1).Only("channel", "data")
				p.StaysHeld(t.Hold() / 4)
			},
		},
		{
			ID: "BX-SV-14", Title: "what the server delivers for a message comes in the answer to that message, before the reply", Level: COMETD,
			Rules: rules("R-DL-2", "R-OUT-2"), Needs: needs(suite.NeedPush), On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				a := c.Send(c.PublishMessage(t.Fixture().Push, M{"channel": ch, "count": 5}), c.PublishMessage(t.Channel("b"), 1))
				exactly(t, a, 1, 2, 3, 4, 5)
			},
		},
		{
			ID: "BX-SV-15", Title: "what the server publishes for a message comes to a subscribed sender in the same answer", Level: COMETD,
			Rules: rules("R-DL-2", "R-PB-7"), Needs: needs(suite.NeedBroadcast, suite.NeedDelivery), On: LP | WS | H2,
			Run: func(t *T) {
				c, two, ch := t.Connected(), t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				two.Subscribe(ch).Successful()
				exactly(t, c.Send(c.PublishMessage(t.Fixture().Broadcast, M{"channel": ch, "count": 3})), 1, 2, 3)
				told(t, two.ReceiveAll(ch, 3), 1, 2, 3)
				noMore(c, ch)
			},
		},
		{
			ID: "BX-SV-16", Title: "what the server delivers to a session that is gone is dropped", Level: COMETD, Rules: rules("R-DL-9"),
			Needs: needs(suite.NeedPush, suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				other := t.Helper()
				old := c.ID
				c.Disconnect().Successful()
				other.Publish(t.Fixture().Push, M{"channel": ch, "data": "x", "session": old}) // refused or not
				c.Handshake().Successful()
				c.Connect(now()).Successful()
				c.Nothing(ch)
			},
		},
	}
}

// remote returns a target of remote calls, or skips the case.
func remote(t *T, of func(*suite.Remote) string, what string) string {
	return needName(t, of(t.Fixture().Remote), "remote."+what)
}

// result receives the answer to a remote call.
func result(c *suite.Client, target string) *suite.Message {
	return c.Receive(target).Want("channel", target).Only("channel", "id", "data", "successful")
}

// remoteCalls is about calls and their answers.
func remoteCalls() []Case {
	call := needs(suite.NeedRemote)
	echo := func(r *suite.Remote) string { return r.Echo }
	return []Case{
		{
			ID: "BX-SV-17", Title: "the result of a remote call has the id of the call, the data and successful true, and comes before the reply", Level: COMETD,
			Spec: "Request / Response operation with service channels", Rules: rules("R-SV-1", "R-OUT-2"), Needs: call, On: LP | WS | H2,
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				c := t.Connected()
				a := c.Send(c.PublishMessage(target, M{"x": []int{1}}, M{"id": "call1"}))
				a.Reply(0).Successful().Want("id", "call1").Want("channel", target).Only("channel", "id", "successful")
				exactly(t, a, M{"x": []int{1}})
				a.All[0].Want("channel", target).Want("id", "call1").Want("successful", true).Only("channel", "id", "data", "successful")
			},
		},
		{
			ID: "BX-SV-18", Title: "the result of a remote call arrives over any transport", Level: COMETD, Rules: rules("R-SV-1"), Needs: call, On: Every | H2,
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				c := t.Connected()
				for _, data := range []any{"text", 7, true, []any{}, M{"a": M{}}, ""} {
					m := c.PublishMessage(target, data)
					c.Send(m).Reply(0).Successful().Want("id", m["id"])
					result(c, target).Want("data", data).Want("id", m["id"]).Want("successful", true)
				}
			},
		},
		{
			ID: "BX-SV-19", Title: "a remote call that fails has successful false in its answer and data that tells why; the publish succeeds", Level: COMETD,
			Rules: rules("R-SV-1"), Needs: call, On: Every | H2,
			Run: func(t *T) {
				target := remote(t, func(r *suite.Remote) string { return r.Failing }, "failing")
				c := t.Connected()
				c.Publish(target, M{}, M{"id": "call1"}).Successful().Want("id", "call1").Only("channel", "id", "successful")
				result(c, target).Want("id", "call1").Want("successful", false).Has("data")
			},
		},
		{
			ID: "BX-SV-20", Title: "a remote call whose handler throws fails with the class and the message of the exception", Level: COMETD,
			Rules: rules("R-SV-2"), Needs: call, On: Every | H2,
			Run: func(t *T) {
				target := remote(t, func(r *suite.Remote) string { return r.Throwing }, "throwing")
				c := t.Connected()
				c.Publish(target, M{}, M{"id": "call1"}).Successful()
				m := result(c, target).Want("id", "call1").Want("successful", false).Has("data.class", "data.message")
				t.Check(m.Text("data.class") != "" && m.Text("data.message") != "", "class and message are %s", m.Raw)
			},
		},
		{
			ID: "BX-SV-21", Title: "a call to a target that is not there has the reply to the publish and no answer", Level: COMETD, Rules: rules("R-SV-2"),
			Needs: needs(suite.NeedRemote, suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				target := remote(t, func(r *suite.Remote) string { return r.Missing }, "missing")
				c := t.Connected()
				a := c.Send(c.PublishMessage(target, M{}, M{"id": "call1"}))
				a.Reply(0).Successful().Want("id", "call1").Only("channel", "id", "successful")
				exactly(t, a)
				c.Nothing(target)
			},
		},
		{
			ID: "BX-SV-22", Title: "an answer that comes later is delivered by itself, after the reply to the publish", Level: COMETD, Rules: rules("R-SV-1", "R-CN-9"),
			Needs: needs(suite.NeedRemote, suite.NeedHold), On: Every | H2,
			Run: func(t *T) {
				target := remote(t, func(r *suite.Remote) string { return r.Late }, "late")
				c := t.Connected()
				a := c.Send(c.PublishMessage(target, "x", M{"id": "call1"})).AtOnce()
				a.Reply(0).Successful()
				exactly(t, a)
				held := c.Hold()
				m := result(c, target).Want("id", "call1").Want("data", "x").Want("successful", true)
				t.Check(m.Unit > a.Reply(0).Unit, "the answer came with the reply or before it")
				if t.On() != WS {
					exactly(t, held.Wait(), "x")
				}
			},
		},
		{
			ID: "BX-SV-23", Title: "a handler that answers twice is heard once", Level: COMETD, Rules: rules("R-SV-1"),
			Needs: needs(suite.NeedRemote, suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				target := remote(t, func(r *suite.Remote) string { return r.Twice }, "twice")
				c := t.Connected()
				c.Publish(target, "x", M{"id": "call1"}).Successful()
				result(c, target).Want("id", "call1").Want("data", "x").Want("successful", true)
				c.Nothing(target)
			},
		},
	}
}

// remoteReach is about several calls, and who gets the answers.
func remoteReach() []Case {
	echo := func(r *suite.Remote) string { return r.Echo }
	return []Case{
		{
			ID: "BX-SV-24", Title: "calls of one array have their answers in order, each with its id, before all replies", Level: COMETD,
			Rules: rules("R-SV-1", "R-OUT-2"), Needs: needs(suite.NeedRemote), On: LP | WS | H2,
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				c := t.Connected()
				all := make([]M, 0, 5)
				for i := range cap(all) {
					all = append(all, c.PublishMessage(target, i, M{"id": fmt.Sprint("call", i)}))
				}
				a := c.Send(all...)
				exactly(t, a, upTo(5)...)
				for i, m := range a.Deliveries() {
					m.Want("id", fmt.Sprint("call", i)).Want("successful", true)
				}
			},
		},
		{
			ID: "BX-SV-25", Title: "the answer reaches the caller alone, although another calls with the same id", Level: COMETD, Rules: rules("R-SV-1", "R-PB-12"),
			Needs: needs(suite.NeedRemote, suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				one, two, watcher := t.Connected(), t.Connected(), t.Connected()
				watcher.Subscribe([]string{target, "/service/**"}).Successful()
				one.Publish(target, "one", M{"id": "call"}).Successful()
				two.Publish(target, "two", M{"id": "call"}).Successful()
				result(one, target).Want("data", "one").Want("id", "call")
				result(two, target).Want("data", "two").Want("id", "call")
				one.Nothing(target)
				two.Nothing(target)
				watcher.Nothing(target)
			},
		},
		{
			ID: "BX-SV-26", Title: "calls that fail and calls that do not are told apart in one array", Level: COMETD, Rules: rules("R-SV-1", "R-SV-2"),
			Needs: needs(suite.NeedRemote), On: LP | WS | H2,
			Run: func(t *T) {
				good, bad := remote(t, echo, "echo"), remote(t, func(r *suite.Remote) string { return r.Failing }, "failing")
				c := t.Connected()
				a := c.Send(c.PublishMessage(good, 1, M{"id": "a"}), c.PublishMessage(bad, 2, M{"id": "b"}), c.PublishMessage(good, 3, M{"id": "c"}))
				got := a.Deliveries()
				t.Require(len(got) == 3, "%d answers came, want 3", len(got))
				for i, want := range []bool{true, false, true} {
					got[i].Want("successful", want).Want("id", string(rune('a'+i)))
					a.Reply(i).Successful()
				}
			},
		},
		{
			ID: "BX-SV-27", Title: "a call of no session has no answer", Level: COMETD, Rules: rules("R-ERR-1", "R-SV-1"), Needs: needs(suite.NeedRemote),
			On: Every | H2,
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				c := t.Client()
				c.ID = "nobody"
				a := c.Send(c.PublishMessage(target, "x", M{"id": "call1"}))
				a.Reply(0).Failed("402").Want("id", "call1").Only("channel", "id", "successful", "error")
				exactly(t, a)
			},
		},
		{
			ID: "BX-SV-28", Title: "a call without an id has an answer without one", Level: INFO, Rules: rules("R-SV-1"), Needs: needs(suite.NeedRemote),
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				c := t.Connected()
				c.Publish(target, "x", M{"id": Absent}).Successful().Lacks("id")
				m, ok := c.TryReceive(target, t.Prompt())
				if !ok {
					t.Infof("there is no answer")
					return
				}
				t.Infof("the answer is %s", m.Raw)
			},
		},
		{
			ID: "BX-SV-29", Title: "the answer to a remote call keeps the bytes of its data", Level: SHOULD, Rules: rules("R-SV-1", "R-MSG-15"),
			Needs: needs(suite.NeedRemote),
			Run: func(t *T) {
				target := remote(t, echo, "echo")
				c := t.Connected()
				value := `{"z":123456789012345678901234567890,"a":[1.0,"\u00e9"]}`
				c.Publish(target, suite.Raw(value)).Successful()
				result(c, target).Bytes("data", value)
			},
		},
	}
}
