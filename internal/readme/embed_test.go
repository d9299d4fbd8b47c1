package readme

import (
	"context"
	"log"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
)

// The program that README.md shows; here it is compiled.
var _ = main

func main() {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{ack.New()}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = srv.Listen("/service/echo", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		return from.Deliver(ctx, m.Channel, m.Data)
	})
	if err != nil {
		log.Fatal(err)
	}
	r := chi.NewRouter()
	r.Mount("/cometd", srv)
	log.Fatal(http.ListenAndServe("localhost:8080", r))
}
