package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/internal/certs"
)

// keyPair writes a certificate for hosts, and its key, in place of older ones.
func keyPair(t *testing.T, dir, name string, until time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: until,
		DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certFile, keyFile
}

// shows is the name of the certificate that an address has for a name.
func shows(t *testing.T, address, name string) string {
	t.Helper()
	d := &tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer c.Close()
	secure, _ := c.(*tls.Conn)
	return secure.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestHangup reads the certificates again on SIGHUP, good ones and bad ones,
// and serves on.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	cert, key := keyPair(t, dir, "old.test", time.Now().Add(1000*time.Hour))
	hangups := make(chan os.Signal, 1)
	r := startIn(t, Env{Hangups: hangups}, newFake(), "--tls-cert", cert, "--tls-key", key, "--admin-listen", "127.0.0.1:0")
	address, admin := r.address("listening"), r.address("admin listening")
	require.Equal(t, "old.test", shows(t, address, "old.test"))
	keyPair(t, dir, "new.test", time.Now().Add(1000*time.Hour))
	hangups <- syscall.SIGHUP
	require.Equal(t, "certificates", r.wait("reloaded")["what"])
	require.Equal(t, "new.test", shows(t, address, "new.test"))
	require.NoError(t, os.WriteFile(key, []byte("none"), 0o600))
	hangups <- syscall.SIGHUP
	require.Contains(t, r.wait("reload failed; what was there stays")["error"], "tls-cert and tls-key: tls: failed to find any PEM data in key input")
	require.Equal(t, "new.test", shows(t, address, "new.test"))
	_, text := get(t, client(t, &http.Transport{}), "http://"+admin+"/metrics")
	require.Contains(t, text, `halley_tls_certificate_expiry_seconds{name="new.test",source="file"} `)
	require.Contains(t, text, `halley_tls_reloads_total{result="ok"} 1`)
	require.Contains(t, text, `halley_tls_reloads_total{result="failed"} 1`)
	require.NoError(t, r.stop())
}

// TestReloaders reads each, whatever becomes of the others; without any, a
// hang-up ends the program as ever.
func TestReloaders(t *testing.T) {
	var out strings.Builder
	r := reloaders{log: zerolog.New(&out)}
	from, stop := r.signals(nil, false)
	require.Nil(t, from)
	stop()
	from, stop = r.signals(nil, true)
	require.NotNil(t, from, "a service manager's reload must not end the program")
	stop()
	r.run()
	require.Contains(t, out.String(), "there is nothing to reload")
	n := 0
	r.add("one", func() error { n++; return errors.New("no") })
	r.add("two", func() error { n++; return nil })
	r.run()
	require.Equal(t, 2, n)
	require.Contains(t, out.String(), `"error":"no","what":"one"`)
	require.Contains(t, out.String(), `"what":"two","message":"reloaded"`)
	from, stop = r.signals(nil, false)
	require.NotNil(t, from)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	require.Equal(t, syscall.SIGHUP, <-from)
	stop()
}

func TestSeveralCertificates(t *testing.T) {
	one, oneKey := keyPair(t, t.TempDir(), "one.test", time.Now().Add(1000*time.Hour))
	two, twoKey := keyPair(t, t.TempDir(), "two.test", time.Now().Add(1000*time.Hour))
	r := start(t, newFake(), "--tls-cert", one, "--tls-key", oneKey, "--tls-cert", two, "--tls-key", twoKey)
	address := r.address("listening")
	require.Equal(t, "two.test", shows(t, address, "two.test"))
	require.Equal(t, "one.test", shows(t, address, "three.test"))
	require.NoError(t, r.stop())
}

