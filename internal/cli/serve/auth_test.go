package serve

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/extensions/auth"
)

const authSecret = "0123456789abcdef0123456789abcdef"

// keyFile writes a file and returns its path.
func keyFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// authFlags makes the flags of settings.
func authFlags(pairs ...string) []string {
	var args []string
	for _, p := range pairs {
		args = append(args, "--auth", p)
	}
	return args
}

// jwtOf is a token for a user, signed by authSecret.
func jwtOf(t *testing.T, user string) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	now := time.Now().Unix()
	signed := part(map[string]any{"alg": "HS256"}) + "." + part(map[string]any{"sub": user, "iat": now, "exp": now + 3600})
	mac := hmac.New(sha256.New, []byte(authSecret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// What is wrong with settings is said at the start, and names the setting.
func TestAuthRefused(t *testing.T) {
	secret := "jwt.secretFile=" + keyFile(t, authSecret)
	for want, args := range map[string][]string{
		`auth "jwt.secret" is unknown; the nearest is "jwt.secretFile"`: authFlags("jwt.secret=x"),
		"there are settings but no method":                              authFlags("jwt.issuer=x"),
		"jwt.secretFile: stat":                                          authFlags("jwt.secretFile=/nowhere"),
		"want at least 32":                                              authFlags("jwt.secretFile=" + keyFile(t, "short")),
		"no public key in PEM":                                          authFlags("jwt.publicKeyFile=" + keyFile(t, "x")),
		"not a JWKS":                                                    authFlags("jwt.jwksFile=" + keyFile(t, "x")),
		`auth jwt.jwksURL="http://keys.example/?...": want https`:       authFlags("jwt.jwksURL=http://keys.example/?key=hidden"),
		`https://...@keys.example/`:                                     authFlags("jwt.jwksURL=https://me:hidden@keys.example/"),
		`auth hook.authURL="ftp://a": want a URL`:                       authFlags("hook.authURL=ftp://a"),
		`want HS256 or`:                                                 authFlags(secret, "jwt.algorithms=none"),
		`want a duration such as 30s`:                                   authFlags(secret, "jwt.leeway=30"),
		`want a whole number above 0`:                                   authFlags(secret, "token.maxBytes=0"),
		`want true or false`:                                            authFlags(secret, "required=perhaps"),
		`place "header:X"`:                                              authFlags(secret, "token.places=ext:a, header:X"),
		`want the name of a header`:                                     authFlags("proxy.userHeader=X User"),
		`needs trusted-proxies`:                                         authFlags("proxy.userHeader=X-User"),
		`needs proxy.userHeader`:                                        authFlags(secret, "proxy.groupsHeader=X-Groups"),
		`want off or subject or commonName`:                             authFlags("certificate=cn"),
		`auth hook.secretFile: open`:                                    authFlags(secret, "hook.secretFile=/nowhere"),
		`want one line of 16 to 4096 bytes`:                             authFlags(secret, "admin.tokenFile="+keyFile(t, "short")),
	} {
		_, err := parse(t, args...).Load(lookup())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hidden")
		var usage *UsageError
		require.ErrorAs(t, err, &usage)
	}
}

// All settings arrive, from the file too, and none shows a secret.
func TestAuthSettings(t *testing.T) {
	secret, hook := keyFile(t, authSecret), keyFile(t, "a secret of the hook")
	yaml := `
auth:
  required: false
  jwt:
    secretFile: ` + secret + `
    jwksURL: https://keys.example/set?key=hidden
    algorithms: [HS256, ES256]
    issuer: [a, b]
    audience: us
    leeway: 1s
    maxLifetime: off
    requireExpiry: false
    claims: {user: who, groups: realm.roles, subscribe: s, publish: p, create: c}
  token:
    places: [cookie:t, "query:q"]
    maxBytes: 4096
  refresh: {perMinute: 3, anyUser: true}
  warning: 5s
  revocations: 7
  hook: {authURL: "https://hook.example/?key=hidden", timeout: 1s, concurrency: 3, cache: 1m, headers: [Cookie], secretFile: ` + hook + `}
  proxy: {userHeader: X-User, groupsHeader: X-Groups}
  certificate: commonName
  admin: {tokenFile: ` + hook + `}
trusted-proxies: 10.0.0.0/8
tls-cert: cert.pem
tls-key: key.pem
tls-client-ca: ca.pem
`
	s, err := parse(t, "--config", file(t, yaml), "--print-config").Load(lookup())
	require.NoError(t, err)
	a := s.Auth
	require.Equal(t, auth.JWTConfig{
		Algorithms: []string{"HS256", "ES256"}, Issuers: []string{"a", "b"}, Audiences: []string{"us"}, Leeway: time.Second, MaxLifetime: -1, AllowNoExpiry: true,
		Claims: auth.ClaimNames{User: "who", Groups: "realm.roles", Subscribe: "s", Publish: "p", Create: "c"},
	}, a.JWT)
	require.Equal(t, auth.Config{
		Anonymous: true, Places: []auth.Place{{Kind: auth.InCookie, Name: "t"}, {Kind: auth.InQuery, Name: "q"}}, MaxTokenBytes: 4096,
		RefreshesPerMinute: 3, RefreshAnyUser: true, Warning: 5 * time.Second, MaxRevocations: 7,
	}, a.Config)
	require.Equal(t, auth.HookConfig{URL: "https://hook.example/?key=hidden", Headers: []string{"Cookie"}, Timeout: time.Second, Concurrency: 3, Cache: time.Minute}, a.Hook)
	require.Equal(t, auth.ProxyHeader{User: "X-User", Groups: "X-Groups"}, a.Proxy)
	require.Equal(t, certificateName, a.Certificate)
	require.Equal(t, secret, a.SecretFile)
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		require.NoError(t, s.print(&out, format))
		require.Contains(t, out.String(), "https://keys.example/set?...")
		for _, hidden := range []string{"hidden", authSecret, "a secret of the hook"} {
			require.NotContains(t, out.String(), hidden)
		}
	}
	guard, err := a.build(zerolog.Nop())
	require.NoError(t, err)
	require.NotNil(t, guard)
	require.Equal(t, shown{"auth.jwt.leeway", "1s", "5s", "halley.yaml:10"}, find(t, s, "auth.jwt.leeway"))
}

// Whoever believes certificates says whose.
func TestAuthCertificateNeedsAuthority(t *testing.T) {
	_, err := parse(t, "--auth", "certificate=subject").Load(lookup())
	require.ErrorContains(t, err, "auth certificate needs tls-client-ca")
}

// How long revocations are remembered.
func TestRevokeFor(t *testing.T) {
	require.Equal(t, 24*time.Hour+10*time.Second, revokeFor(auth.JWTConfig{}))
	require.Equal(t, time.Hour, revokeFor(auth.JWTConfig{MaxLifetime: time.Hour, Leeway: -1}))
	require.Equal(t, time.Duration(-1), revokeFor(auth.JWTConfig{MaxLifetime: -1}))
	require.Equal(t, time.Duration(-1), revokeFor(auth.JWTConfig{AllowNoExpiry: true}))
}

func TestAuthCheck(t *testing.T) {
	var out bytes.Buffer
	env := Env{Stdout: &out, Stderr: &out, Lookup: lookup("HALLEY_AUTH", "jwt.secretFile="+keyFile(t, authSecret))}
	require.NoError(t, parse(t, "--check-config").Run(t.Context(), env))
	require.Equal(t, "ok\n", out.String())
	env.Lookup = lookup("HALLEY_AUTH", "jwt.secretFile=/nowhere")
	require.ErrorContains(t, parse(t, "--check-config").Run(t.Context(), env), "/nowhere")
}

// post sends a handshake to the server.
func shake(t *testing.T, h http.Handler, token string) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(fmt.Sprintf(`[{"channel":"/meta/handshake","ext":{"auth":{"token":%q}}}]`, token))))
	var replies []map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &replies), w.Body.String())
	return replies[0]
}

