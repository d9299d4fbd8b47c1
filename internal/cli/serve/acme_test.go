//go:build interop

package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// pebbleDir is where `make deps` puts Let's Encrypt's ACME server for tests and
// its name server.
var pebbleDir = filepath.Join("..", "..", "..", "build", "pebble")

const acmeHost = "push.test"

// freePort is one of the loopback that is the test's.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(testkit.FreeAddress(t))
	require.NoError(t, err)
	return port
}

// launch runs a program of pebble's until the test ends or ends it.
func launch(t *testing.T, program string, args ...string) (end func()) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(pebbleDir, program))
	require.NoError(t, err)
	require.FileExists(t, path, "run `make deps`, or `make test`")
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	require.NoError(t, c.Start())
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", program, out.String())
		}
	}
	t.Cleanup(end)
	return end
}

// authority is a running pebble.
type authority struct {
	t    *testing.T
	dir  string
	pool *x509.CertPool // of its own certificate
	args []string
	// Ports: of the directory, of its management, of what it asks for the
	// challenges tls-alpn-01 and http-01, and of the name server.
	api, management, tls, http, dns string
	end                             func()
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), api: freePort(t), management: freePort(t), tls: freePort(t), http: freePort(t), dns: freePort(t)}
	cert, key, pool := certificate(t)
	a.pool = pool
	launch(t, "pebble-challtestsrv", "-dnsserver", "127.0.0.1:"+a.dns, "-management", "127.0.0.1:"+freePort(t),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	listens(t, a.dns) // Without names no challenge is met, and the next order is a minute later.
	a.args = []string{"--acme-domain", acmeHost, "--acme-cache", filepath.Join(a.dir, "cache"), "--acme-accept-terms", "true", "--acme-email", "ops@push.test", "--acme-ca", cert, "--acme-directory", "https://127.0.0.1:" + a.api + "/dir"}
	a.write(cert, key)
	return a
}

// pebbleConfig is pebble's file.
type pebbleConfig struct {
	Pebble map[string]any `json:"pebble"`
}

func (a *authority) write(cert, key string) {
	text, err := json.Marshal(pebbleConfig{map[string]any{
		"listenAddress": "127.0.0.1:" + a.api, "managementListenAddress": "127.0.0.1:" + a.management,
		"certificate": cert, "privateKey": key, "httpPort": number(a.http), "tlsPort": number(a.tls), "keyAlgorithm": "ecdsa",
	}})
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(filepath.Join(a.dir, "config.json"), text, 0o600))
}

func number(port string) int {
	n, _ := strconv.Atoi(port)
	return n
}

// start runs pebble with a life of certificates, and hosts that it refuses.
func (a *authority) start(life time.Duration, refused ...string) {
	a.t.Helper()
	file := filepath.Join(a.dir, "config.json")
	text, err := os.ReadFile(file)
	require.NoError(a.t, err)
	var config pebbleConfig
	require.NoError(a.t, json.Unmarshal(text, &config))
	config.Pebble["domainBlocklist"] = refused
	config.Pebble["profiles"] = map[string]any{"default": map[string]any{"description": "of the test", "validityPeriod": int(life.Seconds())}}
	text, err = json.Marshal(config)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(file, text, 0o600))
	a.end = launch(a.t, "pebble", "-config", file, "-strict", "-dnsserver", "127.0.0.1:"+a.dns)
	listens(a.t, a.api)
}

// listens waits until a program takes connections at a port.
func listens(t *testing.T, port string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
			return
		}
		<-tick.C
		require.NoError(t, ctx.Err(), "nobody listens")
	}
}

// roots are those of what pebble issues.
func (a *authority) roots() *x509.CertPool {
	a.t.Helper()
	c := client(a.t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool}, DisableKeepAlives: true})
	_, text := get(a.t, c, "https://127.0.0.1:"+a.management+"/roots/0")
	pool := x509.NewCertPool()
	require.True(a.t, pool.AppendCertsFromPEM([]byte(text)))
	return pool
}

