//go:build interop && peers

package interop

import (
	"flag"
	"maps"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/peers"
)

var updateFlag = flag.Bool("update", false, "record the transcripts of CometD anew")

// TestChatPeers records CometD's transcripts again, which must be those that are kept, and compares our server's with
// them, here as a process and in the posture cometd.
func TestChatPeers(t *testing.T) {
	for _, c := range casts() {
		t.Run(c.name, func(t *testing.T) {
			theirs := c.hold(t, startChatPeer(t, "cometd8"))
			if *updateFlag {
				require.NoError(t, os.WriteFile(c.golden(), []byte(theirs), 0o644))
			}
			kept, err := os.ReadFile(c.golden())
			require.NoError(t, err)
			require.Equal(t, string(kept), theirs, "CometD has not said what was recorded: `make transcripts` records it")
			same(t, theirs, c.hold(t, startChatPeer(t, "halley")))
		})
	}
}

func startChatPeer(t *testing.T, name string) string {
	t.Helper()
	options := maps.Clone(chatOptions())
	options["demo"] = "true"
	p, err := peers.Start(t.Context(), name, options)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p.URL()
}
