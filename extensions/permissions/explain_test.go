package permissions

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

func TestExplain(t *testing.T) {
	rules := []Rule{
		{Name: "vip", Source: "p.yaml:2", Operations: []bayeux.Operation{bayeux.OperationSubscribe}, Who: []string{"group:vip", "user:root"}, WhoAll: []string{"authenticated"}, Channels: []string{"/**"}},
		{Source: "p.yaml:5", Operations: []bayeux.Operation{bayeux.OperationSubscribe}, Who: []string{"everyone"}, Channels: []string{"/user/{sub}/**", "/news/*"}},
		{Name: "secrets", Source: "p.yaml:9", Deny: true, Operations: []bayeux.Operation{bayeux.OperationSubscribe, bayeux.OperationCreate}, Who: []string{"everyone"}, Channels: []string{"/news/secret/**"}},
		{Operations: []bayeux.Operation{bayeux.OperationPublish}, Who: []string{"user:anna"}, Channels: []string{"/news/{none}", "/news/x"}},
	}
	c := compile(t, rules...)
	anna := &bayeux.Subject{User: "anna", Claims: map[string]any{"sub": "anna"}, Subscribe: []string{"/own/*"}}
	tests := []struct {
		subject *bayeux.Subject
		op      bayeux.Operation
		channel string
		want    Explanation
	}{
		{anna, bayeux.OperationSubscribe, "/user/anna/inbox", Explanation{true, 1, "rule 2 allows it (p.yaml:5)", []Step{
			{"rule 1 (vip)", "p.yaml:2", "is for group:vip or user:root, and authenticated"},
			{"rule 2", "p.yaml:5", "allows"},
		}}},
		{anna, bayeux.OperationSubscribe, "/news/**", Explanation{false, 2, "rule 3 (secrets) denies it (p.yaml:9)", []Step{
			{"rule 1 (vip)", "p.yaml:2", "is for group:vip or user:root, and authenticated"},
			{"rule 2", "p.yaml:5", "not covered by /user/{sub}/** = /user/anna/**, /news/* does not cover all of /news/**"},
			{"rule 3 (secrets)", "p.yaml:9", "denies"},
		}}},
		{nil, bayeux.OperationSubscribe, "/user/anna/inbox", Explanation{false, -1, "no rule allows it", []Step{
			{"rule 1 (vip)", "p.yaml:2", "is for group:vip or user:root, and authenticated"},
			{"rule 2", "p.yaml:5", "/user/{sub}/** has no value here: {sub} is not one plain segment, not covered by /news/*"},
			{"rule 3 (secrets)", "p.yaml:9", "no overlap with /news/secret/**"},
		}}},
		{anna, bayeux.OperationSubscribe, "/own/x", Explanation{true, -1, "the credentials themselves grant it", []Step{
			{"rule 1 (vip)", "p.yaml:2", "is for group:vip or user:root, and authenticated"},
			{"rule 2", "p.yaml:5", "not covered by /user/{sub}/** = /user/anna/**, not covered by /news/*"},
			{"rule 3 (secrets)", "p.yaml:9", "no overlap with /news/secret/**"},
		}}},
		{anna, bayeux.OperationSubscribe, "/meta/connect", Explanation{false, -1, "meta channels are the protocol's, whatever the rules say", nil}},
		{anna, OperationHandshake, "", Explanation{true, -1, "no rule keeps anybody from a handshake", nil}},
		{anna, bayeux.OperationCreate, "/news/secret/**", Explanation{false, 2, "rule 3 (secrets) denies it (p.yaml:9)", []Step{{"rule 3 (secrets)", "p.yaml:9", "denies"}}}},
		{anna, bayeux.OperationCreate, "/news/x", Explanation{true, -1, "no rule denies the creation, and who may subscribe may create: rule 2 allows it (p.yaml:5)", []Step{{"rule 3 (secrets)", "p.yaml:9", "no overlap with /news/secret/**"}}}},
		{anna, bayeux.OperationCreate, "/x", Explanation{false, -1, "who may neither subscribe nor publish may not create", []Step{{"rule 3 (secrets)", "p.yaml:9", "no overlap with /news/secret/**"}}}},
		{anna, bayeux.OperationPublish, "/news/x", Explanation{true, 3, "rule 4 allows it", []Step{{"rule 4", "", "allows"}}}},
	}
	for _, tt := range tests {
		got, err := c.Explain(tt.subject, tt.op, tt.channel)
		require.NoError(t, err)
		require.Equal(t, tt.want, got, "%s %s", tt.op, tt.channel)
	}
	_, err := c.Explain(nil, bayeux.OperationPublish, "x")
	require.ErrorContains(t, err, `channel "x"`)
	_, err = c.Explain(nil, "read", "/x")
	require.ErrorContains(t, err, `operation "read"`)
}

