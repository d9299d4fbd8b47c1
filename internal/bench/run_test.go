package bench_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler is a Bayeux server; it ends with the test.
func handler(t *testing.T, config server.Config) http.Handler {
	t.Helper()
	srv, err := server.New(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // at once
		_ = srv.Shutdown(ctx)
	})
	return srv
}

// listen serves on loopback.
func listen(t *testing.T, config server.Config) string {
	t.Helper()
	s := httptest.NewServer(handler(t, config))
	t.Cleanup(s.Close)
	return s.URL + "/cometd"
}

// inBubble runs f beside a server in memory, in fake time: what is asked for a
// second is done in it, however slow the machine is.
func inBubble(t *testing.T, config server.Config, f func(t *testing.T, cfg bench.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory := testkit.Listen()
		s := &http.Server{Handler: handler(t, config)}
		go func() { _ = s.Serve(memory) }() // ends with Close
		defer s.Close()
		cfg := short("http://server/cometd")
		cfg.Rate = 200
		cfg.Duration = 500 * time.Millisecond
		cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return memory.DialDistant(ctx, time.Millisecond)
		}
		f(t, cfg)
	})
}

// short is a configuration that takes a fifth of a second.
func short(url string) bench.Config {
	return bench.Config{
		URL: url, Clients: 6, Rooms: 3, Subscriptions: 2, Publishers: 2, Rate: 300, Batch: 2,
		Settle: 5 * time.Millisecond, Warmup: 50 * time.Millisecond, Duration: 150 * time.Millisecond,
		Interval: 50 * time.Millisecond, Drain: time.Minute, Timeout: time.Minute, P99: time.Minute,
	}
}

// checkFanout requires that every message came once and in order to 6 clients,
// each in 2 of 3 rooms. The rate of
// arrival and the generator's share depend on the machine, and are not asked.
func checkFanout(t *testing.T, r *bench.Result) {
	t.Helper()
	require.NotZero(t, r.Published)
	require.Equal(t, r.Expected, 4*r.Published)
	require.Equal(t, r.Expected, r.Delivered, r.Problems)
	require.Zero(t, r.Lost)
	require.Zero(t, r.Duplicates)
	require.Zero(t, r.Reordered)
	require.Zero(t, r.Dropped, r.Problems)
	require.Positive(t, r.Latency.P50)
	require.LessOrEqual(t, r.Latency.P50, r.Latency.Max)
	require.NotEmpty(t, r.Samples)
}

func transports() []string {
	return []string{bench.WebSocket, bench.LongPolling, bench.CallbackPolling}
}

func TestFanout(t *testing.T) {
	config := server.Config{Extensions: []bayeux.Extension{ack.New()}}
	for _, transport := range transports() {
		for name, change := range map[string]func(*bench.Config){
			"plain": func(*bench.Config) {},
			"ack":   func(c *bench.Config) { c.Ack = true },
			"mixed": func(c *bench.Config) { c.PublishTransport = bench.LongPolling; c.ConnectRate = 1000 },
		} {
			t.Run(transport+"/"+name, func(t *testing.T) {
				inBubble(t, config, func(t *testing.T, cfg bench.Config) {
					cfg.Transport = transport
					change(&cfg)
					r, err := bench.Run(t.Context(), cfg)
					require.NoError(t, err)
					checkFanout(t, r)
					require.True(t, r.OK, r.Problems)
					require.Equal(t, 8, r.Sessions)
					require.EqualValues(t, 100, r.Published)
					require.InDelta(t, 800, r.Offered, 0.1)
					require.InDelta(t, 800, r.Rate, 40)
					require.GreaterOrEqual(t, r.Latency.P50, 0.99, "the way to the server takes a millisecond")
				})
			})
		}
	}
}

