package cases

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

func overHTTP() []Case {
	return slices.Concat(httpAddress(), httpMethod(), httpBody(), httpResponse(), httpVersion())
}

// shake is a handshake as a body.
func shake(types ...string) string {
	list, _ := json.Marshal(types)
	return `[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":` + string(list) + `}]`
}

// shook expects a response with one successful handshake reply.
func shook(t *T, res *wire.Response) {
	var all []map[string]any
	if !t.Check(res.Status == http.StatusOK, "HTTP %d, want 200", res.Status) {
		return
	}
	t.Check(json.Unmarshal(res.Body, &all) == nil && len(all) == 1 && all[0]["successful"] == true,
		"want one successful handshake reply, got %.200s", res.Body)
}

// below returns the address of the server with something behind it.
func below(t *T, more string) string {
	u := t.Target().URL
	return strings.TrimSuffix(u.Path, "/") + more
}

// httpAddress is about the address.
func httpAddress() []Case {
	return []Case{
		{
			ID: "BX-HT-01", Title: "what follows the address makes no difference", Level: COMETD, Rules: rules("R-HT-1"), On: LP,
			Run: func(t *T) {
				for _, more := range []string{"", "/", "/handshake", "/x/y", "?a=b"} {
					req := t.JSONRequest(shake("long-polling"))
					req.Path = below(t, more)
					shook(t, t.HTTP(req))
				}
			},
		},
		{
			ID: "BX-HT-02", Title: "a session goes on at each form of the address", Level: COMETD, Rules: rules("R-HT-1"), On: Polls,
			Run: func(t *T) {
				c := t.Session()
				for _, more := range []string{"/connect", "/", ""} {
					c.OnHTTP = func(r *wire.Request) {
						query := ""
						if at := strings.IndexByte(r.Path, '?'); at >= 0 {
							query = r.Path[at:]
						}
						r.Path = below(t, more) + query
					}
					c.Connect(now()).Successful()
				}
			},
		},
	}
}

// httpMethod is about methods.
func httpMethod() []Case {
	return []Case{
		{
			ID: "BX-HT-03", Title: "methods without a transport are refused with 400", Level: COMETD, Rules: rules("R-HT-2"), On: LP,
			Run: func(t *T) {
				for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
					req := t.JSONRequest(shake("long-polling"))
					if req.Method = method; method == "GET" {
						req.Body = nil
					}
					res := t.HTTP(req)
					t.Check(res.Status == http.StatusBadRequest || res.Status == http.StatusMethodNotAllowed, "%s: HTTP %d, want 400", method, res.Status)
				}
			},
		},
		{
			ID: "BX-HT-04", Title: "OPTIONS is answered with 200 and no body", Level: COMETD, Rules: rules("R-HT-3"), On: LP,
			Run: func(t *T) {
				res := t.HTTP(&wire.Request{Method: "OPTIONS"})
				t.Check(res.Status == http.StatusOK && len(res.Body) == 0, "HTTP %d with %d bytes, want 200 with none", res.Status, len(res.Body))
				for name := range res.Header {
					t.Check(!strings.HasPrefix(name, "Access-Control-"), "%s is set, for a request of no origin", name)
				}
			},
		},
		{
			ID: "BX-HT-19", Title: "a page of another origin is served as any other", Level: COMETD, Rules: rules("R-HT-4"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Client()
				c.OnHTTP = func(r *wire.Request) { r.Set("Origin", "https://bx.example") }
				c.Handshake().Successful()
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-HT-20", Title: "the method post in lower case is no POST", Level: COMETD, Rules: rules("R-LP-4", "R-HT-2"), On: LP,
			Run: func(t *T) {
				req := t.JSONRequest(shake("long-polling"))
				req.Method = "post"
				res, err := t.TryHTTP(req)
				if err != nil {
					t.NonStrictf("no answer came: %v", err)
					return
				}
				t.Check(res.Status >= 400, "HTTP %d, want 400", res.Status)
			},
		},
		{
			ID: "BX-HT-05", Title: "without configuration no other origin is let in by CORS headers", Level: COMETD, Rules: rules("R-HT-4"), On: LP,
			Run: func(t *T) {
				req := t.JSONRequest(shake("long-polling"))
				req.Set("Origin", "https://bx.example")
				for name := range t.HTTP(req).Header {
					t.Check(!strings.HasPrefix(name, "Access-Control-Allow-"), "%s is set", name)
				}
			},
		},
	}
}

