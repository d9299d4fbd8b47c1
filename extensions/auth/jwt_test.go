package auth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/auth"
)

func judge(t *testing.T, m auth.Method, token string) (*bayeux.Subject, error) {
	t.Helper()
	return m.Authenticate(t.Context(), &auth.Credentials{Token: token})
}

// All algorithms with a key of their type, and with no other.
func TestAlgorithms(t *testing.T) {
	p256, p384, p521, ed := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521()), edKey(t)
	signers := map[string]struct{ private, public any }{}
	for _, n := range []string{"256", "384", "512"} {
		signers["HS"+n] = struct{ private, public any }{secret, secret}
		signers["RS"+n] = struct{ private, public any }{rsaKey(), &rsaKey().PublicKey}
		signers["PS"+n] = signers["RS"+n]
	}
	signers["ES256"] = struct{ private, public any }{p256, &p256.PublicKey}
	signers["ES384"] = struct{ private, public any }{p384, &p384.PublicKey}
	signers["ES512"] = struct{ private, public any }{p521, &p521.PublicKey}
	signers["EdDSA"] = struct{ private, public any }{ed, ed.Public()}
	require.Len(t, signers, len(auth.Algorithms()))
	for alg, s := range signers {
		token := forge(t, fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":"k"}`, alg), good(nil).text(t), alg, s.private)
		for other, o := range signers {
			subject, err := judge(t, newJWT(t, auth.JWTConfig{Keys: []auth.KeySource{auth.StaticKeys{{Public: o.public}}}}), token)
			if same(s.public, o.public) {
				require.NoError(t, err, "%s with the key of %s", alg, other)
				require.Equal(t, "alice", subject.User)
				continue
			}
			require.Equal(t, auth.Invalid, outcome(err), "%s with the key of %s", alg, other)
		}
		// A key for another algorithm of its type, and an algorithm that is not accepted.
		for _, c := range []auth.JWTConfig{
			{Keys: []auth.KeySource{auth.StaticKeys{{Public: s.public, Algorithm: "XX256"}}}},
			{Keys: []auth.KeySource{auth.StaticKeys{{Public: s.public, ID: "other"}}}},
			{Keys: []auth.KeySource{auth.StaticKeys{{Public: s.public}}}, Algorithms: []string{map[bool]string{true: "ES256", false: "HS256"}[alg == "HS256"]}},
		} {
			if c.Algorithms != nil && c.Algorithms[0] == alg {
				continue
			}
			_, err := judge(t, newJWT(t, c), token)
			require.Equal(t, auth.Invalid, outcome(err), alg)
		}
	}
}

func same(a, b any) bool {
	switch k := a.(type) {
	case []byte:
		o, ok := b.([]byte)
		return ok && bytes.Equal(k, o)
	case *rsa.PublicKey:
		return k.Equal(b)
	case *ecdsa.PublicKey:
		return k.Equal(b)
	case ed25519.PublicKey:
		return k.Equal(b)
	}
	return false
}

