package permissions

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/halleypush/halley/bayeux"
)

// principal is something that a session can be, such as "group:traders": a
// number, so that rules are compared with sessions quickly.
type principal int32

// Principals that need no name.
const (
	everyone principal = iota
	authenticated
	anonymous
	named // the first with a name
)

// whoKinds are what Who can begin with.
func whoKinds() []string {
	return []string{"everyone", "authenticated", "anonymous", "user", "group", "claim"}
}

func nameless(kind string) (p principal, ok bool) {
	switch kind {
	case "everyone":
		return everyone, true
	case "authenticated":
		return authenticated, true
	case "anonymous":
		return anonymous, true
	}
	return 0, false
}

// principals numbers what the rules name.
type principals struct {
	users, groups map[string]principal
	claims        map[string]map[string]principal
	claimNames    []string
	next          principal
}

func newPrincipals() *principals {
	return &principals{users: map[string]principal{}, groups: map[string]principal{}, claims: map[string]map[string]principal{}, next: named}
}

// parse reads one item of Who. Its error has the word that is unknown.
func (ps *principals) parse(text string) (principal, *RuleError) {
	if len(text) > MaxText {
		return 0, &RuleError{Reason: fmt.Sprintf("who %.20q…: more than %d bytes", text, MaxText)}
	}
	kind, name, ok := strings.Cut(text, ":")
	bad := func(want string) *RuleError { return &RuleError{Reason: fmt.Sprintf("who %q: want %s", text, want)} }
	if p, alone := nameless(kind); alone {
		if ok {
			return 0, bad(kind + " alone")
		}
		return p, nil
	}
	switch kind {
	case "user", "group":
		if name == "" {
			return 0, bad(kind + ":NAME")
		}
		if kind == "user" {
			return ps.intern(ps.users, name), nil
		}
		return ps.intern(ps.groups, name), nil
	case "claim":
		claim, value, ok := strings.Cut(name, "=")
		if !ok || claim == "" || value == "" {
			return 0, bad("claim:NAME=VALUE")
		}
		values := ps.claims[claim]
		if values == nil {
			values = map[string]principal{}
			ps.claims[claim] = values
			ps.claimNames = append(ps.claimNames, claim)
		}
		return ps.intern(values, value), nil
	}
	e := bad("everyone, authenticated, anonymous, user:NAME, group:NAME or claim:NAME=VALUE")
	if kind != "" {
		e.Word, e.Known = kind, whoKinds()
	}
	return 0, e
}

func (ps *principals) intern(in map[string]principal, name string) principal {
	p, ok := in[name]
	if !ok {
		p = ps.next
		ps.next++
		in[name] = p
	}
	return p
}

// of returns what a subject is, as far as the rules ask; nil is anonymous.
func (ps *principals) of(s *bayeux.Subject) []principal {
	if s == nil {
		return []principal{everyone, anonymous}
	}
	has := make([]principal, 0, 8)
	if has = append(has, everyone); s.User == "" {
		has = append(has, anonymous)
	} else {
		has = append(has, authenticated)
		if p, ok := ps.users[s.User]; ok {
			has = append(has, p)
		}
	}
	if len(ps.groups) > 0 {
		for _, g := range s.Groups {
			if p, ok := ps.groups[g]; ok && !slices.Contains(has, p) {
				has = append(has, p)
			}
		}
	}
	for _, name := range ps.claimNames {
		has = holds(has, ps.claims[name], claim(s.Claims, name))
	}
	return slices.Clip(has)
}

// holds appends the principals that a claim's value, or one of its list, makes.
func holds(has []principal, values map[string]principal, value any) []principal {
	switch list := value.(type) {
	case []any:
		for _, v := range list {
			has = holdsOne(has, values, v)
		}
		return has
	case []string:
		for _, v := range list {
			has = holdsOne(has, values, v)
		}
		return has
	}
	return holdsOne(has, values, value)
}

func holdsOne(has []principal, values map[string]principal, value any) []principal {
	text, ok := scalar(value)
	if !ok {
		return has
	}
	if p, ok := values[text]; ok && !slices.Contains(has, p) {
		has = append(has, p)
	}
	return has
}

// claim finds a claim by its name, or by its path where no claim has the name.
func claim(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	below, _ := claims[first].(map[string]any)
	return claim(below, rest)
}

// maxExact is the last of the whole numbers that a float64 has all of: larger
// ones may stand for their neighbours.
const maxExact = 1 << 53

// scalar is the text of a claim that is a text, a truth value or a number.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), math.Abs(v) < maxExact
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

// matches tells whether the rule is about somebody who is all of has.
func (r *rule) matches(has []principal) bool {
	for _, p := range r.all {
		if !slices.Contains(has, p) {
			return false
		}
	}
	if len(r.who) == 0 {
		return true
	}
	for _, p := range has {
		if r.wide != nil {
			if _, ok := r.wide[p]; ok {
				return true
			}
		} else if slices.Contains(r.who, p) {
			return true
		}
	}
	return false
}
