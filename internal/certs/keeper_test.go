package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// serves is the name of the certificate that a client who asks for a name gets.
func serves(t *testing.T, k *Keeper, name string) string {
	t.Helper()
	hello := &tls.ClientHelloInfo{
		ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, SupportedCurves: []tls.CurveID{tls.X25519},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256},
	}
	cert, err := k.certificate(hello)
	require.NoError(t, err)
	return cert.Leaf.Subject.CommonName
}

func TestChoosesByName(t *testing.T) {
	a := newAuthority(t, "ca")
	one := a.issue("one.test", nil).write(t, t.TempDir())
	two := a.issue("two.test", func(c *x509.Certificate) { c.DNSNames = []string{"two.test", "*.two.test"} }).write(t, t.TempDir())
	k, _ := openFor(t, Config{Pairs: []Pair{one, two}})
	for name, want := range map[string]string{
		"one.test": "one.test", "TWO.test": "two.test", "x.two.test": "two.test", "three.test": "one.test", "": "one.test",
	} {
		require.Equal(t, want, serves(t, k, name), name)
	}
	address := listen(t, k)
	for _, name := range []string{"one.test", "a.two.test"} {
		state, err := talk(t, address, &tls.Config{RootCAs: a.pool(), ServerName: name})
		require.NoError(t, err)
		require.Equal(t, uint16(tls.VersionTLS13), state.Version)
	}
}

// TestReload changes key and chain together, one pair apart from the other,
// and keeps what was there when they do not fit.
func TestReload(t *testing.T) {
	a := newAuthority(t, "ca")
	dir, other := t.TempDir(), t.TempDir()
	k, _ := openFor(t, Config{Pairs: []Pair{a.issue("a.old", nil).write(t, dir), a.issue("b.old", nil).write(t, other)}})
	require.NoError(t, k.Reload())
	renewed := a.issue("a.new", nil)
	put(t, filepath.Join(dir, "cert.pem"), renewed.cert)
	a.issue("b.new", nil).write(t, other)
	require.ErrorContains(t, k.Reload(), "private key does not match")
	require.Equal(t, "a.old", serves(t, k, ""), "the half that changed is not served")
	require.Equal(t, "b.new", serves(t, k, "b.new"), "one bad pair does not keep another back")
	put(t, filepath.Join(dir, "key.pem"), renewed.key)
	require.NoError(t, k.Reload())
	require.Equal(t, "a.new", serves(t, k, ""))

	a.issue("a.expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).write(t, dir)
	require.ErrorContains(t, k.Reload(), `the new certificate for "a.expired" expired`)
	require.Equal(t, "a.new", serves(t, k, ""))
	require.NoError(t, os.Remove(filepath.Join(dir, "key.pem")))
	require.Error(t, k.Reload())
	require.Equal(t, "a.new", serves(t, k, ""))
	s := k.Stats()
	require.Equal(t, uint64(2), s.Reloads)
	require.Equal(t, uint64(3), s.ReloadsFailed)
}

// TestFilesThatChange are read without being asked: written anew, and behind
// links as Kubernetes turns them. A bad pair is told of once.
func TestFilesThatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "ca")
		dir := t.TempDir()
		for _, name := range []string{"v1", "v2"} {
			require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		}
		a.issue("one", nil).write(t, filepath.Join(dir, "v1"))
		a.issue("two", nil).write(t, filepath.Join(dir, "v2"))
		turn := func(to string) {
			require.NoError(t, os.Symlink(to, filepath.Join(dir, "new")))
			require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "data")))
		}
		turn("v1")
		k, log := openFor(t, Config{Pairs: []Pair{{filepath.Join(dir, "data", "cert.pem"), filepath.Join(dir, "data", "key.pem")}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.Run(ctx)
		}()
		passed := func() string {
			time.Sleep(PollEvery + time.Millisecond)
			synctest.Wait()
			return serves(t, k, "")
		}
		require.Equal(t, "one", passed())
		require.Zero(t, k.Stats().Reloads, "nothing has changed")
		turn("v2")
		require.Equal(t, "two", passed())
		put(t, filepath.Join(dir, "v2", "key.pem"), []byte("no key"))
		require.Equal(t, "two", passed())
		require.Equal(t, "two", passed())
		require.Equal(t, uint64(1), k.Stats().ReloadsFailed)
		a.issue("three", nil).write(t, filepath.Join(dir, "v2"))
		require.Equal(t, "three", passed())
		require.Contains(t, log.String(), "certificates have changed and cannot be used; the old ones stay")
		cancel()
		<-done
	})
}

// TestWarns tells of what ends within 14 days, again each half day.
func TestWarns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "ca")
		p := a.issue("soon.test", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-1000*time.Hour), time.Now().Add(14*24*time.Hour+time.Hour)
		}).write(t, t.TempDir())
		k, log := openFor(t, Config{Pairs: []Pair{p}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.Run(ctx)
		}()
		synctest.Wait()
		require.Empty(t, log.String())
		time.Sleep(WarnEvery + time.Minute)
		require.Contains(t, log.String(), `"level":"warn","setting":"tls-cert","name":"soon.test","problem":"expires at `)
		require.Contains(t, log.String(), `, in 13 days","message":"a certificate needs care"`)
		time.Sleep(14 * 24 * time.Hour)
		require.Contains(t, log.String(), `"level":"error","setting":"tls-cert","name":"soon.test","problem":"expired at `)
		require.Len(t, k.Stats().Expiry, 1)
		cancel()
		<-done
	})
}

