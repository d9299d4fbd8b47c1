package serve

import (
	"context"
	"net/http"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/auth"
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
type engine struct {
	*server.Server
	guard *auth.Extension // nil: nobody is authenticated
}

func buildEngine(c server.Config) (Engine, error) {
	s, err := server.New(c)
	if err != nil {
		return nil, err
	}
	guard, err := attachAuth(c, s)
	return engine{s, guard}, err
}

// Samples implements Engine.
func (e engine) Samples() []Sample {
	all := samplesOf(e.Stats())
	if e.guard != nil {
		all = append(all, authSamples(e.guard.Stats())...)
	}
	return all
}
