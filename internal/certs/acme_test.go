package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/stretchr/testify/require"
)

// refusing is a directory that answers nothing but no.
type refusing struct{ asked []time.Time }

func (r *refusing) RoundTrip(*http.Request) (*http.Response, error) {
	r.asked = append(r.asked, time.Now())
	return nil, errors.New("no route")
}

// cached puts a certificate into the cache of a directory.
func cached(t *testing.T, dir, directory, domain string, i issued) {
	t.Helper()
	c, err := openCache(dir, directory)
	require.NoError(t, err)
	require.NoError(t, c.write(certificateFile(domain), append(append([]byte{}, i.key...), i.cert...)))
}

// TestRefusedOrders serves the old certificate on, says why there is no new
// one, and asks again later and later.
func TestRefusedOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, ca := t.TempDir(), newAuthority(t, "ca")
		cached(t, dir, LetsEncrypt, "push.test", ca.issue("push.test", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-70*24*time.Hour), time.Now().Add(20*24*time.Hour)
		}))
		k, log := openFor(t, Config{ACME: ACME{Domains: []string{"push.test", "new.test"}, Cache: dir, AcceptTerms: true}})
		no := &refusing{}
		k.acme.client.HTTPClient = &http.Client{Transport: no}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.Run(ctx)
		}()
		time.Sleep(time.Second * 50)
		synctest.Wait()
		require.Contains(t, log.String(), `"domain":"push.test","reason":"account: `)
		require.Contains(t, log.String(), `no route","again":"1m0s","expires":"`)
		require.Contains(t, log.String(), "ACME order failed; the old certificate stays")
		require.Contains(t, log.String(), "ACME order failed; there is no certificate yet")
		require.Equal(t, "push.test", serves(t, k, "push.test"))
		_, err := k.certificate(&tls.ClientHelloInfo{ServerName: "new.test"})
		require.ErrorIs(t, err, errNoCertificate)
		failed := k.Stats().ACMEFailed
		require.Equal(t, uint64(2), failed)
		time.Sleep(24 * time.Hour)
		// 1, 3, 9, 27, 81 and 243 minutes, then each six hours: 9 in a day.
		require.InDelta(t, 18, float64(k.Stats().ACMEFailed), 2)
		time.Sleep(10 * 24 * time.Hour)
		require.Contains(t, log.String(), `"setting":"acme-domain","name":"push.test"`, "late renewals are warned of")
		cancel()
		<-done
	})
}

// TestCachedCertificate is served without a word to the directory; that of
// another directory is not.
func TestCachedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, ca := t.TempDir(), newAuthority(t, "ca")
		cached(t, dir, "https://a.test", "push.test", ca.issue("push.test", nil))
		c := ACME{Domains: []string{"push.test"}, Cache: dir, AcceptTerms: true, Directory: "https://a.test"}
		k, log := openFor(t, Config{ACME: c})
		no := &refusing{}
		k.acme.client.HTTPClient = &http.Client{Transport: no}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		k.Run(ctx)
		require.Empty(t, no.asked)
		require.Empty(t, log.String())
		require.Equal(t, "push.test", serves(t, k, "PUSH.test."))
		require.Equal(t, "push.test", serves(t, k, ""))
		require.Equal(t, []Expiry{{"acme", "push.test", k.acme.certificate("").Leaf.NotAfter}}, k.Stats().Expiry)
		c.Directory = "https://b.test"
		k, _ = openFor(t, Config{ACME: c})
		require.Nil(t, k.acme.certificate("push.test"))
	})
}

// TestWrongCache orders anew what cannot be used.
func TestWrongCache(t *testing.T) {
	ca := newAuthority(t, "ca")
	expired := ca.issue("push.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for want, i := range map[string]issued{"expired at": expired, "push.test": ca.issue("other.test", nil), "failed to find": {cert: []byte("x")}} {
		dir := t.TempDir()
		cached(t, dir, LetsEncrypt, "push.test", i)
		k, log := openFor(t, Config{ACME: ACME{Domains: []string{"push.test"}, Cache: dir}})
		require.Nil(t, k.acme.certificate("push.test"))
		require.True(t, k.acme.all[0].due.IsZero(), "ordered at once")
		require.Contains(t, log.String(), "the cached certificate cannot be used")
		require.Contains(t, log.String(), want)
	}
}

// TestAccountKey makes a key once, readable for nobody else.
func TestAccountKey(t *testing.T) {
	c, err := openCache(t.TempDir(), LetsEncrypt)
	require.NoError(t, err)
	made, err := c.accountKey()
	require.NoError(t, err)
	again, err := c.accountKey()
	require.NoError(t, err)
	require.Equal(t, made, again)
	info, err := os.Stat(filepath.Join(c.dir, accountFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "no file of the making stays")
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		put(t, filepath.Join(c.dir, accountFile), []byte(text))
		_, err = c.accountKey()
		require.ErrorContains(t, err, accountFile)
	}
}

func TestRenewal(t *testing.T) {
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for life, want := range map[time.Duration]time.Duration{90 * day: 60 * day, 6 * day: 3 * day, time.Hour: 30 * time.Minute} {
		at := renewal(&x509.Certificate{NotBefore: begin, NotAfter: begin.Add(life)}).Sub(begin)
		require.LessOrEqual(t, at, want)
		require.Greater(t, at, want-life/50)
	}
}

// TestChallenges answers for the time of a challenge, and to nobody else.
func TestChallenges(t *testing.T) {
	k, _ := openFor(t, Config{ACME: ACME{Domains: []string{"push.test"}, Cache: t.TempDir()}})
	c := acme.Challenge{Type: acme.ChallengeTypeHTTP01, Token: "abc", KeyAuthorization: "abc.def", Identifier: acme.Identifier{Type: "dns", Value: "push.test"}}
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		k.Challenges(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	hello := &tls.ClientHelloInfo{ServerName: "Push.test", SupportedProtos: []string{acmeProtocol}}
	_, err := k.present(hello)
	require.ErrorIs(t, err, errNoCertificate)
	require.NoError(t, k.acme.http.Present(t.Context(), c))
	require.NoError(t, k.acme.tls.Present(t.Context(), c))
	code, text := ask("/.well-known/acme-challenge/abc")
	require.Equal(t, 200, code)
	require.Equal(t, "abc.def", text)
	code, _ = ask("/.well-known/acme-challenge/abd")
	require.Equal(t, 404, code)
	config, err := k.present(hello)
	require.NoError(t, err)
	require.Equal(t, []string{acmeProtocol}, config.NextProtos)
	require.NoError(t, k.acme.http.CleanUp(t.Context(), c))
	require.NoError(t, k.acme.tls.CleanUp(t.Context(), c))
	code, _ = ask("/.well-known/acme-challenge/abc")
	require.Equal(t, 404, code)
	_, err = k.present(hello)
	require.ErrorIs(t, err, errNoCertificate)
	plain, _ := openFor(t, Config{})
	w := httptest.NewRecorder()
	plain.Challenges(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 404, w.Code)
}
