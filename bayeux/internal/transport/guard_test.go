package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

const (
	jsonType = "Content-Type: application/json"
	formType = "Content-Type: application/x-www-form-urlencoded"
	ownCook  = "Cookie: BAYEUX_BROWSER=abc"
	login    = "Cookie: BAYEUX_BROWSER=abc; login=me"
)

// guardRow is a request of a page, or of something else, and what becomes of
// it; the server is http://example.org.
type guardRow struct {
	name    string
	headers []string
	// refused is part of the reason by which POST, GET and upgrade are refused,
	// in this order; empty: they are served. One stands for all three.
	refused []string
}

func guardRows() []guardRow {
	neither, none := "is neither http://example.org nor among allowedOrigins", []string{""}
	ambient := "cookies or credentials come without an Origin"
	return []guardRow{
		// 1. Origin
		{"own origin", []string{jsonType, "Origin: http://example.org", login}, none},
		{"own origin, in capitals", []string{jsonType, "Origin: HTTP://Example.ORG"}, none},
		{"another scheme", []string{jsonType, "Origin: https://example.org"}, []string{neither}},
		{"another port", []string{jsonType, "Origin: http://example.org:8080"}, []string{neither}},
		{"another host", []string{jsonType, "Origin: http://evil.example"}, []string{"Origin http://evil.example " + neither}},
		{"a host that begins as ours", []string{jsonType, "Origin: http://example.org.evil.example"}, []string{neither}},
		{"a host below ours", []string{jsonType, "Origin: http://a.example.org"}, []string{neither}},
		{"an allowed one", []string{jsonType, "Origin: https://app.example", login}, none},
		{"an allowed one with a path", []string{jsonType, "Origin: https://app.example/"}, []string{neither}},
		{"null", []string{jsonType, "Origin: null"}, []string{"Origin tells no origin"}},
		{"an empty one", []string{jsonType, "Origin: "}, []string{"Origin tells no origin"}},
		{"two", []string{jsonType, "Origin: http://example.org", "Origin: http://evil.example"}, []string{"two Origin headers"}},
		{"two at once", []string{jsonType, "Origin: http://example.org, http://evil.example"}, []string{neither}},
		{"Origin decides, whatever else says", []string{jsonType, "Origin: http://evil.example", "Sec-Fetch-Site: same-origin", "Referer: http://example.org/"}, []string{neither}},
		// 2. Sec-Fetch-Site
		{"same-origin", []string{jsonType, "Sec-Fetch-Site: same-origin", login}, none},
		{"the user himself", []string{jsonType, "Sec-Fetch-Site: none", login}, none},
		{"cross-site", []string{jsonType, "Sec-Fetch-Site: cross-site"}, []string{"the Referer tells no origin"}},
		{"same-site", []string{jsonType, "Sec-Fetch-Site: same-site", "Referer: http://a.example.org/x"}, []string{neither}},
		{"cross-site of an allowed page", []string{jsonType, "Sec-Fetch-Site: cross-site", "Referer: https://app.example/page?x", login}, none},
		{"unheard of", []string{jsonType, "Sec-Fetch-Site: nearby"}, []string{"an unknown Sec-Fetch-Site"}},
		// 3. Referer
		{"own Referer", []string{jsonType, "Referer: http://example.org/page", login}, none},
		{"own Referer with the port", []string{jsonType, "Referer: http://example.org:80/page", login}, none},
		{"foreign Referer", []string{jsonType, "Referer: http://evil.example/http://example.org/"}, []string{"Referer http://evil.example " + neither}},
		{"Referer with a user", []string{jsonType, "Referer: http://example.org@evil.example/"}, []string{neither}},
		{"Referer that is none", []string{jsonType, "Referer: about:blank"}, []string{"Referer tells no origin"}},
		// 4. None of them
		{"JSON of no browser", []string{jsonType}, none},
		{"JSON with our cookie", []string{jsonType, ownCook}, none},
		{"JSON with other cookies", []string{jsonType, login}, []string{"", ambient, ambient}},
		{"a form", []string{formType}, none},
		{"a form with our cookie", []string{formType, ownCook}, none},
		{"a form with other cookies", []string{formType, login}, []string{ambient}},
		{"a form with a cookie named alike", []string{formType, "Cookie: bayeux_browser=abc"}, []string{ambient}},
		{"two Cookie headers", []string{formType, ownCook, "Cookie: login=me"}, []string{ambient}},
		{"text with other cookies", []string{"Content-Type: text/plain", login}, []string{ambient}},
		{"text of JSON with other cookies", []string{"Content-Type: text/plain; application/json", login}, []string{ambient}},
		{"no type with other cookies", []string{login}, []string{ambient}},
		{"a bearer token", []string{formType, "Authorization: bearer abc"}, none},
		{"a password", []string{formType, "Authorization: Basic YTpi"}, []string{ambient}},
		{"a ticket", []string{formType, "Authorization: Negotiate abc"}, []string{ambient}},
	}
}