// Everything that is wrong with a token by itself.
func TestRefused(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	public := pemOf(t, &rsaKey().PublicKey)
	ok := good(nil).text(t)
	hs := `{"alg":"HS256"}`
	valid := mint(t, nil)
	strange := func(header string) string { return forge(t, header, ok, "HS256", secret) }
	for name, c := range map[string]struct {
		token  string
		config auth.JWTConfig
		want   auth.Outcome // "": accepted
		reason string
	}{
		"good":                      {token: valid},
		"none":                      {token: forge(t, `{"alg":"none"}`, ok, "none", nil), want: auth.Invalid, reason: "alg"},
		"None":                      {token: forge(t, `{"alg":"nOnE"}`, ok, "none", nil), want: auth.Invalid},
		"none, signed":              {token: strange(`{"alg":"none"}`), want: auth.Invalid},
		"no alg":                    {token: strange(`{}`), want: auth.Invalid},
		"alg is no text":            {token: strange(`{"alg":["HS256"]}`), want: auth.Invalid},
		"stripped":                  {token: valid[:strings.LastIndex(valid, ".")+1], want: auth.Invalid},
		"another secret":            {token: forge(t, hs, ok, "HS256", bytes.Repeat([]byte("x"), 64)), want: auth.Invalid},
		"an empty secret":           {token: forge(t, hs, ok, "HS256", []byte{}), want: auth.Invalid},
		"changed claims":            {token: swap(valid, 1, b64([]byte(good(claims{"sub": "root"}).text(t)))), want: auth.Invalid},
		"changed header":            {token: swap(valid, 0, b64([]byte(`{"alg":"HS512"}`))), want: auth.Invalid},
		"key confusion":             {token: forge(t, hs, ok, "HS256", public), config: withRSA(), want: auth.Invalid, reason: "no key"},
		"key confusion, other":      {token: forge(t, hs, ok, "HS256", bytes.TrimSpace(public)), config: withRSA(), want: auth.Invalid},
		"crit":                      {token: strange(`{"alg":"HS256","crit":["exp"],"exp":1}`), want: auth.Invalid, reason: "crit"},
		"empty crit":                {token: strange(`{"alg":"HS256","crit":[]}`), want: auth.Invalid},
		"b64":                       {token: strange(`{"alg":"HS256","b64":false}`), want: auth.Invalid},
		"typ of another kind":       {token: strange(`{"alg":"HS256","typ":"logout+jwt"}`), want: auth.Invalid},
		"typ of ours":               {token: strange(`{"alg":"HS256","typ":"application/at+JWT"}`)},
		"kid is no text":            {token: strange(`{"alg":"HS256","kid":7}`), want: auth.Invalid},
		"long kid":                  {token: strange(`{"alg":"HS256","kid":"` + strings.Repeat("k", 300) + `"}`), want: auth.Invalid},
		"own key in the header":     {token: forge(t, `{"alg":"HS256","jwk":`+jwk(t, "x", []byte("x"), "")+`}`, ok, "HS256", []byte("x")), want: auth.Invalid},
		"keys at an address":        {token: forge(t, `{"alg":"HS256","jku":"http://127.0.0.1/"}`, ok, "HS256", []byte("x")), want: auth.Invalid},
		"alg twice":                 {token: strange(`{"alg":"HS256","alg":"HS256"}`), want: auth.Invalid, reason: "twice"},
		"alg twice, escaped":        {token: strange(`{"alg":"HS256","\u0061lg":"none"}`), want: auth.Invalid, reason: "twice"},
		"sub twice":                 {token: forge(t, hs, `{"sub":"a",`+ok[1:], "HS256", secret), want: auth.Invalid, reason: "twice"},
		"a name twice, deep":        {token: mint(t, claims{"x": raw(`[{"a":1,"a":2}]`)}), want: auth.Invalid, reason: "twice"},
		"deep":                      {token: mint(t, claims{"x": raw(strings.Repeat("[", 40) + strings.Repeat("]", 40))}), want: auth.Invalid, reason: "too deep"},
		"two values":                {token: forge(t, hs, ok+ok, "HS256", secret), want: auth.Invalid},
		"claims are no object":      {token: forge(t, hs, `["sub"]`, "HS256", secret), want: auth.Invalid},
		"no claims":                 {token: forge(t, hs, ``, "HS256", secret), want: auth.Invalid},
		"two parts":                 {token: "a.b", want: auth.Invalid},
		"four parts":                {token: valid + ".x", want: auth.Invalid},
		"JSON serialization":        {token: `{"payload":"","signatures":[]}`, want: auth.Invalid},
		"padding":                   {token: valid + "=", want: auth.Invalid, reason: "base64url"},
		"a line end":                {token: valid + "\n", want: auth.Invalid, reason: "base64url"},
		"another spelling":          {token: loose(t, valid), want: auth.Invalid},
		"expired":                   {token: mint(t, claims{"iat": in(-time.Hour), "exp": in(-time.Minute)}), want: auth.Expired},
		"expired and forged":        {token: forge(t, hs, good(claims{"exp": in(-time.Minute)}).text(t), "HS256", []byte("x")), want: auth.Invalid},
		"expired, within leeway":    {token: mint(t, claims{"iat": in(-time.Hour), "exp": in(-time.Minute)}), config: auth.JWTConfig{Leeway: 2 * time.Minute}},
		"expired without leeway":    {token: mint(t, claims{"exp": in(-2 * time.Second)}), config: auth.JWTConfig{Leeway: -1}, want: auth.Expired},
		"no exp":                    {token: mint(t, claims{"exp": nil}), want: auth.Invalid, reason: "no claim exp"},
		"no exp, allowed":           {token: mint(t, claims{"exp": nil}), config: auth.JWTConfig{AllowNoExpiry: true}},
		"exp is text":               {token: mint(t, claims{"exp": "9999999999"}), want: auth.Invalid},
		"exp is null":               {token: mint(t, claims{"exp": raw("null")}), want: auth.Invalid},
		"exp is huge":               {token: mint(t, claims{"exp": raw("1e300")}), want: auth.Invalid},
		"exp is negative":           {token: mint(t, claims{"exp": raw("-1")}), want: auth.Invalid},
		"exp with a fraction":       {token: mint(t, claims{"exp": float64(in(time.Minute)) + 0.5})},
		"not valid yet":             {token: mint(t, claims{"nbf": in(time.Minute)}), want: auth.Invalid, reason: "not valid yet"},
		"not valid yet, leeway":     {token: mint(t, claims{"nbf": in(time.Minute)}), config: auth.JWTConfig{Leeway: 2 * time.Minute}},
		"issued in the future":      {token: mint(t, claims{"iat": in(time.Minute)}), want: auth.Invalid, reason: "not valid yet"},
		"lives too long":            {token: mint(t, claims{"exp": in(25 * time.Hour)}), want: auth.Invalid, reason: "longer"},
		"lives long, old":           {token: mint(t, claims{"iat": in(-24 * time.Hour), "exp": in(time.Hour)}), want: auth.Invalid, reason: "longer"},
		"lives long, allowed":       {token: mint(t, claims{"exp": in(250 * time.Hour)}), config: auth.JWTConfig{MaxLifetime: -1}},
		"no iat":                    {token: mint(t, claims{"iat": nil}), want: auth.Invalid, reason: "no claim iat"},
		"no iat, allowed":           {token: mint(t, claims{"iat": nil}), config: auth.JWTConfig{MaxLifetime: -1}},
		"issuer":                    {token: mint(t, claims{"iss": "a"}), config: auth.JWTConfig{Issuers: []string{"b", "a"}}},
		"wrong issuer":              {token: mint(t, claims{"iss": "a"}), config: auth.JWTConfig{Issuers: []string{"b"}}, want: auth.Invalid, reason: "iss"},
		"no issuer":                 {token: valid, config: auth.JWTConfig{Issuers: []string{"b"}}, want: auth.Invalid},
		"issuer is a list":          {token: mint(t, claims{"iss": []string{"b"}}), config: auth.JWTConfig{Issuers: []string{"b"}}, want: auth.Invalid},
		"audience":                  {token: mint(t, claims{"aud": []string{"x", "us"}}), config: auth.JWTConfig{Audiences: []string{"us"}}},
		"wrong audience":            {token: mint(t, claims{"aud": "x"}), config: auth.JWTConfig{Audiences: []string{"us"}}, want: auth.Invalid, reason: "aud"},
		"no audience":               {token: valid, config: auth.JWTConfig{Audiences: []string{"us"}}, want: auth.Invalid},
		"audience of others":        {token: mint(t, claims{"aud": "x"}), want: auth.Invalid, reason: "aud"},
		"audience is a number":      {token: mint(t, claims{"aud": 1}), config: auth.JWTConfig{Audiences: []string{"us"}}, want: auth.Invalid},
		"no sub":                    {token: mint(t, claims{"sub": nil}), want: auth.Invalid, reason: "sub"},
		"empty sub":                 {token: mint(t, claims{"sub": ""}), want: auth.Invalid},
		"sub is a number":           {token: mint(t, claims{"sub": 7}), want: auth.Invalid},
		"long sub":                  {token: mint(t, claims{"sub": strings.Repeat("s", 257)}), want: auth.Invalid},
		"sub with a line end":       {token: mint(t, claims{"sub": "a\nb"}), want: auth.Invalid},
		"groups of numbers":         {token: mint(t, claims{"groups": []int{1}}), want: auth.Invalid, reason: "groups"},
		"groups are an object":      {token: mint(t, claims{"groups": claims{}}), want: auth.Invalid},
		"grants no channel":         {token: mint(t, claims{"subscribe": "/a/**/b"}), want: auth.Invalid, reason: "subscribe"},
		"grants a channel with end": {token: mint(t, claims{"publish": []string{"a"}}), want: auth.Invalid},
		"jti is a number":           {token: mint(t, claims{"jti": 7}), want: auth.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := judge(t, newJWT(t, c.config), c.token)
			require.Equal(t, c.want, outcome(err), "%v", err)
			if c.want == "" {
				require.Equal(t, "alice", s.User)
				return
			}
			require.Nil(t, s)
			require.ErrorContains(t, err, c.reason)
			require.NotContains(t, err.Error(), c.token)
		})
	}
}

