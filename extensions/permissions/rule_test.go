package permissions

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

func TestWrongRules(t *testing.T) {
	sub := bayeux.OperationSubscribe
	long := strings.Repeat("x", MaxText+1)
	with := func(r Rule, change func(*Rule)) Rule {
		change(&r)
		return r
	}
	good := allow(sub, "everyone", "/a")
	tests := []struct {
		name string
		rule Rule
		want string
		near string
	}{
		{"nothing", Rule{}, "nothing to allow or deny", ""},
		{"operation", allow("subcribe", "everyone", "/a"), `operation "subcribe": want subscribe, publish, create or handshake`, "subcribe"},
		{"nobody", Rule{Operations: []bayeux.Operation{sub}, Channels: []string{"/a"}}, "who is missing", ""},
		{"no channel", allow(sub, "everyone"), "channels are missing", ""},
		{"kind", allow(sub, "usr:anna", "/a"), `who "usr:anna": want everyone, authenticated`, "usr"},
		{"empty", allow(sub, "", "/a"), `who "": want`, ""},
		{"everyone else", allow(sub, "everyone:x", "/a"), "want everyone alone", ""},
		{"user", allow(sub, "user", "/a"), "want user:NAME", ""},
		{"group", allow(sub, "group:", "/a"), "want group:NAME", ""},
		{"claim", allow(sub, "claim:x", "/a"), "want claim:NAME=VALUE", ""},
		{"claim value", allow(sub, "claim:x=", "/a"), "want claim:NAME=VALUE", ""},
		{"who all", with(good, func(r *Rule) { r.WhoAll = []string{"gruop:x"} }), `who "gruop:x"`, "gruop"},
		{"long who", allow(sub, "user:"+long, "/a"), "more than 1000 bytes", ""},
		{"channel", allow(sub, "everyone", "a"), `channel "a": channel name has an invalid character, no leading slash`, ""},
		{"wild in the middle", allow(sub, "everyone", "/a/*/b"), "a wildcard before its last segment", ""},
		{"wild and parameter", allow(sub, "everyone", "/a/**/{b}"), "a wildcard before its last segment", ""},
		{"meta", allow(sub, "everyone", "/meta/**"), "meta channels are the protocol's", ""},
		{"part of a segment", allow(sub, "everyone", "/a/u-{sub}"), "a parameter such as {sub} is a whole segment", ""},
		{"brace", allow(sub, "everyone", "/a/{sub"), "whole segment", ""},
		{"parameter", allow(sub, "everyone", "/a/{s b}"), `"{s b}": want letters`, ""},
		{"no parameter", allow(sub, "everyone", "/a/{}"), `"{}": want letters`, ""},
		{"long channel", allow(sub, "everyone", "/"+long), "more than 1000 bytes", ""},
		{"deep channel", allow(sub, "everyone", strings.Repeat("/a", MaxSegments+1)), "more than 32 segments", ""},
		{"reason to allow", with(good, func(r *Rule) { r.Reason = "no" }), "reason is for rules that deny", ""},
		{"colon", with(deny(sub, "everyone", "/a"), func(r *Rule) { r.Reason = "a:b" }), "reason has a colon", ""},
		{"control", with(deny(sub, "everyone", "/a"), func(r *Rule) { r.Reason = "a\nb" }), "control character", ""},
		{"name", with(good, func(r *Rule) { r.Name = "a\nb" }), "name has a control character", ""},
		{"long name", with(good, func(r *Rule) { r.Name = long }), "at most 1000 bytes", ""},
		{"handshake on a channel", allow(OperationHandshake, "everyone", "/a"), "handshake stands alone", ""},
		{"handshake and more", with(allow(OperationHandshake, "everyone"), func(r *Rule) { r.Operations = append(r.Operations, sub) }), "handshake stands alone", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Source = "halley.yaml:7"
			_, err := Compile([]Rule{good, tt.rule, good}, Options{})
			var wrong *RuleError
			require.ErrorAs(t, err, &wrong)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "halley.yaml:7: rule 2")
			require.Equal(t, tt.near, wrong.Word)
			require.Equal(t, tt.near != "", len(wrong.Known) > 0)
		})
	}
}

