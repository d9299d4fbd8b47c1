package cases

import (
	"net/http"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
)

// handshakeCookie is about the cookie that ties sessions to a browser.
func handshakeCookie() []Case {
	return []Case{
		{
			ID: "BX-HS-30", Title: "a handshake without a cookie sets BAYEUX_BROWSER for the whole site, out of reach of scripts", Level: COMETD,
			Rules: rules("R-HS-14"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Client()
				c.SetCookies()
				a := c.Send(c.HandshakeMessage())
				a.Reply(0).Successful()
				set := a.HTTP.Header.Values("Set-Cookie")
				t.Require(len(set) == 1, "%d cookies were set: %v", len(set), set)
				t.Check(strings.HasPrefix(set[0], "BAYEUX_BROWSER="), "the cookie is %s", set[0])
				t.Check(strings.Contains(set[0], "Path=/"), "no Path=/ in %s", set[0])
				t.Check(strings.Contains(strings.ToLower(set[0]), "httponly"), "no HttpOnly in %s", set[0])
			},
		},
		{
			ID: "BX-HS-31", Title: "a cookie of any value is adopted, and none is set", Level: COMETD, Rules: rules("R-HS-14"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Client()
				c.SetCookies([2]string{"BAYEUX_BROWSER", "bx" + t.Random(10)})
				a := c.Send(c.HandshakeMessage())
				a.Reply(0).Successful()
				t.Check(len(a.HTTP.Header.Values("Set-Cookie")) == 0, "a cookie was set: %v", a.HTTP.Header.Values("Set-Cookie"))
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-HS-32", Title: "only the handshake sets the cookie", Level: COMETD, Rules: rules("R-HS-14", "R-HT-5"), On: Polls | H2,
			Run: func(t *T) {
				c := t.Session()
				for _, m := range []M{c.ConnectMessage(now()), c.SubscribeMessage(t.Channel("a")), c.DisconnectMessage()} {
					a := c.Send(m)
					a.Reply(0)
					t.Check(len(a.HTTP.Header.Values("Set-Cookie")) == 0, "the answer to %v sets a cookie", m["channel"])
				}
			},
		},
		{
			ID: "BX-HS-33", Title: "a refused handshake sets no cookie", Level: COMETD, Rules: rules("R-HS-14", "R-MSG-6"), On: Polls,
			Run: func(t *T) {
				c := t.Client()
				c.SetCookies()
				a := c.Send(c.HandshakeMessage(M{"id": "a-b"}))
				a.Reply(0).Failed()
				t.Check(len(a.HTTP.Header.Values("Set-Cookie")) == 0, "a cookie was set: %v", a.HTTP.Header.Values("Set-Cookie"))
			},
		},
		{
			ID: "BX-HS-34", Title: "the WebSocket upgrade sets no cookie", Level: COMETD, Rules: rules("R-WS-5"), On: WS,
			Run: func(t *T) {
				c := t.Client()
				c.SetCookies()
				c.Handshake().Successful()
				set := c.WebSocket().Upgrade.Header.Values("Set-Cookie")
				t.Check(!strings.Contains(strings.Join(set, ""), "BAYEUX_BROWSER"), "the upgrade sets %v", set)
			},
		},
		{
			ID: "BX-HS-40", Title: "the cookie cannot be guessed", Level: COMETD, Rules: rules("R-HS-14"), On: Polls | H2, Needs: needs(suite.NeedCookie),
			Run: func(t *T) {
				a, b := browserCookie(t), browserCookie(t)
				// 80 bits are 14 characters of 62 kinds, 16 of 36.
				t.Check(len(a.Value) >= 14, "the cookie %q is too short", a.Value)
				t.Check(a.Value != b.Value, "two browsers got the cookie %q", a.Value)
			},
		},
		{
			ID: "BX-HS-41", Title: "the cookie has the attributes that were configured, and no others", Level: COMETD,
			Rules: rules("R-HS-14", "R-HS-15"), On: Polls | H2, Needs: needs(suite.NeedBrowserCookie),
			Run: func(t *T) {
				want, got := t.Fixture().Cookie, browserCookie(t)
				is := suite.BrowserCookie{
					Name: got.Name, Domain: got.Domain, Path: got.Path, MaxAge: got.MaxAge, HTTPOnly: got.HttpOnly,
					Secure: got.Secure && strings.HasPrefix(t.Target().URL.Scheme, "https"), SameSite: sameSite(got), Partitioned: got.Partitioned,
				}
				t.Check(is == *want, "the cookie is %s, want %+v", got.Raw, *want)
				t.Check(got.Expires.IsZero() == (want.MaxAge == 0), "when the cookie ends: %s", got.Raw)
				t.Check(want.Secure || !got.Secure, "the cookie is Secure: %s", got.Raw)
			},
		},
	}
}

// browserCookie shakes hands as a new browser.
func browserCookie(t *T) *http.Cookie {
	c := t.Client()
	c.SetCookies()
	a := c.Send(c.HandshakeMessage())
	a.Reply(0).Successful()
	set := a.HTTP.Header.Values("Set-Cookie")
	t.Require(len(set) == 1, "%d cookies were set: %v", len(set), set)
	cookie, err := http.ParseSetCookie(set[0])
	t.Require(err == nil, "the cookie %s: %v", set[0], err)
	return cookie
}

func sameSite(c *http.Cookie) string {
	return map[http.SameSite]string{
		http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict", http.SameSiteNoneMode: "None", http.SameSiteDefaultMode: "?",
	}[c.SameSite]
}