// TestSockets makes the same runs through the kernel.
func TestSockets(t *testing.T) {
	url := listen(t, server.Config{})
	for _, transport := range transports() {
		for _, portable := range []bool{false, true} {
			cfg := short(url)
			cfg.Transport, cfg.Portable = transport, portable
			r, err := bench.Run(t.Context(), cfg)
			require.NoError(t, err)
			checkFanout(t, r)
		}
	}
	for _, change := range []func(*bench.Config){
		func(c *bench.Config) { c.Mode, c.Transport = bench.Churn, bench.LongPolling },
		func(c *bench.Config) { c.Mode = bench.Churn },
		func(c *bench.Config) { c.Mode, c.Window = bench.Acks, 8 },
		func(c *bench.Config) { c.Mode = bench.Idle },
	} {
		cfg := short(url)
		change(&cfg)
		r, err := bench.Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Zero(t, r.Dropped, r.Problems)
	}
}

// The pace of sessions that come and go is kept, in all ways to run connections.
func TestChurnPace(t *testing.T) {
	url := listen(t, server.Config{})
	for _, transport := range []string{bench.WebSocket, bench.LongPolling} {
		for _, portable := range []bool{false, true} {
			cfg := short(url)
			cfg.Mode, cfg.Transport, cfg.Portable = bench.Churn, transport, portable
			cfg.Clients, cfg.ConnectRate = 3, 100
			begun := time.Now()
			r, err := bench.Run(t.Context(), cfg)
			most := 100*time.Since(begun).Seconds() + 10
			require.NoError(t, err)
			require.Zero(t, r.Dropped, r.Problems)
			require.NotZero(t, r.Rate)
			require.LessOrEqual(t, r.Rate*r.Seconds, most)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(handler(t, server.Config{}))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, transport := range []string{bench.WebSocket, bench.LongPolling} {
		cfg := short(s.URL + "/cometd")
		cfg.Transport, cfg.TLS = transport, &tls.Config{RootCAs: roots}
		r, err := bench.Run(t.Context(), cfg)
		require.NoError(t, err)
		checkFanout(t, r)
	}
	_, err := bench.Run(t.Context(), short(s.URL+"/cometd"))
	require.ErrorContains(t, err, "certificate")
}

func TestOtherModes(t *testing.T) {
	for _, mode := range []string{bench.Idle, bench.Churn, bench.Acks} {
		for _, transport := range []string{bench.WebSocket, bench.LongPolling} {
			t.Run(mode+"/"+transport, func(t *testing.T) {
				inBubble(t, server.Config{}, func(t *testing.T, cfg bench.Config) {
					cfg.Mode, cfg.Transport, cfg.PID = mode, transport, os.Getpid()
					cfg.Duration = 100 * time.Millisecond // there is always more to do
					if transport == bench.WebSocket {
						cfg.Window = 8
					}
					r, err := bench.Run(t.Context(), cfg)
					require.NoError(t, err)
					require.True(t, r.OK, r.Problems)
					require.NotNil(t, r.Server)
					require.Positive(t, r.Server.RSSAfter)
					require.Positive(t, r.Server.Threads)
					require.Positive(t, r.Server.Descriptors)
					if mode == bench.Idle {
						require.Zero(t, r.Delivered)
					} else {
						require.Positive(t, r.Delivered)
						require.GreaterOrEqual(t, r.Latency.P99, 0.99)
					}
				})
			})
		}
	}
}

// TestPollsAreDismissed looks at the server behind a run: its sessions are gone
// before it would have forgotten them.
func TestPollsAreDismissed(t *testing.T) {
	for _, transport := range transports()[1:] {
		synctest.Test(t, func(t *testing.T) {
			srv, err := server.New(server.Config{})
			require.NoError(t, err)
			memory := testkit.Listen()
			s := &http.Server{Handler: srv}
			go func() { _ = s.Serve(memory) }() // ends with Close
			defer s.Close()
			cfg := short("http://server/cometd")
			cfg.Rate, cfg.Transport = 200, transport
			cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return memory.DialDistant(ctx, time.Millisecond)
			}
			r, err := bench.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, 8, r.Sessions)
			synctest.Wait()
			require.Empty(t, srv.Sessions())
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // at once
			_ = srv.Shutdown(ctx)
		})
	}
}

