package cases

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

func callbackPolling() []Case {
	return slices.Concat(callbackCall(), callbackRefused(), callbackSession())
}

// call makes a callback-polling request.
func call(t *T, query string) *wire.Response {
	path := below(t, "")
	return t.HTTP(&wire.Request{Method: "GET", Path: path + "?" + query})
}

// callbackCall is about the form of requests and answers.
func callbackCall() []Case {
	return []Case{
		{
			ID: "BX-JP-01", Title: "the answer is a call of the callback with the array", Level: MUST, Spec: "callback-polling", Rules: rules("R-JP-1", "R-JP-2"), On: CP,
			Run: func(t *T) {
				res := call(t, "jsonp=cb&message="+url.QueryEscape(shake("callback-polling")))
				body := strings.TrimPrefix(string(res.Body), "/**/")
				inner, ok := strings.CutPrefix(body, "cb(")
				inner, ok2 := strings.CutSuffix(strings.TrimSuffix(inner, ";"), ")")
				t.Require(res.Status == 200 && ok && ok2, "HTTP %d %.100q, want cb([…])", res.Status, res.Body)
				var all []map[string]any
				t.Check(json.Unmarshal([]byte(inner), &all) == nil && len(all) == 1 && all[0]["successful"] == true, "the argument is %.200s", inner)
			},
		},
		{
			ID: "BX-JP-02", Title: "the answer is text/javascript in UTF-8", Level: COMETD, Rules: rules("R-JP-2"), On: CP,
			Run: func(t *T) {
				kind := strings.ToLower(call(t, "jsonp=cb&message="+url.QueryEscape(shake("callback-polling"))).Header.Get("Content-Type"))
				t.Check(strings.ReplaceAll(kind, " ", "") == "text/javascript;charset=utf-8", "Content-Type is %q", kind)
			},
		},
		{
			ID: "BX-JP-03", Title: "the call has nothing before and nothing behind it", Level: COMETD, Rules: rules("R-JP-2"), On: CP,
			Run: func(t *T) {
				body := string(call(t, "jsonp=cb&message="+url.QueryEscape(shake("callback-polling"))).Body)
				if strings.HasPrefix(body, "/**/") {
					t.NonStrictf("a comment stands before the call, as a guard")
				}
				body = strings.TrimPrefix(body, "/**/")
				t.Check(strings.HasPrefix(body, "cb([") && strings.HasSuffix(body, "])"), "the body is %.60q … %q", body, body[max(0, len(body)-5):])
			},
		},
		{
			ID: "BX-JP-04", Title: "several parameters message are one request, replies in their order", Level: COMETD, Rules: rules("R-JP-1"), On: CP,
			Run: func(t *T) {
				c := t.Session()
				one, _ := json.Marshal(c.SubscribeMessage(t.Channel("a")))
				two, _ := json.Marshal([]M{c.SubscribeMessage(t.Channel("b")), c.SubscribeMessage(t.Channel("c"))})
				c.OnHTTP = func(r *wire.Request) {
					before, _, _ := strings.Cut(r.Path, "message=")
					r.Path = before + "message=" + url.QueryEscape(string(one)) + "&message=" + url.QueryEscape(string(two))
				}
				a := c.Send(M{"channel": "/meta/subscribe", "id": "2"}, M{"channel": "/meta/subscribe", "id": "3"}, M{"channel": "/meta/subscribe", "id": "4"})
				t.Require(len(a.All) == 3, "%d replies came, want 3", len(a.All))
				for i, name := range []string{"a", "b", "c"} {
					a.All[i].Successful().Want("subscription", t.Channel(name))
				}
			},
		},
		{
			ID: "BX-JP-05", Title: "callbacks of letters, digits, dots, hyphens and underscores, up to 64, are called", Level: COMETD, Rules: rules("R-JP-3"), On: CP,
			Run: func(t *T) {
				for _, name := range []string{"a.b", "a-b_c", "_cometd_jsonp_1", "dojo.io.script.jsonp_dojoIoScript1._jsonpCallback", strings.Repeat("a", 64)} {
					res := call(t, "jsonp="+name+"&message="+url.QueryEscape(shake("callback-polling")))
					body := strings.TrimPrefix(string(res.Body), "/**/")
					t.Check(res.Status == 200 && strings.HasPrefix(body, name+"(["), "%s: HTTP %d %.80q", name, res.Status, res.Body)
				}
			},
		},
	}
}

