package attacks

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

const evil = "https://evil.example"

// webGroup is what a hostile page does in the browser of a user.
func webGroup() group {
	callback := func(name string) func(*testing.T, *target) end {
		return func(t *testing.T, g *target) end {
			t.Helper()
			return jsonp(t, g, name, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "script")
		}
	}
	return group{name: "web", attacks: []attack{
		{
			"cross-site-websocket", "CSWSH; CometD leaves it to a filter in front", "a page of another origin opens a WebSocket with the user's cookies",
			succeeds("101, a socket"), fails("403"), crossSiteSocket,
		},
		{
			"null-origin-websocket", "sandboxed frames", "the same from a sandboxed frame, whose Origin is null",
			succeeds("101, a socket"), fails("403"),
			func(t *testing.T, g *target) end {
				t.Helper()
				return upgrade(t, g, "Origin", "null", "Cookie", "BAYEUX_BROWSER=x")
			},
		},
		{
			"csrf-text-plain", "CSRF; CometD 8.0.10 answers it with a session", "a page of another origin posts a handshake as text/plain, which no preflight protects",
			succeeds("200, a session"), fails("403"), func(t *testing.T, g *target) end {
				t.Helper()
				return posted(g.request(t, http.MethodPost, "/cometd", handshake, "Content-Type", "text/plain", "Origin", evil))
			},
		},
		{
			"csrf-form", "CSRF", "the same as a form",
			succeeds("200, a session"), fails("403"), func(t *testing.T, g *target) end {
				t.Helper()
				return posted(g.request(t, http.MethodPost, "/cometd", "message="+url.QueryEscape(handshake), "Content-Type", "application/x-www-form-urlencoded", "Origin", evil))
			},
		},
		{
			"text-plain-without-origin", "CSRF from software that sends no Origin", "messages as text/plain and without Origin",
			succeeds("200, a session"), fails("415"), func(t *testing.T, g *target) end {
				t.Helper()
				return posted(g.request(t, http.MethodPost, "/cometd", handshake, "Content-Type", "text/plain"))
			},
		},
		{
			"csrf-publish", "CSRF", "a page of another origin publishes with the user's cookie and a clientId that it has seen",
			succeeds("the message is published"), fails("403"), crossSitePublish,
		},
		{
			"cross-origin-read", "CORS", "a page of another origin posts with credentials and wants to read the answer",
			fails("no Access-Control-Allow-Origin"), fails("no Access-Control-Allow-Origin"), func(t *testing.T, g *target) end {
				t.Helper()
				return readable(g.post(t, handshake, "Origin", evil))
			},
		},
		{
			"cross-origin-preflight", "CORS", "a page of another origin asks whether it may send JSON",
			fails("no Access-Control-Allow-Origin"), fails("no Access-Control-Allow-Origin"), func(t *testing.T, g *target) end {
				t.Helper()
				return readable(g.request(t, http.MethodOptions, "/cometd", "", "Origin", evil, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"))
			},
		},
		{
			"jsonp-cross-site", "JSONP", "a script of another site makes a session by callback-polling",
			succeeds("a script with a session"), fails("400"), callback("cb"),
		},
		{
			"jsonp-rosetta-flash", "CVE-2014-4671", "the callback is a Flash file of letters and digits",
			fails("400"), fails("400"), callback("CWSMIKI0hCD0Up0IZUnnnnnnnnnnnnnnnnnnnUU5nnnnnn3SnUUUUnUUUUUU7CiudIbEAtwwuDtDDDtswwGDDttt0DG0333swwEpDDG"),
		},
		{
			"jsonp-injection", "reflected script", "the callback has brackets, quotes, line breaks",
			fails("400"), fails("400"), callback(`alert(1)//</script>`),
		},
		{
			"jsonp-not-an-identifier", "CometD 8.0.10 accepts jsonp=abc.d-e", "the callback is an expression rather than a name",
			succeeds("a script with a session"), fails("400"), callback("abc.d-e"),
		},
		{
			"sniffing", "MIME confusion", "an answer is taken for something else than it says",
			fails("nosniff"), fails("nosniff"), func(t *testing.T, g *target) end {
				t.Helper()
				if a := g.post(t, handshake); a.header.Get("X-Content-Type-Options") != "nosniff" {
					return succeeds(a.header.Get("Content-Type"))
				}
				return fails("nosniff")
			},
		},
		{
			"cookie-from-script", "XSS", "a script reads the browser cookie",
			fails("HttpOnly"), fails("HttpOnly"), cookieHas("HttpOnly"),
		},
		{
			"cookie-cross-site", "CSRF; CometD sets no SameSite", "the browser cookie goes along with requests of other sites",
			succeeds("no SameSite=Lax"), fails("SameSite=Lax"), cookieHas("SameSite=Lax"),
		},
		{
			"accept-header", "CVE-2020-27223", "an Accept header of thousands of parameters",
			fails("200, a session"), fails("200, a session"), func(t *testing.T, g *target) end {
				t.Helper()
				a := g.post(t, handshake, "Accept", strings.Repeat("a/b;q=0.1;x=1,", 4000))
				require.NoError(t, a.err)
				return fails(posted(a).sees)
			},
		},
	}}
}

// posted is how a POST that should have made no session ended.
func posted(a answer) end {
	if a.status == http.StatusOK && a.gave() {
		return succeeds("200, a session")
	}
	return fails(strconv.Itoa(a.status))
}

func readable(a answer) end {
	if origin := a.header.Get("Access-Control-Allow-Origin"); origin != "" {
		return succeeds(origin)
	}
	return fails("no Access-Control-Allow-Origin")
}

// upgrade is how the opening of a WebSocket ended.
func upgrade(t *testing.T, g *target, headers ...string) end {
	t.Helper()
	_, err := g.dial(t, headers...)
	if status, ok := errors.AsType[ws.StatusError](err); ok {
		return fails(strconv.Itoa(int(status)))
	}
	require.NoError(t, err)
	return succeeds("101, a socket")
}

func crossSiteSocket(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	return upgrade(t, g, "Origin", evil, "Cookie", v.cookie)
}

func crossSitePublish(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	a := g.request(t, http.MethodPost, "/cometd", `[{"channel":"/chat","clientId":"`+v.id+`","data":"gotcha"}]`,
		"Content-Type", "text/plain", "Origin", evil, "Cookie", v.cookie)
	if a.status == http.StatusOK && a.reason("/chat") == "" {
		return succeeds("the message is published")
	}
	return fails(strconv.Itoa(a.status))
}

// jsonp is how a handshake by callback-polling ended.
func jsonp(t *testing.T, g *target, callback string, headers ...string) end {
	t.Helper()
	a := g.request(t, http.MethodGet, "/cometd?jsonp="+url.QueryEscape(callback)+"&message="+url.QueryEscape(handshake), "", headers...)
	require.NoError(t, a.err)
	if a.status == http.StatusOK && strings.Contains(a.body, `"successful":true`) {
		require.True(t, strings.HasPrefix(a.body, callback) || strings.HasPrefix(a.body, "/**/"), a.body)
		return succeeds("a script with a session")
	}
	require.NotContains(t, a.body, callback)
	return fails(strconv.Itoa(a.status))
}

func cookieHas(attribute string) func(*testing.T, *target) end {
	return func(t *testing.T, g *target) end {
		t.Helper()
		cookie := g.post(t, handshake).header.Get("Set-Cookie")
		require.NotEmpty(t, cookie)
		if strings.Contains(cookie+";", "; "+attribute+";") {
			return fails(attribute)
		}
		return succeeds("no " + attribute)
	}
}
