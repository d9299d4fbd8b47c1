//go:build peers

package peers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each target that speaks Bayeux lets a client in and delivers; the one that
// does not says where it listens. Then it stops.
func TestTargets(t *testing.T) {
	for _, name := range Targets() {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t, name, map[string]string{"cpus": "0"})
			if Protocol(name) == "bayeux" {
				converse(t, p, Transports(name)[0])
			} else {
				require.True(t, strings.HasSuffix(p.URL(), "/connection/websocket"), p.URL())
			}
			require.NoError(t, p.Stop(t.Context()), p.Log())
			require.False(t, alive(p.PID()))
		})
	}
	for _, name := range Targets() {
		_, err := Start(t.Context(), name, map[string]string{"colour": "blue"})
		require.ErrorContains(t, err, `"colour" is unknown`)
	}
}
