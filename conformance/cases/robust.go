package cases

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

func robust() []Case { return slices.Concat(robustJSON(), robustTypes(), robustSize()) }

// alive expects that a session is none the worse.
func alive(c *suite.Client) { c.Connect(now()).Successful() }

// robustJSON is about bodies that cannot be read.
func robustJSON() []Case {
	return []Case{
		{
			ID: "BX-RB-01", Title: "a body that is no JSON is HTTP 400, and the session lives", Level: COMETD, Rules: rules("R-HT-7"), On: LP | H2,
			Run: func(t *T) {
				c := t.Connected()
				for _, body := range []string{`[{"channel":`, `hello`, `{`, `[}`, `[{"channel":"/meta/connect"}]x`} {
					c.SendRaw(body).WantRefused([]int{http.StatusBadRequest}, nil)
				}
				alive(c)
			},
		},
		{
			ID: "BX-RB-02", Title: "a message that is no JSON closes the WebSocket with 1011, and the session lives", Level: COMETD, Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				for _, body := range []string{`[{"channel":`, `hello`, `{`} {
					c := t.Connected()
					c.SendRaw(body).WantRefused(nil, []int{1011})
					again := left(t, c)
					alive(again)
				}
			},
		},
		{
			ID: "BX-RB-03", Title: "an empty body, null, and arrays of what are no messages are refused", Level: COMETD, Rules: rules("R-HT-8"), On: LP,
			Run: func(t *T) {
				c := t.Connected()
				for _, body := range []string{``, `null`, `5`, `"x"`, `[5]`, `[null]`, `true`} {
					a := c.SendRaw(body).WantRefused(nil, nil)
					if a.HTTP != nil && a.HTTP.Status == http.StatusInternalServerError {
						t.NonStrictf("%q: HTTP 500, want 400", body)
					}
				}
				alive(c)
			},
		},
		{
			ID: "BX-RB-04", Title: "an empty array does no harm", Level: SHOULD, Rules: rules("R-HT-8"), On: LP | WS, Also: suite.CometD,
			Run: func(t *T) {
				c := t.Connected()
				a := c.SendRaw(`[]`)
				if a.Refused() {
					t.NonStrictf("it is refused; some clients send it to keep a connection")
					c = left(t, c)
				}
				alive(c)
			},
		},
		{
			ID: "BX-RB-05", Title: "a hundred thousand open brackets are refused promptly, inside of data too", Level: SHOULD, Rules: rules("R-HT-7"), On: LP, Also: suite.CometD,
			Run: func(t *T) {
				c := t.Connected()
				deep := strings.Repeat("[", 100_000)
				for _, body := range []string{deep, `[{"channel":"/a","clientId":"` + c.ID + `","data":` + deep} {
					a := c.SendRaw(body)
					a.AtOnce().WantRefused(nil, nil)
				}
				alive(c)
			},
		},
		{
			ID: "BX-RB-06", Title: "numbers, escapes and keys of data come through as they were sent", Level: SHOULD, Rules: rules("R-MSG-15"), Also: suite.CometD,
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				data := `{"z":12345678901234567890,"a":"\/","m":2.50,"e":"\u00e9\/","d":[1e3,-0.0]}`
				t.Helper().Publish(ch, suite.Raw(data)).Successful()
				m := c.Receive(ch)
				if v, _ := m.Get("data"); string(v) != data {
					t.NonStrictf("data is %s, sent was %s", v, data)
				}
				m.Has("data.z", "data.m", "data.e", "data.d")
			},
		},
	}
}

