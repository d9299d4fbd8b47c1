//go:build interop

package proxies

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forged are the fields by which a client may claim to be someone else.
func forged() http.Header {
	return http.Header{
		"X-Forwarded-For":   {"203.0.113.66", "203.0.113.67"},
		"Forwarded":         {`for=203.0.113.66;proto=http`},
		"X-Real-Ip":         {"203.0.113.66"},
		"X-Forwarded-Proto": {"http"},
		"X-Forwarded-Host":  {"elsewhere.example"},
		"X-Forwarded-Port":  {"80"},
	}
}

// TestAddress has clients of another address come through each proxy: the server sees their address, whatever they claim,
// and that they use https.
func TestAddress(t *testing.T) {
	t.Parallel()
	through(t, kinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, hold)
		client := "127.0.0.2"
		ids := []string{
			idOf(t, post(t, from(t, client, false), g.url(), nil, handshake)),
			idOf(t, post(t, from(t, client, false), g.url(), forged(), handshake)),
			idOf(t, post(t, from(t, client, true), g.url(), forged(), handshake)),
			idOf(t, script(t, from(t, client, false), g.url(), forged(), handshake)),
			socketHandshake(t, client, g.address, ""),
			socketHandshake(t, client, g.address, "X-Forwarded-For: 203.0.113.66\r\nForwarded: for=203.0.113.66\r\nx_forwarded_for: 203.0.113.66\r\n"),
			// Named as a field of the hop between client and proxy, which the proxy has to drop.
			socketHandshake(t, client, g.address, "Connection: X-Forwarded-For\r\nConnection: X-Forwarded-Proto\r\n"),
		}
		for i, id := range ids {
			require.Equal(t, client, g.backendOf(t, id).beginningOf(t, id).Address, "client %d", i)
		}

		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url(), strings.NewReader(handshake))
		require.NoError(t, err)
		req.Header = forged()
		req.Header.Set("Content-Type", "application/json")
		res, err := from(t, client, false).Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		for _, cookie := range res.Cookies() {
			require.True(t, cookie.Secure, "%s", cookie)
			require.True(t, cookie.HttpOnly, "%s", cookie)
		}
		require.Contains(t, fmt.Sprint(res.Cookies()), "BAYEUX_BROWSER")
	})
}

// TestSticky has many sessions come to both backends, and all requests of a session to the one that has it, each by a
// connection of its own.
func TestSticky(t *testing.T) {
	t.Parallel()
	through(t, kinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, hold)
		for i := 0; i < 12 || len(g.a.begun(t)) == 0 || len(g.b.begun(t)) == 0; i++ {
			require.Less(t, i, 200, "both backends get sessions")
			c := withCookies(t, from(t, fmt.Sprintf("127.0.0.%d", 2+i), i%2 == 0))
			send, via := post, "long-polling"
			if i%3 == 0 {
				send, via = script, "callback-polling"
			}
			id := idOf(t, send(t, c, g.url(), nil, handshake))
			for _, message := range []string{
				`"channel":"/meta/connect","connectionType":"` + via + `","advice":{"timeout":0}`,
				`"channel":"/meta/subscribe","subscription":"/sticky"`,
				`"channel":"/sticky","data":1`,
				`"channel":"/meta/disconnect"`,
			} {
				reply := send(t, c, g.url(), nil, `[{`+message+`,"clientId":"`+id+`"}]`)
				require.Equal(t, true, reply["successful"], "%v", reply)
			}
		}
		require.Zero(t, g.unknown(t))
		if k.tcp {
			return
		}
		// A cookie that names no backend is as good as none.
		idOf(t, post(t, from(t, "127.0.0.1", false), g.url(), http.Header{"Cookie": {"HALLEY_ROUTE=zzz"}}, handshake))
	})
}
