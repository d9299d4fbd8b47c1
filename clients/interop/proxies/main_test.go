//go:build interop

package proxies

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/halleypush/halley/internal/testkit"
)

// patience bounds each wait; nothing is expected to take so long.
const patience = 90 * time.Second

// depthVariable set to "full" runs everything, as `make interop` does.
const depthVariable = "HALLEY_INTEROP"

// rigsAtOnce bounds the proxies that run together, each with its backends and clients, which wait most of their time. It
// stands in for the default of -parallel, the number of processors.
const rigsAtOnce = 6

// setup is what all tests share; TestMain fills it before they start.
type setup struct {
	binary string // the server built from this module
	certs  string // folder of cert.pem, key.pem and both.pem, which are for 127.0.0.1
	roots  *x509.CertPool
}

var shared setup

func TestMain(m *testing.M) { testkit.Main(m, "halley-proxies", rigsAtOnce, prepare) }

func prepare(dir string) error {
	for _, file := range []string{"node_modules/cometd9/package.json", "node_modules/cometd-nodejs-client/package.json"} {
		if _, err := os.Stat(filepath.Join(drivers, file)); err != nil {
			return fmt.Errorf("the published clients are missing: run `make deps` (%w)", err)
		}
	}
	var err error
	if shared.binary, err = testkit.Build(dir); err != nil {
		return err
	}
	shared.certs = dir
	return makeCertificate(dir)
}

// makeCertificate writes a certificate that signs itself.
func makeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "push"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:  []string{"127.0.0.1"}, // nginx and Apache look for the name alone
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	shared.roots = x509.NewCertPool()
	shared.roots.AppendCertsFromPEM(cert)
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": private, "both.pem": slices.Concat(cert, private)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// everything tells whether all tests shall run.
func everything() bool { return os.Getenv(depthVariable) == "full" }
