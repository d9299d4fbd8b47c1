package cases

import (
	"fmt"
	"maps"
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func messages() []Case { return slices.Concat(envelope(), validation()) }

// envelope is about arrays of messages and the replies to them.
func envelope() []Case {
	return []Case{
		{
			ID: "BX-MS-01", Title: "an array of messages is accepted", Level: MUST, Spec: "Messages", Rules: rules("R-MSG-1"),
			Run: func(t *T) {
				c := t.Session()
				a := c.Send(c.SubscribeMessage(t.Channel("a")), c.SubscribeMessage(t.Channel("b")))
				a.Reply(0).Successful()
				a.Reply(1).Successful()
			},
		},
		{
			ID: "BX-MS-02", Title: "a single message without an array is accepted", Level: MAY, Spec: "Messages", Rules: rules("R-MSG-1"),
			Also: suite.CometD,
			Run: func(t *T) {
				t.Client().SendRaw(`{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["` +
					t.On().String() + `"]}`).Reply(0).Successful()
			},
		},
		{
			ID: "BX-MS-03", Title: "the answer is an array, also of one reply", Level: COMETD, Spec: "Messages", Rules: rules("R-MSG-2"),
			On: Every | H2,
			Run: func(t *T) {
				c := t.Client()
				a := c.Send(c.HandshakeMessage())
				a.Reply(0)
				t.Check(!a.Bare, "the answer is no array")
			},
		},
		{
			ID: "BX-MS-04", Title: "each message has one reply, in the order of the request", Level: COMETD, Rules: rules("R-MSG-3"),
			Run: func(t *T) {
				c := t.Session()
				a := c.Send(c.SubscribeMessage(t.Channel("a")), c.UnsubscribeMessage(t.Channel("a")),
					c.SubscribeMessage(t.Channel("b")), c.DisconnectMessage())
				for i := range a.Replies {
					a.Reply(i)
				}
				t.Require(len(a.All) == len(a.Replies), "%d messages came for %d requests", len(a.All), len(a.Replies))
				for i, m := range a.All {
					t.Check(m == a.Replies[i], "reply %d is %s", i, m.Raw)
				}
			},
		},
		{
			ID: "BX-MS-05", Title: "replies have channel, id, successful and what belongs to them, nothing else", Level: COMETD,
			Rules: rules("R-MSG-4"),
			Run: func(t *T) {
				c := t.Session()
				ch := t.Channel("a")
				c.Subscribe(ch, M{"foo": 1}).Successful().Only("channel", "id", "successful", "subscription")
				c.Publish(t.Channel("b"), "x", M{"foo": 1}).Successful().Only("channel", "id", "successful")
				c.Unsubscribe(ch).Successful().Only("channel", "id", "successful", "subscription")
				c.Disconnect().Successful().Only("channel", "id", "successful")
			},
		},
		{
			ID: "BX-MS-06", Title: "replies to meta messages have the id of the request", Level: MUST, Spec: "id", Rules: rules("R-MSG-5"),
			Run: func(t *T) {
				c := t.Session()
				c.Connect(M{"id": "c1", "advice": M{"timeout": 0}}).Want("id", "c1")
				c.Subscribe(t.Channel("a"), M{"id": "s1"}).Want("id", "s1")
				c.Unsubscribe(t.Channel("a"), M{"id": "u1"}).Want("id", "u1")
				c.Disconnect(M{"id": "d1"}).Want("id", "d1")
			},
		},
		{
			ID: "BX-MS-07", Title: "a failing reply to a meta message has the id of the request", Level: MUST, Spec: "id", Rules: rules("R-MSG-5"),
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe(5, M{"id": "s1"}).Failed().Want("id", "s1")
				c.ID = "nobody"
				c.Subscribe(t.Channel("a"), M{"id": "s2"}).Failed().Want("id", "s2")
			},
		},
		{
			ID: "BX-MS-08", Title: "the reply to a publish has its id", Level: COMETD, Rules: rules("R-MSG-5"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				t.Session().Publish(t.Channel("a"), "x", M{"id": "p1"}).Successful().Want("id", "p1")
			},
		},
		{
			ID: "BX-MS-09", Title: "without an id the reply has none", Level: COMETD, Rules: rules("R-MSG-4", "R-MSG-6"),
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe(t.Channel("a"), M{"id": Absent}).Successful().Lacks("id")
				c.Subscribe(t.Channel("b"), M{"id": nil}).Successful().Lacks("id")
			},
		},
		{
			ID: "BX-MS-19", Title: "long ids come back whole", Level: MUST, Spec: "id", Rules: rules("R-MSG-5"), Also: suite.CometD,
			Run: func(t *T) {
				c := t.Session()
				id := t.Random(64)
				c.Subscribe(t.Channel("a"), M{"id": id}).Successful().Want("id", id)
				c.Publish(t.Channel("a"), 1, M{"id": id + "2"}).Want("id", id+"2")
			},
		},
		{
			ID: "BX-MS-20", Title: "a subscription comes back on whatever message it stood", Level: COMETD, Rules: rules("R-MSG-4"),
			Run: func(t *T) {
				c := t.Session()
				what := M{"subscription": t.Channel("x")}
				c.Connect(now(), what).Successful().Want("subscription", what["subscription"])
				c.Publish(t.Channel("a"), 1, what).Successful().Want("subscription", what["subscription"])
				c.Disconnect(what).Successful().Want("subscription", what["subscription"])
			},
		},
		{
			ID: "BX-MS-10", Title: "replies to meta messages have successful as a boolean", Level: MUST, Spec: "successful", Rules: rules("R-MSG-4"),
			Run: func(t *T) {
				c := t.Client()
				c.Handshake().Want("successful", true)
				c.Connect(now()).Want("successful", true)
				c.Subscribe(t.Channel("a")).Want("successful", true)
				c.Unsubscribe(t.Channel("a")).Want("successful", true)
				c.Disconnect().Want("successful", true)
			},
		},
	}
}

