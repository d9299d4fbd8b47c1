package auth_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/auth"
)

func newHook(t *testing.T, s *site, c auth.HookConfig) *auth.Hook {
	t.Helper()
	c.URL, c.Client = "https://hook.example/auth?key=x", &http.Client{Transport: s}
	h, err := auth.NewHook(c)
	require.NoError(t, err)
	return h
}

// What the service is asked, and what becomes of its answer.
func TestHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		s := &site{body: `{"user":"alice","groups":"a b","subscribe":["/a/**"],"claims":{"room":"7"},"ttl":60,"id":"t1"}`}
		h := newHook(t, s, auth.HookConfig{Headers: []string{"cookie", "X-None"}, Secret: "psst"})
		request := &bayeux.Request{
			URL: "/cometd/handshake?token=hidden", Header: http.Header{"Cookie": {"a=b"}, "Authorization": {"Bearer t"}}, Secure: true,
			Remote: netip.MustParseAddrPort("9.8.7.6:5"),
		}
		subject, err := h.Authenticate(t.Context(), &auth.Credentials{Token: "t", Request: request})
		require.NoError(t, err)
		require.Equal(t, &bayeux.Subject{
			User: "alice", Groups: []string{"a", "b"}, Subscribe: []string{"/a/**"}, Claims: map[string]any{"room": "7"},
			Token: "t1", Expires: now.Add(time.Minute), Issued: now,
		}, subject)
		require.JSONEq(t, `{"token":"t","address":"9.8.7.6","url":"/cometd/handshake","secure":true,"headers":{"Cookie":["a=b"]}}`, s.sent)
		require.Equal(t, http.MethodPost, s.seen.Method)
		require.Equal(t, "application/json", s.seen.Header.Get("Content-Type"))
		require.Equal(t, "Bearer psst", s.seen.Header.Get("Authorization"))
		_, err = h.Authenticate(t.Context(), &auth.Credentials{Token: "t", Request: request, Refresh: true})
		require.NoError(t, err)
		require.Contains(t, s.sent, `"refresh":true`)
		require.Equal(t, 2, s.asked, "nothing is kept")

		for name, c := range map[string]*auth.Credentials{
			"nothing":             {},
			"none of the headers": {Request: &bayeux.Request{Header: http.Header{"Authorization": {"x"}}}},
			"a refresh without":   {Request: request, Refresh: true},
		} {
			subject, err = h.Authenticate(t.Context(), c)
			require.NoError(t, err, name)
			require.Nil(t, subject, name)
		}
		_, err = h.Authenticate(t.Context(), &auth.Credentials{Request: &bayeux.Request{Header: http.Header{"Cookie": {strings.Repeat("c", 17<<10)}}}})
		require.Equal(t, auth.Invalid, outcome(err))
		require.Equal(t, 2, s.asked)

		s.body = `{"user":"bob"}`
		subject, err = h.Authenticate(t.Context(), &auth.Credentials{Token: "t"})
		require.NoError(t, err)
		require.Equal(t, &bayeux.Subject{User: "bob", Token: sum256("t"), Issued: now}, subject)
	})
}