type raw string

// MarshalJSON implements json.Marshaler, for what Go would not write.
func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func withRSA() auth.JWTConfig {
	return auth.JWTConfig{Keys: []auth.KeySource{auth.StaticKeys{{Public: &rsaKey().PublicKey}}}}
}

// swap puts another part into a token.
func swap(token string, part int, with string) string {
	parts := strings.Split(token, ".")
	parts[part] = with
	return strings.Join(parts, ".")
}

// loose is another spelling of a token: the bits that its last character has
// too many are not zero. Readers that do not care would take it.
func loose(t *testing.T, token string) string {
	t.Helper()
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(digits, token[len(token)-1])
	require.Zero(t, last%4, "a signature of 32 bytes")
	return token[:len(token)-1] + string(digits[last+1])
}

// Claims make the subject.
func TestSubject(t *testing.T) {
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	token := mint(t, claims{
		"exp": exp.Unix(), "groups": "ops dev", "subscribe": []string{"/a/**", "/user/{sub}/**"}, "publish": "/b /c/{sub}", "create": []string{}, "jti": "t1",
		"realm": claims{"roles": []string{"x"}}, "who.am.i": "bob",
	})
	s, err := judge(t, newJWT(t, auth.JWTConfig{}), token)
	require.NoError(t, err)
	require.Equal(t, "alice", s.User)
	require.Equal(t, []string{"ops", "dev"}, s.Groups)
	require.Equal(t, []string{"/a/**", "/user/{sub}/**"}, s.Subscribe)
	require.Equal(t, []string{"/b", "/c/{sub}"}, s.Publish)
	require.Empty(t, s.Create)
	require.Equal(t, "t1", s.Token)
	require.Equal(t, exp.Add(auth.DefaultLeeway), s.Expires)
	require.Equal(t, "t1", s.Claims["jti"])

	s, err = judge(t, newJWT(t, auth.JWTConfig{Leeway: -1, Claims: auth.ClaimNames{User: "who.am.i", Groups: "realm.roles", Subscribe: "none.at.all", Publish: "-", Create: "-"}}), token)
	require.NoError(t, err)
	require.Equal(t, "bob", s.User)
	require.Equal(t, []string{"x"}, s.Groups)
	require.Empty(t, s.Subscribe)
	require.Equal(t, exp, s.Expires)

	token = mint(t, nil)
	s, err = judge(t, newJWT(t, auth.JWTConfig{}), token)
	require.NoError(t, err)
	require.Equal(t, sum256(token[:strings.LastIndex(token, ".")]), s.Token)
}