// refused expects that a message fails, with its request or alone.
func refused(t *T, a *suite.Answer, what string) {
	if a.Refused() || a.Err != nil {
		return
	}
	if r := a.Replies[0]; r != nil && r.OK() {
		t.Failf("%s: it succeeds: %s", what, r.Raw)
	} else {
		t.Check(r != nil, "%s: no answer", what)
	}
}

// validation is about messages that are wrong in themselves.
func validation() []Case {
	return []Case{
		{
			ID: "BX-MS-11", Title: "a number as id comes back as a string", Level: COMETD, Rules: rules("R-MSG-6"),
			Run: func(t *T) { t.Session().Subscribe(t.Channel("a"), M{"id": 7}).Successful().Want("id", "7") },
		},
		{
			ID: "BX-MS-12", Title: "ids that are not alphanumeric are 405::message_id_invalid, echoed as strings", Level: COMETD,
			Rules: rules("R-MSG-6"),
			Run: func(t *T) {
				c := t.Session()
				for _, bad := range []struct {
					id   any
					echo string
				}{{"a-b", "a-b"}, {"x y", "x y"}, {"", ""}, {-1, "-1"}, {1.5, "1.5"}} {
					c.Subscribe(t.Channel("a"), M{"id": bad.id}).Failed("405::message_id_invalid").Want("id", bad.echo)
				}
			},
		},
		{
			ID: "BX-MS-13", Title: "a message without a channel is 400::channel_missing", Level: COMETD, Rules: rules("R-MSG-7"),
			Run: func(t *T) {
				c := t.Session()
				for _, m := range []M{
					{"clientId": c.ID, "id": c.NextID(), "data": 1},
					{"channel": nil, "clientId": c.ID, "id": c.NextID(), "data": 1},
				} {
					c.Send(m).Reply(0).Failed("400::channel_missing").Lacks("channel")
				}
			},
		},
		{
			ID: "BX-MS-14", Title: "channels of the wrong characters or shape are 405::channel_invalid", Level: COMETD, Rules: rules("R-MSG-8"),
			Run: func(t *T) {
				c := t.Session()
				for _, bad := range []string{"", "/", "foo", "/a?", "/a:b", "/a,b", "/a%20", "/a=b", "/é", "/a\"b", "/a<b"} {
					c.Send(c.PublishMessage(bad, 1)).Reply(0).Failed("405::channel_invalid").Want("channel", bad)
				}
			},
		},
		{
			ID: "BX-MS-15", Title: "the other marks of the grammar are good in channels", Level: MUST, Spec: "Common Elements", Rules: rules("R-MSG-8"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Session()
				for _, name := range []string{"a-b", "a_b", "a!b", "a~b", "(ab)", "a$b", "a@b"} {
					c.Publish(t.Channel(name), 1).Successful()
				}
			},
		},
		{
			ID: "BX-MS-16", Title: "an invalid channel is told before an unknown session", Level: COMETD, Rules: rules("R-MSG-9"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				c.Send(c.PublishMessage("/a?", 1)).Reply(0).Failed("405")
			},
		},
		{
			ID: "BX-MS-17", Title: "a bad message in an array leaves the others as they are", Level: COMETD, Rules: rules("R-MSG-7", "R-MSG-8"),
			Run: func(t *T) {
				c := t.Session()
				a := c.Send(c.SubscribeMessage(t.Channel("a")), c.PublishMessage("/a?", 1), c.SubscribeMessage(t.Channel("b")))
				a.Reply(0).Successful()
				a.Reply(1).Failed("405")
				a.Reply(2).Successful()
			},
		},
		{
			ID: "BX-MS-21", Title: "a publish to a channel with empty segments does not succeed", Level: COMETD, Rules: rules("R-MSG-10"),
			Run: func(t *T) {
				for _, bad := range []string{"//a", "/a//b", "//"} {
					c := t.Session()
					refused(t, c.Send(c.PublishMessage(bad, 1)), bad)
				}
			},
		},
		{
			ID: "BX-MS-22", Title: "a known field of the wrong type does not succeed", Level: COMETD, Rules: rules("R-MSG-11"),
			Run: func(t *T) {
				ch := t.Channel("a")
				for _, fields := range []M{
					{"channel": 5},
					{"channel": M{}},
					{"channel": ch, "data": 1, "clientId": 5},
					{"channel": "/meta/connect", "connectionType": t.On().String(), "advice": 5},
				} {
					c := t.Session()
					m := M{"clientId": c.ID, "id": c.NextID()}
					maps.Copy(m, fields)
					refused(t, c.Send(m), fmt.Sprint(fields))
				}
			},
		},
		{
			ID: "BX-MS-18", Title: "errors are a code, arguments and a text between colons", Level: SHOULD, Spec: "error", Rules: rules("R-MSG-14"),
			Run: func(t *T) {
				c := t.Client()
				c.ID = "nobody"
				text := c.Connect().Failed().Text("error")
				t.Check(errorForm().MatchString(text), "the error is %q", text)
			},
		},
	}
}