// robustTypes is about fields of the wrong type.
func robustTypes() []Case {
	return []Case{
		{
			ID: "BX-RB-07", Title: "known fields of the wrong type fail their message or the request, never the session", Level: SHOULD, Rules: rules("R-MSG-11"),
			On: LP, Also: suite.CometD,
			Run: func(t *T) {
				c := t.Connected()
				for _, fields := range []string{
					`"channel":5`, `"channel":{}`, `"channel":"/a","clientId":5`, `"channel":"/a","ext":"s"`, `"channel":"/meta/connect","advice":{"timeout":"0"}`,
					`"channel":"/meta/connect","advice":5`, `"channel":"/meta/connect","advice":{"timeout":0,"interval":[]}`,
				} {
					id := `,"clientId":"` + c.ID + `"`
					if strings.Contains(fields, "clientId") {
						id = ""
					}
					a := c.SendRaw(`[{` + fields + id + `}]`)
					t.Check(a.Refused() || a.Err != nil || len(a.All) > 0, "%s: no answer", fields)
					if a.HTTP != nil && a.HTTP.Status == http.StatusInternalServerError {
						t.NonStrictf("%s: HTTP 500", fields)
					}
				}
				alive(c)
			},
		},
		{
			ID: "BX-RB-08", Title: "unknown fields at any level do no harm", Level: MUST, Spec: "Common Elements", Rules: rules("R-PB-6"), On: Every | H2,
			Run: func(t *T) {
				c := t.Client()
				odd := M{"foo": M{"bar": []any{1, nil}}, "": 1, "ext": M{"unknown": M{"x": true}}}
				c.Handshake(odd).Successful()
				c.Connect(now(), odd).Successful()
				c.Subscribe(t.Channel("a"), odd)
				c.Disconnect(odd).Successful()
			},
		},
	}
}

// robustSize is about much.
func robustSize() []Case {
	return []Case{
		{
			ID: "BX-RB-09", Title: "a hundred messages in one request have a hundred replies in order", Level: COMETD, Rules: rules("R-MSG-3"), On: LP | WS | H2,
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c := t.Session()
				batch := make([]M, 100)
				for i := range batch {
					batch[i] = c.PublishMessage(t.Channel("a"), i)
				}
				a := c.Send(batch...)
				t.Require(len(a.All) == len(batch), "%d of %d replies came", len(a.All), len(batch))
				for i, m := range a.All {
					m.Successful().Want("id", batch[i]["id"])
				}
			},
		},
		{
			ID: "BX-RB-10", Title: "a message of 60,000 bytes is delivered whole", Level: COMETD, Rules: rules("R-WS-9", "R-HT-9"), On: LP | WS | H2, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				text := strings.Repeat("0123456789", 6000)
				t.Helper().Publish(ch, text).Successful()
				c.Receive(ch).Want("data", text)
			},
		},
		{
			ID: "BX-RB-11", Title: "a body above the declared limit is refused, and the session lives", Level: COMETD, Rules: rules("R-HT-9"), On: LP, Needs: needs(suite.NeedLimits),
			Run: func(t *T) {
				limit := t.Fixture().Limits.HTTPBody
				if limit == 0 {
					t.Skipf("the fixture declares no limit of HTTP bodies")
				}
				c := t.Connected()
				a := c.Send(c.PublishMessage(t.Channel("a"), strings.Repeat("x", limit)))
				a.WantRefused(nil, nil)
				if a.HTTP != nil && a.HTTP.Status == http.StatusInternalServerError {
					t.NonStrictf("HTTP 500, want 413")
				}
				alive(c)
			},
		},
		{
			ID: "BX-RB-12", Title: "a backlog of many messages arrives whole and in order", Level: COMETD, Rules: rules("R-PB-14", "R-CN-11"), Needs: needs(suite.NeedDelivery),
			On: LP | WS | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				const rounds, each = 10, 50
				for i := range rounds {
					batch := make([]M, each)
					for j := range batch {
						batch[j] = other.PublishMessage(ch, i*each+j)
					}
					other.Send(batch...)
				}
				for i, m := range c.ReceiveAll(ch, rounds*each) {
					if n, ok := m.Number("data"); !ok || int(n) != i {
						t.Fatalf("message %d is %s", i, m.Raw)
					}
				}
				c.Nothing(ch)
			},
		},
	}
}

