package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/extensions/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret signs the tokens of most tests.
var secret = bytes.Repeat([]byte("s"), 64)

// rsaKey takes long to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	require.NoError(t, err)
	return k
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return k
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// forge makes a token of any header and payload, without the library that reads
// it. The algorithm is that of how, whatever the header says.
func forge(t *testing.T, header, payload, how string, key any) string {
	t.Helper()
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(sign(t, signed, how, key))
}

func sign(t *testing.T, signed, how string, key any) []byte {
	t.Helper()
	if how == "none" {
		return nil
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[how[2:]]
	var sum []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(signed))
		sum = h.Sum(nil)
	}
	switch how[:2] {
	case "HS":
		k, _ := key.([]byte)
		mac := hmac.New(hash.New, k)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	case "RS":
		out, err := rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), hash, sum)
		require.NoError(t, err)
		return out
	case "PS":
		out, err := rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), hash, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		require.NoError(t, err)
		return out
	case "ES":
		k := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, k, sum)
		require.NoError(t, err)
		n := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...)
	default:
		return ed25519.Sign(key.(ed25519.PrivateKey), []byte(signed))
	}
}

type claims map[string]any

// good are the claims of a token that nothing is wrong with.
func good(more claims) claims {
	now := time.Now()
	c := claims{"sub": "alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(c, more)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func (c claims) text(t *testing.T) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any(c))
	require.NoError(t, err)
	return string(raw)
}

// mint makes a token with the shared secret; a nil claim is left out.
func mint(t *testing.T, more claims) string {
	t.Helper()
	return forge(t, `{"alg":"HS256"}`, good(more).text(t), "HS256", secret)
}

func pemOf(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func file(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// jwk is the JSON of a public key, or of a secret.
func jwk(t *testing.T, kid string, key any, more string) string {
	t.Helper()
	switch k := key.(type) {
	case []byte:
		return fmt.Sprintf(`{"kty":"oct","kid":%q,"k":%q%s}`, kid, b64(k), more)
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"%s}`, kid, b64(k.N.Bytes()), more)
	case *ecdsa.PublicKey:
		raw, err := k.Bytes()
		require.NoError(t, err)
		n := len(raw) / 2
		return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q%s}`, kid, k.Params().Name, b64(raw[1:1+n]), b64(raw[1+n:]), more)
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q%s}`, kid, b64(k), more)
	}
	require.Fail(t, "no such key")
	return ""
}

func newJWT(t *testing.T, c auth.JWTConfig) *auth.JWT {
	t.Helper()
	if c.Keys == nil {
		c.Keys = []auth.KeySource{auth.StaticKeys{{Public: secret}}}
	}
	j, err := auth.NewJWT(c)
	require.NoError(t, err)
	return j
}

// outcome is that of a refusal; empty for none.
func outcome(err error) auth.Outcome {
	if f, ok := err.(*auth.RefusedError); ok { //nolint:errorlint // as methods return it
		return f.Outcome
	}
	if err != nil {
		return auth.Outcome(err.Error())
	}
	return ""
}

func sum256(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

var _ = sha512.New // the hashes of the tests
