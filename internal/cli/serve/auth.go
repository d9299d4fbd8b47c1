package serve

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/extensions/auth"
)

// Auth says how clients are authenticated. The zero value: not at all.
type Auth struct {
	SecretFile, PublicKeyFile, JWKSFile, JWKSURL string
	JWT                                          auth.JWTConfig
	Hook                                         auth.HookConfig
	HookSecretFile                               string
	Proxy                                        auth.ProxyHeader
	// Certificate is subject, commonName or empty.
	Certificate string
	// AdminTokenFile has what POST /auth/revoke on the admin listener asks for.
	AdminTokenFile string
	Config         auth.Config
}

// Where the user's id of a client certificate comes from.
const (
	certificateSubject = "subject"
	certificateName    = "commonName"
)

func defaultAuth() Auth { return Auth{Config: auth.Config{Places: auth.DefaultPlaces()}} }

// authTable lists the settings of authentication, by --auth and in the file, in
// the order of --print-config.
func authTable() []named[Auth] {
	return slices.Concat(jwtTable(), []named[Auth]{
		{"required", "true", "refuse handshakes without credentials; false: they are anonymous. Bad credentials are always refused", onAuth(parseBool, func(a *Auth, v bool) { a.Config.Anonymous = !v })},
		{"token.places", "ext:auth.token,bearer", "where handshakes may have a token: ext:PATH, bearer (the Authorization header), cookie:NAME, query:NAME; two that differ are refused", applyPlaces},
		{"token.maxBytes", "8192", "largest token", onAuth(parseCount, func(a *Auth, v int) { a.Config.MaxTokenBytes = v })},
		{"refresh.perMinute", "12", "refreshes of one session", onAuth(parseCount, func(a *Auth, v int) { a.Config.RefreshesPerMinute = v })},
		{"refresh.anyUser", "false", "a refresh may change the user of a session, and make an anonymous one somebody", onAuth(parseBool, func(a *Auth, v bool) { a.Config.RefreshAnyUser = v })},
		{"warning", "30s, or a tenth of the token's life", "how long before the end clients are told; off: never", onAuth(parseSpan, func(a *Auth, v time.Duration) { a.Config.Warning = v })},
		{"revocations", "100000", "revocations that are remembered; beyond that all that was issued before is refused", onAuth(parseCount, func(a *Auth, v int) { a.Config.MaxRevocations = v })},
		{"hook.authURL", off, "URL of a service that is asked by POST; https, or http to this machine", applyHookURL},
		{"hook.timeout", "2s", "how long an answer may take; none refuses", onAuth(parseSpan, func(a *Auth, v time.Duration) { a.Hook.Timeout = v })},
		{"hook.concurrency", "64", "questions at a time", onAuth(parseCount, func(a *Auth, v int) { a.Hook.Concurrency = v })},
		{"hook.cache", off, "how long an answer that accepts is kept for the same question", onAuth(parseSpan, func(a *Auth, v time.Duration) { a.Hook.Cache = max(0, v) })},
		{"hook.headers", "", "headers of the client that are passed on, such as Cookie", onAuth(parseList, func(a *Auth, v []string) { a.Hook.Headers = v })},
		{"hook.secretFile", "", "file with what the service gets as Authorization: Bearer", onAuth(parseText, func(a *Auth, v string) { a.HookSecretFile = v })},
		{"proxy.userHeader", off, "header by which trusted-proxies name the user; from elsewhere it does not count", onAuth(parseName, func(a *Auth, v string) { a.Proxy.User = v })},
		{"proxy.groupsHeader", off, "header by which they name the user's groups, separated by commas", onAuth(parseName, func(a *Auth, v string) { a.Proxy.Groups = v })},
		{"certificate", off, "user of a verified client certificate: subject or commonName", applyCertificate},
		{"admin.tokenFile", "", "file with the token that POST /auth/revoke on the admin listener asks for; needed unless that listens on the loopback", onAuth(parseText, func(a *Auth, v string) { a.AdminTokenFile = v })},
	})
}

