package migration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// members is a SecurityPolicy: who has no password stays outside, and only the
// server publishes news.
type members struct {
	bayeux.DefaultPolicy
	passwords map[string]string
}

func (p members) CanHandshake(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
	var claim struct{ User, Password string }
	raw, _ := m.ExtMember("authentication")
	if err := json.Unmarshal(raw, &claim); err != nil || claim.Password == "" || p.passwords[claim.User] != claim.Password {
		return &bayeux.Error{
			Args: "who_are_you", // 403:who_are_you:handshake_denied
			Ext:  bayeux.Raw(`{"authentication":{"failed":true}}`),
			Advice: &bayeux.Advice{
				Reconnect: bayeux.ReconnectHandshake, // without it: none
			},
		}
	}
	if id, ok := s.(bayeux.Identity); ok {
		id.SetUser(claim.User)
	}
	return nil
}

func (members) CanSubscribe(_ context.Context, s bayeux.Session, p channels.Pattern, _ *bayeux.Message) error {
	if p.Matches("/private/x") && s.User() != "admin" {
		return bayeux.Deny("members_only")
	}
	return nil
}

func (members) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	if ch == "/news" {
		return bayeux.Deny("read_only")
	}
	return nil
}

// A security policy with authentication in the handshake.
func Example_securityPolicy() {
	srv, err := server.New(server.Config{Policy: members{passwords: map[string]string{"ann": "secret"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	stranger := page{server: srv, cookie: "a=b", header: http.Header{}}
	fmt.Println(stranger.say(`{"channel":"/meta/handshake"}`))
	p := open(srv, `,"ext":{"authentication":{"user":"ann","password":"secret"}}`)
	fmt.Println(len(srv.SessionsOf("ann")))
	fmt.Println(p.publish("/news", `1`))
	fmt.Println(p.subscribe("/private/**"))
	// Output:
	// [{"channel":"/meta/handshake","successful":false,"error":"403:who_are_you:handshake_denied","advice":{"reconnect":"handshake"},"ext":{"authentication":{"failed":true}}}]
	// 1
	// [{"channel":"/news","id":"1","successful":false,"error":"403:read_only:publish_denied"}]
	// [{"channel":"/meta/subscribe","subscription":"/private/**","successful":false,"error":"403:members_only:subscribe_denied"}]
}

// Authorizers on channels: without a grant nothing goes below /game, GRANT_NONE
// on /game/** in CometD.
func Example_authorizers() {
	policy := bayeux.NewAuthorizers(bayeux.DefaultPolicy{})
	_, _ = policy.Add("/game/**", bayeux.GrantOnly())
	_, _ = policy.Add("/game/lobby", bayeux.GrantOnly(bayeux.OperationSubscribe))
	remove, _ := policy.Add("/game/lobby", bayeux.GrantOnly(bayeux.OperationPublish))
	srv, err := server.New(server.Config{Policy: policy})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	p := open(srv, "")
	fmt.Println(p.subscribe("/game/lobby"))
	remove()
	fmt.Println(p.publish("/game/lobby", `1`))
	fmt.Println(p.publish("/game/7", `1`))
	// Output:
	// [{"channel":"/meta/subscribe","subscription":"/game/lobby","successful":true}]
	// [{"channel":"/game/lobby","id":"1","successful":false,"error":"403:denied_by_not_granting:publish_denied"}]
	// [{"channel":"/game/7","id":"1","successful":false,"error":"403:denied_by_not_granting:channel_create_denied"}]
}

// What BayeuxContext told of the request; for a WebSocket, of its upgrade.
func Example_context() {
	srv, stop := started()
	defer stop()

	_, _ = srv.Listen("/service/who", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		r := bayeux.RequestFrom(ctx) // nil for what the server itself sends
		theme, _ := r.Cookie("theme")
		fmt.Println(r.Method, r.URL, r.Proto, r.Secure)
		fmt.Println(r.Header.Get("Accept-Language"), theme)
		fmt.Println(r.Remote.Addr(), r.Principal == "", r.TLS == nil)
		return nil
	})
	p := open(srv, "")
	p.cookie += "; theme=dark"
	p.header.Set("Accept-Language", "eo")
	p.publish("/service/who", `1`)
	// Output:
	// POST /cometd HTTP/1.1 false
	// eo dark
	// 192.0.2.1 true true
}

// signIn is middleware: a servlet filter, or the container's login. On requests
// that it lets through it names the user.
func signIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok || password != "secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(bayeux.WithPrincipal(r.Context(), user)))
	})
}

// named makes the principal of the request the user of the session.
type named struct{ bayeux.DefaultPolicy }

func (named) CanHandshake(ctx context.Context, s bayeux.Session, _ *bayeux.Message) error {
	if id, ok := s.(bayeux.Identity); ok {
		id.SetUser(bayeux.RequestFrom(ctx).Principal)
	}
	return nil
}

// getUserPrincipal: a filter in front of the server has authenticated the user.
func Example_principal() {
	srv, err := server.New(server.Config{Policy: named{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	p := page{server: signIn(srv), header: http.Header{}}
	fmt.Print(p.say(`{"channel":"/meta/handshake"}`))
	p.header.Set("Authorization", "Basic YW5uOnNlY3JldA==") // ann:secret
	p.say(`{"channel":"/meta/handshake"}`)
	fmt.Println(srv.Users())
	// Output:
	// who are you?
	// [ann]
}
