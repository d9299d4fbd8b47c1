package cases_test

import (
	"context"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/bench/cases"
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

// TestCasesRun makes each case, ten clients at a tenth of a second.
func TestCasesRun(t *testing.T) {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{ack.New()}})
	require.NoError(t, err)
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // at once
		_ = srv.Shutdown(ctx)
	}()
	s := httptest.NewServer(srv)
	defer s.Close()
	for _, c := range cases.All() {
		cfg := c.Quick().Config
		cfg.URL, cfg.PID = s.URL+"/cometd", os.Getpid()
		cfg.Clients, cfg.Deliveries = min(cfg.Clients, 100), min(cfg.Deliveries, 1000)
		cfg.Settle, cfg.Warmup, cfg.Duration = time.Millisecond, 20*time.Millisecond, 100*time.Millisecond
		cfg.Drain = 20 * time.Second
		r, err := bench.Run(t.Context(), cfg)
		require.NoError(t, err, c.ID)
		require.Zero(t, r.Lost, c.ID)
		require.Zero(t, r.Dropped, "%s: %v", c.ID, r.Problems)
		for _, m := range c.Metrics {
			_, ok := m.Of(r)
			require.True(t, ok, "%s: %s", c.ID, m)
		}
	}
}
