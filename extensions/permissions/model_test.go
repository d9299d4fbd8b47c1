package permissions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// alphabet is enough to tell all cases of patterns apart.
var alphabet = []string{"a", "b", "service"}

// names are all channels of up to depth segments of the alphabet, and the
// wildcards at each place.
func names(depth int) (all []channels.Name) {
	level := []string{""}
	for range depth {
		var next []string
		for _, head := range level {
			for _, s := range alphabet {
				next = append(next, head+"/"+s)
			}
			all = append(all, channels.Name(head+"/*"), channels.Name(head+"/**"))
		}
		for _, n := range next {
			all = append(all, channels.Name(n))
		}
		level = next
	}
	return all
}

// naive decides as docs/PERMISSIONS.md says it: rule by rule, by trying each
// name of a space that is one segment deeper than all patterns.
type naive struct {
	rules []Rule
	space []channels.Name
	asked []channels.Name                          // not so deep
	heard map[channels.Name]map[channels.Name]bool // what was found out
}

func newNaive(depth int) *naive {
	return &naive{space: names(depth), asked: names(depth - 1), heard: map[channels.Name]map[channels.Name]bool{}}
}

// hears are the names of the space that a pattern matches.
func (m *naive) hears(n channels.Name) map[channels.Name]bool {
	if all, ok := m.heard[n]; ok {
		return all
	}
	all := map[channels.Name]bool{}
	m.heard[n] = all
	for _, one := range m.space {
		if channels.Compile(n).Matches(one) {
			all[one] = true
		}
	}
	return all
}

// filled puts the subject's values into a pattern, as text.
func filled(text string, s *bayeux.Subject) (string, bool) {
	for i, part := range strings.Split(text, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		if s == nil {
			return "", false
		}
		value := s.User
		if part != "{user}" {
			value, _ = s.Claims[strings.Trim(part, "{}")].(string)
		}
		if value == "" || strings.ContainsAny(value, "*/{") || i == 1 && (value == "service" || value == "meta") {
			return "", false
		}
		text = strings.Replace(text, part, value, 1)
	}
	return text, true
}

func is(who string, s *bayeux.Subject) bool {
	kind, name, _ := strings.Cut(who, ":")
	switch kind {
	case "everyone":
		return true
	case "anonymous":
		return s == nil || s.User == ""
	case "authenticated":
		return s != nil && s.User != ""
	case "user":
		return s != nil && s.User == name
	case "group":
		return s != nil && slices.Contains(s.Groups, name)
	case "claim":
		claim, value, _ := strings.Cut(name, "=")
		return s != nil && s.Claims[claim] == value
	}
	return false
}

func (m *naive) decide(s *bayeux.Subject, op bayeux.Operation, n channels.Name) bool {
	asked := m.hears(n)
	for _, r := range m.rules {
		some := len(r.Who) == 0 || slices.ContainsFunc(r.Who, func(w string) bool { return is(w, s) })
		all := !slices.ContainsFunc(r.WhoAll, func(w string) bool { return !is(w, s) })
		if !some || !all || !slices.Contains(r.Operations, op) {
			continue
		}
		for _, text := range r.Channels {
			text, ok := filled(text, s)
			if !ok {
				continue
			}
			own := m.hears(channels.Name(text))
			common := 0
			for n := range asked {
				if own[n] {
					common++
				}
			}
			switch {
			case r.Deny && common > 0:
				return false
			case !r.Deny && common == len(asked):
				return true
			}
		}
	}
	if s == nil {
		return false
	}
	for _, text := range map[bayeux.Operation][]string{bayeux.OperationSubscribe: s.Subscribe, bayeux.OperationPublish: s.Publish}[op] {
		text, ok := filled(text, s)
		own := m.hears(channels.Name(text))
		if !ok {
			continue
		}
		covered := len(own) > 0
		for n := range asked {
			covered = covered && own[n]
		}
		if covered {
			return true
		}
	}
	return false
}

func subjects() []*bayeux.Subject {
	return []*bayeux.Subject{
		nil,
		{User: "a", Groups: []string{"g"}},
		{User: "b", Claims: map[string]any{"c": "b"}, Subscribe: []string{"/b/**", "nonsense", "/meta/**", "/{user}/{none}/*"}},
		{User: "service", Claims: map[string]any{"c": "a"}, Publish: []string{"/a", "/{user}/*", "/b/{user}"}},
		{User: "*", Groups: []string{"g", "h"}, Claims: map[string]any{"c": "**"}},
		{User: "a/b", Claims: map[string]any{"c": "{user}"}},
		{Claims: map[string]any{"c": "a"}, Subscribe: []string{"/a/*"}},
	}
}