// TestFindMaxKeepsSessions searches on a server that keeps up with all, in fake
// time: no step connects anew, and each counts its own messages.
func TestFindMaxKeepsSessions(t *testing.T) {
	inBubble(t, server.Config{}, func(t *testing.T, cfg bench.Config) {
		var dials atomic.Int32
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return dial(ctx, network, address)
		}
		cfg.Batch = 1
		r, err := bench.Find{Limit: 800}.Max(t.Context(), cfg)
		require.NoError(t, err)
		require.EqualValues(t, 8, dials.Load())
		require.Len(t, r.Steps, 3) // 200, 400, 800
		for _, s := range r.Steps {
			require.True(t, s.OK, s.Problems)
			require.InDelta(t, s.Offered, s.Reached, s.Offered/10)
		}
		require.EqualValues(t, 400, r.Published)
		checkFanout(t, r)
	})
}

// TestBadServers meets servers that do not do what they should; each run ends
// with what is wrong.
func TestBadServers(t *testing.T) {
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for _, tt := range []struct{ url, transport, want string }{
		{answer(404, "no"), bench.WebSocket, "no WebSocket"},
		{answer(404, "no"), bench.LongPolling, "status 404"},
		{answer(200, "no"), bench.LongPolling, ""},
		{answer(200, `{"successful"}`), bench.LongPolling, "no Bayeux"},
		{answer(200, `[{"channel":"/meta/handshake","successful":false,"error":"403::no"}]`), bench.LongPolling, "/meta/handshake: 403::no"},
		{answer(200, `[{"channel":"/meta/handshake","successful":true}]`), bench.LongPolling, "client id"},
		{answer(200, "no"), bench.CallbackPolling, "no callback"},
		{"http://127.0.0.1:1/", bench.WebSocket, "refused"},
	} {
		cfg := short(tt.url)
		cfg.Transport, cfg.Timeout = tt.transport, 20*time.Millisecond
		if tt.want != "" {
			cfg.Timeout = 20 * time.Second
		}
		_, err := bench.Run(t.Context(), cfg)
		require.ErrorContains(t, err, tt.want, tt)
	}
}

func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*bench.Config){
		"url":           func(c *bench.Config) { c.URL = "ftp://x" },
		"host":          func(c *bench.Config) { c.URL = "http:///x" },
		"mode":          func(c *bench.Config) { c.Mode = "x" },
		"transport":     func(c *bench.Config) { c.Transport = "x" },
		"clients":       func(c *bench.Config) { c.Clients = -1 },
		"subscriptions": func(c *bench.Config) { c.Subscriptions = 9 },
		"rate":          func(c *bench.Config) { c.Rate = 0 },
		"duration":      func(c *bench.Config) { c.Duration = -1 },
		"window":        func(c *bench.Config) { c.Mode = bench.Acks; c.Transport = bench.LongPolling; c.Window = 2 },
	} {
		cfg := short("http://127.0.0.1:1/")
		change(&cfg)
		_, err := bench.Run(t.Context(), cfg)
		require.ErrorContains(t, err, want)
	}
	cfg := short("http://127.0.0.1:1/")
	cfg.PID = 1 << 30
	_, err := bench.Run(t.Context(), cfg)
	require.ErrorContains(t, err, "pid")
}

// TestEndsWithContext cancels a run on its way.
func TestEndsWithContext(t *testing.T) {
	inBubble(t, server.Config{}, func(t *testing.T, cfg bench.Config) {
		cfg.Duration = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Progress = func(bench.Sample) { cancel() }
		_, err := bench.Run(ctx, cfg)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestJSON reads a report back.
func TestJSON(t *testing.T) {
	inBubble(t, server.Config{}, func(t *testing.T, cfg bench.Config) {
		r, err := bench.Run(t.Context(), cfg)
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, r.WriteJSON(&b))
		var back bench.Result
		require.NoError(t, json.Unmarshal(b.Bytes(), &back))
		require.Equal(t, bench.Schema, back.Schema)
		r.Config.Dial = nil // is not in it
		require.Equal(t, *r, back)
	})
}