// callbackRefused is about requests that make no sense, or are an attack.
func callbackRefused() []Case {
	return []Case{
		{
			ID: "BX-JP-06", Title: "other callbacks are refused with 400", Level: COMETD, Rules: rules("R-JP-3"), On: CP,
			Run: func(t *T) {
				for _, name := range []string{"a%5B0%5D", "alert(1)", "a%20b", "", strings.Repeat("a", 65), "%3Cscript%3E", "a;b", "a%0Ab", "%C3%A9"} {
					res := call(t, "jsonp="+name+"&message="+url.QueryEscape(shake("callback-polling")))
					t.Check(res.Status == http.StatusBadRequest, "%q: HTTP %d, want 400", name, res.Status)
				}
			},
		},
		{
			ID: "BX-JP-07", Title: "two callbacks, or none, are refused with 400", Level: COMETD, Rules: rules("R-JP-3", "R-HT-2"), On: CP,
			Run: func(t *T) {
				message := "message=" + url.QueryEscape(shake("callback-polling"))
				for _, query := range []string{"jsonp=a&jsonp=b&" + message, message} {
					res := call(t, query)
					t.Check(res.Status == http.StatusBadRequest, "HTTP %d, want 400", res.Status)
				}
			},
		},
		{
			ID: "BX-JP-08", Title: "a request without messages, or with broken ones, is refused", Level: COMETD, Rules: rules("R-JP-4"), On: CP,
			Run: func(t *T) {
				for _, query := range []string{"jsonp=cb", "jsonp=cb&message=", "jsonp=cb&message=%5B%7B", "jsonp=cb&message=hello"} {
					res := call(t, query)
					t.Check(res.Status >= 400, "%s: HTTP %d, want 400", query, res.Status)
					if res.Status == http.StatusInternalServerError {
						t.NonStrictf("%s: HTTP 500, want 400", query)
					}
				}
			},
		},
		{
			ID: "BX-JP-09", Title: "line separators of JavaScript do not break the script", Level: SHOULD, Rules: rules("R-JP-6"), On: CP, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "a\u2028b\u2029c").Successful()
				m := c.Receive(ch).Want("data", "a\u2028b\u2029c")
				if strings.ContainsAny(string(m.Raw), "\u2028\u2029") {
					t.NonStrictf("U+2028 and U+2029 are not escaped; old browsers take them for ends of lines")
				}
			},
		},
		{
			ID: "BX-JP-10", Title: "browsers are told not to guess the type of the script", Level: SHOULD, Rules: rules("R-JP-6"), On: CP,
			Run: func(t *T) {
				res := call(t, "jsonp=cb&message="+url.QueryEscape(shake("callback-polling")))
				if res.Header.Get("X-Content-Type-Options") != "nosniff" {
					t.NonStrictf("X-Content-Type-Options is %q, want nosniff", res.Header.Get("X-Content-Type-Options"))
				}
			},
		},
	}
}

// callbackSession is about sessions on this transport.
func callbackSession() []Case {
	return []Case{
		{
			ID: "BX-JP-11", Title: "messages leave with connect replies only", Level: COMETD, Rules: rules("R-JP-5", "R-DL-4"), On: CP, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				a := c.Send(c.PublishMessage(ch, "x"))
				a.Reply(0).Successful()
				t.Check(len(a.All) == 1, "%d messages came with the reply to the publish, want it alone", len(a.All))
				b := c.Send(c.ConnectMessage())
				b.Reply(0).Successful()
				wantData(t, b, "x")
			},
		},
		{
			ID: "BX-JP-12", Title: "the session's own publish ends its held connect", Level: COMETD, Rules: rules("R-DL-4", "R-JP-5"), On: CP,
			Needs: needs(suite.NeedDelivery, suite.NeedHold),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Publish(ch, "x").Successful()
				a := held.WaitFor(t.Hold() / 2)
				a.Reply(0).Successful()
				wantData(t, a, "x")
			},
		},
		{
			ID: "BX-JP-13", Title: "a connect by callback is held like one by POST", Level: COMETD, Rules: rules("R-CN-4", "R-JP-1"), On: CP, Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				a := t.Connected().Hold().Wait().HeldFor(t.Hold())
				a.Reply(0).Successful().Lacks("advice")
				t.Check(a.Took < t.Hold()*2+5*time.Second, "it took %v", a.Took)
			},
		},
	}
}