// randomRules makes rules from a stream of choices.
func randomRules(pick func(n int) int, count int) []Rule {
	who := []string{"everyone", "authenticated", "anonymous", "user:a", "user:b", "group:g", "group:h", "claim:c=a", "claim:c=b"}
	segments := append([]string{"{user}", "{c}"}, alphabet...)
	rules := make([]Rule, count)
	for i := range rules {
		r := &rules[i]
		r.Deny = pick(2) == 0
		r.Operations = []bayeux.Operation{Operations()[pick(2)]}
		if pick(8) == 0 {
			r.Operations = []bayeux.Operation{bayeux.OperationPublish, bayeux.OperationSubscribe}
		}
		if pick(4) == 0 {
			r.WhoAll = []string{who[pick(len(who))], who[pick(len(who))]}
		}
		if len(r.WhoAll) == 0 || pick(2) == 0 {
			for range 1 + pick(2) {
				r.Who = append(r.Who, who[pick(len(who))])
			}
		}
		for range 1 + pick(2) {
			text := ""
			for range pick(3) {
				text += "/" + segments[pick(len(segments))]
			}
			r.Channels = append(r.Channels, text+[]string{"/a", "/b", "/{c}", "/*", "/**"}[pick(5)])
		}
	}
	return rules
}

// compare checks the index, the policy with its cache, and the explanation
// against the model, for all subjects and names.
func compare(t *testing.T, rules []Rule, m *naive) {
	t.Helper()
	m.rules = rules
	c, err := Compile(rules, Options{})
	require.NoError(t, err)
	p := New(Config{Rules: c})
	for _, s := range subjects() {
		for _, n := range m.asked {
			for _, op := range []bayeux.Operation{bayeux.OperationSubscribe, bayeux.OperationPublish} {
				want := m.decide(s, op, n)
				first, cached := allowed(p, s, op, n), allowed(p, s, op, n)
				x, err := c.Explain(s, op, string(n))
				require.NoError(t, err)
				if first != want || cached != want || x.Allowed != want || x.Rule != decidedBy(c, s, op, n) {
					require.Fail(t, "the model says otherwise", "%v: %s %s by %+v; %v, then %v; %s; under %s", want, op, n, s, first, cached, x.Why, write(rules))
				}
			}
		}
	}
}

func write(rules []Rule) (text string) {
	for _, r := range rules {
		text += fmt.Sprintf("\n%+v", r)
	}
	return text
}

func allowed(p *Policy, s *bayeux.Subject, op bayeux.Operation, n channels.Name) bool {
	who := as(s)
	if op == bayeux.OperationSubscribe {
		return p.CanSubscribe(context.Background(), who, channels.Compile(n), nil) == nil
	}
	return p.CanPublish(context.Background(), who, n, nil) == nil
}

func decidedBy(c *Rules, s *bayeux.Subject, op bayeux.Operation, n channels.Name) int {
	at, _ := operationOf(op)
	if d := c.decide(c.identify(s, 0), at, n); ruled(d) {
		return int(d)
	}
	return -1
}

// TestModel compares with the model over random rules. The space is one segment
// deeper than the patterns, so that /** and /* differ everywhere.
func TestModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := newNaive(4)
	for range 10 {
		compare(t, randomRules(r.IntN, 1+r.IntN(6)), m)
	}
	// Long lists take another way through the index.
	compare(t, randomRules(r.IntN, 200), newNaive(3))
}

func FuzzRules(f *testing.F) {
	f.Add([]byte("\x01\x00\x03\x02\x01\x00\x04\x01\x00\x00\x02\x02\x04"))
	f.Add([]byte("deny /a/b, then allow /a/**: a wildcard does not get around it"))
	m := newNaive(4)
	f.Fuzz(func(t *testing.T, choices []byte) {
		pick := func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := choices[0]
			choices = choices[1:]
			return int(c) % n
		}
		compare(t, randomRules(pick, 1+pick(5)), m)
	})
}

// TestPatterns compares cover and overlap of all pairs of patterns with what the
// names of a space say.
func TestPatterns(t *testing.T) {
	m := newNaive(4)
	all := names(3)
	heard := map[channels.Name]map[channels.Name]bool{}
	for _, n := range all {
		heard[n] = m.hears(n)
	}
	for _, x := range all {
		p, err := parsePattern(string(x))
		require.NoError(t, err)
		for _, y := range all {
			covers, overlap := true, false
			for n := range heard[y] {
				covers = covers && heard[x][n]
				overlap = overlap || heard[x][n]
			}
			q, err := parsePattern(string(y))
			require.NoError(t, err)
			require.Equal(t, covers, p.covers(&q), "%s covers %s", x, y)
			require.Equal(t, covers, channels.Compile(x).Matches(y), "%s matches %s", x, y)
			require.Equal(t, overlap, overlaps(channels.Compile(x), channels.Compile(y)), "%s overlaps %s", x, y)
		}
	}
}
