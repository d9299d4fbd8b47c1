//go:build interop

package interop

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/clientcases"
	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// TestClientMode runs cases of the client mode, a few of each section, on the newest CometD client for JavaScript by its
// driver, and on the example of docs/CONFORMANCE_CLIENTS.md. `make conformance-clients` runs all cases on all clients.
func TestClientMode(t *testing.T) {
	for _, tt := range []struct {
		args []string
		pass int
	}{
		{[]string{"node", "conform.mjs", "cometd9"}, 27},
		{[]string{"node", "example.mjs"}, 11},
	} {
		t.Run(tt.args[1], func(t *testing.T) {
			require.NoError(t, nodeDriver().installed())
			p := clientmode.Program{Args: tt.args, Dir: "js"}
			c, _, closed, err := p.Open(t.Context())
			require.NoError(t, err)
			defer closed()
			rep, err := clientmode.Run(t.Context(), clientcases.Sections(), clientmode.Options{
				Client: c, Profile: "cometd", Jobs: 8,
				Only: []string{"BX-C-BA-0[34]", "BX-C-AD-0[17]", "BX-C-SE-0[19]", "BX-C-LO-0[13]", "BX-C-OR-0[15]", "BX-C-BO-1[05]", "BX-C-TR-0[18]", "BX-C-AK-0[23]"},
			})
			require.NoError(t, err)
			for _, res := range rep.Results {
				require.Contains(t, []suite.Verdict{suite.Pass, suite.Skipped}, res.Verdict, "%s %s: %v", res.ID, res.Transport, res.Notes)
			}
			require.Equal(t, tt.pass, rep.Summary.Pass)
		})
	}
}
