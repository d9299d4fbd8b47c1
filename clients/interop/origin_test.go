//go:build interop

package interop

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOtherOrigin loads a page from another origin than the server's and lets it poll: a real browser refuses that,
// unless the server was told of that origin and lets its pages send cookies, as the client asks for.
func TestOtherOrigin(t *testing.T) {
	touchSources(t)
	b := newChromium(t)
	for _, c := range []struct {
		name  string
		flags []string
		let   bool
	}{
		{"not configured", nil, false},
		{"another one configured", []string{"--cors-origins", "https://app.example"}, false},
		{"without credentials", []string{"--cors-origins", b.files.URL, "--cors-credentials=false"}, false},
		{"configured", []string{"--cors-origins", b.files.URL}, true},
	} {
		if shared.peer != "" && len(c.flags) > 0 {
			continue // A peer is not told of them.
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, 0, c.flags...)
			p := b.open(t, "cometd9.html", true, driverOptions{URL: s.url(), Transport: "long-polling"})
			introduction(t, p)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := p.Do(ctx, command{Cmd: "handshake"})
			if !c.let {
				require.ErrorContains(t, err, "handshake failed")
				require.Zero(t, count(p.Inbox().since(0), "/meta/handshake"))
				return
			}
			require.NoError(t, err)
			awaitMeta(t, p, 0, 1, "/meta/connect")
			do(t, p, command{Cmd: "disconnect"})
		})
	}
}
