package auth

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// ClaimNames are the names of claims. One with dots is looked up as it is, then
// as a path: realm_access.roles.
type ClaimNames struct {
	// User is the user's id. Empty means sub.
	User string
	// Groups, Subscribe, Publish and Create are names separated by blanks, or
	// lists of them. Empty means groups, subscribe, publish and create.
	Groups, Subscribe, Publish, Create string
}

func (n ClaimNames) withDefaults() ClaimNames {
	for _, f := range []struct {
		name *string
		def  string
	}{{&n.User, "sub"}, {&n.Groups, "groups"}, {&n.Subscribe, "subscribe"}, {&n.Publish, "publish"}, {&n.Create, "create"}} {
		if *f.name == "" {
			*f.name = f.def
		}
	}
	return n
}

// subject checks the claims of a token whose signature is good.
func (j *JWT) subject(t *token, claims map[string]any, now time.Time) (*bayeux.Subject, error) {
	s := &bayeux.Subject{Claims: claims}
	if err := j.checkParties(claims); err != nil {
		return nil, err
	}
	if err := j.checkTimes(s, claims, now); err != nil {
		return nil, err
	}
	if err := j.config.Claims.fill(s); err != nil {
		return nil, err
	}
	s.Token = digest(t.signed)
	if id, has := claims["jti"]; has {
		text, ok := id.(string)
		if !ok || !plain(text) {
			return nil, invalid("claim jti is no plain text of 1 to %d bytes", maxName)
		}
		s.Token = text
	}
	return s, nil
}

// checkParties checks who the token is from and for.
func (j *JWT) checkParties(claims map[string]any) error {
	if len(j.config.Issuers) > 0 {
		if iss, _ := claims["iss"].(string); !slices.Contains(j.config.Issuers, iss) {
			return invalid("claim iss %.128q is not accepted", claims["iss"])
		}
	}
	raw, has := claims["aud"]
	if !has {
		if len(j.config.Audiences) > 0 {
			return invalid("no claim aud")
		}
		return nil
	}
	aud, ok := texts(raw)
	if !ok {
		return invalid("claim aud is no text and no list of texts")
	}
	if !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(j.config.Audiences, a) }) {
		return invalid("claim aud %.128q is for others: audiences that are configured: %d", aud, len(j.config.Audiences))
	}
	return nil
}

// checkTimes checks when the token is valid. That it is over is said last.
func (j *JWT) checkTimes(s *bayeux.Subject, claims map[string]any, now time.Time) error {
	times := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		raw, has := claims[name]
		if !has {
			continue
		}
		at, ok := numericDate(raw)
		if !ok {
			return invalid("claim %s is no time", name)
		}
		times[name] = at
	}
	exp, nbf, iat := times["exp"], times["nbf"], times["iat"]
	late := now.Add(j.config.Leeway)
	switch {
	case exp.IsZero() && !j.config.AllowNoExpiry:
		return invalid("no claim exp")
	case nbf.After(late):
		return invalid("not valid yet: nbf is %s from now", nbf.Sub(now).Round(time.Second))
	case iat.After(late):
		return invalid("not valid yet: iat is %s from now", iat.Sub(now).Round(time.Second))
	}
	s.Issued = iat
	if exp.IsZero() {
		return nil
	}
	if limit := j.config.MaxLifetime; limit > 0 {
		switch life := exp.Sub(iat); {
		case iat.IsZero():
			return invalid("no claim iat, which tells its lifetime")
		case life > limit:
			return invalid("it lives for %s, longer than %s", life.Round(time.Second), limit)
		}
	}
	s.Expires = exp.Add(j.config.Leeway)
	if !now.Before(s.Expires) {
		return Refuse(Expired, "exp was %s ago", now.Sub(exp).Round(time.Second))
	}
	return nil
}

// lastDate is the end of the year 9999, in seconds.
const lastDate = 253402300799

// numericDate reads seconds since 1970 (RFC 7519, 2).
func numericDate(raw any) (time.Time, bool) {
	f, ok := raw.(float64)
	if !ok || math.IsNaN(f) || f < 0 || f > lastDate {
		return time.Time{}, false
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// fill reads the user, its groups and what it is granted.
func (n ClaimNames) fill(s *bayeux.Subject) error {
	user, _ := claim(s.Claims, n.User).(string)
	if !plain(user) {
		return invalid("claim %s is no plain text of 1 to %d bytes", n.User, maxName)
	}
	s.User = user
	for _, f := range []struct {
		name  string
		to    *[]string
		names bool
	}{{n.Groups, &s.Groups, false}, {n.Subscribe, &s.Subscribe, true}, {n.Publish, &s.Publish, true}, {n.Create, &s.Create, true}} {
		raw := claim(s.Claims, f.name)
		if raw == nil {
			continue
		}
		list, ok := texts(raw)
		if !ok {
			return invalid("claim %s is no text and no list of texts", f.name)
		}
		if f.names {
			if err := checkChannels(list); err != nil {
				return invalid("claim %s: %v", f.name, err)
			}
		}
		*f.to = list
	}
	return nil
}

// checkChannels checks names and wildcards, in which a segment may be a claim
// such as {sub}.
func checkChannels(list []string) error {
	for _, text := range list {
		segments := strings.Split(text, "/")
		for i, one := range segments {
			if len(one) > 2 && one[0] == '{' && one[len(one)-1] == '}' {
				segments[i] = "x"
			}
		}
		if _, err := channels.Parse(strings.Join(segments, "/")); err != nil {
			return fmt.Errorf("%.128q: %w", text, err)
		}
	}
	return nil
}

// claim looks a claim up.
func claim(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	head, rest, more := strings.Cut(name, ".")
	if !more {
		return nil
	}
	inner, _ := claims[head].(map[string]any)
	return claim(inner, rest)
}

// texts reads a text of names separated by blanks, or a list of texts.
func texts(raw any) ([]string, bool) {
	switch v := raw.(type) {
	case string:
		return strings.Fields(v), true
	case []any:
		out := make([]string, 0, len(v))
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, false
			}
			out = append(out, text)
		}
		return out, true
	}
	return nil, false
}

// plain tells whether a text is fit to be an id: not empty, not long, without
// control characters.
func plain(text string) bool {
	return text != "" && len(text) <= maxName && !strings.ContainsFunc(text, unicode.IsControl) && strings.ToValidUTF8(text, "") == text
}