// All that is no good answer refuses.
func TestHookFails(t *testing.T) {
	for name, c := range map[string]struct {
		site site
		want auth.Outcome
	}{
		"401":              {site{status: 401}, auth.Invalid},
		"403":              {site{status: 403}, auth.Invalid},
		"500":              {site{status: 500, body: `{"user":"alice"}`}, auth.Unavailable},
		"201":              {site{status: 201, body: `{"user":"alice"}`}, auth.Unavailable},
		"a redirect":       {site{status: 302, body: `{"user":"alice"}`}, auth.Unavailable},
		"no connection":    {site{err: errors.New("refused")}, auth.Unavailable},
		"too late":         {site{delay: 3 * time.Second, body: `{"user":"alice"}`}, auth.Unavailable},
		"a page":           {site{kind: "text/html", body: `{"user":"alice"}`}, auth.Unavailable},
		"no JSON":          {site{body: `x`}, auth.Unavailable},
		"nothing":          {site{}, auth.Unavailable},
		"nobody":           {site{body: `{}`}, auth.Unavailable},
		"an empty user":    {site{body: `{"user":""}`}, auth.Unavailable},
		"user twice":       {site{body: `{"user":"a","user":"b"}`}, auth.Unavailable},
		"user is a number": {site{body: `{"user":1}`}, auth.Unavailable},
		"wrong channel":    {site{body: `{"user":"a","publish":"x"}`}, auth.Unavailable},
		"wrong claims":     {site{body: `{"user":"a","claims":[]}`}, auth.Unavailable},
		"wrong ttl":        {site{body: `{"user":"a","ttl":"60"}`}, auth.Unavailable},
		"no ttl":           {site{body: `{"user":"a","ttl":0}`}, auth.Unavailable},
		"over":             {site{body: `{"user":"a","expires":1}`}, auth.Unavailable},
		"wrong id":         {site{body: `{"user":"a","id":1}`}, auth.Unavailable},
		"too much":         {site{body: `{"user":"a","x":"` + strings.Repeat("x", 64<<10) + `"}`}, auth.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHook(t, &c.site, auth.HookConfig{})
				subject, err := judge(t, h, "t")
				require.Equal(t, c.want, outcome(err), "%v", err)
				require.Nil(t, subject)
				require.NotContains(t, err.Error(), "key=x")
				require.EqualValues(t, 1, h.Latency().Count)
				require.Equal(t, c.want == auth.Unavailable, h.Latency().Failed == 1)
				synctest.Wait()
			})
		})
	}
	s := &site{status: 204}
	subject, err := judge(t, newHook(t, s, auth.HookConfig{}), "t")
	require.NoError(t, err)
	require.Nil(t, subject)
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Questions at a time are bounded; who waits too long for a turn is refused.
func TestHookTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		each := roundTrip(func(r *http.Request) (*http.Response, error) {
			s := site{body: `{"user":"alice"}`, delay: 1500 * time.Millisecond}
			return s.RoundTrip(r)
		})
		h, err := auth.NewHook(auth.HookConfig{URL: "https://hook.example/auth", Concurrency: 2, Client: &http.Client{Transport: each}})
		require.NoError(t, err)
		results := make(chan auth.Outcome, 5)
		for range 5 {
			go func() {
				_, err := judge(t, h, "t")
				results <- outcome(err)
			}()
		}
		count := map[auth.Outcome]int{}
		for range 5 {
			count[<-results]++
		}
		require.Equal(t, map[auth.Outcome]int{"": 2, auth.Unavailable: 3}, count)
	})
}

// Answers that accept are kept as long as they say, if that is wanted.
func TestHookCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{body: `{"user":"alice"}`}
		h := newHook(t, s, auth.HookConfig{Cache: time.Minute})
		for range 3 {
			_, err := judge(t, h, "t")
			require.NoError(t, err)
		}
		require.Equal(t, 1, s.asked)
		_, err := judge(t, h, "other")
		require.NoError(t, err)
		require.Equal(t, 2, s.asked)
		time.Sleep(time.Minute)
		s.status = 401
		for range 2 {
			_, err = judge(t, h, "t")
			require.Error(t, err)
		}
		require.Equal(t, 4, s.asked, "a refusal is not kept")
		s.status, s.body = 200, `{"user":"alice","ttl":10}`
		_, err = judge(t, h, "t")
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		_, err = judge(t, h, "t")
		require.NoError(t, err)
		require.Equal(t, 6, s.asked, "no longer than the answer holds")
	})
}

// JWT, and the service for tokens that are none; a header of a proxy where
// there is no token.
func TestChain(t *testing.T) {
	s := &site{body: `{"user":"bob"}`}
	config := auth.Config{Methods: []auth.Method{
		newJWT(t, auth.JWTConfig{Opaque: true}), newHook(t, s, auth.HookConfig{}), auth.ProxyHeader{User: "X-User"},
	}}
	bubble(t, config, trustAll, func(t *testing.T, r *rig) {
		user := func(c *client) string {
			s, _ := r.srv.Session(c.id)
			return s.User()
		}
		header := http.Header{"X-User": {"carol"}}
		require.Equal(t, "alice", user(r.client("long-polling", header).hello(mint(t, nil))))
		require.Zero(t, s.asked)
		opaque := r.client("long-polling", header).hello("opaque")
		require.Equal(t, "bob", user(opaque))
		require.Equal(t, "carol", user(r.client("long-polling", header).hello("")))
		r.client("long-polling", header).bad(meta+"handshake", withToken("a.b.c"), "401::token_invalid")
		opaque.good(channel, refresh("other"))
		r.revoke(auth.Target{Token: sum256("other")}, 1)
		s.status = 500
		m := r.client("long-polling", header).bad(meta+"handshake", withToken("opaque"), "401::token_unavailable")
		sameJSON(t, `{"reconnect":"handshake","interval":10000}`, m["advice"])
		s.status = 204
		r.client("long-polling", nil).bad(meta+"handshake", withToken("opaque"), "401::token_invalid")
	})
}