func jwtTable() []named[Auth] {
	return []named[Auth]{
		{"jwt.secretFile", "", "file with the secret that signs tokens by HS256, HS384 or HS512: 32, 48, 64 bytes at least", onAuth(parseText, func(a *Auth, v string) { a.SecretFile = v })},
		{"jwt.publicKeyFile", "", "PEM file with the public key or certificate of the issuer", onAuth(parseText, func(a *Auth, v string) { a.PublicKeyFile = v })},
		{"jwt.jwksFile", "", "file with the issuer's keys as a JWKS; read again when it changes, as the two above are", onAuth(parseText, func(a *Auth, v string) { a.JWKSFile = v })},
		{"jwt.jwksURL", off, "URL of the issuer's keys as a JWKS; https, or http to this machine", applyJWKSURL},
		{"jwt.algorithms", "those of the keys", "algorithms that are accepted, of " + strings.Join(auth.Algorithms(), ", "), applyAlgorithms},
		{"jwt.issuer", "", "values of iss that are accepted; none: any", onAuth(parseList, func(a *Auth, v []string) { a.JWT.Issuers = v })},
		{"jwt.audience", "", "who we are in aud; none: tokens with aud are refused", onAuth(parseList, func(a *Auth, v []string) { a.JWT.Audiences = v })},
		{"jwt.leeway", "5s", "how far the issuer's clock may be off; off: not at all", onAuth(parseSpan, func(a *Auth, v time.Duration) { a.JWT.Leeway = v })},
		{"jwt.maxLifetime", "24h", "longest time from iat to exp; off: any, and iat may be missing", onAuth(parseSpan, func(a *Auth, v time.Duration) { a.JWT.MaxLifetime = v })},
		{"jwt.requireExpiry", "true", "refuse tokens without exp", onAuth(parseBool, func(a *Auth, v bool) { a.JWT.AllowNoExpiry = !v })},
		{"jwt.claims.user", "sub", "claim with the user's id; names with dots are paths", onAuth(parseText, func(a *Auth, v string) { a.JWT.Claims.User = v })},
		{"jwt.claims.groups", "groups", "claim with the user's groups: a list, or a text with blanks", onAuth(parseText, func(a *Auth, v string) { a.JWT.Claims.Groups = v })},
		{"jwt.claims.subscribe", "subscribe", "claim with channels that the token lets subscribe to", onAuth(parseText, func(a *Auth, v string) { a.JWT.Claims.Subscribe = v })},
		{"jwt.claims.publish", "publish", "claim with channels that the token lets publish to", onAuth(parseText, func(a *Auth, v string) { a.JWT.Claims.Publish = v })},
		{"jwt.claims.create", "create", "claim with channels that the token lets create", onAuth(parseText, func(a *Auth, v string) { a.JWT.Claims.Create = v })},
	}
}

// onAuth makes a setting of what reads its text and what it sets.
func onAuth[V any](parse func(string) (V, error), set func(*Auth, V)) func(*Auth, string) error {
	return func(a *Auth, text string) error {
		v, err := parse(text)
		if err == nil {
			set(a, v)
		}
		return err
	}
}

func parseText(text string) (string, error) { return text, nil }

func parseList(text string) ([]string, error) { return list([]string{text}), nil }

func parseCount(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n <= 0 {
		return 0, errors.New("want a whole number above 0")
	}
	return int(n), nil
}

// parseSpan reads a duration above 0; off is -1.
func parseSpan(text string) (time.Duration, error) {
	if text == off {
		return -1, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("want a duration such as 30s")
	}
	return d, nil
}

// parseName reads the name of a header; off is none.
func parseName(text string) (string, error) {
	if text == off {
		return "", nil
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "", errors.New("want the name of a header, such as X-Auth-User")
	}
	return text, nil
}

func applyPlaces(a *Auth, text string) error {
	a.Config.Places = []auth.Place{}
	for _, one := range list([]string{text}) {
		p, err := auth.ParsePlace(one)
		if err != nil {
			return err
		}
		a.Config.Places = append(a.Config.Places, p)
	}
	return nil
}

func applyAlgorithms(a *Auth, text string) error {
	a.JWT.Algorithms = list([]string{text})
	for _, one := range a.JWT.Algorithms {
		if err := oneOf(one, auth.Algorithms()...); err != nil {
			return err
		}
	}
	return nil
}

