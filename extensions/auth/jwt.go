package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halleypush/halley/bayeux"
)

// Defaults of JWTConfig.
const (
	DefaultLeeway      = 5 * time.Second
	DefaultMaxLifetime = 24 * time.Hour
)

// maxName bounds user ids, token ids and key ids, in bytes.
const maxName = 256

// JWTConfig says which JSON Web Tokens are believed.
type JWTConfig struct {
	// Keys are asked in turn; there must be one at least.
	Keys []KeySource
	// Algorithms are those that are accepted, of Algorithms(). Empty means all
	// that the keys' types allow; more they never allow.
	Algorithms []string
	// Issuers are the values of iss that are accepted. Empty means that it does
	// not matter: the keys say who may issue tokens.
	Issuers []string
	// Audiences are we; aud must name one of them. Empty means that tokens for a
	// named audience are refused.
	Audiences []string
	// Leeway is how far the issuer's clock may be off ours. Zero means
	// DefaultLeeway, less none.
	Leeway time.Duration
	// MaxLifetime bounds the time from iat to exp; tokens with exp need iat then.
	// Zero means DefaultMaxLifetime, less no bound.
	MaxLifetime time.Duration
	// AllowNoExpiry accepts tokens without exp, whose sessions never expire.
	AllowNoExpiry bool
	// Claims names those that say who the user is.
	Claims ClaimNames
	// Opaque lets tokens that are no JWT pass to the next method.
	Opaque bool
}

// JWT is the Method for signed JSON Web Tokens (RFC 7519, 7515).
type JWT struct{ config JWTConfig }

// NewJWT returns the method, or says what in the configuration is wrong.
func NewJWT(c JWTConfig) (*JWT, error) {
	if len(c.Keys) == 0 {
		return nil, errors.New("auth: JWT needs a key")
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return nil, fmt.Errorf("auth: algorithm %q: want some of %s", a, strings.Join(Algorithms(), ", "))
		}
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = Algorithms()
	}
	c.Leeway = max(0, orDefault(c.Leeway, DefaultLeeway))
	c.MaxLifetime = max(0, orDefault(c.MaxLifetime, DefaultMaxLifetime))
	c.Claims = c.Claims.withDefaults()
	return &JWT{c}, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Authenticate implements Method.
func (j *JWT) Authenticate(ctx context.Context, c *Credentials) (*bayeux.Subject, error) {
	if c.Token == "" {
		return nil, nil //nolint:nilnil // nothing for this method
	}
	if j.config.Opaque && strings.Count(c.Token, ".") != 2 {
		return nil, nil //nolint:nilnil // the next method's
	}
	t, err := parseToken(c.Token)
	if err != nil {
		return nil, err
	}
	if err := j.verify(ctx, t); err != nil {
		return nil, err
	}
	claims, err := parseObject(t.payload, maxDepth)
	if err != nil {
		return nil, invalid("claims: %v", err)
	}
	return j.subject(t, claims, time.Now())
}

// token is a token taken apart, of which nothing is believed yet.
type token struct {
	text    string
	signed  string // what the signature is over
	alg     jose.SignatureAlgorithm
	kid     string
	payload []byte
}

// parseToken takes a token apart. Base64 is read strictly: a token has one
// spelling, so that its digest names it.
func parseToken(text string) (*token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, invalid("%d parts, want 3", len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil || strings.ContainsAny(p, "\r\n") {
			return nil, invalid("part %d is not base64url", i+1)
		}
		raw[i] = b
	}
	header, err := parseObject(raw[0], maxDepth)
	if err != nil {
		return nil, invalid("header: %v", err)
	}
	t := &token{text: text, signed: parts[0] + "." + parts[1], payload: raw[1]}
	return t, t.readHeader(header)
}

func (t *token) readHeader(header map[string]any) error {
	for _, name := range []string{"crit", "b64"} {
		if _, has := header[name]; has {
			return invalid("header %q is not understood", name)
		}
	}
	alg, ok := header["alg"].(string)
	if !ok {
		return invalid("header without alg")
	}
	t.alg = jose.SignatureAlgorithm(alg)
	if kid, has := header["kid"]; has {
		if t.kid, ok = kid.(string); !ok || len(t.kid) > maxName {
			return invalid("header kid is no text of at most %d bytes", maxName)
		}
	}
	// Tokens of other kinds by the same issuer are not for us (RFC 8725, 3.11).
	if typ, has := header["typ"]; has {
		text, _ := typ.(string)
		text = strings.TrimPrefix(strings.ToLower(text), "application/")
		if text != "jwt" && text != "at+jwt" {
			return invalid("header typ %.64q, want JWT or at+jwt", typ)
		}
	}
	return nil
}

// verify checks the signature. The algorithm must be one that is accepted, and
// that the key is for: a token cannot have a public key used as a secret.
func (j *JWT) verify(ctx context.Context, t *token) error {
	if !slices.Contains(j.config.Algorithms, string(t.alg)) {
		return invalid("alg %.16q is not accepted", t.alg)
	}
	parsed, err := jose.ParseSignedCompact(t.text, []jose.SignatureAlgorithm{t.alg})
	if err != nil {
		return invalid("not a signed token")
	}
	var failed error
	tries := 0
	for _, source := range j.config.Keys {
		keys, err := source.Keys(ctx, t.kid)
		if err != nil {
			failed = err
			continue
		}
		for _, k := range keys {
			if !k.fits(t.alg, t.kid) {
				continue
			}
			if tries++; tries > maxTries {
				return invalid("more than %d keys fit", maxTries)
			}
			if _, err := parsed.Verify(k.Public); err == nil {
				return nil
			}
		}
	}
	switch {
	case failed != nil:
		return Refuse(Unavailable, "keys: %v", failed)
	case tries == 0:
		return invalid("no key for alg %.16q and kid %.64q", t.alg, t.kid)
	default:
		return invalid("the signature is not that of a key")
	}
}

// digest names a token that has no id of its own, by what its signature is
// over: of that there may be several that are valid.
func digest(signed string) string {
	sum := sha256.Sum256([]byte(signed))
	return "sha256:" + hex.EncodeToString(sum[:])
}
