package permissions_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/permissions"
	"github.com/halleypush/halley/internal/testkit"
)

// trusting believes whom a handshake says it is from, and /service/auth too,
// which it answers before the policy is asked, as extensions/auth does.
type trusting struct{}

func (trusting) Incoming(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
	if m.Channel != "/meta/handshake" && m.Channel != "/service/auth" {
		return nil
	}
	raw, ok := m.ExtMember("as")
	if !ok {
		return nil
	}
	var x bayeux.Subject
	if err := json.Unmarshal(raw, &x); err != nil {
		return err
	}
	s.(bayeux.Authentication).SetSubject(&x)
	if m.Channel == "/service/auth" {
		m.Reply().Succeed(true)
		return bayeux.Handled
	}
	return nil
}

func (trusting) Outgoing(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

func bubble(t *testing.T, rules []permissions.Rule, f func(t *testing.T, w *testkit.Wire, srv *server.Server, p *permissions.Policy)) {
	t.Helper()
	c, err := permissions.Compile(rules, permissions.Options{})
	require.NoError(t, err)
	p := permissions.New(permissions.Config{Rules: c})
	var srv *server.Server
	testkit.Bubble(t, func() (_ testkit.Engine, err error) {
		srv, err = server.New(server.Config{Policy: p, Extensions: []bayeux.Extension{trusting{}}})
		return srv, err
	}, func(t *testing.T, w *testkit.Wire) { f(t, w, srv, p) })
}

func on(op bayeux.Operation, who string, channels ...string) permissions.Rule {
	return permissions.Rule{Operations: []bayeux.Operation{op}, Who: []string{who}, Channels: channels}
}

// answer is the error of the reply to a message, empty where it succeeds.
func answer(t *testing.T, u *testkit.User, body string) string {
	t.Helper()
	for _, m := range u.Send(`[{"id":"1","clientId":"$",` + body + `}]`).Messages {
		if m["id"] != "1" { // a message that waited
			continue
		}
		text, _ := m["error"].(string)
		require.Equal(t, m["successful"] == true, text == "")
		return text
	}
	require.Fail(t, "no reply")
	return ""
}

func sub(t *testing.T, u *testkit.User, channel string) string {
	t.Helper()
	return answer(t, u, `"channel":"/meta/subscribe","subscription":"`+channel+`"`)
}

func pub(t *testing.T, u *testkit.User, channel string) string {
	t.Helper()
	return answer(t, u, `"channel":"`+channel+`","data":1`)
}

// How clients see it: [R-SB-8], [R-PB-2] literals, whether the channel exists or
// not, and a reason of the rule's.
func TestWire(t *testing.T) {
	const subscribeDenied, publishDenied = "403:denied_by_security_policy:subscribe_denied", "403:denied_by_security_policy:publish_denied"
	rules := []permissions.Rule{
		{Deny: true, Operations: []bayeux.Operation{bayeux.OperationSubscribe, bayeux.OperationPublish}, Who: []string{"everyone"}, Channels: []string{"/room/closed"}, Reason: "closed"},
		on(bayeux.OperationSubscribe, "everyone", "/room/*"),
		on(bayeux.OperationPublish, "authenticated", "/room/**", "/service/echo"),
		on(bayeux.OperationSubscribe, "everyone", "/user/{user}/**"),
		{Deny: true, Operations: []bayeux.Operation{bayeux.OperationCreate}, Who: []string{"everyone"}, Channels: []string{"/room/new"}},
	}
	bubble(t, rules, func(t *testing.T, w *testkit.Wire, srv *server.Server, _ *permissions.Policy) {
		anna, anonym := w.Hello(`"ext":{"as":{"user":"anna"}}`).Connect(), w.Hello().Connect()
		for range 2 { // the second time the channels exist
			require.Empty(t, sub(t, anonym, "/room/1"))
			require.Empty(t, pub(t, anna, "/room/1"))
			require.Equal(t, publishDenied, pub(t, anonym, "/room/1"))
			require.Equal(t, publishDenied, pub(t, anonym, "/room/2"))
			require.Equal(t, subscribeDenied, sub(t, anonym, "/other"))
			require.Equal(t, "403:closed:subscribe_denied", sub(t, anonym, "/**"))
			require.Equal(t, "403:closed:subscribe_denied", sub(t, anna, "/room/closed"))
			require.Equal(t, "403:closed:subscribe_denied", sub(t, anna, "/room/*"), "it would hear /room/closed")
			require.Equal(t, "403:closed:publish_denied", pub(t, anna, "/room/closed"))
			require.Empty(t, sub(t, anna, "/user/anna/**"))
			require.Equal(t, subscribeDenied, sub(t, anna, "/user/bob/x"))
			require.Equal(t, subscribeDenied, sub(t, anna, "/user/*"))
			require.Equal(t, subscribeDenied, sub(t, anna, "/user/{user}/x"), "a name like any other")
			require.Empty(t, pub(t, anna, "/service/echo"))
			require.Equal(t, publishDenied, pub(t, anonym, "/service/echo"))
			require.Equal(t, "403:denied_by_security_policy:create_denied", sub(t, anna, "/meta/x"))
			require.NoError(t, srv.Publish(t.Context(), "/other", 1))
		}
		require.Equal(t, "403:denied_by_security_policy:create_denied", sub(t, anna, "/room/new"))
		require.Equal(t, "403:denied_by_security_policy:channel_create_denied", pub(t, anna, "/room/new"))
		require.NoError(t, srv.Publish(t.Context(), "/room/new", 1))
		require.Empty(t, sub(t, anna, "/room/new"), "it exists now")
		require.Empty(t, answer(t, anonym, `"channel":"/service/auth","ext":{"as":{"user":"anonym"}}`), "no rule is about it")
		require.Empty(t, pub(t, anonym, "/room/1"))
	})
}

// Local sessions are not asked about, and a handshake may be refused.
func TestWireHandshake(t *testing.T) {
	rules := []permissions.Rule{on(permissions.OperationHandshake, "authenticated")}
	bubble(t, rules, func(t *testing.T, w *testkit.Wire, _ *server.Server, _ *permissions.Policy) {
		w.Hello(`"ext":{"as":{"user":"anna"}}`)
		reply := w.Post("", `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)
		require.Equal(t, "403::handshake_denied", reply.Messages[0]["error"])
		require.Equal(t, map[string]any{"reconnect": "none"}, reply.Messages[0]["advice"])
	})
}

// New rules end what they no longer allow, and a narrower subject does.
func TestWireReview(t *testing.T) {
	rules := []permissions.Rule{on(bayeux.OperationSubscribe, "everyone", "/a/*", "/b"), on(bayeux.OperationSubscribe, "group:g", "/c")}
	bubble(t, rules, func(t *testing.T, w *testkit.Wire, srv *server.Server, p *permissions.Policy) {
		u := w.Hello(`"ext":{"as":{"user":"anna","groups":["g"]}}`).Connect().Subscribe("/a/1").Subscribe("/b").Subscribe("/c")
		require.Zero(t, srv.Review(t.Context()))
		less, err := permissions.Compile([]permissions.Rule{on(bayeux.OperationSubscribe, "everyone", "/b"), rules[1]}, permissions.Options{})
		require.NoError(t, err)
		p.Replace(less)
		require.Equal(t, 1, srv.Review(t.Context()))
		require.Empty(t, srv.SubscribersOf("/a/1"))
		require.Len(t, srv.SubscribersOf("/b"), 1)
		require.Empty(t, answer(t, u, `"channel":"/service/auth","ext":{"as":{"user":"anna"}}`))
		require.Equal(t, 1, srv.Review(t.Context()))
		require.Empty(t, srv.SubscribersOf("/c"))
		require.Equal(t, "403:denied_by_security_policy:subscribe_denied", sub(t, u, "/c"))
	})
}
