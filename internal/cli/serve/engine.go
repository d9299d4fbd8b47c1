package serve

import (
	"context"
	"net/http"

	"github.com/halleypush/halley/bayeux/server"
)

// Engine is what the program needs of the server.
type Engine interface {
	http.Handler
	// Shutdown answers held polls and closes the connections that the HTTP
	// server does not know of.
	Shutdown(ctx context.Context) error
	// Samples are the server's figures at this moment.
	Samples() []Sample
}

// Builder makes an Engine.
type Builder func(server.Config) (Engine, error)

// engine fits a server to Engine.
type engine struct{ *server.Server }

func buildEngine(c server.Config) (Engine, error) {
	s, err := server.New(c)
	if err != nil {
		return nil, err
	}
	return engine{s}, nil
}

// Samples implements Engine.
func (e engine) Samples() []Sample { return samplesOf(e.Stats()) }
