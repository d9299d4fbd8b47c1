package auth

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// ProxyHeader is the Method for a reverse proxy that has authenticated the
// client and says so in a header. It is believed only where the request came
// from a trusted proxy itself (Request.ViaProxy); from elsewhere the header
// does not exist. The proxy must remove what clients send by that name.
type ProxyHeader struct {
	// User is the header with the user's id, such as X-Auth-User.
	User string
	// Groups is the header with its groups, separated by commas; empty: none.
	Groups string
}

// Authenticate implements Method.
func (p ProxyHeader) Authenticate(_ context.Context, c *Credentials) (*bayeux.Subject, error) {
	if c.Refresh || c.Request == nil || !c.Request.ViaProxy {
		return nil, nil //nolint:nilnil // nobody who could be believed
	}
	values := c.Request.Header.Values(p.User)
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return nil, nil //nolint:nilnil // the proxy knows nobody
	case len(values) > 1:
		return nil, invalid("header %s comes %d times: the proxy lets pass what clients send", p.User, len(values))
	case !plain(values[0]):
		return nil, invalid("header %s is no plain text of 1 to %d bytes", p.User, maxName)
	}
	s := &bayeux.Subject{User: values[0], Issued: time.Now()}
	if p.Groups == "" {
		return s, nil
	}
	groups := c.Request.Header.Values(p.Groups)
	if len(groups) > 1 {
		return nil, invalid("header %s comes %d times: the proxy lets pass what clients send", p.Groups, len(groups))
	}
	for _, v := range groups {
		for g := range strings.SplitSeq(v, ",") {
			if g = strings.TrimSpace(g); g != "" {
				s.Groups = append(s.Groups, g)
			}
		}
	}
	return s, nil
}

// Certificate is the Method for clients with a certificate that TLS has
// verified, or that middleware has named (bayeux.WithPrincipal).
type Certificate struct {
	// CommonName takes the CN of the certificate as the user's id instead of
	// the whole subject (Request.Principal).
	CommonName bool
}

// Authenticate implements Method.
func (m Certificate) Authenticate(_ context.Context, c *Credentials) (*bayeux.Subject, error) {
	if c.Refresh || c.Request == nil || c.Request.Principal == "" {
		return nil, nil //nolint:nilnil // no certificate
	}
	user, s := c.Request.Principal, &bayeux.Subject{Issued: time.Now()}
	if leaf := verified(c.Request); leaf != nil {
		s.Expires = leaf.NotAfter
		if m.CommonName {
			user = leaf.Subject.CommonName
		}
	}
	if !plain(user) {
		return nil, invalid("the certificate's name is no plain text of 1 to %d bytes", maxName)
	}
	s.User = user
	return s, nil
}

// verified is the client's certificate, nil if there is none.
func verified(r *bayeux.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}