func TestTooMany(t *testing.T) {
	good := allow(bayeux.OperationSubscribe, "everyone", "/a")
	_, err := Compile(slices.Repeat([]Rule{good}, MaxRules+1), Options{})
	require.ErrorContains(t, err, "more than 10000 rules")
	good.Channels = slices.Repeat([]string{"/a"}, MaxPatterns/2+1)
	_, err = Compile([]Rule{good, good, good}, Options{})
	require.ErrorContains(t, err, "rule 2: more than 100000 channels")
}

// All errors are told at once.
func TestSeveralErrors(t *testing.T) {
	_, err := Compile([]Rule{{Name: "first"}, allow(bayeux.OperationPublish, "me", "/a")}, Options{})
	require.ErrorContains(t, err, "rule 1 (first): nothing to allow")
	require.ErrorContains(t, err, `rule 2: who "me"`)
}

// A value that is not exactly one plain segment makes a rule not match.
func TestValues(t *testing.T) {
	c := compile(t, allow(bayeux.OperationSubscribe, "everyone", "/u/{x}/**", "/end/{x}"), allow(bayeux.OperationSubscribe, "everyone", "/{x}/first"))
	p := New(Config{Rules: c})
	for _, tt := range []struct {
		value any
		as    string
	}{
		{"anna", "anna"},
		{"a.b@c-d_e", "a.b@c-d_e"},
		{"a b", "a b"},
		{7.0, "7"},
		{json.Number("12345678901234567890"), "12345678901234567890"},
		{-3, "-3"},
		{int64(4), "4"},
		{float64(1<<53 - 1), "9007199254740991"},
		{float64(1 << 53), ""},
		{1e21, ""},
		{1.5, ""},
		{json.Number("1e5"), ""},
		{math.NaN(), ""},
		{math.Inf(1), ""},
		{true, ""},
		{nil, ""},
		{"", ""},
		{"*", ""},
		{"**", ""},
		{"a*", ""},
		{"a/b", ""},
		{"/", ""},
		{"{x}", ""},
		{"{user}", ""},
		{" ", ""},
		{"anna ", ""},
		{" anna", ""},
		{"a|b", ""},
		{"a\x00", ""},
		{"zoë", ""},
		{[]any{"anna"}, ""},
		{map[string]any{"x": "anna"}, ""},
	} {
		s := &bayeux.Subject{User: "u", Claims: map[string]any{"x": tt.value}}
		for _, n := range []string{"anna", "a.b@c-d_e", "a b", "7", "12345678901234567890", "-3", "4", "9007199254740991", "9007199254740992", "1000000000000000000000", "1.5", "true", "{x}", "{user}", "a", "u"} {
			require.Equal(t, n == tt.as, allowed(p, s, bayeux.OperationSubscribe, mustParse(t, "/u/"+n+"/1")), "%v %s", tt.value, n)
			require.Equal(t, n == tt.as, allowed(p, s, bayeux.OperationSubscribe, mustParse(t, "/end/"+n)), "%v %s", tt.value, n)
		}
		for _, wild := range []string{"/u/*", "/u/**", "/**", "/end/*"} {
			require.False(t, allowed(p, s, bayeux.OperationSubscribe, mustParse(t, wild)), "%v %s", tt.value, wild)
		}
	}
	for _, reserved := range []string{"service", "meta"} {
		s := &bayeux.Subject{User: "u", Claims: map[string]any{"x": reserved}}
		require.False(t, allowed(p, s, bayeux.OperationSubscribe, mustParse(t, "/"+reserved+"/first")))
		require.True(t, allowed(p, s, bayeux.OperationSubscribe, mustParse(t, "/u/"+reserved+"/first")))
	}
}

