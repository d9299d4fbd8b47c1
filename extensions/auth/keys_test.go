package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/extensions/auth"
)

// Files of keys that are good, and those that are refused at the start.
func TestKeyFiles(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p256, p224 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P224())
	private, err := x509.MarshalPKCS8PrivateKey(p256)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &p256.PublicKey, p256)
	require.NoError(t, err)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)})
	scalar, err := p256.Bytes()
	require.NoError(t, err)
	set := func(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	good := jwk(t, "a", &p256.PublicKey, "")
	for name, c := range map[string]struct {
		open    func(string) (auth.KeySource, error)
		content []byte
		want    string // of the error; empty: good
		keys    int
	}{
		"secret":              {auth.SecretFile, append(bytes.Repeat([]byte("s"), 32), "\r\n"...), "", 1},
		"short secret":        {auth.SecretFile, []byte("0123456789012345678901234567890\n"), "31 bytes", 0},
		"public key as one":   {auth.SecretFile, pemOf(t, &p256.PublicKey), "is no secret", 0},
		"empty":               {auth.SecretFile, nil, "0 bytes", 0},
		"RSA":                 {auth.PublicKeyFile, pemOf(t, &rsaKey().PublicKey), "", 1},
		"RSA in PKCS #1":      {auth.PublicKeyFile, pkcs1, "", 1},
		"two":                 {auth.PublicKeyFile, append(pemOf(t, &rsaKey().PublicKey), pemOf(t, &p256.PublicKey)...), "", 2},
		"certificate":         {auth.PublicKeyFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), "", 1},
		"small RSA":           {auth.PublicKeyFile, pemOf(t, &small.PublicKey), "2048", 0},
		"another curve":       {auth.PublicKeyFile, pemOf(t, &p224.PublicKey), "P-256", 0},
		"private":             {auth.PublicKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "PRIVATE KEY", 0},
		"broken PEM":          {auth.PublicKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "cannot be read", 0},
		"no PEM":              {auth.PublicKeyFile, []byte("x"), "no public key", 0},
		"set":                 {auth.JWKSFile, set(good, jwk(t, "b", secret, ""), jwk(t, "c", &rsaKey().PublicKey, `,"use":"sig","alg":"RS256"`)), "", 3},
		"set with others":     {auth.JWKSFile, set(good, `{"kty":"XX"}`, jwk(t, "c", &rsaKey().PublicKey, `,"use":"enc"`), jwk(t, "d", &p256.PublicKey, `,"key_ops":["sign"]`), jwk(t, "e", &small.PublicKey, "")), "", 1},
		"no set":              {auth.JWKSFile, []byte(good), "not a JWKS", 0},
		"empty set":           {auth.JWKSFile, set(), "no key", 0},
		"broken key":          {auth.JWKSFile, set(good, `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`), "no valid JWK", 0},
		"private key in set":  {auth.JWKSFile, set(strings.Replace(good, `"kty"`, fmt.Sprintf(`"d":%q,"kty"`, b64(scalar)), 1)), "private key", 0},
		"too many":            {auth.JWKSFile, set(strings.Split(strings.TrimSuffix(strings.Repeat(good+"|", 101), "|"), "|")...), "101 keys", 0},
		"larger than allowed": {auth.JWKSFile, bytes.Repeat([]byte(" "), 1<<20+1), "more than", 0},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := c.open(file(t, c.content))
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			keys, err := source.Keys(t.Context(), "")
			require.NoError(t, err)
			require.Len(t, keys, c.keys)
		})
	}
	_, err = auth.SecretFile(file(t, nil) + "none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A file that changes is read again; while it cannot be read nobody is let in.
func TestKeyFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := bytes.Repeat([]byte("o"), 40)
		path := file(t, secret)
		source, err := auth.SecretFile(path)
		require.NoError(t, err)
		j := newJWT(t, auth.JWTConfig{Keys: []auth.KeySource{source}})
		verdict := func(key []byte) auth.Outcome {
			time.Sleep(time.Minute)
			_, err := judge(t, j, forge(t, `{"alg":"HS256"}`, good(nil).text(t), "HS256", key))
			return outcome(err)
		}
		require.Empty(t, verdict(secret))
		require.NoError(t, os.WriteFile(path, other, 0o600))
		require.Equal(t, auth.Invalid, verdict(secret))
		require.Empty(t, verdict(other))
		require.NoError(t, os.WriteFile(path, []byte("short"), 0o600))
		require.Equal(t, auth.Unavailable, verdict(other))
		require.NoError(t, os.Remove(path))
		require.Equal(t, auth.Unavailable, verdict(other))
		require.NoError(t, os.WriteFile(path, other, 0o600))
		require.Empty(t, verdict(other))
	})
}

// site answers requests without a network.
type site struct {
	asked  int
	status int
	kind   string
	body   string
	err    error
	delay  time.Duration
	seen   *http.Request
	sent   string
}

// RoundTrip implements http.RoundTripper.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked++
	s.seen = r
	if r.Body != nil {
		raw, _ := io.ReadAll(r.Body)
		s.sent = string(raw)
	}
	select {
	case <-time.After(s.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	kind := s.kind
	if kind == "" {
		kind = "application/json"
	}
	status := s.status
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}, "Location": {"https://other.example"}}, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// issuer has keys behind a URL.
type issuer struct {
	*site
	t    *testing.T
	keys map[string]*ecdsa.PrivateKey
	jwt  *auth.JWT
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{site: &site{}, t: t, keys: map[string]*ecdsa.PrivateKey{}}
	source, err := auth.JWKSURL(auth.JWKSConfig{URL: "https://issuer.example/keys?secret=x", Client: &http.Client{Transport: i.site}})
	require.NoError(t, err)
	i.jwt = newJWT(t, auth.JWTConfig{Keys: []auth.KeySource{source}})
	return i
}

