package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/halleypush/halley/bayeux"
)

// Place is where a handshake may have a token.
type Place struct {
	// Kind is one of the constants.
	Kind PlaceKind
	// Name is the path in ext (auth.token), or the name of the cookie or the
	// parameter of the query; empty for InBearer.
	Name string
}

// PlaceKind is a kind of place.
type PlaceKind string

// Kinds of places. Those of the request are looked for in that of the handshake;
// for a WebSocket that is its upgrade.
const (
	InExt    PlaceKind = "ext"
	InBearer PlaceKind = "bearer" // Authorization: Bearer
	InCookie PlaceKind = "cookie"
	InQuery  PlaceKind = "query"
)

// DefaultPlaces are ext.auth.token and the Authorization header.
func DefaultPlaces() []Place { return []Place{{InExt, "auth.token"}, {Kind: InBearer}} }

// ParsePlace reads ext:auth.token, bearer, cookie:NAME or query:NAME.
func ParsePlace(text string) (Place, error) {
	kind, name, _ := strings.Cut(text, ":")
	p := Place{PlaceKind(kind), name}
	return p, p.check()
}

func (p Place) check() error {
	switch p.Kind {
	case InBearer:
		if p.Name == "" {
			return nil
		}
	case InExt, InCookie, InQuery:
		if p.Name != "" && !strings.ContainsAny(p.Name, " \t;,=&:") {
			return nil
		}
	}
	return fmt.Errorf("place %q: want ext:auth.token, bearer, cookie:NAME or query:NAME", string(p.Kind)+":"+p.Name)
}

// find returns the token of a handshake; empty if there is none. All places are
// looked at: two tokens that differ are refused, for whoever put one of them
// there may not be the client.
func (x *Extension) find(m *bayeux.Message, r *bayeux.Request) (string, error) {
	token := ""
	for _, p := range x.config.Places {
		found, err := p.tokens(m, r)
		if err != nil {
			return "", err
		}
		for _, one := range found {
			switch {
			case token == "":
				token = one
			case token != one:
				return "", invalid("two different tokens, the second in %s", p.Kind)
			}
		}
	}
	return token, x.checkSize(token)
}

func (x *Extension) checkSize(token string) error {
	if len(token) > x.config.MaxTokenBytes {
		return invalid("a token of %d bytes, above the limit of %d", len(token), x.config.MaxTokenBytes)
	}
	return nil
}

// tokens returns what stands in a place.
func (p Place) tokens(m *bayeux.Message, r *bayeux.Request) ([]string, error) {
	if p.Kind == InExt {
		return fromExt(m.Ext, p.Name)
	}
	if r == nil {
		return nil, nil
	}
	switch p.Kind {
	case InBearer:
		return fromHeader(r.Header)
	case InCookie:
		var all []string
		for _, c := range (&http.Request{Header: r.Header}).CookiesNamed(p.Name) {
			all = appendToken(all, c.Value)
		}
		return all, nil
	case InQuery:
		return fromQuery(r.URL, p.Name)
	case InExt:
	}
	return nil, nil
}

func appendToken(all []string, token string) []string {
	if token == "" {
		return all
	}
	return append(all, token)
}

// fromExt follows the path. What is on it must be objects, and at its end a
// text.
func fromExt(ext bayeux.Raw, path string) ([]string, error) {
	if len(ext) == 0 {
		return nil, nil
	}
	all, err := parseObject(ext, maxExtDepth)
	if err != nil {
		return nil, invalid("ext: %v", err)
	}
	v := claim(all, path)
	if v == nil {
		return nil, nil
	}
	text, ok := v.(string)
	if !ok {
		return nil, invalid("ext.%s is no text", path)
	}
	return appendToken(nil, text), nil
}

// fromHeader reads the Authorization headers of the scheme Bearer. Those of
// others are for others.
func fromHeader(h http.Header) ([]string, error) {
	var all []string
	for _, v := range h["Authorization"] {
		scheme, token, _ := strings.Cut(strings.TrimSpace(v), " ")
		if strings.EqualFold(scheme, "Bearer") {
			all = appendToken(all, strings.TrimSpace(token))
		}
	}
	return all, nil
}

func fromQuery(target, name string) ([]string, error) {
	_, query, _ := strings.Cut(target, "?")
	if query == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, invalid("the query cannot be read")
	}
	var all []string
	for _, v := range values[name] {
		all = appendToken(all, v)
	}
	return all, nil
}

// refreshToken reads the data of a publish to Channel.
func refreshToken(data bayeux.Raw) (string, error) {
	if len(data) == 0 {
		return "", Refuse(Missing, "no data")
	}
	fields, err := parseObject(data, maxDepth)
	if err != nil {
		return "", invalid("data: %v", err)
	}
	switch v := fields["token"].(type) {
	case nil:
		return "", Refuse(Missing, "no token in the data")
	case string:
		if v == "" {
			return "", Refuse(Missing, "an empty token in the data")
		}
		return v, nil
	default:
		return "", invalid("the token in the data is no text")
	}
}

// notice is what the server says on Channel.
func notice(kind string, fields map[string]any) bayeux.Raw {
	fields["type"] = kind
	raw, _ := json.Marshal(fields) // texts and numbers
	return raw
}