// TestCheckTLS: what has expired is an error, what soon will is a warning.
func TestCheckTLS(t *testing.T) {
	check := func(until time.Duration, args ...string) (string, error) {
		cert, key := keyPair(t, t.TempDir(), "x.test", time.Now().Add(until))
		var warnings strings.Builder
		c := parse(t, append([]string{"--check-config", "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key}, args...)...)
		err := c.Run(t.Context(), Env{Lookup: lookup(), Stdout: io.Discard, Stderr: &warnings, Build: newFake().build})
		return warnings.String(), err
	}
	text, err := check(1000 * time.Hour)
	require.NoError(t, err)
	require.Empty(t, text)
	text, err = check(100 * time.Hour)
	require.NoError(t, err)
	require.Contains(t, text, `warning: tls-cert: "x.test" expires at `)
	_, err = check(-time.Minute)
	require.ErrorContains(t, err, `tls-cert: "x.test" expired at `)
	require.ErrorAs(t, err, new(*UsageError))
	_, err = check(1000*time.Hour, "--tls-client-ca", "none.pem")
	require.ErrorContains(t, err, "tls-client-ca: open none.pem")
	_, err = check(1000*time.Hour, "--acme-domain", "x.test", "--acme-accept-terms=true", "--acme-cache", "none/none")
	require.ErrorContains(t, err, "acme-cache: stat none")
}

func TestWrongTLSSettings(t *testing.T) {
	pair := []string{"--tls-cert", "a.pem", "--tls-key", "b.pem"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--tls-cert", "a.pem", "--tls-key", "b.pem", "--tls-cert", "c.pem"}, "tls-cert and tls-key need each other"},
		{append(pair, "--tls-min-version", "1.1"), "want 1.2 or 1.3"},
		{append(pair, "--tls-client-auth", "require"), "tls-client-auth require needs tls-client-ca"},
		{append(pair, "--tls-client-auth", "always"), "want none or request or require"},
		{append(pair, "--tls-client-name", "san"), "want dn or cn or dns or email or uri"},
		{append(pair, "--tls-client-crl", "x"), "tls-client-crl needs tls-client-ca"},
		{[]string{"--tls-client-ca", "a.pem"}, "tls-client-ca needs TLS"},
		{[]string{"--http-redirect", ":80"}, "http-redirect needs TLS"},
		{append(pair, "--http-redirect", "80"), `want HOST:PORT`},
		{append(pair, "--http-redirect", "tcp://:80?tls=off"), `it is plain HTTP`},
		{append(pair, "--hsts", "0"), "want a time such as 8760h"},
		{append(pair, "--hsts", "forever"), "want a time such as 8760h"},
		{append(pair, "--acme-http-listen", ":80"), "acme-http-listen needs acme-domain"},
		{[]string{"--acme-domain", "x.test"}, "acme-domain needs acme-cache"},
		{[]string{"--acme-domain", "x.test", "--acme-cache", "d"}, "acme-domain needs acme-accept-terms=true: you accept the terms of https://acme-v02.api.letsencrypt.org/directory"},
		{[]string{"--acme-domain", "*.x.test"}, `"*.x.test": want names of hosts`},
		{[]string{"--acme-domain", "192.0.2.1"}, `want names of hosts`},
		{[]string{"--acme-domain", "../x"}, `want names of hosts`},
		{[]string{"--acme-directory", "http://x"}, "want the URL of a directory"},
		{[]string{"--acme-email", "nobody"}, "want an address such as"},
	} {
		_, err := parse(t, tt.args...).Load(lookup())
		require.ErrorContains(t, err, tt.want)
		require.ErrorAs(t, err, new(*UsageError))
	}
}

func TestTLSSettings(t *testing.T) {
	s, err := parse(t, "--config", file(t, `
tls-cert: [a.pem, c.pem]
tls-key: [b.pem, d.pem]
tls-min-version: 1.3
tls-client-ca: ca.pem
tls-client-name: cn
hsts: 31536000
acme-domain: [Push.Example.com, push.example.com, www.example.com]
acme-cache: /var/lib/halley
acme-accept-terms: true
http-redirect: :80
`)).Load(lookup())
	require.NoError(t, err)
	require.Equal(t, TLS{
		Certs: certs.Config{
			Pairs: []certs.Pair{{Cert: "a.pem", Key: "b.pem"}, {Cert: "c.pem", Key: "d.pem"}}, MinVersion: tls.VersionTLS13,
			ClientCA: "ca.pem", ClientAuth: certs.AuthRequire, ClientName: certs.NameCN,
			ACME: certs.ACME{Domains: []string{"push.example.com", "www.example.com"}, Cache: "/var/lib/halley", AcceptTerms: true, Directory: certs.LetsEncrypt, HTTP: true},
		},
		HSTS: 365 * 24 * time.Hour, Redirect: Address{Port: "80"},
	}, s.TLS)
	require.Equal(t, "require", find(t, s, "tls-client-auth").Value)
}

// TestRedirect sends reads to https and refuses the rest.
func TestRedirect(t *testing.T) {
	for _, tt := range []struct {
		method, host, target, port string
		code                       int
		location                   string
	}{
		{"GET", "push.test", "/cometd?x=1", "443", 308, "https://push.test/cometd?x=1"},
		{"HEAD", "push.test:8080", "/", "8443", 308, "https://push.test:8443/"},
		{"GET", "[::1]:80", "//evil.test/", "443", 308, "https://[::1]//evil.test/"},
		{"POST", "push.test", "/cometd", "443", 403, ""},
		{"GET", "a b", "/", "443", 400, ""},
		{"GET", "", "/", "443", 400, ""},
		{"GET", "user@evil.test", "/", "443", 400, ""},
	} {
		r := httptest.NewRequest(tt.method, tt.target, nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		redirect(tt.port).ServeHTTP(w, r)
		require.Equal(t, tt.code, w.Code, tt.host)
		require.Equal(t, tt.location, w.Header().Get("Location"), tt.host)
	}
}

// TestOverTLS: HSTS and the principal are for TLS alone.
func TestOverTLS(t *testing.T) {
	var principal string
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { principal = bayeux.PrincipalFrom(r.Context()) })
	s := &Settings{TLS: TLS{HSTS: time.Hour, Certs: certs.Config{ClientCA: "ca", ClientName: certs.NameCN}}}
	plain := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	s.overTLS(h).ServeHTTP(w, plain)
	require.Empty(t, w.Header())
	secure := httptest.NewRequest(http.MethodGet, "https://x.test/", nil)
	peer := &x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}
	secure.TLS.PeerCertificates = []*x509.Certificate{peer}
	w = httptest.NewRecorder()
	s.overTLS(h).ServeHTTP(w, secure)
	require.Equal(t, "max-age=3600", w.Header().Get("Strict-Transport-Security"))
	require.Empty(t, principal, "not verified")
	secure.TLS.VerifiedChains = [][]*x509.Certificate{{peer}}
	s.overTLS(h).ServeHTTP(httptest.NewRecorder(), secure)
	require.Equal(t, "alice", principal)
}

// TestRedirectListener serves beside TLS and names its port.
func TestRedirectListener(t *testing.T) {
	cert, key := keyPair(t, t.TempDir(), "x.test", time.Now().Add(1000*time.Hour))
	r := start(t, newFake(), "--tls-cert", cert, "--tls-key", key, "--http-redirect", "127.0.0.1:0", "--hsts", "1h")
	secure, plain := r.address("listening"), r.address("redirecting to https")
	c := client(t, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+plain+"/cometd", nil)
	require.NoError(t, err)
	res, err := c.Do(req)
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "https://"+secure+"/cometd", res.Request.URL.String())
	require.Equal(t, "max-age=3600", res.Header.Get("Strict-Transport-Security"))
	_, _, err = net.SplitHostPort(secure)
	require.NoError(t, err)
	require.NoError(t, r.stop())
}

// TestProxyHeaderBeforeTLS believes a trusted proxy that passes TLS on.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	cert, key := keyPair(t, t.TempDir(), "x.test", time.Now().Add(1000*time.Hour))
	r := start(t, newFake(), "--listen", "tcp://127.0.0.1:0?proxy=v1", "--trusted-proxies", "127.0.0.1", "--tls-cert", cert, "--tls-key", key)
	r.wait("listening")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.address("listening"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
	require.NoError(t, err)
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	_, err = io.WriteString(secure, "GET /cometd HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(secure)
	require.NoError(t, err)
	require.Contains(t, string(text), "HTTP/1.0 192.0.2.7:4711")
	require.NoError(t, r.stop())
}
