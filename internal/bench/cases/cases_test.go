package cases_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/bench/cases"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCasesAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases.All() {
		require.False(t, seen[c.ID], c.ID)
		seen[c.ID] = true
		require.NotEmpty(t, c.Title)
		require.NotEmpty(t, c.Metrics)
		c.Config.URL = "http://h/"
		require.NoError(t, c.Config.Check(), c.ID)
	}
}

// TestCasesRun makes each case small, in fake time.
func TestCasesRun(t *testing.T) {
	for _, c := range cases.All() {
		t.Run(c.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, c) })
		})
	}
}

func run(t *testing.T, c cases.Case) {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{ack.New()}})
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
	cfg := c.Quick().Config
	cfg.URL, cfg.PID = "http://server/cometd", os.Getpid()
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return memory.DialDistant(ctx, 5*time.Millisecond)
	}
	cfg.Clients, cfg.Deliveries = min(cfg.Clients, 20), min(cfg.Deliveries, 400)
	cfg.Warmup, cfg.Duration = 100*time.Millisecond, 200*time.Millisecond
	r, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, r.OK, r.Problems)
	for _, m := range c.Metrics {
		_, ok := m.Of(r)
		require.True(t, ok, m)
	}
}
