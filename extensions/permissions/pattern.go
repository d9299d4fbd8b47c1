package permissions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Wildcards, as last segments.
const (
	shallow = "*"
	deep    = "**"
)

// userParam is the parameter that stands for the user.
const userParam = "user"

// param numbers a parameter: an index of Rules.params.
type param int

// slot is a parameter in its place. The first segment is one of its own: there
// the names of the reserved spaces are no values, so that a tenant of the name
// service gets no services.
type slot struct {
	name  string
	first bool
}

// pattern is a channel of a rule, in segments. Those before the wildcard are
// literal or parameters.
type pattern struct {
	text     string
	segments []segment
	wild     string  // "", shallow or deep
	needs    []param // in order of the parameters
}

// segment is a literal, or the parameter of that name.
type segment struct {
	text  string
	param bool
}

// parsePattern reads a channel of a rule.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if len(text) > MaxText {
		return p, fmt.Errorf("%.20q…: more than %d bytes", text, MaxText)
	}
	// Parameters become letters, so that their names may have dots and colons
	// are left to the check of the whole.
	parts := strings.Split(text, "/")
	for i, part := range parts {
		name, ok := parameter(part)
		if ok && !validParam(name) {
			return p, fmt.Errorf("%q: %q: want letters, digits, _, - and . in braces", text, part)
		}
		if !ok && strings.ContainsAny(part, "{}") {
			return p, fmt.Errorf("%q: %q: a parameter such as {sub} is a whole segment", text, part)
		}
		if ok {
			parts[i] = "x"
		}
	}
	name, err := channels.Parse(strings.Join(parts, "/"))
	if err != nil {
		return p, fmt.Errorf("%q: %w", text, err)
	}
	if name.IsMeta() {
		return p, fmt.Errorf("%q: meta channels are the protocol's, no rule is asked about them", text)
	}
	if name.Segments() > MaxSegments {
		return p, fmt.Errorf("%q: more than %d segments", text, MaxSegments)
	}
	p.split(text, name)
	return p, nil
}

// split takes the segments apart: those of the normalised name, with the
// parameters back in their places.
func (p *pattern) split(text string, name channels.Name) {
	given := strings.Split(text, "/")[1:]
	for i, part := range strings.Split(string(name[1:]), "/") {
		param, ok := parameter(given[i])
		switch {
		case ok:
			p.segments = append(p.segments, segment{param, true})
		case part == shallow || part == deep:
			p.wild = part
		default:
			p.segments = append(p.segments, segment{part, false})
		}
	}
}

// parameter returns the name between braces.
func parameter(part string) (name string, ok bool) {
	if len(part) < 2 || part[0] != '{' || part[len(part)-1] != '}' {
		return "", false
	}
	return part[1 : len(part)-1], true
}

func validParam(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		return !letter && c != '_' && c != '-' && c != '.'
	})
}

// plain tells whether a value may stand for a segment: in the alphabet of
// channel names, no wildcard, no brace, no slash, and no blank at its ends,
// which names lose.
func plain(value string) bool {
	return value != "" && value[0] != ' ' && value[len(value)-1] != ' ' &&
		!strings.ContainsAny(value, "*/{}") && channels.Check("/"+value) == nil
}

// value is what a parameter stands for; ok is false where it is nothing.
func (s slot) value(subject *bayeux.Subject) (string, bool) {
	if subject == nil {
		return "", false
	}
	text := subject.User
	if s.name != userParam {
		v := claim(subject.Claims, s.name)
		if _, truth := v.(bool); truth {
			return "", false
		}
		var ok bool
		if text, ok = scalar(v); !ok {
			return "", false
		}
		if _, isText := v.(string); !isText && strings.ContainsAny(text, ".eE") {
			return "", false // a fraction
		}
	}
	if !plain(text) || s.first && (text == "meta" || text == "service") {
		return "", false
	}
	return text, true
}

// covers tells whether p matches all that q matches, for the same session.
func (p *pattern) covers(q *pattern) bool {
	if len(p.segments) > len(q.segments) || !slices.Equal(p.segments, q.segments[:len(p.segments)]) {
		return false
	}
	more := len(q.segments) - len(p.segments)
	switch p.wild {
	case deep:
		return more > 0 || q.wild != ""
	case shallow:
		return more == 1 && q.wild == "" || more == 0 && q.wild == shallow
	default:
		return more == 0 && q.wild == ""
	}
}

// fill makes the pattern one of channels, with the session's values; ok is
// false where one is missing.
func (p *pattern) fill(subject *bayeux.Subject) (channels.Pattern, bool) {
	var b strings.Builder
	for i, s := range p.segments {
		text := s.text
		if s.param {
			var ok bool
			if text, ok = (slot{s.text, i == 0}).value(subject); !ok {
				return channels.Pattern{}, false
			}
		}
		b.WriteString("/" + text)
	}
	if p.wild != "" {
		b.WriteString("/" + p.wild)
	}
	return channels.Compile(channels.Name(b.String())), true
}

// overlaps tells whether some name matches both patterns.
func overlaps(a, b channels.Pattern) bool {
	x, y := a.Name(), b.Name()
	switch {
	case !x.IsWild():
		return b.Matches(x)
	case !y.IsWild():
		return a.Matches(y)
	case x.IsDeepWild() && y.IsDeepWild():
		return strings.HasPrefix(above(x), above(y)) || strings.HasPrefix(above(y), above(x))
	case x.IsDeepWild():
		return strings.HasPrefix(above(y), above(x))
	case y.IsDeepWild():
		return strings.HasPrefix(above(x), above(y))
	default:
		return x == y
	}
}

// above is a wildcard without its last segment, the slash kept.
func above(n channels.Name) string { return string(n[:strings.LastIndexByte(string(n), '/')+1]) }
