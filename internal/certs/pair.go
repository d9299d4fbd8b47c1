package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Pair names the files of a certificate chain and its key, both in PEM.
type Pair struct{ Cert, Key string }

// WarnBefore is how long before its end a certificate is warned of; one that
// lives for less than three times as long, only in the last third of its life.
const WarnBefore = 14 * 24 * time.Hour

// loadPair reads a pair. Key and chain come from one reading, or not at all.
func loadPair(p Pair) (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// warning says what is wrong with the dates of a certificate; empty if nothing
// is. An expired one is told from one that ends soon.
func warning(cert *x509.Certificate, now time.Time) (text string, expired bool) {
	left := cert.NotAfter.Sub(now)
	early := min(WarnBefore, cert.NotAfter.Sub(cert.NotBefore)/3)
	switch day := cert.NotAfter.UTC().Format(time.RFC3339); {
	case left <= 0:
		return "expired at " + day, true
	case now.Before(cert.NotBefore):
		return "not valid before " + cert.NotBefore.UTC().Format(time.RFC3339), false
	case left <= early:
		return fmt.Sprintf("expires at %s, in %s", day, span(left)), false
	default:
		return "", false
	}
}

// span is a duration in the words of an operator.
func span(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// title names a certificate in logs and figures: its first name for hosts.
func title(cert *x509.Certificate) string {
	switch {
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	case len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String()
	default:
		return strings.ToValidUTF8(cert.Subject.CommonName, "?")
	}
}
