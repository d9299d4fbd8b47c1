package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Key verifies signatures.
type Key struct {
	// ID is the key's kid; empty fits tokens of any kid.
	ID string
	// Algorithm is the only one that the key is for; empty leaves those of its
	// type.
	Algorithm string
	// Public is an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, or a
	// shared secret as []byte. Its type says which algorithms it can be used
	// with, so that a token never chooses.
	Public crypto.PublicKey
}

// KeySource has keys, which may change at any time. It is used by many
// goroutines.
type KeySource interface {
	// Keys returns the keys that there are now. kid is that of the token, empty
	// if it has none; a source that has no such key may look for a newer set. An
	// error means that the source cannot be read; its keys do not count then.
	Keys(ctx context.Context, kid string) ([]Key, error)
}

// StaticKeys is a KeySource of keys that never change.
type StaticKeys []Key

// Keys implements KeySource.
func (k StaticKeys) Keys(context.Context, string) ([]Key, error) { return k, nil }

// Bounds of keys. Larger ones cost more time than a signature is worth.
const (
	minRSABits = 2048
	maxRSABits = 8192
	maxKeys    = 100
	// maxTries bounds the keys that a token is tried with.
	maxTries = 16
)

// algorithmsOf are the algorithms that a key can be used with.
func algorithmsOf(public crypto.PublicKey) []jose.SignatureAlgorithm {
	switch k := public.(type) {
	case []byte:
		// A secret shorter than the hash is weaker than the hash (RFC 7518, 3.2).
		switch n := len(k); {
		case n >= 64:
			return []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
		case n >= 48:
			return []jose.SignatureAlgorithm{jose.HS256, jose.HS384}
		case n >= 32:
			return []jose.SignatureAlgorithm{jose.HS256}
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= minRSABits && n <= maxRSABits {
			return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}

// Algorithms returns the names of all algorithms that there are.
func Algorithms() []string {
	return []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// check says why a key cannot be used.
func (k Key) check() error {
	fit := algorithmsOf(k.Public)
	if len(fit) == 0 {
		if secret, ok := k.Public.([]byte); ok {
			return fmt.Errorf("a secret of %d bytes; want at least 32", len(secret))
		}
		return fmt.Errorf("key %.64q: want a public key of type RSA with %d to %d bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
			k.ID, minRSABits, maxRSABits)
	}
	if k.Algorithm != "" && !slices.Contains(fit, jose.SignatureAlgorithm(k.Algorithm)) {
		return fmt.Errorf("key %.64q: algorithm %.16q does not go with its type", k.ID, k.Algorithm)
	}
	return nil
}

// fits tells whether a token may have been signed with the key.
func (k Key) fits(alg jose.SignatureAlgorithm, kid string) bool {
	return (k.ID == "" || kid == "" || k.ID == kid) &&
		(k.Algorithm == "" || k.Algorithm == string(alg)) &&
		slices.Contains(algorithmsOf(k.Public), alg)
}

func hasKey(keys []Key, kid string) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return kid == "" || k.ID == "" || k.ID == kid })
}

// parseSet reads a JWKS. Keys that are not for verifying signatures, or of
// types that we do not know, are left out; a private key is an error, for it
// should not be there. Secrets are accepted where the set is as private as they
// are.
func parseSet(raw []byte, secrets bool) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil || set.Keys == nil {
		return nil, errors.New("not a JWKS: want {\"keys\": [...]}")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys; want at most %d", len(set.Keys), maxKeys)
	}
	keys := make([]Key, 0, len(set.Keys))
	for _, one := range set.Keys {
		key, use, err := parseJWK(one)
		switch {
		case err != nil:
			return nil, err
		case !use || len(algorithmsOf(key.Public)) == 0:
			continue
		}
		if _, secret := key.Public.([]byte); secret && !secrets {
			return nil, errors.New("a secret (kty oct) in a set that is fetched; want public keys")
		}
		if key.check() != nil {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in the set can be used")
	}
	return keys, nil
}

// parseJWK reads one key and tells whether it is for verifying signatures.
func parseJWK(raw []byte) (key Key, use bool, err error) {
	var about struct {
		Kty string   `json:"kty"`
		Ops []string `json:"key_ops"`
	}
	if err := json.Unmarshal(raw, &about); err != nil {
		return Key{}, false, errors.New("a key that is no JWK")
	}
	if !slices.Contains([]string{"RSA", "EC", "OKP", "oct"}, about.Kty) || about.Ops != nil && !slices.Contains(about.Ops, "verify") {
		return Key{}, false, nil
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil {
		if errors.Is(err, jose.ErrUnsupportedKeyType) {
			return Key{}, false, nil
		}
		return Key{}, false, errors.New("a key that is no valid JWK")
	}
	if _, secret := jwk.Key.([]byte); !secret && !jwk.IsPublic() {
		return Key{}, false, errors.New("a private key; want public keys only")
	}
	return Key{ID: jwk.KeyID, Algorithm: jwk.Algorithm, Public: jwk.Key}, jwk.Use == "" || jwk.Use == "sig", nil
}