func TestWarnings(t *testing.T) {
	sub, pub := bayeux.OperationSubscribe, bayeux.OperationPublish
	several := func(r Rule, who, all []string) Rule {
		r.Who, r.WhoAll = who, all
		return r
	}
	tests := []struct {
		name         string
		first, later Rule
		want         string
	}{
		{"same", allow(sub, "everyone", "/a"), allow(sub, "user:x", "/a"), "rule 2 never decides: rule 1 at a:1 comes first and matches all that it does"},
		{"wildcard", allow(sub, "everyone", "/a/**"), allow(sub, "group:x", "/a/b", "/a/*", "/a/{sub}/**"), "never decides"},
		{"parameter", allow(sub, "everyone", "/a/{sub}/**"), allow(sub, "everyone", "/a/{sub}/x"), "never decides"},
		{"other parameter", allow(sub, "everyone", "/a/{sub}/**"), allow(sub, "everyone", "/a/{user}/x"), ""},
		{"parameter and word", allow(sub, "everyone", "/a/x"), allow(sub, "everyone", "/a/{sub}"), ""},
		{"one channel is left", allow(sub, "everyone", "/a/**"), allow(sub, "everyone", "/a/b", "/b"), ""},
		{"narrower", allow(sub, "everyone", "/a/*"), allow(sub, "everyone", "/a/**"), ""},
		{"other operation", allow(sub, "everyone", "/a"), allow(pub, "everyone", "/a"), ""},
		{"other people", allow(sub, "user:x", "/a"), allow(sub, "user:y", "/a"), ""},
		{"users are authenticated", allow(sub, "authenticated", "/a"), allow(sub, "user:y", "/a"), "never decides"},
		{"groups need not be", allow(sub, "authenticated", "/a"), allow(sub, "group:y", "/a"), ""},
		{"all people", several(allow(sub, "", "/a"), []string{"anonymous", "authenticated"}, nil), allow(sub, "group:y", "/a"), "never decides"},
		{"some of them", several(allow(sub, "", "/a"), []string{"user:x", "user:y"}, nil), allow(sub, "user:y", "/a"), "never decides"},
		{"more of them", allow(sub, "user:y", "/a"), several(allow(sub, "", "/a"), []string{"user:x", "user:y"}, nil), ""},
		{"with a condition", several(allow(sub, "", "/a"), []string{"everyone"}, []string{"claim:mfa=true"}), allow(sub, "user:y", "/a"), ""},
		{"the same condition", several(allow(sub, "", "/a"), []string{"everyone"}, []string{"claim:mfa=true"}), several(allow(sub, "", "/a"), nil, []string{"claim:mfa=true", "user:y"}), "never decides"},
		{"by a condition", allow(sub, "group:x", "/a"), several(allow(sub, "", "/a"), nil, []string{"group:x", "user:y"}), "never decides"},
		{"denied before", deny(sub, "everyone", "/a/**"), allow(sub, "everyone", "/a/b"), "never decides"},
		{"denied a part", deny(sub, "everyone", "/a/b"), allow(sub, "everyone", "/a/**"), ""},
		{"too late", allow(sub, "everyone", "/a/**"), deny(sub, "everyone", "/a/b"), "rule 2 denies too late: rule 1 at a:1 comes first and allows it"},
		{"handshake", deny(OperationHandshake, "everyone"), allow(OperationHandshake, "user:x"), "never decides"},
		{"handshakes", deny(OperationHandshake, "user:x"), allow(OperationHandshake, "everyone"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.first.Source, tt.later.Source = "a:1", "a:2"
			w := compile(t, tt.first, tt.later).Warnings()
			if tt.want == "" {
				require.Empty(t, w)
				return
			}
			require.Len(t, w, 1)
			require.Equal(t, "a:2", w[0].Source)
			require.Equal(t, 1, w[0].Rule)
			require.Contains(t, w[0].Text, tt.want)
		})
	}
	require.Empty(t, compile(t, thousand()...).Warnings())
}