// httpBody is about what a POST may carry.
func httpBody() []Case {
	return []Case{
		{
			ID: "BX-HT-06", Title: "the content type is not looked at", Level: COMETD, Rules: rules("R-LP-1"), On: LP,
			Run: func(t *T) {
				for _, kind := range []string{"", "text/plain", "text/json;charset=UTF-8", "application/json", "application/octet-stream"} {
					req := &wire.Request{Body: []byte(shake("long-polling"))}
					if kind != "" {
						req.Set("Content-Type", kind)
					}
					shook(t, t.HTTP(req))
				}
			},
		},
		{
			ID: "BX-HT-07", Title: "a chunked body is accepted", Level: COMETD, Spec: "HTTP Transport", Rules: rules("R-LP-1"), On: LP,
			Run: func(t *T) {
				req := t.JSONRequest(shake("long-polling"))
				req.Chunked = true
				shook(t, t.HTTP(req))
			},
		},
		{
			ID: "BX-HT-08", Title: "the charset of the content type is honoured", Level: COMETD, Rules: rules("R-LP-3"), On: LP, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				listener, ch := t.Connected(), t.Channel("a")
				listener.Subscribe(ch).Successful()
				c := t.Session()
				body := fmt.Sprintf(`[{"channel":%q,"clientId":%q,"data":"caf`+"\xe9"+`"}]`, ch, c.ID)
				c.OnHTTP = func(r *wire.Request) {
					r.Set("Content-Type", "application/json;charset=ISO-8859-1")
					r.Body = []byte(body)
				}
				c.SendRaw(`[{"channel":"` + ch + `"}]`).Reply(0).Successful()
				listener.Receive(ch).Want("data", "café")
			},
		},
		{
			ID: "BX-HT-09", Title: "without a charset the body is UTF-8, and so is the answer", Level: MUST, Spec: "HTTP Transport", Rules: rules("R-LP-2", "R-LP-3", "R-OUT-1"),
			On: Polls, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				text := "Grüße, 世界 😀"
				t.Helper().Publish(ch, text).Successful()
				m := c.Receive(ch).Want("data", text)
				t.Check(strings.Contains(string(m.Raw), "Grüße") || strings.Contains(string(m.Raw), `\u00fc`), "the text is neither UTF-8 nor escaped: %s", m.Raw)
			},
		},
		{
			ID: "BX-HT-10", Title: "a form with the parameter message is accepted", Level: MAY, Spec: "HTTP Transport", Rules: rules("R-LP-1"), On: LP,
			Run: func(t *T) {
				req := &wire.Request{
					Header: [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}},
					Body:   []byte("message=" + url.QueryEscape(shake("long-polling"))),
				}
				shook(t, t.HTTP(req))
			},
		},
		{
			ID: "BX-HT-21", Title: "JSON is taken whatever the content type says", Level: COMETD, Rules: rules("R-LP-1"), On: LP,
			Run: func(t *T) {
				for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/octet-stream", ""} {
					req := &wire.Request{Body: []byte(shake("long-polling"))}
					if kind != "" {
						req.Header = [][2]string{{"Content-Type", kind}}
					}
					shook(t, t.HTTP(req))
				}
			},
		},
		{
			ID: "BX-HT-22", Title: "compressed bodies are not unpacked", Level: SHOULD, Rules: rules("R-HT-11"), On: LP,
			Run: func(t *T) {
				var body bytes.Buffer
				z := gzip.NewWriter(&body)
				_, _ = z.Write([]byte(shake("long-polling")))
				_ = z.Close()
				req := t.JSONRequest(body.String())
				req.Set("Content-Encoding", "gzip")
				res := t.HTTP(req)
				t.Check(res.Status >= 400, "HTTP %d, want 400: a small body may become a huge one", res.Status)
			},
		},
		{
			ID: "BX-HT-11", Title: "an empty header Cookie does no harm", Level: COMETD, Rules: rules("R-ID-3"), On: LP,
			Run: func(t *T) {
				req := t.JSONRequest(shake("long-polling"))
				req.Set("Cookie", "")
				shook(t, t.HTTP(req))
			},
		},
	}
}

