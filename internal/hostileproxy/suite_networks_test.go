//go:build networks

package hostileproxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/conformtest"
	"github.com/halleypush/halley/extensions/ack"
)

// TestNetworksSuiteSeesNoProxy runs the conformance suite through a proxy without rules. The suite measures times: it is
// for a quiet machine.
func TestNetworksSuiteSeesNoProxy(t *testing.T) {
	p, err := NewHTTP(halley(t, "1000", ack.New()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	rep := conformtest.Test(t, "http://"+p.Addr()+"/cometd", conformance.Options{Profile: "cometd"})
	require.Zero(t, rep.Summary.Fail+rep.Summary.Error)
	require.Greater(t, rep.Summary.Pass, 100)
	require.Positive(t, p.Counts().Tunnels)
	require.Zero(t, p.Counts().Cuts())
}
