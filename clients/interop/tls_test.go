//go:build interop

package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/bayeuxclient"
)

// privateCA is an authority of the test's own in the forms that clients take, and a certificate of it for 127.0.0.1.
type privateCA struct {
	pool      *x509.CertPool
	authority string // in PEM.
	store     string // for Java.
	cert, key string
}

// certFlag has our server speak TLS.
const certFlag = "--tls-cert"

// flags have our server speak TLS with the certificate.
func (ca privateCA) flags() []string {
	return []string{certFlag, ca.cert, "--tls-key", ca.key, "--set", "browserCookieSecure=true"}
}

// trustedBy has a driver in Node or Java take the authority for one.
func (ca privateCA) trustedBy(d driver) driver {
	d.env = append(slices.Clip(d.env), "NODE_EXTRA_CA_CERTS="+ca.authority,
		"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStore="+ca.store+" -Djavax.net.ssl.trustStorePassword="+storeWord)
	return d
}

// storeWord opens the store, which has no secrets.
const storeWord = "changeit"

func newPrivateCA(t *testing.T) privateCA {
	t.Helper()
	dir := t.TempDir()
	ca := privateCA{
		pool: x509.NewCertPool(), authority: filepath.Join(dir, "ca.pem"), store: filepath.Join(dir, "ca.p12"),
		cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	require.NoError(t, err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{
		ca.authority: {Type: "CERTIFICATE", Bytes: rootDER}, ca.cert: {Type: "CERTIFICATE", Bytes: leafDER}, ca.key: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	trusted, err := x509.ParseCertificate(rootDER)
	require.NoError(t, err)
	ca.pool.AddCert(trusted)
	out, err := exec.Command("keytool", "-importcert", "-noprompt", "-storetype", "PKCS12", "-alias", "ca",
		"-keystore", ca.store, "-storepass", storeWord, "-file", ca.authority).CombinedOutput()
	require.NoError(t, err, string(out))
	return ca
}

// TestTLS has stock clients connect, publish and receive over https and wss, with an authority of our own that the
// clients in Node and Java check. Chromium, and our client for Go, speak HTTP/2 when they poll.
func TestTLS(t *testing.T) {
	if shared.peer != "" {
		return // The flags are ours.
	}
	touchSources(t)
	ca := newPrivateCA(t)
	b := newChromium(t)
	node, java := ca.trustedBy(nodeDriver()), ca.trustedBy(javaDriver("cometd8", "interop.CometD8"))
	for name, build := range map[string]func(t *testing.T, o driverOptions) client{
		"cometd 9": func(t *testing.T, o driverOptions) client { return newDriverClient(t, node, o) },
		"java 8":   func(t *testing.T, o driverOptions) client { return newDriverClient(t, java, o) },
		"page 9":   func(t *testing.T, o driverOptions) client { return b.open(t, "cometd9.html", false, o) },
		"go":       func(t *testing.T, o driverOptions) client { return newGoClientWith(t, o.URL, secureOptions(ca, o)) },
	} {
		for _, transport := range []string{"long-polling", "websocket", "callback-polling"} {
			if transport == "callback-polling" && name != "page 9" {
				continue // It is for pages.
			}
			t.Run(name+" "+transport, func(t *testing.T) {
				t.Parallel()
				s := startServer(t, 0, ca.flags()...)
				c := build(t, driverOptions{Major: 9, URL: s.url(), Transport: transport})
				connected(t, c)
				do(t, c, subscribe("/t/tls"))
				mark := c.Inbox().mark()
				do(t, c, publish("/t/tls", "Grüße"))
				awaitMessage(t, c, mark, `/t/tls "Grüße"`)
				do(t, c, command{Cmd: "disconnect"})
			})
		}
	}
}

// TestStrangeAuthority has the same clients refuse a server whose authority they do not know: TestTLS then tells that
// they look.
func TestStrangeAuthority(t *testing.T) {
	if shared.peer != "" {
		return // The flags are ours.
	}
	ca := newPrivateCA(t)
	s := startServer(t, 0, ca.flags()...)
	c := newNodeClient(t, driverOptions{Major: 9, URL: s.url(), Transport: "long-polling"})
	introduction(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.ErrorContains(t, c.Do(ctx, command{Cmd: "handshake"}), "handshake failed")
}

func secureOptions(ca privateCA, o driverOptions) bayeuxclient.Options {
	secure := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}, ForceAttemptHTTP2: o.Transport == bayeuxclient.LongPolling}
	return bayeuxclient.Options{Transports: []string{o.Transport}, HTTPClient: &http.Client{Transport: secure}}
}