// Of a token that is signed anew by ECDSA, or has its signature changed into the
// other valid one, the name stays: revoking one revokes all.
func TestDigestIsOfWhatIsSigned(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	j := newJWT(t, auth.JWTConfig{Keys: []auth.KeySource{auth.StaticKeys{{Public: &key.PublicKey}}}})
	token := forge(t, `{"alg":"ES256"}`, good(nil).text(t), "ES256", key)
	one, err := judge(t, j, token)
	require.NoError(t, err)
	signed := token[:strings.LastIndex(token, ".")]
	raw := sign(t, signed, "ES256", key)
	other := new(big.Int).Sub(key.Params().N, new(big.Int).SetBytes(raw[32:]))
	two, err := judge(t, j, signed+"."+b64(append(raw[:32:32], other.FillBytes(make([]byte, 32))...)))
	require.NoError(t, err)
	require.Equal(t, one.Token, two.Token)
}

func TestWrongJWTConfig(t *testing.T) {
	_, err := auth.NewJWT(auth.JWTConfig{})
	require.ErrorContains(t, err, "needs a key")
	_, err = auth.NewJWT(auth.JWTConfig{Keys: []auth.KeySource{auth.StaticKeys{}}, Algorithms: []string{"none"}})
	require.ErrorContains(t, err, `"none"`)
}

// What is no JWT is left to the next method where there is one.
func TestOpaque(t *testing.T) {
	s, err := judge(t, newJWT(t, auth.JWTConfig{Opaque: true}), "opaque")
	require.NoError(t, err)
	require.Nil(t, s)
	_, err = judge(t, newJWT(t, auth.JWTConfig{Opaque: true}), "a.b.c")
	require.Error(t, err)
	s, err = judge(t, newJWT(t, auth.JWTConfig{}), "")
	require.NoError(t, err)
	require.Nil(t, s)
}

// A token is not tried with any number of keys.
func TestManyKeys(t *testing.T) {
	keys := make(auth.StaticKeys, 40)
	for i := range keys {
		keys[i].Public = make([]byte, 32)
		_, _ = rand.Read(keys[i].Public.([]byte))
	}
	_, err := judge(t, newJWT(t, auth.JWTConfig{Keys: []auth.KeySource{keys}}), mint(t, nil))
	require.ErrorContains(t, err, "keys fit")
}

// Whatever comes as a token is refused or of Alice, and never panics.
func FuzzToken(f *testing.F) {
	j, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.KeySource{auth.StaticKeys{{Public: secret}}}})
	require.NoError(f, err)
	for _, s := range []string{"", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.e30.AA", `{"payload":"e30"}`, "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		s, err := j.Authenticate(t.Context(), &auth.Credentials{Token: token})
		require.True(t, token == "" || err != nil || s.User != "")
	})
}