// The program with a secret: tokens count, figures are kept, revocations come
// by the admin listener.
func TestAuthServes(t *testing.T) {
	admin := keyFile(t, "a secret of the admin\n")
	for name, c := range map[string]struct {
		listen, tokenFile string
		header            http.Header
		body              string
		status            int
		answer            string
	}{
		"user":            {"9090", "", nil, `{"user":"alice"}`, 200, `{"ended":1,"full":false}`},
		"nobody":          {"127.0.0.1:9090", "", nil, ` {"token":"x"} `, 200, `{"ended":0,"full":false}`},
		"with the secret": {"0.0.0.0:9090", admin, http.Header{"Authorization": {"bearer a secret of the admin"}}, `{"user":"alice"}`, 200, `{"ended":1,"full":false}`},
		"without it":      {"0.0.0.0:9090", admin, nil, `{"user":"alice"}`, 401, ""},
		"with another":    {"127.0.0.1:9090", admin, http.Header{"Authorization": {"Bearer x"}}, `{"user":"alice"}`, 401, ""},
		"as Basic":        {"127.0.0.1:9090", admin, http.Header{"Authorization": {"Basic a secret of the admin"}}, `{"user":"alice"}`, 401, ""},
		"open":            {"0.0.0.0:9090", "", nil, `{"user":"alice"}`, 403, ""},
		"a socket":        {"fd:admin", "", nil, `{"user":"alice"}`, 403, ""},
		"a page":          {"9090", "", http.Header{"Origin": {"http://localhost"}}, `{"user":"alice"}`, 403, ""},
		"a form":          {"9090", "", http.Header{"Content-Type": {"text/plain"}}, `{"user":"alice"}`, 415, ""},
		"no type":         {"9090", "", http.Header{"Content-Type": {""}}, `{"user":"alice"}`, 415, ""},
		"nothing":         {"9090", "", nil, `{}`, 400, ""},
		"two":             {"9090", "", nil, `{"user":"a","token":"b"}`, 400, ""},
		"unknown":         {"9090", "", nil, `{"users":"a"}`, 400, ""},
		"no JSON":         {"9090", "", nil, `alice`, 400, ""},
		"more":            {"9090", "", nil, `{"user":"a"}{"user":"b"}`, 400, ""},
		"large":           {"9090", "", nil, `{"user":"` + strings.Repeat("a", 5000) + `"}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := authFlags("jwt.secretFile="+keyFile(t, authSecret), "admin.tokenFile="+c.tokenFile)
			s, err := parse(t, append(args, "--admin-listen", c.listen)...).Load(lookup())
			require.NoError(t, err)
			e, err := buildEngine(s.config(zerolog.Nop()))
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Shutdown(t.Context())) }()
			require.Equal(t, "401::token_missing", shake(t, e, "")["error"])
			require.Equal(t, "401::token_invalid", shake(t, e, "x")["error"])
			require.Equal(t, true, shake(t, e, jwtOf(t, "alice"))["successful"])
			require.Equal(t, true, shake(t, e, jwtOf(t, "bob"))["successful"])

			d := &daemon{settings: s, log: zerolog.Nop(), engine: e}
			w, q := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/auth/revoke", strings.NewReader(c.body))
			q.Header.Set("Content-Type", "application/json; charset=utf-8")
			maps.Copy(q.Header, c.header)
			handler := d.adminHandler()
			handler.ServeHTTP(w, q)
			require.Equal(t, c.status, w.Code, w.Body.String())
			if c.answer != "" {
				require.JSONEq(t, c.answer, w.Body.String())
			}
			w = httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/auth/revoke", nil))
			require.Equal(t, http.StatusMethodNotAllowed, w.Code)
			w = httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			require.Contains(t, w.Body.String(), `halley_auth_handshakes_total{outcome="accepted"} 2`)
			require.Contains(t, w.Body.String(), `halley_auth_handshakes_total{outcome="missing"} 1`)
			require.Equal(t, strings.Contains(c.answer, `"ended":1`), strings.Contains(w.Body.String(), `halley_auth_sessions_ended_total{why="revoked"} 1`))
		})
	}
}

// Without authentication there is nothing to revoke, and nothing is counted.
func TestNoAuth(t *testing.T) {
	s, err := parse(t).Load(lookup())
	require.NoError(t, err)
	e, err := buildEngine(s.config(zerolog.Nop()))
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Shutdown(t.Context())) }()
	require.Equal(t, true, shake(t, e, "")["successful"])
	w := httptest.NewRecorder()
	(&daemon{settings: s, engine: e}).adminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/auth/revoke", nil))
	require.Equal(t, http.StatusNotFound, w.Code)
	for _, sample := range e.Samples() {
		require.NotContains(t, sample.Name, "auth_")
	}
}

// Keys that cannot be read any more when the server starts let nobody in, until
// they can be.
func TestAuthClosed(t *testing.T) {
	path := keyFile(t, authSecret)
	hook := keyFile(t, "a secret of the hook")
	for _, args := range [][]string{authFlags("jwt.secretFile=" + path), authFlags("hook.authURL=http://127.0.0.1:9/", "hook.secretFile="+hook)} {
		s, err := parse(t, args...).Load(lookup())
		require.NoError(t, err)
		require.NoError(t, os.RemoveAll(path))
		require.NoError(t, os.RemoveAll(hook))
		e, err := buildEngine(s.config(zerolog.Nop()))
		require.NoError(t, err)
		require.Equal(t, "401::token_unavailable", shake(t, e, jwtOf(t, "alice"))["error"])
		require.NoError(t, e.Shutdown(t.Context()))
		require.NoError(t, os.WriteFile(hook, []byte("a secret of the hook"), 0o600))
	}
}
