package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/auth"
)

// A verified certificate names the user, until it expires; what middleware has
// found out counts too.
func TestCertificate(t *testing.T) {
	end := time.Now().Add(time.Hour)
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "alice", Organization: []string{"x"}}, NotAfter: end}
	state := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	long := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	for name, c := range map[string]struct {
		method  auth.Certificate
		request *bayeux.Request
		user    string
		expires time.Time
		want    auth.Outcome
	}{
		"subject":            {request: &bayeux.Request{TLS: state, Principal: "CN=alice,O=x"}, user: "CN=alice,O=x", expires: end},
		"common name":        {method: auth.Certificate{CommonName: true}, request: &bayeux.Request{TLS: state, Principal: "CN=alice,O=x"}, user: "alice", expires: end},
		"middleware":         {method: auth.Certificate{CommonName: true}, request: &bayeux.Request{Principal: "bob"}, user: "bob"},
		"no common name":     {method: auth.Certificate{CommonName: true}, request: &bayeux.Request{TLS: long, Principal: "O=x"}, want: auth.Invalid},
		"none":               {request: &bayeux.Request{}},
		"none that is known": {request: &bayeux.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}}},
		"no request":         {},
	} {
		s, err := c.method.Authenticate(t.Context(), &auth.Credentials{Request: c.request})
		require.Equal(t, c.want, outcome(err), name)
		if c.user == "" {
			require.Nil(t, s, name)
			continue
		}
		require.Equal(t, c.user, s.User, name)
		require.Equal(t, c.expires, s.Expires, name)
		require.False(t, s.Issued.IsZero())
		s, err = c.method.Authenticate(t.Context(), &auth.Credentials{Request: c.request, Refresh: true})
		require.NoError(t, err)
		require.Nil(t, s, "no token is refreshed by it")
	}
	s, err := auth.ProxyHeader{User: "X-User"}.Authenticate(t.Context(), &auth.Credentials{Request: &bayeux.Request{Header: http.Header{"X-User": {"root"}}}})
	require.NoError(t, err)
	require.Nil(t, s, "not by a trusted proxy")
}
