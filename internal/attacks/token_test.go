package attacks

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authentication believes tokens signed with either of two keys, for us, by our
// issuer; each user has his own part of the tree.
const authentication = `
auth:
  jwt:
    secretFile: $DIR/secret
    publicKeyFile: $DIR/public.pem
    issuer: https://login.example
    audience: halley
` + rules

// secret is what the issuer signs with.
const secret = "a secret of the issuer, which has 64 bytes and is in no password"

func issuerKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("thirty-two bytes that are a seed"))
}

// publicPEM is the file with the issuer's public key.
func publicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(issuerKey().Public())
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// claims are those of a good token; more overrides them.
func claims(more map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{"iss": "https://login.example", "aud": "halley", "sub": "alice", "jti": "t1", "iat": now, "exp": now + 600}
	for name, value := range more {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sealed signs header and payload with HMAC.
func sealed(header, payload string, key []byte) string {
	text := encoded(header) + "." + encoded(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

// token is a token of ours with those claims.
func token(more map[string]any) string {
	payload, _ := json.Marshal(claims(more))
	return sealed(hs256, string(payload), []byte(secret))
}

func ext(token string) string {
	text, _ := json.Marshal(map[string]any{"auth": map[string]any{"token": token}})
	return string(text)
}

// login handshakes with a token and returns how that ended.
func (g *target) login(t *testing.T, token string, headers ...string) end {
	t.Helper()
	a := g.post(t, strings.Replace(handshake, `}]`, `,"ext":`+ext(token)+`}]`, 1), headers...)
	if a.gave() {
		return succeeds("a session")
	}
	return fails(a.reason("/meta/handshake"))
}

// tokenGroup is what is tried with forged, old and stolen tokens.
func tokenGroup() group {
	const invalid = "401::token_invalid"
	both := func(name, source, how string, e end, run func(*testing.T, *target) end) attack {
		return attack{name, source, how, e, e, run}
	}
	with := func(token func() string) func(*testing.T, *target) end {
		return func(t *testing.T, g *target) end { t.Helper(); return g.login(t, token()) }
	}
	payload := func() string { text, _ := json.Marshal(claims(nil)); return string(text) }
	ago, ahead := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	return group{name: "tokens", config: authentication, args: []string{"--admin-listen", "127.0.0.1:0"}, attacks: []attack{
		both("no-token", "forgotten credentials", "a handshake without a token", fails("401::token_missing"), func(t *testing.T, g *target) end {
			t.Helper()
			return fails(g.post(t, handshake).reason("/meta/handshake"))
		}),
		both("alg-none", "CVE-2015-9235 and its kin", "a token that says it needs no signature", fails(invalid), func(t *testing.T, g *target) end {
			t.Helper()
			for _, alg := range []string{"none", "None", "NONE", ""} {
				if e := g.login(t, encoded(`{"alg":"`+alg+`"}`)+"."+encoded(payload())+"."); e.succeeds {
					return e
				}
			}
			return fails(invalid)
		}),
		both("key-confusion", "CVE-2016-10555", "a token signed with the public key as a shared secret", fails(invalid),
			with(func() string { return sealed(hs256, payload(), publicPEM()) })),
		both("wrong-secret", "forgery", "a token signed with another secret", fails(invalid),
			with(func() string { return sealed(hs256, payload(), []byte(strings.Repeat("x", 64))) })),
		both("expired", "replay", "a token of an hour ago", fails("401::token_expired"),
			with(func() string { return token(map[string]any{"iat": ago - 60, "exp": ago}) })),
		both("without-end", "tokens for ever", "a token without exp, and one for ten years", fails(invalid), func(t *testing.T, g *target) end {
			t.Helper()
			require.Equal(t, fails(invalid), g.login(t, token(map[string]any{"exp": nil})))
			return g.login(t, token(map[string]any{"exp": ahead + 87_600*3600}))
		}),
		both("not-yet", "forgery", "a token that is valid from in an hour", fails(invalid),
			with(func() string { return token(map[string]any{"nbf": ahead}) })),
		both("for-somebody-else", "tokens of the same issuer for another service", "a token for another audience", fails(invalid),
			with(func() string { return token(map[string]any{"aud": "billing"}) })),
		both("by-somebody-else", "keys shared by issuers", "a token of another issuer", fails(invalid),
			with(func() string { return token(map[string]any{"iss": "https://other.example"}) })),
		both("claims-twice", "parsers that disagree", "a token whose claims have sub twice", fails(invalid),
			with(func() string {
				return sealed(hs256, strings.Replace(payload(), `"sub":"alice"`, `"sub":"alice","sub":"root"`, 1), []byte(secret))
			})),
		both("critical-header", "RFC 7515, 4.1.11", "a token whose header asks for what we do not understand", fails(invalid),
			with(func() string { return sealed(`{"alg":"HS256","crit":["x"],"x":1}`, payload(), []byte(secret)) })),
		both("huge-token", "work before the signature is checked", "a token of 100 KB", fails(invalid),
			with(func() string { return token(map[string]any{"x": strings.Repeat("x", 75_000)}) })),
		both("two-tokens", "a planted token", "one token in ext and another in the Authorization header", fails(invalid), func(t *testing.T, g *target) end {
			t.Helper()
			return g.login(t, token(nil), "Authorization", "Bearer "+token(map[string]any{"sub": "bob", "jti": "t2"}))
		}),
		both("wildcard-user", "claims in patterns", "a user whose name is a wildcard or has a slash wants everybody's channels", fails(deniedSubscribe), func(t *testing.T, g *target) end {
			t.Helper()
			for _, name := range []string{"*", "**", "a/../bob", "bob/**", "{user}"} {
				v := g.victim(t, ext(token(map[string]any{"sub": name, "jti": name})))
				for _, channel := range []string{"/user/bob/**", "/user/**", "/user/*", "/user/bob/a"} {
					if reason := v.subscribe(t, channel); reason != deniedSubscribe && reason != deniedCreate {
						return succeeds(name + " " + channel + " " + reason)
					}
				}
			}
			require.Empty(t, g.victim(t, ext(token(map[string]any{"sub": "bob"}))).subscribe(t, "/user/bob/**"))
			return fails(deniedSubscribe)
		}),
		both("refresh-as-another", "privilege by refresh", "a session is refreshed with a token of somebody else", fails(invalid+", and stays what it was"), func(t *testing.T, g *target) end {
			t.Helper()
			v := g.victim(t, ext(token(nil)))
			body, _ := json.Marshal(map[string]string{"token": token(map[string]any{"sub": "bob", "jti": "t2"})})
			e := spoken(v.publish(t, "/service/auth", string(body)))
			require.Empty(t, v.publish(t, "/user/alice/a", "1"))
			require.NotEmpty(t, v.publish(t, "/user/bob/a", "1"))
			e.sees += ", and stays what it was"
			return e
		}),
		both("revoked-replay", "replay of a token that was revoked", "a token is used again after its revocation, for the same session, a new one and a refresh",
			fails("401::session_revoked, "+invalid), replayRevoked),
		both("stranger-revokes", "admin listeners without a lock", "a page in the operator's browser, or a client, revokes a user", fails("refused, each"), func(t *testing.T, g *target) end {
			t.Helper()
			const body = `{"user":"alice"}`
			require.GreaterOrEqual(t, g.request(t, http.MethodPost, "/auth/revoke", body, "Content-Type", "application/json").status, 400)
			admin := *g
			admin.address = g.admin
			for _, headers := range [][]string{
				{"Content-Type", "application/json", "Origin", evil}, {"Content-Type", "text/plain"}, {"Content-Type", "text/plain", "Origin", "null"},
			} {
				if a := admin.request(t, http.MethodPost, "/auth/revoke", body, headers...); a.status < 400 {
					return succeeds(strconv.Itoa(a.status))
				}
			}
			return fails("refused, each")
		}),
	}}
}

func replayRevoked(t *testing.T, g *target) end {
	t.Helper()
	stolen := token(map[string]any{"jti": "stolen"})
	v, other := g.victim(t, ext(stolen)), g.victim(t, ext(token(map[string]any{"jti": "t2"})))
	admin := *g
	admin.address = g.admin
	a := admin.request(t, http.MethodPost, "/auth/revoke", `{"token":"stolen"}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, a.status, a.body)
	session := v.connect(t).reason("/meta/connect")
	again := g.login(t, stolen)
	body, _ := json.Marshal(map[string]string{"token": stolen})
	require.Equal(t, again.sees, other.publish(t, "/service/auth", string(body)))
	require.Empty(t, other.publish(t, "/user/alice/a", "1"), "another token of the user is good")
	return end{again.succeeds || session == "", session + ", " + again.sees}
}

// proxyGroup is what is tried where a proxy in front names the users.
func proxyGroup() group {
	return group{
		name: "trusted-proxy", config: "auth:\n  proxy:\n    userHeader: X-Auth-User\ntrustedProxies: [192.0.2.0/24]\n",
		attacks: []attack{{
			"forged-user-header", "header injection past the proxy", "a client that reaches the server itself names its user in the header of the proxy",
			fails("401::token_missing"), fails("401::token_missing"), func(t *testing.T, g *target) end {
				t.Helper()
				a := g.post(t, handshake, "X-Auth-User", "root", "X-Forwarded-For", "192.0.2.1", "Forwarded", "for=192.0.2.1")
				if a.gave() {
					return succeeds("root")
				}
				return fails(a.reason("/meta/handshake"))
			},
		}},
	}
}
