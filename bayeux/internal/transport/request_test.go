package transport

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

func TestOrigin(t *testing.T) {
	hub := simpleHub()
	mounted := http.StripPrefix("/bayeux", NewHandler(hub, Options{Trusted: prefixes(t, "192.0.2.0/24")}))
	ask(t, mounted, request("POST /bayeux/cometd?x=y", connectJSON,
		"X-Forwarded-For: 6.6.6.6, 203.0.113.7", "X-Forwarded-Proto: https", "X-Own: a",
		"Cookie: a=b; BAYEUX_BROWSER=one; BAYEUX_BROWSER=two")) // [R-ID-3]
	from, _ := hub.last(t)
	require.Equal(t, LongPolling, from.Transport)
	require.Equal(t, "one", from.Browser)
	require.False(t, from.HTTP2)
	require.Equal(t, "POST", from.Request.Method)
	require.Equal(t, "/bayeux/cometd?x=y", from.Request.URL)
	require.Equal(t, "HTTP/1.1", from.Request.Proto)
	require.Equal(t, "example.org", from.Request.Host)
	require.Equal(t, "a", from.Request.Header.Get("X-Own"))
	require.Equal(t, "203.0.113.7:0", from.Request.Remote.String())
	require.True(t, from.Request.Secure)
	require.Nil(t, from.Request.TLS)
	require.Empty(t, from.Request.Principal)
	value, ok := from.Request.Cookie("BAYEUX_BROWSER")
	require.True(t, ok)
	require.Equal(t, "one", value)
}

func TestForgedOrigin(t *testing.T) {
	hub := simpleHub()
	ask(t, NewHandler(hub, Options{}), post(connectJSON,
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "Forwarded: for=6.6.6.6;proto=https"))
	from, _ := hub.last(t)
	require.Equal(t, "192.0.2.1:1234", from.Request.Remote.String())
	require.False(t, from.Request.Secure)
	require.Empty(t, from.Browser)
}

func TestPeersWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := simpleHub()
		c := servePipes(t, NewHandler(hub, Options{Trusted: prefixes(t, "0.0.0.0/0", "::/0")})).
			dialFrom(t, &net.UnixAddr{Name: "@", Net: "unix"})
		c.send(post(connectJSON, "X-Forwarded-For: 6.6.6.6"))
		r, _ := c.response(t)
		require.Equal(t, 200, r.StatusCode)
		from, _ := hub.last(t)
		require.False(t, from.Request.Remote.IsValid())
	})
}

func TestOriginOverTLS(t *testing.T) {
	subject := &x509.Certificate{Subject: pkix.Name{CommonName: "ada", Organization: []string{"Engines"}}}
	for name, c := range map[string]struct {
		state *tls.ConnectionState
		want  string
	}{
		"no certificate": {&tls.ConnectionState{}, ""},
		"not verified":   {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{subject}}, ""},
		"empty chain":    {&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}, ""},
		"verified":       {&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{subject}}}, "CN=ada,O=Engines"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/cometd", strings.NewReader(connectJSON))
			r.TLS = c.state
			hub := simpleHub()
			NewHandler(hub, Options{}).ServeHTTP(httptest.NewRecorder(), r)
			from, _ := hub.last(t)
			require.Equal(t, c.want, from.Request.Principal)
			require.True(t, from.Request.Secure)
			require.Same(t, c.state, from.Request.TLS)
		})
	}
}

// Middleware knows better than a certificate; upgrades are requests too.
func TestOriginOfMiddleware(t *testing.T) {
	var from Origin
	hub := simpleHub()
	h := NewHandler(hub, Options{WebSocket: func(_ http.ResponseWriter, _ *http.Request, f Origin) { from = f }})
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "ada"}}}}}
		h.ServeHTTP(w, r.WithContext(bayeux.WithPrincipal(r.Context(), "ann")))
	})
	ask(t, named, post(connectJSON))
	polled, _ := hub.last(t)
	require.Equal(t, "ann", polled.Request.Principal)
	ask(t, named, get("/cometd", "Connection: Upgrade", "Upgrade: websocket"))
	require.Equal(t, WebSocket, from.Transport)
	require.Equal(t, "ann", from.Request.Principal)
}

func TestOriginOfUpgrades(t *testing.T) {
	var from Origin
	o := Options{WebSocket: func(_ http.ResponseWriter, _ *http.Request, f Origin) { from = f }}
	ask(t, NewHandler(simpleHub(), o), get("/cometd/x", "Connection: Upgrade", "Upgrade: websocket", "Cookie: BAYEUX_BROWSER=one"))
	require.Equal(t, WebSocket, from.Transport)
	require.Empty(t, from.Browser, "WebSocket sessions need no cookie")
	value, _ := from.Request.Cookie("BAYEUX_BROWSER")
	require.Equal(t, "one", value, "policies see it all the same")
}

// TestMadeUpRequests serves requests that no server has read: without body and
// without a connection.
func TestMadeUpRequests(t *testing.T) {
	h := NewHandler(simpleHub(), Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/cometd", nil)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 400, w.Code)

	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, "/cometd", strings.NewReader(connectJSON))
	require.NoError(t, err)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
	require.Equal(t, `[{"successful":true}]`, w.Body.String())
}