// publishes sets the keys that the issuer has.
func (i *issuer) publishes(kids ...string) {
	var set []string
	for _, kid := range kids {
		if i.keys[kid] == nil {
			i.keys[kid] = ecKey(i.t, elliptic.P256())
		}
		set = append(set, jwk(i.t, kid, &i.keys[kid].PublicKey, ""))
	}
	i.body = `{"keys":[` + strings.Join(set, ",") + `]}`
}

func (i *issuer) verdict(kid string) auth.Outcome {
	i.t.Helper()
	key := i.keys[kid]
	if key == nil {
		key = i.keys["a"]
	}
	_, err := judge(i.t, i.jwt, forge(i.t, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), good(nil).text(i.t), "ES256", key))
	if err != nil {
		require.NotContains(i.t, err.Error(), "secret=x")
	}
	return outcome(err)
}

// A set is fetched once, again when a token names a key that it does not have,
// and from time to time; old keys go.
func TestJWKSRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		i.publishes("a")
		require.Empty(t, i.verdict("a"))
		require.Empty(t, i.verdict("a"))
		require.Equal(t, 1, i.asked)

		time.Sleep(time.Minute)
		i.publishes("a", "b")
		require.Empty(t, i.verdict("b"), "at once")
		require.Equal(t, 2, i.asked)
		require.Empty(t, i.verdict("a"))

		for n := range 50 { // strangers do not make us ask more often
			require.Equal(t, auth.Invalid, i.verdict(fmt.Sprint("x", n)))
		}
		require.Equal(t, 2, i.asked)
		time.Sleep(11 * time.Second)
		require.Equal(t, auth.Invalid, i.verdict("x"))
		require.Equal(t, auth.Invalid, i.verdict("y"))
		require.Equal(t, 3, i.asked)

		i.publishes("b")
		time.Sleep(6 * time.Minute)
		require.Empty(t, i.verdict("a"), "the old set is used while it is fetched")
		synctest.Wait()
		require.Equal(t, 4, i.asked)
		require.Equal(t, auth.Invalid, i.verdict("a"))
		require.Empty(t, i.verdict("b"))
	})
}

// When the set cannot be fetched the old one counts for an hour, then nobody is
// let in until it can.
func TestJWKSOutage(t *testing.T) {
	for name, outage := range map[string]func(*site){
		"no connection": func(s *site) { s.err = errors.New("refused") },
		"status":        func(s *site) { s.status = http.StatusInternalServerError },
		"a redirect":    func(s *site) { s.status = http.StatusFound },
		"a page":        func(s *site) { s.kind = "text/html" },
		"nothing":       func(s *site) { s.body = "" },
		"no keys":       func(s *site) { s.body = `{"keys":[]}` },
		"a secret":      func(s *site) { s.body = `{"keys":[` + jwk(t, "s", secret, "") + `]}` },
		"too much":      func(s *site) { s.body = `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}` },
		"too late":      func(s *site) { s.delay = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer(t)
				i.publishes("a")
				whole := *i.site
				outage(i.site)
				require.Equal(t, auth.Unavailable, i.verdict("a"))
				require.Equal(t, auth.Unavailable, i.verdict("a"), "asked once")
				require.Equal(t, 1, i.asked)
				*i.site = whole
				time.Sleep(11 * time.Second)
				require.Empty(t, i.verdict("a"))

				outage(i.site)
				for range 5 {
					time.Sleep(11 * time.Minute)
					require.Empty(t, i.verdict("a"))
				}
				time.Sleep(11 * time.Minute)
				require.Equal(t, auth.Unavailable, i.verdict("a"))
				*i.site = whole
				time.Sleep(11 * time.Second)
				require.Empty(t, i.verdict("a"))
				time.Sleep(time.Minute) // what is under way ends
			})
		})
	}
}

// Many wait for one fetch; who goes away does not end it for the others.
func TestJWKSTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		i.publishes("a")
		i.delay = time.Second
		gone, cancel := context.WithCancel(t.Context())
		token := forge(t, `{"alg":"ES256","kid":"a"}`, good(nil).text(t), "ES256", i.keys["a"])
		results := make(chan error, 21)
		for n := range 21 {
			ctx := t.Context()
			if n == 0 {
				ctx = gone
			}
			go func() {
				_, err := i.jwt.Authenticate(ctx, &auth.Credentials{Token: token})
				results <- err
			}()
		}
		synctest.Wait()
		cancel()
		failed := 0
		for range 21 {
			if <-results != nil {
				failed++
			}
		}
		require.Equal(t, 1, failed)
		require.Equal(t, 1, i.asked)
	})
}

func TestURLs(t *testing.T) {
	for url, good := range map[string]bool{
		"https://a.example/keys": true, "http://127.0.0.1:1/x": true, "http://localhost/x": true, "http://[::1]/x": true,
		"http://a.example/keys": false, "http://127.0.0.1.example/": false, "https://u:p@a.example/": false, "ftp://a.example": false,
		"": false, "https://": false, "/keys": false, "https://a.example/#x": false, "https://a.example/%zz": false,
	} {
		_, err := auth.JWKSURL(auth.JWKSConfig{URL: url})
		require.Equal(t, good, err == nil, "%q: %v", url, err)
		_, err = auth.NewHook(auth.HookConfig{URL: url})
		require.Equal(t, good, err == nil, "%q: %v", url, err)
	}
}
