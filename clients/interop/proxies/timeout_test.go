//go:build interop

package proxies

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// impatient makes each proxy wait a second, no more, for a request, for its body and for the next request.
func impatient() map[string][]change {
	return map[string][]change{
		"nginx": {
			{"client_header_timeout       10s", "client_header_timeout 1s"},
			{"client_body_timeout         20s", "client_body_timeout 1s"},
			{"keepalive_timeout           75s", "keepalive_timeout 1s"},
		},
		"haproxy": {
			{"timeout http-request    10s", "timeout http-request 1s"},
			{"timeout http-keep-alive 75s", "timeout http-keep-alive 1s"},
			{"client-fin 10s", "client-fin 1s"},
		},
		"apache": {{"handshake=10 header=10 body=20,MinRate=500", "handshake=1 header=1 body=1,MinRate=500"}, {"KeepAliveTimeout 75", "KeepAliveTimeout 1"}},
	}
}

// TestHeld holds polls longer than the proxy waits for a request, for its body and for the next request: none of that is
// for a request that waits for its answer.
func TestHeld(t *testing.T) {
	t.Parallel()
	through(t, httpKinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, 3*time.Second, impatient()[k.name]...)
		var clients []*jsClient
		for _, transport := range transports() {
			c := newClient(t, g.url(), transport, true)
			c.join(t, "/news")
			clients = append(clients, c)
		}
		for _, c := range clients {
			c.connects(t, 0, 3) // at once, and twice held
			require.Equal(t, 1, c.sessions())
		}
		news(t, g, clients, "held")
	})
}

// TestTooShort shows what a proxy does that waits for less than the hold: it cuts each poll, which clients take for a
// broken connection; sessions and messages survive.
func TestTooShort(t *testing.T) {
	t.Parallel()
	second := map[string][]change{
		"nginx":   {{"proxy_read_timeout    90s", "proxy_read_timeout 1s"}, {"next_upstream_timeout 5s", "next_upstream_timeout 500ms"}},
		"haproxy": {{"timeout server  90s", "timeout server 1s"}, {"timeout tunnel  90s", "timeout tunnel 1s"}},
		"apache":  {{"timeout=90", "timeout=1"}},
	}
	through(t, httpKinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, 3*time.Second, second[k.name]...)
		var clients []*jsClient
		for _, transport := range transports() {
			c := newClient(t, g.url(), transport, true)
			c.join(t, "/news")
			clients = append(clients, c)
		}
		for i, transport := range transports() {
			if transport == "websocket" && k.name == "apache" {
				clients[i].connects(t, 0, 3) // it never cuts one
				continue
			}
			clients[i].await(t, 0, 2, "connect that fails", func(e event) bool { return e.is("/meta/connect", false) })
		}
		news(t, g, clients, "all the same")
		for _, c := range clients {
			require.Equal(t, 1, c.sessions(), "the session went on: no backend was taken for dead")
		}
		require.Zero(t, g.unknown(t), "no poll was sent to the other backend")
	})
}