// httpResponse is about the answer.
func httpResponse() []Case {
	return []Case{
		{
			ID: "BX-HT-12", Title: "the answer is application/json", Level: MUST, Spec: "HTTP Transport", Rules: rules("R-LP-2", "R-HT-5"), On: LP | H2,
			Run: func(t *T) {
				c := t.Client()
				a := c.Send(c.HandshakeMessage())
				kind, _, _ := strings.Cut(a.HTTP.Header.Get("Content-Type"), ";")
				t.Check(kind == "application/json", "Content-Type is %q", a.HTTP.Header.Get("Content-Type"))
			},
		},
		{
			ID: "BX-HT-23", Title: "the answer is UTF-8, and says nothing else", Level: MUST, Spec: "HTTP Transport", Rules: rules("R-LP-2", "R-OUT-1"), On: LP | H2,
			Run: func(t *T) {
				c := t.Client()
				_, params, err := mime.ParseMediaType(c.Send(c.HandshakeMessage()).HTTP.Header.Get("Content-Type"))
				t.Check(err == nil && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8")), "the charset is %q (%v)", params["charset"], err)
			},
		},
		{
			ID: "BX-HT-24", Title: "answers say nothing of caches", Level: COMETD, Rules: rules("R-HT-5"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Client()
				for _, a := range []*suite.Answer{c.Send(c.HandshakeMessage()), c.Send(c.ConnectMessage(now()))} {
					for _, name := range []string{"Cache-Control", "Expires", "Pragma"} {
						t.Check(a.HTTP.Header.Get(name) == "", "%s is %q", name, a.HTTP.Header.Get(name))
					}
				}
			},
		},
		{
			ID: "BX-HT-25", Title: "answers have no blanks between their values", Level: SHOULD, Rules: rules("R-OUT-1"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Client()
				c.Handshake().Successful()
				a := c.Send(c.SubscribeMessage(t.Channel("a")), c.PublishMessage(t.Channel("b"), 1))
				a.Reply(1).Successful()
				body := bytes.TrimSpace(a.HTTP.Body)
				if t.On() == suite.CP {
					body = body[max(0, bytes.IndexByte(body, '[')) : bytes.LastIndexByte(body, ']')+1]
				}
				var compact bytes.Buffer
				t.Check(json.Compact(&compact, body) == nil && bytes.Equal(compact.Bytes(), body), "the body is %.200q", body)
			},
		},
		{
			ID: "BX-HT-26", Title: "the transports that were declared are there", Level: COMETD, Rules: rules("R-HS-5", "R-WS-4", "R-HT-12"),
			On: suite.Any, Needs: needs(suite.NeedTransports),
			Run: func(t *T) {
				for _, name := range t.Fixture().Transports {
					t.Check(!t.Asked(name) || slices.Contains(t.Facts().Transports, name), "%s is not", name)
				}
			},
		},
		{
			ID: "BX-HT-13", Title: "failures of messages are HTTP 200", Level: COMETD, Rules: rules("R-HT-6", "R-HT-10", "R-ERR-1"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Session()
				for _, m := range []M{
					c.SubscribeMessage(5), c.PublishMessage("/meta/foo", 1), c.ConnectMessage(M{"clientId": "nobody"}),
					{"clientId": c.ID, "id": "1"},
					c.PublishMessage("/a?", 1),
				} {
					a := c.Send(m)
					t.Check(a.HTTP != nil && a.HTTP.Status == http.StatusOK, "HTTP %v for %v, want 200", a.HTTP, m["channel"])
				}
			},
		},
		{
			ID: "BX-HT-14", Title: "a plain answer has a length", Level: COMETD, Rules: rules("R-HT-5"), On: LP,
			Run: func(t *T) {
				res := t.HTTP(t.JSONRequest(shake("long-polling")))
				t.Check(res.Header.Get("Content-Length") != "", "no Content-Length")
			},
		},
		{
			ID: "BX-HT-15", Title: "a connection serves one request after another", Level: MUST, Spec: "HTTP Transport", Rules: rules("R-HT-12"), On: LP,
			Run: func(t *T) {
				conn := t.Dial()
				for range 5 {
					res, err := conn.RoundTrip(t.Context(), t.Target(), t.JSONRequest(shake("long-polling")))
					t.Require(err == nil, "the connection was closed: %v", err)
					shook(t, res)
				}
			},
		},
	}
}

// httpVersion is about versions of HTTP.
func httpVersion() []Case {
	return []Case{
		{
			ID: "BX-HT-16", Title: "HTTP/1.0 works", Level: COMETD, Rules: rules("R-HT-12"), On: LP,
			Run: func(t *T) {
				req := t.JSONRequest(shake("long-polling"))
				req.Proto = "HTTP/1.0"
				shook(t, t.HTTP(req))
			},
		},
		{
			ID: "BX-HT-17", Title: "a connect is held over HTTP/1.0 as well", Level: COMETD, Rules: rules("R-HT-12", "R-CN-4"), On: LP, Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Connected()
				c.OnHTTP = func(r *wire.Request) { r.Proto = "HTTP/1.0" }
				c.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
		{
			ID: "BX-HT-18", Title: "a held stream of HTTP/2 leaves other streams alone", Level: COMETD, Rules: rules("R-HT-12", "R-CN-25"), On: suite.H2,
			Needs: needs(suite.NeedHold, suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				held := c.Hold()
				for i := range 3 {
					c.Publish(ch, i).Successful()
				}
				held.StaysHeld(t.Hold() / 4)
				held.Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
	}
}