func applyCertificate(a *Auth, text string) error {
	if err := oneOf(text, off, certificateSubject, certificateName); err != nil {
		return err
	}
	a.Certificate = strings.TrimPrefix(text, off)
	return nil
}

func applyJWKSURL(a *Auth, text string) error {
	a.JWKSURL = strings.TrimPrefix(text, off)
	if a.JWKSURL == "" {
		return nil
	}
	return auth.CheckURL(text)
}

func applyHookURL(a *Auth, text string) error {
	a.Hook.URL = strings.TrimPrefix(text, off)
	if a.Hook.URL == "" {
		return nil
	}
	return auth.CheckURL(text)
}

// shownURL is a URL without what may be a secret.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not shown)"
	}
	if u.User != nil {
		u.User = url.User("...")
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return u.String()
}

func (s *Settings) loadAuth(c *Command, lookup func(string) (string, bool), file fileSettings) error {
	given, err := pairs("auth", c.Auth, lookup, file.auth)
	if err != nil {
		return err
	}
	s.Auth = defaultAuth()
	if err := load(s, "auth", "auth.", authTable(), given, &s.Auth); err != nil {
		return err
	}
	if len(given) > 0 && !s.Auth.on() {
		return usagef("", "auth: there are settings but no method; set a key (jwt.secretFile, jwt.publicKeyFile, jwt.jwksFile, jwt.jwksURL), hook.authURL, proxy.userHeader or certificate")
	}
	return nil
}

func (a Auth) hasKeys() bool { return a.SecretFile+a.PublicKeyFile+a.JWKSFile+a.JWKSURL != "" }

func (a Auth) on() bool {
	return a.hasKeys() || a.Hook.URL != "" || a.Proxy.User != "" || a.Certificate != ""
}

// validateAuth checks all that can be read now.
func (s *Settings) validateAuth() error {
	a := s.Auth
	if !a.on() {
		return nil
	}
	if a.Proxy.User != "" && len(s.TrustedProxies) == 0 {
		return usagef("", "auth proxy.userHeader needs trusted-proxies: the networks of the proxies that may name users")
	}
	if a.Certificate != "" && s.TLS.Certs.ClientCA == "" {
		return usagef("", "auth certificate needs tls-client-ca: the authorities whose certificates count")
	}
	if a.Proxy.Groups != "" && a.Proxy.User == "" {
		return usagef("", "auth proxy.groupsHeader needs proxy.userHeader")
	}
	if _, err := a.keys(); err != nil {
		return usagef("", "auth: %v", err)
	}
	for name, path := range map[string]string{"hook.secretFile": a.HookSecretFile, "admin.tokenFile": a.AdminTokenFile} {
		if _, err := readSecret(path); err != nil {
			return usagef("", "auth %s: %v", name, err)
		}
	}
	return nil
}

// keys opens the sources of keys. They are there also where one cannot be read
// now, which the error says.
func (a Auth) keys() ([]auth.KeySource, error) {
	var all []auth.KeySource
	var bad error
	for _, f := range []struct {
		name, path string
		open       func(string) (auth.KeySource, error)
	}{{"jwt.secretFile", a.SecretFile, auth.SecretFile}, {"jwt.publicKeyFile", a.PublicKeyFile, auth.PublicKeyFile}, {"jwt.jwksFile", a.JWKSFile, auth.JWKSFile}} {
		if f.path == "" {
			continue
		}
		source, err := f.open(f.path)
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("%s: %w", f.name, err))
		}
		all = append(all, source)
	}
	if a.JWKSURL != "" {
		source, err := auth.JWKSURL(auth.JWKSConfig{URL: a.JWKSURL})
		if err != nil {
			return nil, err
		}
		all = append(all, source)
	}
	return all, bad
}

// Bounds of the secrets of hook.secretFile and admin.tokenFile, in bytes.
const (
	minSecret = 16
	maxSecret = 4096
)

// readSecret reads a file with one line; no path, no secret.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(raw))
	if len(text) < minSecret || len(text) > maxSecret || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%s: want one line of %d to %d bytes", path, minSecret, maxSecret)
	}
	return text, nil
}
