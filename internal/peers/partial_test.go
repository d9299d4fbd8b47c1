//go:build peers

package peers

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// attempt is an operation on a fixture; an empty error is success.
type attempt struct{ operation, channel, err string }

func fayeAttempts() []attempt {
	const policy, grant = "403:denied_by_security_policy:", "403:denied_by_not_granting:"
	return []attempt{
		{"subscribe", "denied/create", policy + "subscribe_denied"},
		{"publish", "denied/create/x", policy + "publish_denied"},
		{"subscribe", "denied/subscribe", policy + "subscribe_denied"},
		{"publish", "denied/subscribe", ""},
		{"subscribe", "denied/publish", ""},
		{"publish", "denied/publish", policy + "publish_denied"},
		{"publish", "veto", "404::message_deleted"},
		{"subscribe", "authorizer/ignore", grant + "subscribe_denied"},
		{"publish", "authorizer/deny", "403:fixture_denied:publish_denied"},
		{"subscribe", "authorizer/grant", ""},
		{"subscribe", "authorizer/both", "403:fixture_denied:subscribe_denied"},
		{"publish", "authorizer/subscribe", grant + "publish_denied"},
		{"publish", "authorizer/publish", ""},
		{"publish", "authorizer/wild/x", grant + "publish_denied"},
		{"publish", "authorizer/wild/open", ""},
	}
}

func nodeAttempts() []attempt {
	return []attempt{
		{"subscribe", "denied/create", "403::subscribe_denied"},
		{"publish", "denied/create/x", "403::channel_denied"},
		{"subscribe", "denied/subscribe", "403::subscribe_denied"},
		{"publish", "denied/subscribe", ""},
		{"publish", "denied/publish", "403::publish_denied"},
		{"publish", "veto", ""}, // it deletes the message and says that all is well
		{"publish", "extension/delete", "404::message_deleted"},
	}
}

// What Faye and the Node server have of the fixtures works.
func TestPartialFixtures(t *testing.T) {
	for name, attempts := range map[string][]attempt{"faye": fayeAttempts(), "cometd-nodejs": nodeAttempts()} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t, name, map[string]string{"fixtures": "true", "timeout": "5000"})
			s, _ := shake(t, p, msg{})
			s.done(s.connect(0))
			for _, a := range attempts {
				m := msg{"channel": "/fixture/" + a.channel, "data": 1}
				if a.operation == "subscribe" {
					m = msg{"channel": "/meta/subscribe", "subscription": "/fixture/" + a.channel}
				}
				reply, _ := s.send(m)
				require.Equal(t, a.err == "", reply["successful"], a)
				require.Equal(t, a.err, fmt.Sprint(or(reply["error"], "")), a)
			}
			partialServices(t, p, name)
			denied := &session{t: t, carrier: open(t, p, "long-polling")}
			reply, _ := denied.send(msg{
				"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"long-polling"},
				"ext": msg{"fixture": msg{"deny": true}},
			})
			require.Equal(t, "403::handshake_denied", reply["error"])
		})
	}
}

func partialServices(t *testing.T, p *Peer, name string) {
	t.Helper()
	s, _ := shake(t, p, msg{})
	s.done(s.connect(0))
	silent := msg{"channel": "/fixture/extension/noreply", "data": 1}
	reply, _ := s.send(silent)
	require.Nil(t, reply, "the reply is deleted")
	s.done(msg{"channel": "/meta/subscribe", "subscription": "/partial"})
	got := s.done(msg{"channel": "/service/fixture/publish", "data": msg{"channel": "/partial", "count": 3, "delayMs": 20}})
	want := []string{"/partial 1", "/partial 2", "/partial 3"}
	if name == "cometd-nodejs" {
		got = append(got, s.done(msg{"channel": "/service/fixture/deliver", "data": msg{"channel": "/own", "data": 4}})...)
		got = append(got, s.done(msg{"channel": "/service/fixture/echo", "data": 5})...)
		want = append(want, "/own 4", "/service/fixture/echo 5")
	}
	for tries := 0; len(got) < len(want) && tries < 5; tries++ {
		got = append(got, s.done(s.connect(2000))...)
	}
	var texts []string
	for _, m := range got {
		texts = append(texts, fmt.Sprint(m["channel"], " ", m["data"]))
	}
	require.ElementsMatch(t, want, texts)
}

func (s *session) connect(timeout int) msg {
	return msg{"channel": "/meta/connect", "connectionType": "long-polling", "advice": msg{"timeout": timeout}}
}

func or(value, standard any) any {
	if value == nil {
		return standard
	}
	return value
}
