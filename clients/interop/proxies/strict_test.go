//go:build interop

package proxies

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStrict has the backends in the posture strict: the published client works through each proxy, pages of the site are
// served and those of others are refused, by what the proxy tells of host and scheme.
func TestStrict(t *testing.T) {
	t.Parallel()
	through(t, kinds(), func(t *testing.T, k kind) {
		k.strict = true
		g := newRig(t, k, hold)
		own := "https://" + g.address
		for origin, status := range map[string]int{
			own: http.StatusOK, "https://evil.example": http.StatusForbidden, "null": http.StatusForbidden,
			strings.Replace(own, "https", "http", 1): http.StatusForbidden,
		} {
			got, cookie := g.pageHandshake(t, origin)
			require.Equal(t, status, got, origin)
			if status == http.StatusOK {
				require.Contains(t, cookie, "; Secure")
				require.Contains(t, cookie, "; SameSite=Lax")
			}
			if status == http.StatusOK {
				status = http.StatusSwitchingProtocols
			}
			require.Equal(t, status, g.pageUpgrade(t, origin), origin)
		}
		for _, transport := range []string{"websocket", "long-polling"} {
			converse(t, g, transport)
		}
	})
}

// pageHandshake posts a handshake as a page of that origin does, and returns the status and the browser cookie.
func (g *rig) pageHandshake(t *testing.T, origin string) (status int, cookie string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url(), strings.NewReader(handshake))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", origin)
	res, err := from(t, "127.0.0.1", false).Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	for _, line := range res.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, "BAYEUX_BROWSER=") {
			cookie = line
		}
	}
	return res.StatusCode, cookie
}

// pageUpgrade opens a WebSocket as a page of that origin does, and returns the status.
func (g *rig) pageUpgrade(t *testing.T, origin string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url(), nil)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": origin,
	} {
		req.Header.Set(name, value)
	}
	res, err := from(t, "127.0.0.1", false).Do(req)
	require.NoError(t, err)
	_ = res.Body.Close()
	return res.StatusCode
}
