package main

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	bayeuxserver "github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/bench"
	command "github.com/halleypush/halley/internal/cli/bench"
	"github.com/halleypush/halley/internal/testkit"
)

// The generator understands each case, and each works when it is small, in fake
// time.
func TestCasesRun(t *testing.T) {
	loads := append(cases(), benchCase{Name: "warm-ws", Args: warmUps()[0]}, benchCase{Name: "warm-lp", Args: warmUps()[1]})
	for i := range loads {
		c := &loads[i]
		if c.Args == nil {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			var flags command.Command
			parser, err := kong.New(&flags)
			require.NoError(t, err)
			_, err = parser.Parse(append([]string{"http://server/cometd"}, c.Args...))
			require.NoError(t, err)
			require.Equal(t, c.find(), flags.FindMax)
			cfg, err := flags.Config()
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) { runSmall(t, cfg) })
		})
	}
}

func runSmall(t *testing.T, cfg bench.Config) {
	t.Helper()
	srv, err := bayeuxserver.New(bayeuxserver.Config{Extensions: []bayeux.Extension{ack.New()}})
	require.NoError(t, err)
	memory := testkit.Listen()
	s := &http.Server{Handler: srv}
	go func() { _ = s.Serve(memory) }() // ends with Close
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // at once
		_ = srv.Shutdown(ctx)
		_ = s.Close()
	}()
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return memory.DialDistant(ctx, 5*time.Millisecond)
	}
	cfg.Clients, cfg.Deliveries = min(cfg.Clients, 20), min(cfg.Deliveries, 400)
	cfg.Warmup, cfg.Duration = 100*time.Millisecond, 200*time.Millisecond
	r, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, r.OK, r.Problems)
}
