package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
)

// A server mounts on any router; the clients' suffixes (/cometd/handshake,
// /cometd/connect) reach it too.
func Example() {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{ack.New()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	_, _ = srv.Listen("/service/echo", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		return from.Deliver(ctx, m.Channel, m.Data)
	})

	r := chi.NewRouter()
	r.Mount("/cometd", srv)

	req := httptest.NewRequest(http.MethodPost, "/cometd/handshake", strings.NewReader(`[{"channel":"/meta/handshake"}]`))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"successful":true`))
	// Output: 200 true
}