// guardedBy returns the answers of a handler to a POST, to a GET with a
// callback and to an upgrade.
func guardedBy(h http.Handler, host string, headers []string) (answers []*httptest.ResponseRecorder) {
	for _, kind := range []string{"POST", "GET", "upgrade"} {
		r := httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(connectJSON))
		if kind != "POST" {
			r = httptest.NewRequest(http.MethodGet, "/cometd?jsonp=cb&message="+"[]", nil)
		}
		r.Host, r.RemoteAddr = host, "192.0.2.1:5"
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		if kind == "POST" && r.Header.Get("Content-Type") == formType {
			r.Body = http.NoBody
		}
		if kind == "upgrade" {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answers = append(answers, w)
	}
	return answers
}

func guardedHandler(o Options) http.Handler {
	o.WebSocket = func(w http.ResponseWriter, _ *http.Request, _ Origin) { w.WriteHeader(http.StatusOK) }
	return NewHandler(simpleHub(), o)
}

func requireGuarded(t *testing.T, refused []string, answers []*httptest.ResponseRecorder) {
	t.Helper()
	for i, w := range answers {
		want := refused[min(i, len(refused)-1)]
		if want == "" {
			require.Equal(t, http.StatusOK, w.Code, "%d: %s", i, w.Body)
			continue
		}
		require.Equal(t, http.StatusForbidden, w.Code, "%d: %s", i, w.Body)
		require.Contains(t, w.Body.String(), "checkOrigin: ")
		require.Contains(t, w.Body.String(), want)
	}
}

func TestGuard(t *testing.T) {
	for _, row := range guardRows() {
		t.Run(row.name, func(t *testing.T) {
			seen := newCounts()
			var told []string
			h := guardedHandler(Options{Observer: seen, Guard: &Guard{
				Allowed: []string{"https://app.example"},
				Refused: func(reason string, from *bayeux.Request) {
					require.Equal(t, "192.0.2.1:5", from.Remote.String())
					told = append(told, reason)
				},
			}})
			answers := guardedBy(h, "example.org", row.headers)
			for i := range answers {
				if answers[i].Code == http.StatusBadRequest && strings.HasPrefix(strings.Join(row.headers, ""), "Content-Type: application/x-www") {
					answers[i].Code = http.StatusOK // it came as far as the body
				}
			}
			requireGuarded(t, row.refused, answers)
			refused := 0
			for i := range answers {
				if row.refused[min(i, len(row.refused)-1)] != "" {
					refused++
				}
			}
			require.Equal(t, refused, seen.event(EventOriginRefused))
			require.Len(t, told, refused)
		})
	}
}

// Without a guard all are served, as CometD does.
func TestNoGuard(t *testing.T) {
	for _, row := range guardRows() {
		for _, w := range guardedBy(guardedHandler(Options{}), "example.org", row.headers) {
			require.NotEqual(t, http.StatusForbidden, w.Code, row.name)
		}
	}
}

// All origins may come where that is said, as long as nothing speaks for a user.
func TestGuardForAll(t *testing.T) {
	h := guardedHandler(Options{Guard: &Guard{Allowed: []string{"*"}}})
	byName := "is not among allowedOrigins by name"
	for _, row := range []guardRow{
		{"any page", []string{jsonType, "Origin: https://any.example"}, []string{""}},
		{"with our cookie", []string{jsonType, "Origin: https://any.example", ownCook}, []string{""}},
		{"with other cookies", []string{jsonType, "Origin: https://any.example", login}, []string{byName}},
		{"with a password", []string{jsonType, "Origin: https://any.example", "Authorization: Basic YTpi"}, []string{byName}},
		{"own page with other cookies", []string{jsonType, "Origin: http://example.org", login}, []string{""}},
		{"a script of any page", []string{jsonType, "Sec-Fetch-Site: cross-site", "Referer: https://any.example/"}, []string{""}},
		{"null", []string{jsonType, "Origin: null"}, []string{"Origin tells no origin"}},
	} {
		t.Run(row.name, func(t *testing.T) { requireGuarded(t, row.refused, guardedBy(h, "example.org", row.headers)) })
	}
}

