package server_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// The log tells where a session comes from, as far as trusted proxies know.
func TestSessionBeginsLog(t *testing.T) {
	for _, tt := range []struct{ peer, forwarded, want string }{
		{"192.0.2.7:4711", "203.0.113.9", `"address":"203.0.113.9"`},
		{"198.51.100.1:4711", "203.0.113.9", `"address":"198.51.100.1"`},
		{"@", "203.0.113.9", ""}, // a Unix socket
	} {
		var out bytes.Buffer
		srv, err := server.New(server.Config{
			Logger:         zerolog.New(&out).Level(zerolog.DebugLevel),
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/cometd",
			strings.NewReader(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`))
		r.RemoteAddr = tt.peer
		r.Header.Set("X-Forwarded-For", tt.forwarded)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		require.NoError(t, srv.Shutdown(context.WithoutCancel(t.Context())))
		require.Contains(t, w.Body.String(), `"successful":true`)
		line, _, found := strings.Cut(out.String(), "\n")
		require.True(t, found)
		require.Contains(t, line, `"message":"session begins"`)
		require.Contains(t, line, tt.want)
		require.Equal(t, tt.want != "", strings.Contains(line, `"address"`))
	}
}
