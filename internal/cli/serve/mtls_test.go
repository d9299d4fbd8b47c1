package serve

import (
	"context"
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
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// clientCA is an authority for clients.
type clientCA struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newClientCA(t *testing.T) *clientCA {
	t.Helper()
	ca := &clientCA{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	var err error
	ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key)
	require.NoError(t, err)
	ca.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ca.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return ca
}

func (ca *clientCA) client(name string, until time.Time) *tls.Certificate {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(ca.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: []string{"Halley"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	require.NoError(ca.t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// nosy tells who shakes hands, by which protocol of HTTP.
type nosy struct {
	bayeux.DefaultPolicy
	seen chan string
}

func (n nosy) CanHandshake(ctx context.Context, _ bayeux.Session, _ *bayeux.Message) error {
	r := bayeux.RequestFrom(ctx)
	n.seen <- r.Proto + " " + r.Principal
	return nil
}

const handshakeMessage = `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket","long-polling"]}]`

// poll shakes hands by long-polling.
func poll(ctx context.Context, c *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/cometd", strings.NewReader(handshakeMessage))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// socket shakes hands over a WebSocket.
func socket(ctx context.Context, c *http.Client, address string) error {
	conn, _, err := websocket.Dial(ctx, "wss://"+address+"/cometd", &websocket.DialOptions{HTTPClient: c})
	if err != nil {
		return err
	}
	err = conn.Write(ctx, websocket.MessageText, []byte(handshakeMessage))
	if err == nil {
		_, _, err = conn.Read(ctx)
	}
	return errors.Join(err, conn.CloseNow())
}

// TestMutualTLS shows right, wrong, expired and no certificates over
// long-polling, by HTTP/1.1 and HTTP/2, and over WebSocket. Whom the
// certificate names is the principal.
func TestMutualTLS(t *testing.T) {
	ca, stranger := newClientCA(t), newClientCA(t)
	year := time.Now().Add(1000 * time.Hour)
	clients := map[string]*tls.Certificate{
		"right": ca.client("alice", year), "wrong": stranger.client("alice", year), "expired": ca.client("alice", time.Now().Add(-time.Minute)), "none": nil,
	}
	cert, key, pool := certificate(t)
	for _, auth := range []string{"require", "request"} {
		seen := make(chan string, 1)
		r := startWith(t, func(c server.Config) (Engine, error) {
			c.Policy = nosy{seen: seen}
			return buildEngine(c)
		}, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca.file, "--tls-client-auth", auth, "--tls-client-name", "cn")
		address := r.address("listening")
		for name, shown := range clients {
			for _, by := range []string{"HTTP/1.1", "HTTP/2.0", "websocket"} {
				// Shown whatever authorities the server asks for.
				config := &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}
				if shown != nil {
					config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
				}
				transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: by != "HTTP/2.0"}
				dial, proto := poll, by
				switch by {
				case "HTTP/2.0":
					config.NextProtos = nil
					transport.ForceAttemptHTTP2 = true
				case "websocket":
					dial, proto = socket, "HTTP/1.1"
				}
				err := dial(t.Context(), client(t, transport), address)
				transport.CloseIdleConnections()
				switch {
				case name == "right":
					require.NoError(t, err, by)
					require.Equal(t, proto+" alice", <-seen)
				case name == "none" && auth == "request":
					require.NoError(t, err, by)
					require.Equal(t, proto+" ", <-seen)
				default:
					require.Error(t, err, "%s by %s", name, by)
				}
			}
		}
		require.NoError(t, r.stop())
		require.Empty(t, seen)
	}
}
