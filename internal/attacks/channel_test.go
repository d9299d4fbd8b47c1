package attacks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// channelGroup is what is tried with channels by somebody who is nobody, where
// the operator has said nothing of permissions.
func channelGroup() group {
	const uncreated = "403:denied_by_security_policy:create_denied"
	return group{name: "channels", attacks: []attack{
		{
			"listen-to-all", "CometD allows it to anyone", "an anonymous client subscribes to /**",
			succeeds("every message"), fails(uncreated), func(t *testing.T, g *target) end {
				t.Helper()
				return listen(t, g, "every message", "/**")
			},
		},
		{
			"anonymous-subscribe", "CometD allows it to anyone", "an anonymous client subscribes to a channel",
			succeeds("its messages"), fails(uncreated), func(t *testing.T, g *target) end {
				t.Helper()
				return listen(t, g, "its messages", "/stock/GOOG")
			},
		},
		{
			"anonymous-publish", "CometD allows it to anyone", "an anonymous client publishes",
			succeeds("published"), fails("403:denied_by_security_policy:channel_create_denied"), func(t *testing.T, g *target) end {
				t.Helper()
				return spoken(g.victim(t, "").publish(t, "/stock/GOOG", "0"))
			},
		},
		{
			"cluster-channels", "CVE-2022-24721", "a client speaks on the channels of CometD's clusters, /oort and /seti",
			succeeds("published, to nobody: nothing internal is on a channel here"), fails("403:denied_by_security_policy:channel_create_denied"), func(t *testing.T, g *target) end {
				t.Helper()
				e := spoken(g.victim(t, "").publish(t, "/oort/cluster", `{}`))
				if e.succeeds {
					e.sees += ", to nobody: nothing internal is on a channel here"
				}
				return e
			},
		},
		{
			"look-alike-meta", "CVE-2020-11020 (Faye)", "subscriptions and publications on channels that only begin like meta channels get around extensions and policy",
			fails("refused, each"), fails("refused, each"), lookAlike,
		},
		{
			"other-sessions-service", "private channels", "a client subscribes to a service channel to hear what others say to the server",
			fails("hears nothing"), fails("hears nothing"), eavesdrop,
		},
	}}
}

func listen(t *testing.T, g *target, sees, channel string) end {
	t.Helper()
	if reason := g.victim(t, "").subscribe(t, channel); reason != "" {
		return fails(reason)
	}
	return succeeds(sees)
}

func spoken(reason string) end {
	if reason != "" {
		return fails(reason)
	}
	return succeeds("published")
}

func lookAlike(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	for _, channel := range []string{
		"/meta/subscribe/x", "/meta/connect/x", "/meta/handshake/x", "/meta/foo", "/meta/publish", "/meta/*", "/meta/**", "/meta/subscribe/",
	} {
		a := v.send(t, `[{"channel":"`+channel+`","clientId":"$","subscription":"/secret","data":1}]`)
		require.NotContains(t, a.body, `"successful":true`, channel)
		require.NotEmpty(t, v.subscribe(t, channel), channel)
	}
	return fails("refused, each")
}

func eavesdrop(t *testing.T, g *target) end {
	t.Helper()
	thief, v := g.victim(t, ""), g.victim(t, "")
	_ = thief.subscribe(t, "/service/*")
	_ = thief.subscribe(t, "/service/login")
	_ = v.publish(t, "/service/login", `"password"`)
	if strings.Contains(thief.connect(t).body, "password") {
		return succeeds("hears it")
	}
	return fails("hears nothing")
}