// secure is about what an attacker would try.
func secure() []Case {
	return []Case{
		{
			ID: "BX-SE-01", Title: "what only begins like a meta channel is refused", Level: COMETD, Rules: rules("R-PB-3"), On: Every | H2,
			Run: func(t *T) {
				c := t.Connected()
				for _, ch := range []string{"/meta/subscribe/x", "/meta/foo", "/meta/connect/x", "/meta/handshake2"} {
					c.Publish(ch, 1, M{"subscription": t.Channel("a")}).Failed("403:denied_by_security_policy:channel_create_denied")
				}
			},
		},
		{
			ID: "BX-SE-02", Title: "a look-alike of a subscribe subscribes to nothing", Level: COMETD, Rules: rules("R-PB-3", "R-MSG-13"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				for _, meta := range []string{"/meta/subscribe/x", "/meta/subscribe/", "/META/subscribe", "/meta//subscribe"} {
					a := c.Send(c.SubscribeMessage(ch, M{"channel": meta}))
					if a.Refused() {
						c = left(t, c)
					}
				}
				t.Helper().Publish(ch, "x").Successful()
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-SE-03", Title: "client ids tell nothing of each other beyond a short beginning", Level: SHOULD, Spec: "Client ID", Rules: rules("R-HS-13"), On: Any, Also: suite.CometD,
			Run: func(t *T) {
				seen := map[string]bool{}
				for range 20 {
					id := t.Session().ID
					tail := id[max(0, len(id)-12):]
					t.Check(len(id) >= 16 && !seen[tail], "client id %q is short, or ends like another", id)
					seen[tail] = true
				}
			},
		},
		{
			ID: "BX-SE-04", Title: "neither client id nor message id of a publisher reaches subscribers", Level: COMETD, Spec: "clientId", Rules: rules("R-PB-6"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, "x").Successful()
				m := c.Receive(ch).Lacks("clientId", "id")
				t.Check(!strings.Contains(string(m.Raw), other.ID), "the client id is in %s", m.Raw)
			},
		},
		{
			ID: "BX-SE-05", Title: "a publish cannot forge a reply for its subscribers", Level: SHOULD, Rules: rules("R-PB-6"), Needs: needs(suite.NeedDelivery), On: LP, Also: suite.CometD,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x", M{"successful": false, "error": "402::forged", "advice": M{"reconnect": "none"}}).Successful()
				m := c.Receive(ch)
				for _, field := range []string{"successful", "error", "advice"} {
					if _, ok := m.Get(field); ok {
						t.NonStrictf("%s of a publisher reaches subscribers", field)
					}
				}
			},
		},
		{
			ID: "BX-SE-06", Title: "errors do not repeat what would be a script", Level: SHOULD, Rules: rules("R-HT-7"), On: LP, Also: suite.CometD,
			Run: func(t *T) {
				res := t.HTTP(&wire.Request{Body: []byte(`<script>alert(1)</script>`)})
				kind := res.Header.Get("Content-Type")
				t.Check(!strings.Contains(kind, "html") || !strings.Contains(string(res.Body), "<script>alert(1)"), "the error page has the script: %.200s", res.Body)
			},
		},
		{
			ID: "BX-SE-07", Title: "lengths that contradict each other are refused or the connection is closed", Level: SHOULD, Rules: rules("R-HT-8"), On: LP, Also: suite.CometD,
			Run: func(t *T) {
				body := shake("long-polling")
				req := t.JSONRequest(body)
				req.Add("Content-Length", fmt.Sprint(len(body)))
				req.Add("Content-Length", fmt.Sprint(len(body)+5))
				res, err := t.TryHTTP(req)
				t.Check(err != nil || res.Status >= 400, "two lengths: HTTP %v", res)
			},
		},
		{
			ID: "BX-SE-08", Title: "a key that stands twice does not smuggle a channel past the checks", Level: INFO, Rules: rules("R-MSG-15"), On: LP,
			Run: func(t *T) {
				c := t.Connected()
				id, _ := json.Marshal(c.ID)
				a := c.SendRaw(`[{"channel":"/a","channel":"/meta/foo","clientId":` + string(id) + `,"data":1}]`)
				t.Infof("answered with %d messages, refused %v", len(a.All), a.Refused())
			},
		},
	}
}
