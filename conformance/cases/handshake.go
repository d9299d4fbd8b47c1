package cases

import (
	"encoding/json"
	"regexp"
	"slices"

	"github.com/halleypush/halley/conformance/suite"
)

func handshake() []Case {
	return slices.Concat(handshakeReply(), handshakeRequest(), handshakeSession(), handshakeCookie(), handshakeBatch())
}

// handshakeReply is about what stands in a successful reply.
func handshakeReply() []Case {
	return []Case{
		{
			ID: "BX-HS-01", Title: "a handshake succeeds and its reply has the fields that it must have", Level: MUST,
			Spec: "Successful Handshake Response", Rules: rules("R-HS-1"),
			Run: func(t *T) {
				t.Client().Handshake().Successful().Want("channel", "/meta/handshake").
					Has("version", "supportedConnectionTypes", "clientId")
			},
		},
		{
			ID: "BX-HS-02", Title: "the reply has the id of the request", Level: MUST,
			Spec: "id", Rules: rules("R-MSG-5"),
			Run: func(t *T) {
				t.Client().Handshake(M{"id": "h4x"}).Successful().Want("id", "h4x")
			},
		},
		{
			ID: "BX-HS-03", Title: "version and minimumVersion are 1.0", Level: COMETD, Rules: rules("R-HS-1"),
			Run: func(t *T) {
				t.Client().Handshake().Want("version", "1.0").Want("minimumVersion", "1.0")
			},
		},
		{
			ID: "BX-HS-04", Title: "the reply lists the transport that was offered and used", Level: MUST,
			Spec: "supportedConnectionTypes", Rules: rules("R-HS-1", "R-HS-5"), On: Every | H2,
			Run: func(t *T) {
				c := t.Client()
				m := c.HandshakeMessage()
				reply := c.Send(m).Reply(0).Successful()
				offered, _ := m["supportedConnectionTypes"].([]string)
				common := slices.ContainsFunc(reply.Strings("supportedConnectionTypes"),
					func(s string) bool { return slices.Contains(offered, s) })
				t.Check(common, "the reply lists %v, nothing of the offered %v", reply.Strings("supportedConnectionTypes"), offered)
			},
		},
		{
			ID: "BX-HS-05", Title: "every server supports long-polling", Level: MUST,
			Spec: "supportedConnectionTypes", Rules: rules("R-HS-5"), On: Any,
			Run: func(t *T) {
				reply := t.Client().Handshake(M{"supportedConnectionTypes": []string{"long-polling", t.On().String()}})
				t.Check(slices.Contains(reply.Strings("supportedConnectionTypes"), "long-polling"),
					"long-polling is not in %v", reply.Strings("supportedConnectionTypes"))
			},
		},
		{
			ID: "BX-HS-06", Title: "callback-polling is supported", Level: SHOULD,
			Spec: "supportedConnectionTypes", Rules: rules("R-HS-5"), On: Any,
			Run: func(t *T) {
				reply := t.Client().Handshake(M{"supportedConnectionTypes": []string{"long-polling", "callback-polling", t.On().String()}})
				t.Check(slices.Contains(reply.Strings("supportedConnectionTypes"), "callback-polling"),
					"callback-polling is not in %v", reply.Strings("supportedConnectionTypes"))
			},
		},
		{
			ID: "BX-HS-07", Title: "the reply has retry advice with interval and timeout", Level: COMETD, Rules: rules("R-HS-7"),
			Run: func(t *T) {
				reply := t.Client().Handshake().Advice("retry")
				for _, name := range []string{"advice.interval", "advice.timeout"} {
					n, ok := reply.Number(name)
					t.Check(ok && n >= 0, "%s is no number of milliseconds in %s", name, reply.Raw)
				}
			},
		},
		{
			ID: "BX-HS-37", Title: "the advice has reconnect, interval and timeout, and nothing else", Level: COMETD, Rules: rules("R-HS-7"),
			Run: func(t *T) {
				var advice map[string]any
				raw, _ := t.Client().Handshake().Advice("retry").Get("advice")
				t.Require(json.Unmarshal(raw, &advice) == nil, "the advice is %s", raw)
				maxInterval, _ := t.Fixture().Options["handshakeReconnect"].(bool)
				for name := range advice {
					t.Check(name == "reconnect" || name == "interval" || name == "timeout" || name == "maxInterval" && maxInterval,
						"the advice has %s, which only the option handshakeReconnect brings: %s", name, raw)
				}
			},
		},
		{
			ID: "BX-HS-38", Title: "connection types come in the order of CometD", Level: COMETD, Rules: rules("R-HS-4", "R-HS-5"),
			Run: func(t *T) {
				order := []string{"websocket", "long-polling", "callback-polling"}
				last := -1
				for _, name := range t.Client().Handshake().Successful().Strings("supportedConnectionTypes") {
					at := slices.Index(order, name)
					t.Check(at < 0 || at > last, "%s stands behind a later one", name)
					last = max(last, at)
				}
			},
		},
		{
			ID: "BX-HS-39", Title: "a WebSocket stays open when a handshake on it is denied", Level: COMETD, Rules: rules("R-HS-10"), On: WS,
			Needs: needs(suite.NeedHandshakeDenied),
			Run: func(t *T) {
				c := t.Client()
				first := c.WebSocket()
				c.Handshake(M{"ext": t.Fixture().HandshakeDenied.Ext}).Failed("403")
				c.Handshake().Successful()
				t.Check(c.WebSocket() == first, "the WebSocket was closed")
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-HS-08", Title: "the reply has no fields beyond those of CometD", Level: COMETD, Rules: rules("R-HS-1", "R-HS-6"),
			Run: func(t *T) {
				t.Client().Handshake().Only("channel", "id", "version", "minimumVersion", "supportedConnectionTypes",
					"clientId", "successful", "advice", "ext")
			},
		},
		{
			ID: "BX-HS-09", Title: "a successful reply has no error text", Level: COMETD, Rules: rules("R-HS-1", "R-MSG-4"),
			Run: func(t *T) { t.Client().Handshake().Successful().Lacks("error") },
		},
		{
			ID: "BX-HS-10", Title: "the client id is of letters and digits", Level: MUST, Spec: "Client ID", Rules: rules("R-HS-13"),
			Run: func(t *T) {
				id := t.Session().ID
				t.Check(regexp.MustCompile(`^[0-9A-Za-z]+$`).MatchString(id), "the client id is %q", id)
			},
		},
		{
			ID: "BX-HS-11", Title: "client ids have room for 128 random bits and share no long beginning", Level: SHOULD,
			Spec: "Client ID", Rules: rules("R-HS-13"), On: Any,
			Run: func(t *T) {
				a, b := t.Session().ID, t.Session().ID
				// 128 bits are 20 characters of 62 kinds, 25 of 36.
				t.Check(len(a) >= 20, "the client id %q is too short", a)
				t.Check(len(a)-sharedPrefix(a, b) >= 18, "the client ids %q and %q have too much in common", a, b)
			},
		},
		{
			ID: "BX-HS-12", Title: "client ids are unique", Level: MUST, Spec: "Client ID", Rules: rules("R-HS-9", "R-HS-13"),
			Run: func(t *T) {
				seen := map[string]bool{}
				for range 8 {
					id := t.Session().ID
					t.Check(!seen[id], "the client id %q was given twice", id)
					seen[id] = true
				}
			},
		},
		{
			ID: "BX-HS-13", Title: "every transport lists the same connection types", Level: COMETD, Rules: rules("R-HS-5"), On: CP | WS,
			Needs: needs(suite.NeedLP),
			Run: func(t *T) {
				here := t.Client().Handshake().Strings("supportedConnectionTypes")
				there := t.ClientOn(LP).Handshake().Strings("supportedConnectionTypes")
				t.Check(slices.Equal(here, there), "%s lists %v, long-polling %v", t.On(), here, there)
			},
		},
	}
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// handshakeRequest is about what stands in a request.
func handshakeRequest() []Case {
	return []Case{
		{
			ID: "BX-HS-14", Title: "a handshake of the channel alone succeeds", Level: COMETD, Rules: rules("R-HS-2"),
			Run: func(t *T) {
				reply := t.Client().Send(M{"channel": "/meta/handshake"}).Reply(0).Successful().Has("clientId").Lacks("id")
				t.Check(reply.Channel() == "/meta/handshake", "the channel is %q", reply.Channel())
			},
		},
		{
			ID: "BX-HS-15", Title: "data, clientId and unknown fields of the request are ignored and not echoed", Level: COMETD,
			Rules: rules("R-HS-2"),
			Run: func(t *T) {
				c := t.Client()
				c.Handshake(M{"data": M{"a": 1}, "clientId": "nobody", "foo": "bar"}).Successful().Lacks("data", "foo")
				t.Check(c.ID != "nobody", "the client id of the request was taken over")
			},
		},
		{
			ID: "BX-HS-16", Title: "advice in the request does not change the advice of the reply", Level: COMETD, Rules: rules("R-HS-2", "R-HS-7"),
			Run: func(t *T) {
				plain, _ := t.Client().Handshake().Get("advice")
				asked := M{"advice": M{"timeout": 1, "interval": 77, "reconnect": "none"}}
				got, _ := t.Client().Handshake(asked).Successful().Get("advice")
				t.Check(string(plain) == string(got), "advice is %s, without the client's it is %s", got, plain)
			},
		},
		{
			ID: "BX-HS-17", Title: "an unknown version succeeds and the answer is 1.0", Level: COMETD, Rules: rules("R-HS-3"),
			Run: func(t *T) {
				for _, v := range []string{"0.1", "9"} {
					t.Client().Handshake(M{"version": v, "minimumVersion": v}).Successful().Want("version", "1.0")
				}
			},
		},
		{
			ID: "BX-HS-18", Title: "a handshake without a common connection type is unsuccessful", Level: MUST,
			Spec: "Successful Handshake Response", Rules: rules("R-HS-4"), Except: suite.CometD | suite.Salesforce, Instead: "BX-HS-19",
			Run: func(t *T) {
				t.Client().Handshake(M{"supportedConnectionTypes": []string{"foo"}}).Failed().Lacks("clientId")
			},
		},
		{
			ID: "BX-HS-19", Title: "the connection types of the client are not looked at", Level: COMETD, Rules: rules("R-HS-4"),
			Run: func(t *T) {
				all := t.Client().Handshake().Strings("supportedConnectionTypes")
				for _, types := range [][]string{{"foo"}, {}} {
					got := t.Client().Handshake(M{"supportedConnectionTypes": types}).Successful().Strings("supportedConnectionTypes")
					t.Check(slices.Equal(all, got), "to %v the server lists %v, else %v", types, got, all)
				}
			},
		},
		{
			ID: "BX-HS-20", Title: "ext of the request is not echoed", Level: COMETD, Rules: rules("R-HS-6"),
			Run: func(t *T) {
				t.Client().Handshake(M{"ext": M{"bxUnknown": M{"a": 1}}}).Successful().Lacks("ext.bxUnknown")
			},
		},
		{
			ID: "BX-HS-21", Title: "a number as id comes back as a string", Level: COMETD, Rules: rules("R-MSG-6"),
			Run: func(t *T) { t.Client().Handshake(M{"id": 7}).Successful().Want("id", "7") },
		},
		{
			ID: "BX-HS-22", Title: "an id that is not alphanumeric is refused, and there is no session", Level: COMETD, Rules: rules("R-MSG-6"),
			Run: func(t *T) {
				t.Client().Handshake(M{"id": "a-b"}).Failed("405").Want("id", "a-b").Lacks("clientId")
			},
		},
		{
			ID: "BX-HS-23", Title: "a refused handshake has an error and advice", Level: MUST, Spec: "Unsuccessful Handshake Response",
			Rules: rules("R-HS-10"), Needs: needs(suite.NeedHandshakeDenied),
			Run: func(t *T) {
				t.Client().Handshake(M{"ext": t.Fixture().HandshakeDenied.Ext}).Failed().Has("error").Lacks("clientId")
			},
		},
		{
			ID: "BX-HS-24", Title: "a refused handshake is 403::handshake_denied with the advice none", Level: COMETD,
			Rules: rules("R-HS-10"), Needs: needs(suite.NeedHandshakeDenied),
			Run: func(t *T) {
				c := t.Client()
				a := c.Send(c.HandshakeMessage(M{"ext": t.Fixture().HandshakeDenied.Ext}))
				want := t.Fixture().HandshakeDenied.Reconnect
				if want == "" {
					want = "none"
				}
				a.Reply(0).Failed("403::handshake_denied").Advice(want).Lacks("version", "supportedConnectionTypes", "clientId")
				if a.HTTP != nil {
					t.Check(a.HTTP.Status == 200, "HTTP %d, want 200", a.HTTP.Status)
					t.Check(len(a.HTTP.Header.Values("Set-Cookie")) == 0, "a cookie was set")
				}
			},
		},
	}
}

// handshakeSession is about the session that a handshake makes.
func handshakeSession() []Case {
	return []Case{
		{
			ID: "BX-HS-25", Title: "a second handshake makes a new session and leaves the old one usable", Level: COMETD, Rules: rules("R-HS-9"),
			On: Polls,
			Run: func(t *T) {
				c := t.Session()
				old := c.ID
				c.Handshake(M{"clientId": old}).Successful()
				t.Check(c.ID != old, "the second handshake gave the same client id %s", old)
				c.Connect(now()).Successful()
				c.ID = old
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-HS-26", Title: "a second handshake on a WebSocket takes it over, the old client id is unknown there", Level: COMETD,
			Rules: rules("R-WS-23"), On: WS,
			Run: func(t *T) {
				c := t.Session()
				old := c.ID
				c.Handshake().Successful()
				c.Connect(now()).Successful()
				t.Check(c.ID != old, "the second handshake gave the same client id")
				c.ID = old
				c.Connect(now()).Failed("402")
			},
		},
		{
			ID: "BX-HS-27", Title: "after the handshake, without a connect, subscribe and publish work", Level: COMETD, Rules: rules("R-HS-16"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Session()
				c.Subscribe(t.Channel("a")).Successful()
				c.Publish(t.Channel("a"), "x").Successful()
				c.Receive(t.Channel("a")).Want("data", "x")
			},
		},
		{
			ID: "BX-HS-28", Title: "a session that never connects is gone after the time of silence", Level: COMETD,
			Rules: rules("R-HS-19", "R-EX-1"), Needs: needs(suite.NeedExpiry),
			Run: func(t *T) {
				_, gone := t.Expiry()
				c := t.Session()
				t.Sleep(gone)
				c.Subscribe(t.Channel("a")).Failed("402")
			},
		},
		{
			ID: "BX-HS-29", Title: "a session that never connects lives as long as it was promised", Level: COMETD,
			Rules: rules("R-HS-19", "R-EX-1"), Needs: needs(suite.NeedExpiry),
			Run: func(t *T) {
				alive, _ := t.Expiry()
				c := t.Session()
				t.Sleep(alive)
				c.Connect(now()).Successful()
			},
		},
	}
}

// handshakeBatch is about other messages beside the handshake.
func handshakeBatch() []Case {
	mixed := func(t *T, last bool) (*suite.Client, *suite.Answer) {
		c := t.Client()
		other := M{"channel": "/meta/subscribe", "id": c.NextID(), "subscription": t.Channel("a")}
		if last {
			return c, c.Send(other, c.HandshakeMessage())
		}
		return c, c.Send(c.HandshakeMessage(), other)
	}
	return []Case{
		{
			ID: "BX-HS-35", Title: "messages beside a handshake are ignored, the handshake succeeds", Level: MUST, Spec: "Handshake Request",
			Rules: rules("R-HS-12"), Except: suite.CometD | suite.Salesforce, Instead: "BX-HS-36",
			Run: func(t *T) {
				c := t.Client()
				a := c.Start(c.HandshakeMessage(), M{"channel": "/meta/subscribe", "subscription": t.Channel("a")}).WaitFor(t.Prompt())
				t.Require(!a.Refused(), "the whole request was refused")
				a.Reply(0).Successful()
				t.Check(a.Replies[1] == nil, "the other message was answered too")
			},
		},
		{
			ID: "BX-HS-36", Title: "a request with a handshake and other messages is refused as a whole", Level: COMETD, Rules: rules("R-HS-12"),
			Run: func(t *T) {
				for _, last := range []bool{false, true} {
					_, a := mixed(t, last)
					a.WantRefused([]int{400, 500}, []int{1011})
					t.Check(len(a.All) == 0, "messages came all the same: %d", len(a.All))
				}
			},
		},
	}
}
