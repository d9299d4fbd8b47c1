// Command halley is `halley serve` with the fixtures of docs/FIXTURES.md or, with
// --chat in front, its chat; its other flags are those of the command.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/cli/serve"
	"github.com/halleypush/halley/internal/peers/chat"
	"github.com/halleypush/halley/internal/peers/fixtures"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var all struct {
		Chat  bool          `help:"The chat in place of the fixtures."`
		Serve serve.Command `cmd:"" help:"Serve Bayeux clients, with fixtures."`
	}
	parser, err := kong.New(&all)
	if err != nil {
		return err
	}
	if _, err := parser.Parse(args); err != nil {
		return err
	}
	build := withFixtures
	if all.Chat {
		build = withChat
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	return all.Serve.Run(context.Background(), serve.Env{
		Lookup: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, Build: build,
	})
}

// engine is a server, and what has to end before it.
type engine struct {
	*server.Server
	end func()
}

func withFixtures(c server.Config) (serve.Engine, error) {
	f := fixtures.New()
	if err := f.Configure(&c); err != nil {
		return nil, err
	}
	srv, err := server.New(c)
	if err != nil {
		return nil, err
	}
	if err := f.Install(srv); err != nil {
		return nil, err
	}
	return engine{srv, f.Close}, nil
}

func withChat(c server.Config) (serve.Engine, error) {
	policy := bayeux.NewAuthorizers(c.Policy)
	c.Policy = policy
	srv, err := server.New(c)
	if err != nil {
		return nil, err
	}
	if err := chat.Install(srv, policy); err != nil {
		return nil, err
	}
	return engine{srv, func() {}}, nil
}

// Samples implements serve.Engine: nobody measures this server.
func (engine) Samples() []serve.Sample { return nil }

// Shutdown implements serve.Engine.
func (e engine) Shutdown(ctx context.Context) error {
	e.end()
	return e.Server.Shutdown(ctx)
}
