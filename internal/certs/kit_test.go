package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var lastSerial atomic.Int64

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(lastSerial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.cert, a.key, a.pem = a.sign(template, nil)
	return a
}

func (a *authority) sign(template *x509.Certificate, parent *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issued is a certificate with its key, in PEM.
type issued struct {
	leaf      *x509.Certificate
	cert, key []byte
}

func (i issued) pair(t *testing.T) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(i.cert, i.key)
	require.NoError(t, err)
	return pair
}

// write puts both into a folder.
func (i issued) write(t *testing.T, dir string) Pair {
	t.Helper()
	p := Pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	put(t, p.Cert, i.cert)
	put(t, p.Key, i.key)
	return p
}

func put(t *testing.T, file string, text []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// issue makes a certificate for a server or a client; change may alter it.
func (a *authority) issue(name string, change func(*x509.Certificate)) issued {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(lastSerial.Add(1)), Subject: pkix.Name{CommonName: name, Organization: []string{"Halley"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	cert, key, text := a.sign(template, a.cert)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	return issued{cert, text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

// list makes a revocation list.
func (a *authority) list(due time.Time, revoked ...*x509.Certificate) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: due}
	for _, cert := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// logs collects what is logged.
type logs struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // has room for one
}

// Write implements io.Writer.
func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.wrote <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

// wait returns when a text was logged.
func (l *logs) wait(text string) {
	for !strings.Contains(l.String(), text) {
		<-l.wrote
	}
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func openFor(t *testing.T, c Config) (*Keeper, *logs) {
	t.Helper()
	log := &logs{wrote: make(chan struct{}, 1)}
	k, err := Open(c, zerolog.New(log))
	require.NoError(t, err)
	return k, log
}

// listen serves a greeting over TLS until the test ends, and returns the address.
func listen(t *testing.T, k *Keeper) string {
	t.Helper()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := k.Listen(t.Context(), inner)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	return inner.Addr().String()
}

// talk reads the greeting, and returns the state of the connection.
func talk(t *testing.T, address string, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	dialer := &tls.Dialer{Config: config}
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	require.Equal(t, "hello", string(text))
	secure, _ := c.(*tls.Conn)
	return secure.ConnectionState(), nil
}
