package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// ruled is a change that sets the policy.
func ruled(p bayeux.Policy) func(*server.Config) { return func(c *server.Config) { c.Policy = p } }

// How the refusals of a policy read on the wire ([R-SB-8], [R-SB-9], [R-PB-2],
// [R-HS-10]), and that they may carry advice and ext ([R-SP-2]). Errors that
// are none of the protocol's refuse too.
func TestPolicyRefusals(t *testing.T) {
	const hs = `"channel":"/meta/handshake","id":"s"`
	const sub = `"channel":"/meta/subscribe","id":"s","subscription":"/a"`
	const pub = `"channel":"/a","id":"p"`
	refusals := []struct {
		name     string
		err      error
		texts    map[string]string // by operation; "" for all others
		addition string
	}{
		{"reason", bayeux.Deny("too_young"), map[string]string{
			"handshake": "403:too_young:handshake_denied", "subscribe": "403:too_young:subscribe_denied",
			"create": "403:too_young:create_denied", "publish": "403:too_young:publish_denied", "first": "403:too_young:channel_create_denied",
		}, ""},
		{"by policy", bayeux.Deny(bayeux.ReasonSecurityPolicy), map[string]string{
			"handshake": "403:denied_by_security_policy:handshake_denied", "subscribe": "403:denied_by_security_policy:subscribe_denied",
			"create": "403:denied_by_security_policy:create_denied", "publish": "403:denied_by_security_policy:publish_denied",
			"first": "403:denied_by_security_policy:channel_create_denied",
		}, ""},
		{"not granting", bayeux.Deny(bayeux.ReasonNotGranting), map[string]string{
			"handshake": "403:denied_by_not_granting:handshake_denied", "subscribe": "403:denied_by_not_granting:subscribe_denied",
			"create": "403:denied_by_not_granting:create_denied", "publish": "403:denied_by_not_granting:publish_denied",
			"first": "403:denied_by_not_granting:channel_create_denied",
		}, ""},
		{"whole", &bayeux.Error{Code: 401, Args: "x", Text: "log_in"}, map[string]string{"": "401:x:log_in"}, ""},
		{
			"with more", &bayeux.Error{Code: 401, Text: "log_in", Ext: bayeux.Raw(`{"login":"/here"}`), Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake}},
			map[string]string{"": "401::log_in"},
			`,"ext":{"login":"/here"},"advice":{"reconnect":"handshake"}`,
		},
		{"broken", errors.New("the database is down"), map[string]string{
			"handshake": "403::handshake_denied", "subscribe": "403:denied_by_security_policy:subscribe_denied",
			"create": "403:denied_by_security_policy:create_denied", "publish": "403:denied_by_security_policy:publish_denied",
			"first": "403:denied_by_security_policy:channel_create_denied",
		}, ""},
	}
	for _, c := range refusals {
		text := func(operation string) string {
			if s, ok := c.texts[operation]; ok {
				return `,"successful":false,"error":"` + s + `"` + c.addition
			}
			return `,"successful":false,"error":"` + c.texts[""] + `"` + c.addition
		}
		err := func(bayeux.Session) error { return c.err }
		t.Run(c.name, func(t *testing.T) {
			bubble(t, ruled(policyFuncs{handshake: func(context.Context) error { return c.err }}), func(t *testing.T, r *rig) {
				want := text("handshake")
				if c.addition == "" {
					want += `,"advice":{"reconnect":"none"}`
				}
				reply := r.Post("", `[{"channel":"/meta/handshake","id":"s"}]`)
				same(t, `[{`+hs+want+`}]`, reply.Messages)
				require.Empty(t, reply.Header.Get("Set-Cookie"))
				require.Empty(t, r.srv.Sessions())
				require.EqualValues(t, 1, r.stats().HandshakesRefused)
			})
			bubble(t, ruled(policyFuncs{create: err}), func(t *testing.T, r *rig) {
				u := r.hello("")
				same(t, `[{`+sub+text("create")+`}]`, u.send(subscribing("subscribe", `"/a"`)).Messages)
				same(t, `[{`+pub+text("first")+`}]`, u.publish("/a", "1").Messages)
				require.False(t, r.srv.HasChannel("/a"))
			})
			bubble(t, ruled(policyFuncs{subscribe: err, publish: err}), func(t *testing.T, r *rig) {
				u := r.hello("")
				same(t, `[{`+sub+text("subscribe")+`}]`, u.send(subscribing("subscribe", `"/a"`)).Messages)
				same(t, `[{`+pub+text("publish")+`}]`, u.publish("/a", "1").Messages)
				require.Zero(t, r.stats().Subscriptions)
				require.EqualValues(t, 2, r.stats().Denied)
			})
		})
	}
}

// The default policy allows all but meta channels ([R-SP-1]).
func TestDefaultPolicy(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("")
		for _, ch := range []string{"/a", "/a/b/c", "/**", "/service/x"} {
			u.subscribe(ch)
			require.Contains(t, u.publish(ch, "1").Body, `"successful":true`, ch)
		}
		require.Contains(t, u.publish("/meta/y", "1").Body, "403:denied_by_security_policy:channel_create_denied")
		require.NotContains(t, u.publish("/meta/connect/x", "1").Body, `"successful":true`)
	})
}

// A policy may attach a user at the handshake and decide by it later; its
// context has the request.
func TestPolicyKnowsUser(t *testing.T) {
	var mu sync.Mutex
	var users []string
	remember := policyFuncs{publish: func(s bayeux.Session) error {
		mu.Lock()
		defer mu.Unlock()
		users = append(users, s.User())
		return nil
	}}
	login := bayeux.Funcs{In: func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		if m.Channel != "/meta/handshake" {
			return nil
		}
		id, ok := from.(bayeux.Identity)
		if !ok || bayeux.RequestFrom(ctx) == nil {
			return errors.New("no identity")
		}
		id.SetUser("ann")
		return nil
	}}
	bubble(t, func(c *server.Config) {
		c.Policy = remember
		c.Extensions = append(c.Extensions, login)
	}, func(t *testing.T, r *rig) {
		u := r.hello("")
		u.publish("/a", "1")
		require.Equal(t, []string{"ann"}, users)
		s, _ := r.srv.Session(u.id)
		require.Equal(t, "ann", s.User())
	})
}

// The server's own messages are not asked about ([R-SP-1]: local sessions may
// do all).
func TestPolicyIsForClients(t *testing.T) {
	no := func(bayeux.Session) error { return bayeux.Deny("no") }
	allow := true
	p := policyFuncs{create: func(s bayeux.Session) error {
		if allow {
			return nil
		}
		return no(s)
	}, publish: no}
	bubble(t, ruled(p), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		allow = false
		r.publish("/a", 1)
		r.publish("/new", 1)
		same(t, `[{"channel":"/a","data":1}]`, u.inbox())
	})
}
