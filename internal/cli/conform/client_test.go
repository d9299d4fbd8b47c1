package conform

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/report"
	"github.com/halleypush/halley/conformance/suite"
)

// TestClient runs cases of the client mode on our own client as a program, and
// writes all forms of the report.
func TestClient(t *testing.T) {
	dir := t.TempDir()
	driver := filepath.Join(dir, "driver.exe")
	build, err := exec.CommandContext(t.Context(), "go", "build", "-o", driver, "../../../clients/interop/conform").CombinedOutput()
	require.NoError(t, err, "%s", build)
	var out strings.Builder
	c := &Command{
		Client: true, URL: driver, Shared: true, Only: []string{"BX-C-BA-0*", "BX-C-AD-01", "BX-C-TR-01"}, Profile: "cometd", TimeoutScale: 1,
		JSON: filepath.Join(dir, "r.json"), JUnit: filepath.Join(dir, "r.xml"), HTML: filepath.Join(dir, "r.html"),
	}
	require.NoError(t, c.Run(t.Context(), Env{Stdout: &out, Stderr: &out}), out.String())
	require.Contains(t, out.String(), "Halley (Go)")
	require.Contains(t, out.String(), "11 cases, 21 results")
	f, err := os.Open(c.JSON)
	require.NoError(t, err)
	defer f.Close()
	rep, err := report.Read(f)
	require.NoError(t, err)
	require.Equal(t, suite.ModeClient, rep.Mode)
	require.Equal(t, 21, rep.Summary.Pass)
	for _, name := range []string{c.JUnit, c.HTML} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(text), "BX-C-TR-01")
	}
}

func TestClientExitCodes(t *testing.T) {
	for _, tt := range []struct {
		c    Command
		code int
		text string
	}{
		{Command{Client: true}, ExitUsage, "which client?"},
		{Command{Client: true, URL: "x", Fixture: "f"}, ExitUsage, "--fixture is for servers"},
		{Command{Client: true, URL: "x", Transport: []string{"eventsource"}}, ExitUsage, "not for clients"},
		{Command{Client: true, URL: "x", Only: []string{"BX-HS-*"}}, ExitUsage, "matches no case"},
		{Command{Client: true, URL: "x", Known: "nowhere"}, ExitUsage, "nowhere"},
		{Command{URL: "http://127.0.0.1:1/", Args: []string{"y"}}, ExitUsage, "for --client"},
		{Command{Client: true, URL: "/nowhere/at/all"}, ExitUnreachable, "no Bayeux client from /nowhere/at/all"},
		{Command{Client: true, List: true, Only: []string{"BX-HS-*"}}, ExitUsage, "matches no case"},
	} {
		err := tt.c.Run(t.Context(), Env{Stdout: &strings.Builder{}, Stderr: &strings.Builder{}})
		var exit *ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, tt.code, exit.Code, tt.text)
		require.ErrorContains(t, err, tt.text)
	}
	var out strings.Builder
	c := &Command{Client: true, List: true, Section: []string{"ack"}}
	require.NoError(t, c.Run(t.Context(), Env{Stdout: &out}))
	require.Contains(t, out.String(), "BX-C-AK-01 COMETD")
}