// What a session is, by its claims.
func TestWho(t *testing.T) {
	claims := map[string]any{
		"role": []any{"reader", "writer", 3.0}, "list": []string{"x"}, "admin": true, "level": 2.0,
		"realm_access": map[string]any{"roles": []any{"ops"}}, "a.b": "exact", "a": map[string]any{"b": "path"}, "eq": "a=b",
	}
	s := &bayeux.Subject{User: "anna", Groups: []string{"staff", "staff"}, Claims: claims}
	nobody := &bayeux.Subject{Claims: claims, Groups: []string{"staff"}}
	for _, tt := range []struct {
		who               string
		anna, nobody, nil bool
	}{
		{"everyone", true, true, true},
		{"authenticated", true, false, false},
		{"anonymous", false, true, true},
		{"user:anna", true, false, false},
		{"user:Anna", false, false, false},
		{"group:staff", true, true, false},
		{"group:anna", false, false, false},
		{"claim:role=reader", true, true, false},
		{"claim:role=3", true, true, false},
		{"claim:role=read", false, false, false},
		{"claim:list=x", true, true, false},
		{"claim:admin=true", true, true, false},
		{"claim:admin=1", false, false, false},
		{"claim:level=2", true, true, false},
		{"claim:realm_access.roles=ops", true, true, false},
		{"claim:realm_access.roles.x=ops", false, false, false},
		{"claim:a.b=exact", true, true, false},
		{"claim:a.b=path", false, false, false},
		{"claim:eq=a=b", true, true, false},
		{"claim:none=x", false, false, false},
	} {
		c := compile(t, allow(bayeux.OperationPublish, tt.who, "/a"), Rule{Operations: []bayeux.Operation{bayeux.OperationPublish}, WhoAll: []string{"everyone", tt.who}, Channels: []string{"/b"}})
		p := New(Config{Rules: c})
		for _, ch := range []string{"/a", "/b"} {
			require.Equal(t, tt.anna, allowed(p, s, bayeux.OperationPublish, mustParse(t, ch)), tt.who)
			require.Equal(t, tt.nobody, allowed(p, nobody, bayeux.OperationPublish, mustParse(t, ch)), tt.who)
			require.Equal(t, tt.nil, allowed(p, nil, bayeux.OperationPublish, mustParse(t, ch)), tt.who)
		}
	}
}

// Many names in one rule, and many rules on one channel.
func TestLongLists(t *testing.T) {
	var rules []Rule
	var many []string
	for i := range 26 {
		user := "user:" + string(rune('a'+i))
		many = append(many, user)
		rules = append(rules, allow(bayeux.OperationPublish, user, "/each"))
	}
	all := allow(bayeux.OperationPublish, "", "/all")
	all.Who = many
	p := New(Config{Rules: compile(t, append(rules, all)...)})
	for _, ch := range []string{"/each", "/all"} {
		require.True(t, allowed(p, &bayeux.Subject{User: "z"}, bayeux.OperationPublish, mustParse(t, ch)))
		require.False(t, allowed(p, &bayeux.Subject{User: "zz"}, bayeux.OperationPublish, mustParse(t, ch)))
		require.False(t, allowed(p, nil, bayeux.OperationPublish, mustParse(t, ch)))
	}
}

func TestIgnoreGrants(t *testing.T) {
	s := &bayeux.Subject{User: "a", Subscribe: []string{"/own/{user}/**"}}
	for _, ignore := range []bool{false, true} {
		c, err := Compile(nil, Options{IgnoreGrants: ignore})
		require.NoError(t, err)
		p := New(Config{Rules: c})
		require.Equal(t, !ignore, allowed(p, s, bayeux.OperationSubscribe, "/own/a/x"))
		require.False(t, allowed(p, s, bayeux.OperationSubscribe, "/own/b/x"))
		require.False(t, allowed(p, s, bayeux.OperationPublish, "/own/a/x"))
	}
}

// What Compile was given, and what Rule returns, is not shared.
func TestCopies(t *testing.T) {
	given := allow(bayeux.OperationPublish, "everyone", "/a")
	c := compile(t, given)
	given.Channels[0] = "/b"
	require.Equal(t, "/a", c.Rule(0).Channels[0])
	c.Rule(0).Who[0] = "user:x"
	require.Equal(t, "everyone", c.Rule(0).Who[0])
	require.Equal(t, 1, c.Len())
}
