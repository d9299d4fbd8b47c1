package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// readOnly lets clients listen, and only the server speak.
type readOnly struct{ bayeux.DefaultPolicy }

func (readOnly) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	if ch.IsBroadcast() {
		return bayeux.Deny("read_only")
	}
	return nil
}

// A policy refuses with a reason that clients see.
func ExampleConfig_policy() {
	srv, err := server.New(server.Config{Policy: readOnly{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	say := func(body string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(body))
		r.Header.Set("Cookie", "BAYEUX_BROWSER=example")
		srv.ServeHTTP(w, r)
		return w.Body.String()
	}
	_, rest, _ := strings.Cut(say(`{"channel":"/meta/handshake"}`), `"clientId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	fmt.Println(say(`{"channel":"/news","clientId":"` + id + `","data":1}`))
	// Output: [{"channel":"/news","successful":false,"error":"403:read_only:publish_denied"}]
}

// Options have the names that CometD gives them.
func ExampleOptions() {
	_, err := server.New(server.Config{Options: server.Options{
		"timeout":              "30s",
		"ws.timeout":           "60000",
		"browserCookieSameSit": "Lax",
	}})
	fmt.Println(err)
	// Output: configure the server: option "browserCookieSameSit" is unknown; the nearest is "browserCookieSameSite"
}

// Server code publishes to channels, and answers on service channels.
func ExampleServer_Listen() {
	srv, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	remove, err := srv.Listen("/news/*", func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
		fmt.Println(m.Channel, string(m.Data), "from a client:", from != nil)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer remove()
	fmt.Println(srv.Publish(context.Background(), "/news/today", "fine weather"))
	fmt.Println(srv.Publish(context.Background(), "/news/*", "to a pattern"))
	// Output:
	// /news/today "fine weather" from a client: false
	// <nil>
	// publish to "/news/*": not a broadcast channel
}

// A channel's properties; lazy messages wait for company.
func ExampleServer_Configure() {
	srv, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	err = srv.Configure("/statistics/**", server.ChannelOptions{Persistent: true, Lazy: true})
	fmt.Println(err, srv.HasChannel("/statistics/**"), srv.Subscribers("/statistics/**"))
	// Output: <nil> true 0
}