// TestWarning has the windows: 14 days, or a third of a short life.
func TestWarning(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for _, tt := range []struct {
		since, until time.Duration
		want         string
		expired      bool
	}{
		{-60 * day, 30 * day, "", false},
		{-80 * day, 10 * day, "expires at 2030-01-11T00:00:00Z, in 10 days", false},
		{-3 * day, 3 * day, "", false},
		{-5 * day, day, "expires at 2030-01-02T00:00:00Z, in 24h0m0s", false},
		{-90 * day, -time.Second, "expired at 2029-12-31T23:59:59Z", true},
		{time.Hour, 90 * day, "not valid before 2030-01-01T01:00:00Z", false},
	} {
		text, expired := warning(&x509.Certificate{NotBefore: now.Add(tt.since), NotAfter: now.Add(tt.until)}, now)
		require.Equal(t, tt.want, text)
		require.Equal(t, tt.expired, expired)
	}
}

func TestCheck(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	dir := t.TempDir()
	good := a.issue("good.test", nil).write(t, dir)
	expired := a.issue("expired.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).write(t, t.TempDir())
	roots := put(t, filepath.Join(dir, "ca.pem"), a.pem)
	plain := put(t, filepath.Join(dir, "plain"), []byte("nothing"))
	list := put(t, filepath.Join(dir, "list.pem"), a.list(time.Now().Add(-time.Minute)))
	stranger := put(t, filepath.Join(dir, "stranger.pem"), b.list(time.Now().Add(time.Hour)))
	domains := []string{"push.test"}
	for _, tt := range []struct {
		name, want string
		c          Config
	}{
		{"good", "", Config{Pairs: []Pair{good}, ClientCA: roots, ACME: ACME{Domains: domains, Cache: filepath.Join(dir, "new"), Roots: roots}}},
		{"no file", "tls-cert and tls-key: open ", Config{Pairs: []Pair{{filepath.Join(dir, "none"), good.Key}}}},
		{"another's key", "private key does not match", Config{Pairs: []Pair{{good.Cert, expired.Key}}}},
		{"no authorities", "tls-client-ca: " + plain + ": no certificate in PEM", Config{Pairs: []Pair{good}, ClientCA: plain}},
		{"no list", "no X509 CRL in PEM", Config{Pairs: []Pair{good}, ClientCA: roots, ClientCRL: plain}},
		{"a stranger's list", `the list of "CN=b" is not signed by an authority`, Config{Pairs: []Pair{good}, ClientCA: roots, ClientCRL: stranger}},
		{"a cache that is a file", "acme-cache: " + plain + " is no folder", Config{ACME: ACME{Domains: domains, Cache: plain}}},
		{"a cache nowhere", "acme-cache: stat ", Config{ACME: ACME{Domains: domains, Cache: filepath.Join(dir, "a", "b")}}},
		{"no roots", "acme-ca: " + plain + ": no certificate in PEM", Config{ACME: ACME{Domains: domains, Cache: dir, Roots: plain}}},
	} {
		warnings, err := Check(tt.c, time.Now())
		if tt.want == "" {
			require.NoError(t, err, tt.name)
			require.Empty(t, warnings, tt.name)
			continue
		}
		require.ErrorContains(t, err, tt.want, tt.name)
	}
	require.NoDirExists(t, filepath.Join(dir, "new"), "a check changes nothing")
	warnings, err := Check(Config{Pairs: []Pair{good, expired}, ClientCA: roots, ClientCRL: list}, time.Now())
	require.NoError(t, err)
	require.Len(t, warnings, 2)
	require.True(t, warnings[0].Expired)
	require.Contains(t, warnings[0].String(), `tls-cert: "expired.test" expired at `)
	require.Contains(t, warnings[1].String(), `tls-client-crl: "CN=a" a newer list was due at `)
}

func TestMinimalVersion(t *testing.T) {
	a := newAuthority(t, "ca")
	p := a.issue("x.test", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }).write(t, t.TempDir())
	old := &tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	twelve := &tls.Config{RootCAs: a.pool(), MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	k, log := openFor(t, Config{Pairs: []Pair{p}})
	address := listen(t, k)
	_, err := talk(t, address, old)
	require.ErrorContains(t, err, "protocol version not supported")
	state, err := talk(t, address, twelve)
	require.NoError(t, err)
	require.Equal(t, "h2", state.NegotiatedProtocol)
	log.wait("version_or_cipher")
	require.Equal(t, map[string]uint64{"version_or_cipher": 1}, k.Stats().HandshakesFailed)
	k, _ = openFor(t, Config{Pairs: []Pair{p}, MinVersion: tls.VersionTLS13})
	address = listen(t, k)
	_, err = talk(t, address, twelve)
	require.ErrorContains(t, err, "protocol version not supported")
}
