package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// Auth says what is asked of clients.
type Auth string

// Whether clients need a certificate. One that is shown is always verified.
const (
	AuthNone    Auth = "none"
	AuthRequest Auth = "request"
	AuthRequire Auth = "require"
)

// Name says which name of a client's certificate is its principal.
type Name string

// The names that a certificate may have: the subject's distinguished name (RFC
// 2253), its common name, or the first alternative name of a kind.
const (
	NameDN    Name = "dn"
	NameCN    Name = "cn"
	NameDNS   Name = "dns"
	NameEmail Name = "email"
	NameURI   Name = "uri"
)

// Of returns the name of a certificate, empty if it has none of that kind.
func (n Name) Of(cert *x509.Certificate) string {
	switch {
	case n == NameCN:
		return cert.Subject.CommonName
	case n == NameDNS && len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	case n == NameEmail && len(cert.EmailAddresses) > 0:
		return cert.EmailAddresses[0]
	case n == NameURI && len(cert.URIs) > 0:
		return cert.URIs[0].String()
	case n == NameDN || n == "":
		return cert.Subject.String()
	default:
		return ""
	}
}

// Why a client's certificate is refused after the library has verified it.
var (
	errRevoked  = errors.New("the client's certificate is revoked")
	errNameless = errors.New("the client's certificate lacks the name that is asked for")
)

// clients verifies certificates of clients; immutable.
type clients struct {
	name    Name
	roots   *x509.CertPool
	cas     []*x509.Certificate
	lists   []*x509.RevocationList
	revoked map[string]struct{}
}

// loadClients reads the authorities and, if there is one, the file of
// revocation lists.
func loadClients(c Config) (*clients, error) {
	text, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, err
	}
	own := &clients{name: c.ClientName, roots: x509.NewCertPool(), revoked: map[string]struct{}{}}
	for der := range blocks(text, "CERTIFICATE") {
		ca, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ClientCA, err)
		}
		own.cas = append(own.cas, ca)
		own.roots.AddCert(ca)
	}
	if len(own.cas) == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM", c.ClientCA)
	}
	if c.ClientCRL == "" {
		return own, nil
	}
	if err := own.loadLists(c.ClientCRL); err != nil {
		return nil, fmt.Errorf("%s: %w", c.ClientCRL, err)
	}
	return own, nil
}

// loadLists reads revocation lists. Each must be signed by an authority of the
// file: one of a stranger would be believed by nobody and missed by everybody.
func (c *clients) loadLists(file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	for der := range blocks(text, "X509 CRL") {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return err
		}
		if !c.signed(list) {
			return fmt.Errorf("the list of %q is not signed by an authority of the file of tls-client-ca", list.Issuer)
		}
		c.lists = append(c.lists, list)
		for _, one := range list.RevokedCertificateEntries {
			c.revoked[serial(list.RawIssuer, one.SerialNumber)] = struct{}{}
		}
	}
	if len(c.lists) == 0 {
		return errors.New("no X509 CRL in PEM")
	}
	return nil
}

func (c *clients) signed(list *x509.RevocationList) bool {
	for _, ca := range c.cas {
		if bytes.Equal(ca.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

// serial tells certificates apart.
func serial(issuer []byte, number *big.Int) string { return string(issuer) + "\x00" + number.String() }

// blocks yields the contents of the PEM blocks of a kind.
func blocks(text []byte, kind string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				return
			}
			if block.Type == kind && !yield(block.Bytes) {
				return
			}
		}
	}
}

// verify looks at a connection whose handshake is else done, one that goes on
// with an older session included: what that session saw verified may have been
// withdrawn since.
func (c *clients) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	chains := s.VerifiedChains
	if s.DidResume {
		var err error
		if chains, err = c.again(s.PeerCertificates); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
	}
	if !c.anyGood(chains) {
		return errRevoked
	}
	if c.name.Of(s.PeerCertificates[0]) == "" {
		return errNameless
	}
	return nil
}

func (c *clients) again(peer []*x509.Certificate) ([][]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, cert := range peer[1:] {
		between.AddCert(cert)
	}
	return peer[0].Verify(x509.VerifyOptions{
		Roots: c.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// anyGood tells whether a chain is left in which nothing is revoked.
func (c *clients) anyGood(chains [][]*x509.Certificate) bool {
next:
	for _, chain := range chains {
		for _, cert := range chain {
			if _, revoked := c.revoked[serial(cert.RawIssuer, cert.SerialNumber)]; revoked {
				continue next
			}
		}
		return true
	}
	return false
}

// warnings tells what is out of date.
func (c *clients) warnings(now time.Time) []Warning {
	var all []Warning
	for _, ca := range c.cas {
		if text, expired := warning(ca, now); text != "" {
			all = append(all, Warning{What: "tls-client-ca", Name: ca.Subject.String(), Text: text, Expired: expired})
		}
	}
	for _, list := range c.lists {
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			all = append(all, Warning{What: "tls-client-crl", Name: list.Issuer.String(), Text: "a newer list was due at " + list.NextUpdate.UTC().Format(time.RFC3339) + "; this one goes on counting"})
		}
	}
	return all
}
