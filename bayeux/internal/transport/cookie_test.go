package transport

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCookieHeader(t *testing.T) { // [R-HS-14], [R-HS-15]
	full := Cookie{
		Name: "B", Domain: "example.org", Path: "/cometd", MaxAge: 60,
		Secure: true, SameSite: "None", Partitioned: true,
	}
	readable := Cookie{ScriptReadable: true, MaxAge: -1}
	for name, c := range map[string]struct {
		cookie Cookie
		https  bool
		want   string
	}{
		"defaults":               {Cookie{}, true, "BAYEUX_BROWSER=v; Path=/; HttpOnly"},
		"readable by scripts":    {readable, true, "BAYEUX_BROWSER=v; Path=/"},
		"all, in CometD's order": {full, true, "B=v; Domain=example.org; Path=/cometd; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned"},
		"Secure on https only":   {full, false, "B=v; Domain=example.org; Path=/cometd; Max-Age=60; HttpOnly; SameSite=None; Partitioned"},
	} {
		t.Run(name, func(t *testing.T) {
			cookie := c.cookie.withDefaults()
			require.Equal(t, c.want, cookie.header("v", c.https))
		})
	}
}

func TestCookieRead(t *testing.T) { // [R-ID-3]
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"none":            {nil, ""},
		"empty header":    {[]string{""}, ""},
		"one":             {[]string{"BAYEUX_BROWSER=abc"}, "abc"},
		"among others":    {[]string{"a=b; BAYEUX_BROWSER=abc; c=d"}, "abc"},
		"first of two":    {[]string{"BAYEUX_BROWSER=one; BAYEUX_BROWSER=two"}, "one"},
		"first header":    {[]string{"BAYEUX_BROWSER=one", "BAYEUX_BROWSER=two"}, "one"},
		"other case":      {[]string{"bayeux_browser=abc"}, ""},
		"quoted":          {[]string{`BAYEUX_BROWSER="abc"`}, "abc"},
		"no value":        {[]string{"BAYEUX_BROWSER="}, ""},
		"suffix of name":  {[]string{"X_BAYEUX_BROWSER=abc"}, ""},
		"longest":         {[]string{"BAYEUX_BROWSER=" + strings.Repeat("a", maxCookie)}, strings.Repeat("a", maxCookie)},
		"too long":        {[]string{"BAYEUX_BROWSER=" + strings.Repeat("a", maxCookie+1)}, ""},
		"hundred cookies": {[]string{strings.Repeat("a=b; ", 100) + "BAYEUX_BROWSER=abc"}, "abc"},
		"hundred thousand": {
			[]string{strings.Repeat("a=b; ", 100_000) + "BAYEUX_BROWSER=abc"}, "", // net/http's own limit
		},
	} {
		t.Run(name, func(t *testing.T) {
			cookie := Cookie{}.withDefaults()
			require.Equal(t, c.want, cookie.read(&http.Request{Header: http.Header{"Cookie": c.headers}}))
		})
	}
}
