package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mutual is a server with certificates of clients.
type mutual struct {
	ca, server *authority
	dir        string
	config     Config
}

func newMutual(t *testing.T) *mutual {
	t.Helper()
	m := &mutual{ca: newAuthority(t, "clients"), server: newAuthority(t, "servers"), dir: t.TempDir()}
	m.config = Config{Pairs: []Pair{m.server.issue("server.test", nil).write(t, t.TempDir())}, ClientAuth: AuthRequire}
	m.config.ClientCA = put(t, filepath.Join(m.dir, "ca.pem"), m.ca.pem)
	return m
}

func (m *mutual) client(t *testing.T, version uint16, shown ...issued) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: m.server.pool(), ServerName: "server.test", MinVersion: version, MaxVersion: version}
	for _, one := range shown {
		pair := one.pair(t)
		// Shown whatever authorities the server asks for.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c
}

// TestClientCertificates shows right and wrong ones, over both versions.
func TestClientCertificates(t *testing.T) {
	m := newMutual(t)
	stranger := newAuthority(t, "clients") // of the same name
	right := m.ca.issue("alice", nil)
	revoked := m.ca.issue("mallory", nil)
	m.config.ClientCRL = put(t, filepath.Join(m.dir, "crl.pem"), m.ca.list(time.Now().Add(time.Hour), revoked.leaf))
	m.config.ClientName = NameDNS
	tests := []struct {
		name  string
		shown []issued
		want  Reason
	}{
		{"right", []issued{right}, ""},
		{"none", nil, ReasonClientMissing},
		{"wrong authority", []issued{stranger.issue("alice", nil)}, ReasonClientCA},
		{"expired", []issued{m.ca.issue("alice", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })}, ReasonClientExpired},
		{"not yet valid", []issued{m.ca.issue("alice", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })}, ReasonClientExpired},
		{"for servers", []issued{m.ca.issue("alice", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, ReasonClientOther},
		{"revoked", []issued{revoked}, ReasonClientRevoked},
		{"nameless", []issued{m.ca.issue("alice", func(c *x509.Certificate) { c.DNSNames = nil })}, ReasonClientName},
	}
	for _, auth := range []Auth{AuthRequire, AuthRequest} {
		m.config.ClientAuth = auth
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, tt := range tests {
				k, log := openFor(t, m.config)
				address := listen(t, k)
				_, err := talk(t, address, m.client(t, version, tt.shown...))
				if tt.want == "" || auth == AuthRequest && tt.want == ReasonClientMissing {
					require.NoError(t, err, tt.name)
					continue
				}
				require.Error(t, err, tt.name)
				log.wait(`"reason":"` + string(tt.want) + `"`)
				require.Equal(t, map[string]uint64{string(tt.want): 1}, k.Stats().HandshakesFailed, tt.name)
				require.NotContains(t, log.String(), "alice", "the log has no text of the peer's")
			}
		}
	}
	m.config.ClientAuth = AuthNone
	k, _ := openFor(t, m.config)
	address := listen(t, k)
	_, err := talk(t, address, m.client(t, tls.VersionTLS13))
	require.NoError(t, err, "none is asked for")
}

// TestAuthoritiesThatChange refuses clients of an authority that has gone, and
// those that a newer list revokes, also when they go on with an older session.
func TestAuthoritiesThatChange(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		m := newMutual(t)
		alice := m.ca.issue("alice", nil)
		m.config.ClientCRL = put(t, filepath.Join(m.dir, "crl.pem"), m.ca.list(time.Now().Add(time.Hour)))
		k, log := openFor(t, m.config)
		address := listen(t, k)
		client := m.client(t, version, alice)
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		_, err := talk(t, address, client)
		require.NoError(t, err)
		state, err := talk(t, address, client)
		require.NoError(t, err)
		require.True(t, state.DidResume)

		put(t, m.config.ClientCA, []byte("nothing"))
		require.ErrorContains(t, k.Reload(), "no certificate in PEM")
		_, err = talk(t, address, client)
		require.NoError(t, err, "a bad file keeps the old authorities")

		put(t, m.config.ClientCA, m.ca.pem)
		put(t, m.config.ClientCRL, m.ca.list(time.Now().Add(time.Hour), alice.leaf))
		require.NoError(t, k.Reload())
		_, err = talk(t, address, client)
		require.Error(t, err, "revoked")

		other := newAuthority(t, "others")
		put(t, m.config.ClientCA, other.pem)
		put(t, m.config.ClientCRL, other.list(time.Now().Add(time.Hour)))
		require.NoError(t, k.Reload())
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		_, err = talk(t, address, client)
		require.Error(t, err, "of an authority that has gone")
		_, err = talk(t, address, m.client(t, version, other.issue("bob", nil)))
		require.NoError(t, err)
		log.wait(string(ReasonClientRevoked))
		log.wait(string(ReasonClientCA))
		require.Equal(t, map[string]uint64{string(ReasonClientRevoked): 1, string(ReasonClientCA): 1}, k.Stats().HandshakesFailed)
	}
}

// TestResumedWithoutAuthority goes on with a session of an authority that has
// gone; whether the library looks again or not, it is refused.
func TestResumedWithoutAuthority(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		m := newMutual(t)
		k, _ := openFor(t, m.config)
		address := listen(t, k)
		client := m.client(t, version, m.ca.issue("alice", nil))
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		_, err := talk(t, address, client)
		require.NoError(t, err)
		put(t, m.config.ClientCA, newAuthority(t, "others").pem)
		require.NoError(t, k.Reload())
		_, err = talk(t, address, client)
		require.Error(t, err)
	}
}

func TestNames(t *testing.T) {
	cert := newAuthority(t, "ca").issue("alice", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"alice@example.com", "a@example.com"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/alice"}}
		c.DNSNames = []string{"alice.test"}
	}).leaf
	for name, want := range map[Name]string{
		"": "CN=alice,O=Halley", NameDN: "CN=alice,O=Halley", NameCN: "alice", NameDNS: "alice.test",
		NameEmail: "alice@example.com", NameURI: "spiffe://example.com/alice",
	} {
		require.Equal(t, want, name.Of(cert), name)
		if name != "" && name != NameDN {
			require.Empty(t, name.Of(&x509.Certificate{}), name)
		}
	}
}

// TestResumedIsVerifiedAgain does not lean on the library, which believed
// older sessions for long.
func TestResumedIsVerifiedAgain(t *testing.T) {
	ca := newAuthority(t, "ca")
	alice := ca.issue("alice", nil).leaf
	old := tls.ConnectionState{DidResume: true, PeerCertificates: []*x509.Certificate{alice}, VerifiedChains: [][]*x509.Certificate{{alice, ca.cert}}}
	require.NoError(t, (&clients{roots: ca.pool()}).verify(old))
	var refused *tls.CertificateVerificationError
	require.ErrorAs(t, (&clients{roots: newAuthority(t, "ca").pool()}).verify(old), &refused)
	require.Equal(t, ReasonClientCA, reason(refused, false))
}