// serial is that of the certificate that a server shows; with roots, it is
// verified.
func serial(t *testing.T, address string, roots *x509.CertPool) string {
	t.Helper()
	d := &tls.Dialer{Config: &tls.Config{ServerName: acmeHost, RootCAs: roots, InsecureSkipVerify: roots == nil}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestACME has pebble issue a certificate by tls-alpn-01, and starts again with
// what is in the cache while pebble is away.
func TestACME(t *testing.T) {
	a := newAuthority(t)
	a.start(90 * 24 * time.Hour)
	address := "127.0.0.1:" + a.tls
	r := start(t, newFake(), append(a.args, "--listen", address)...)
	line := r.wait("ACME certificate issued")
	require.Equal(t, acmeHost, line["domain"])
	first := serial(t, address, a.roots())
	require.NoError(t, r.stop())

	roots := a.roots()
	a.end()
	r = start(t, newFake(), append(a.args, "--listen", address, "--admin-listen", "127.0.0.1:0")...)
	admin := r.address("admin listening")
	require.Equal(t, first, serial(t, address, roots))
	_, text := get(t, client(t, &http.Transport{}), "http://"+admin+"/metrics")
	require.Contains(t, text, `halley_tls_certificate_expiry_seconds{name="push.test",source="acme"} `)
	require.Contains(t, text, `halley_acme_orders_total{result="ok"} 0`)
	require.Contains(t, text, `halley_acme_orders_total{result="failed"} 0`)
	require.NoError(t, r.stop())
	for line := range r.lines {
		require.NotContains(t, line["message"], "ACME")
	}
}

// TestACMEByHTTP has the challenge http-01 answered on the address that
// redirects; tls-alpn-01 cannot succeed where pebble looks for it.
func TestACMEByHTTP(t *testing.T) {
	for _, flag := range []string{"--http-redirect", "--acme-http-listen"} {
		a := newAuthority(t)
		a.start(90 * 24 * time.Hour)
		r := start(t, newFake(), append(a.args, flag, "127.0.0.1:"+a.http)...)
		address := r.address("listening")
		r.wait("ACME certificate issued")
		require.NotEmpty(t, serial(t, address, a.roots()))
		require.NoError(t, r.stop())
		a.end()
	}
}

// TestACMERenewal renews certificates of a short life; when the directory then
// refuses, the last one stays and the log says why.
func TestACMERenewal(t *testing.T) {
	a := newAuthority(t)
	a.start(12 * time.Second)
	address := "127.0.0.1:" + a.tls
	r := start(t, newFake(), append(a.args, "--listen", address)...)
	r.wait("ACME certificate issued")
	first := serial(t, address, nil)
	r.wait("ACME certificate issued")
	second := serial(t, address, nil)
	require.NotEqual(t, first, second, "renewed")
	a.end()
	last := serial(t, address, nil)
	a.start(12*time.Second, acmeHost)
	for {
		line := r.wait("ACME order failed; the old certificate stays")
		require.Equal(t, acmeHost, line["domain"])
		require.NotEmpty(t, line["expires"])
		// An order that fell between the two is repeated a minute later.
		if strings.Contains(line["reason"].(string), "rejectedIdentifier") {
			break
		}
	}
	require.Equal(t, last, serial(t, address, nil))
	require.NoError(t, r.stop())
}

// TestACMERefused has no certificate at all: handshakes fail, and the server
// runs on.
func TestACMERefused(t *testing.T) {
	a := newAuthority(t)
	a.start(time.Hour, acmeHost)
	r := start(t, newFake(), append(a.args, "--listen", "tcp://127.0.0.1:0?tls=off")...)
	secure, plain := r.address("listening"), r.address("listening")
	r.wait("ACME order failed; there is no certificate yet")
	d := &tls.Dialer{Config: &tls.Config{ServerName: acmeHost, InsecureSkipVerify: true}}
	_, err := d.DialContext(t.Context(), "tcp", secure)
	require.Error(t, err)
	status, _ := get(t, client(t, &http.Transport{}), "http://"+plain+"/cometd")
	require.Equal(t, 200, status)
	require.NoError(t, r.stop())
}