// The server's origin is the one that clients see: behind trusted proxies, what
// they say.
func TestGuardBehindProxies(t *testing.T) {
	h := guardedHandler(Options{Guard: &Guard{}, Trusted: prefixes(t, "192.0.2.0/24")})
	neither := "is neither"
	for _, row := range []guardRow{
		{"nothing said", []string{"Origin: http://inner:8080"}, []string{""}},
		{"scheme", []string{"Origin: https://inner:8080", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https"}, []string{""}},
		{"scheme and host", []string{"Origin: https://push.example", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: push.example"}, []string{""}},
		{"default port", []string{"Origin: https://push.example", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: push.example:443"}, []string{""}},
		{"the inner name from outside", []string{"Origin: http://inner:8080", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Host: push.example"}, []string{neither}},
		{"RFC 7239", []string{"Origin: https://push.example", `Forwarded: for=9.9.9.9;proto=https;host="push.example"`}, []string{""}},
		{"two that differ", []string{"Origin: http://push.example", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Host: push.example", "Forwarded: for=9.9.9.9;host=other.example"}, []string{neither}},
		{"what a client made up left of it", []string{"Origin: http://evil.example", "X-Forwarded-For: 8.8.8.8, 9.9.9.9", "X-Forwarded-Host: evil.example, push.example"}, []string{neither}},
	} {
		t.Run(row.name, func(t *testing.T) {
			requireGuarded(t, row.refused, guardedBy(h, "inner:8080", append(row.headers, jsonType)))
		})
	}
	stranger := guardedHandler(Options{Guard: &Guard{}, Trusted: prefixes(t, "10.0.0.0/8")})
	requireGuarded(t, []string{neither}, guardedBy(stranger, "inner:8080",
		[]string{jsonType, "Origin: http://push.example", "X-Forwarded-Host: push.example"}))
}

// A certificate speaks for the user as a cookie does.
func TestGuardCertificate(t *testing.T) {
	own := Cookie{}.withDefaults().Name
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	require.False(t, speaksForUser(r, own))
	r.TLS = &tls.ConnectionState{}
	require.False(t, speaksForUser(r, own))
	r.TLS.PeerCertificates = []*x509.Certificate{{}}
	require.True(t, speaksForUser(r, own))
}

func TestCheckContentType(t *testing.T) {
	for value, served := range map[string]bool{
		"application/json":                               true,
		"application/json;charset=UTF-8":                 true,
		"Application/JSON; charset=utf-8":                true,
		"text/json; charset=utf-8":                       true,
		"application/vnd.bayeux+json":                    true,
		"application/x-www-form-urlencoded":              true,
		"":                                               false,
		"text/plain":                                     false,
		"text/plain; application/json":                   false,
		"multipart/form-data; boundary=application/json": false,
		"application/jsonp":                              false,
		"application/json, text/plain":                   false,
		"application/json; charset":                      false,
		"*/*":                                            false,
	} {
		body, headers := connectJSON, []string{"Content-Type: " + value}
		if value == "" {
			headers = nil
		}
		seen := newCounts()
		r, text := ask(t, NewHandler(simpleHub(), Options{CheckContentType: true, Observer: seen}), post(body, headers...))
		if served {
			require.Equal(t, http.StatusOK, r.StatusCode, value)
			continue
		}
		require.Equal(t, http.StatusUnsupportedMediaType, r.StatusCode, value)
		require.Equal(t, "checkContentType: want the Content-Type application/json\n", text, value)
		require.Equal(t, 1, seen.event(EventTypeRefused))
		r, _ = ask(t, NewHandler(simpleHub(), Options{}), post(body, headers...))
		require.Equal(t, http.StatusOK, r.StatusCode, "CometD takes any type: %s", value)
	}
}

func TestIdentifierPath(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "_": true, "a1._b": true, "org.cometd.script._callback0": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "1a": false, "a.1": false, "a-b": false,
	} {
		require.Equal(t, good, identifierPath(name), name)
	}
}

// FuzzGuard checks that no spelling of an origin passes but the server's own
// and an allowed one, with or without cookies, and that nothing panics.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{
		"http://example.org", "https://app.example", "null", "", "http://example.org.evil.example", "http://evil.example#http://example.org",
		"http://example.org\x00", "http://example.org@evil.example", "//example.org", "HTTPS://APP.EXAMPLE", "*", "http://[::1", "about:blank",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	g := &Guard{Allowed: []string{"https://app.example"}}
	from := &bayeux.Request{Host: "example.org"}
	own := Cookie{}.withDefaults()
	f.Fuzz(func(t *testing.T, text string, cookies bool) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if cookies {
			r.Header.Set("Cookie", "login=me")
		}
		r.Header["Origin"] = []string{text}
		good := slices.Contains([]string{"http://example.org", "https://app.example"}, strings.ToLower(text))
		require.Equal(t, good, g.check(r, from, own) == "", "%q", text)
		delete(r.Header, "Origin")
		r.Header["Referer"] = []string{text}
		r.Header["Sec-Fetch-Site"] = []string{"cross-site"}
		if g.check(r, from, own) == "" {
			u, err := url.Parse(text)
			require.NoError(t, err)
			require.Contains(t, []string{"example.org", "example.org:80", "app.example", "app.example:443"}, strings.ToLower(u.Host))
		}
	})
}
