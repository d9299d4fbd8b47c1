package attacks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rules are permissions as an operator would write them: one part of the tree
// is for those in a group, the rest is open, and channels of a user are his own.
const rules = `
permissions:
  - name: secrets are for operators
    allow: [subscribe, publish, create]
    who: group:operators
    channels: /secret/**
  - name: and for nobody else
    deny: [subscribe, publish, create]
    who: everyone
    channels: /secret/**
  - name: everybody has his own
    allow: [subscribe, publish, create]
    who: authenticated
    channels: /user/{user}/**
  - name: nobody has another's
    deny: [subscribe, publish, create]
    who: everyone
    channels: /user/**
  - name: the rest is open
    allow: [subscribe, publish]
    who: everyone
    channels: /**
`

const (
	deniedSubscribe = "403:denied_by_security_policy:subscribe_denied"
	deniedCreate    = "403:denied_by_security_policy:create_denied"
)

// permissionGroup is what is tried to get around permissions.
func permissionGroup() group {
	both := func(name, source, how string, e end, run func(*testing.T, *target) end) attack {
		return attack{name, source, how, e, e, run}
	}
	return group{name: "permissions", config: rules, attacks: []attack{
		both("wildcard-escalation", "wildcards around a rule", "wildcards that take in a forbidden part of the tree: /**, /*, /secret/**, /secret/*",
			fails("refused, each"), wildcards),
		both("names-that-become-others", "authorisation before canonicalisation", "a forbidden channel spelt otherwise: slashes at its end, empty segments, dots, escapes, case, look-alike letters",
			fails("refused, or another channel"), spelling),
		both("hidden-in-an-array", "checks of the first element only", "a forbidden channel behind a permitted one in an array of subscriptions",
			fails(deniedSubscribe), func(t *testing.T, g *target) end {
				t.Helper()
				a := g.victim(t, "").send(t, `[{"channel":"/meta/subscribe","clientId":"$","subscription":["/open","/secret/a"]}]`)
				return spoken(a.reason("/meta/subscribe"))
			}),
		both("endless-subscriptions", "no limit in CometD: 20,000 in 0.9 s", "one subscribe with an array of 12,000 channels",
			fails("403:subscriptions_limit:subscribe_denied"), func(t *testing.T, g *target) end {
				t.Helper()
				names := make([]string, 0, 12_000)
				for i := range cap(names) {
					names = append(names, fmt.Sprintf(`"/a/%d"`, i))
				}
				a := g.victim(t, "").send(t, `[{"channel":"/meta/subscribe","clientId":"$","subscription":[`+strings.Join(names, ",")+`]}]`)
				return spoken(a.reason("/meta/subscribe"))
			}),
		both("endless-channel", "memory by names", "channels of 20,000 characters, and of 10,000 segments",
			fails("405::channel_invalid"), func(t *testing.T, g *target) end {
				t.Helper()
				v := g.victim(t, "")
				long, deep := "/"+strings.Repeat("x", 20_000), strings.Repeat("/x", 10_000)
				require.Equal(t, v.publish(t, deep, "1"), v.publish(t, long, "1"))
				return spoken(v.publish(t, long, "1"))
			}),
		{
			"reader-that-does-not-read", "unbounded queues: maxQueue is -1 in CometD", "a subscriber never comes for its messages",
			fails("its session ends after 10,000 messages"), fails("its session ends after 1,000 messages"), func(t *testing.T, g *target) end {
				t.Helper()
				bound := map[string]int{"cometd": 10_000, "strict": 1_000}[g.posture]
				return deafEar(t, g, bound)
			},
		},
	}}
}

func wildcards(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	for _, channel := range []string{"/**", "/secret/**", "/secret/*", "/secret/a/**", "/user/*", "/user/**"} {
		if reason := v.subscribe(t, channel); reason != deniedSubscribe && reason != deniedCreate {
			return succeeds(channel + " " + reason)
		}
	}
	require.Empty(t, v.subscribe(t, "/open/**"))
	return fails("refused, each")
}

func spelling(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	for _, channel := range []string{"/secret/a", "/secret/a/", "/secret//a", "//secret/a", "/secret/a//", "/secret/a\x00", "\uff0fsecret\uff0fa"} {
		require.NotEmpty(t, v.publish(t, channel, `"gotcha"`), channel)
		require.NotEmpty(t, v.subscribe(t, channel), channel)
	}
	// These are channels of their own, below no rule for secrets.
	for _, channel := range []string{"/SECRET/a", "/secret.a", "/x/secret/a"} {
		require.Empty(t, v.publish(t, channel, `"gotcha"`), channel)
	}
	return fails("refused, or another channel")
}

func deafEar(t *testing.T, g *target, bound int) end {
	t.Helper()
	reader, v := g.victim(t, ""), g.victim(t, "")
	require.Empty(t, reader.connect(t).reason("/meta/connect"))
	require.Empty(t, v.connect(t).reason("/meta/connect"))
	require.Empty(t, reader.subscribe(t, "/open"))
	batch := "[" + strings.TrimSuffix(strings.Repeat(`{"channel":"/open","clientId":"$","data":1},`, 100), ",") + "]"
	for sent := 0; sent <= bound; sent += 100 {
		require.Empty(t, v.send(t, batch).reason("/open"))
	}
	if reason := reader.connect(t).reason("/meta/connect"); reason == "402::session_unknown" {
		return fails(fmt.Sprintf("its session ends after %d,000 messages", bound/1000))
	}
	return succeeds("more is kept for it")
}
