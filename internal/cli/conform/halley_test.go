package conform

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/conformtest"
	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/extensions/ack"
)

// hasty has short times, but sessions live as long as CometD's: on a slow
// machine they rest between their messages.
func hasty() server.Config {
	return server.Config{Options: map[string]string{"timeout": "2000", "maxInterval": "10000", "sweepPeriod": "500"}}
}

// halley serves with short times and returns its address.
func halley(t *testing.T) string {
	t.Helper()
	return serves(t, hasty())
}

func serves(t *testing.T, c server.Config) string {
	t.Helper()
	return servesWith(t, c, (*httptest.Server).Start)
}

// servesWith lets the test say how the server listens.
func servesWith(t *testing.T, c server.Config, start func(*httptest.Server)) string {
	t.Helper()
	c.Extensions = []bayeux.Extension{ack.New()}
	srv, err := server.New(c)
	require.NoError(t, err)
	web := httptest.NewUnstartedServer(srv)
	start(web)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		web.Close()
	})
	return web.URL + "/cometd"
}

// TestHalley runs the suite against our own server: as CometD it has no
// failure, against the specification only those that are known.
func TestHalley(t *testing.T) {
	url := halley(t)
	lines := knownOf(t, "halley.txt")
	t.Run("cometd", func(t *testing.T) {
		rep := conformtest.Test(t, url, conformance.Options{Profile: "cometd"})
		require.Zero(t, rep.Summary.Fail+rep.Summary.Error)
	})
	t.Run("spec", func(t *testing.T) {
		o := conformance.Options{Known: lines}
		if testing.Short() { // what the other profile does not say
			o.Only = []string{"BX-HS-0?"}
			for _, k := range lines {
				o.Only = append(o.Only, k.ID)
			}
		}
		rep := conformtest.Test(t, url, o)
		require.True(t, rep.Passed())
		require.Zero(t, rep.Summary.NonStrict+rep.Summary.Fail-rep.Summary.Known)
	})
}

// TestHalleyTLS runs the suite over TLS, HTTP/2 included.
func TestHalleyTLS(t *testing.T) {
	o := conformance.Options{Profile: "cometd", Insecure: true}
	if testing.Short() {
		o.Only = []string{"BX-HS-0?", "BX-CN-0?", "BX-WS-0?"}
	}
	url := servesWith(t, hasty(), func(web *httptest.Server) {
		web.EnableHTTP2 = true
		web.StartTLS()
	})
	rep := conformtest.Test(t, url, o)
	require.Zero(t, rep.Summary.Fail+rep.Summary.Error)
	require.Contains(t, rep.Facts.Transports, "http2")
	require.Contains(t, rep.Facts.Transports, "websocket")
}

// TestHalleyStrict runs the suite against the posture strict, with a policy that
// allows all: what is otherwise than with CometD is known, and nothing else. In
// a short run only the cases that are known, and some that are not.
func TestHalleyStrict(t *testing.T) {
	lines := knownOf(t, "halley-strict.txt")
	url := serves(t, server.Config{
		Posture: server.PostureStrict, Policy: bayeux.DefaultPolicy{},
		Limits:  server.Limits{HandshakesPerAddress: -1, HandshakesPerSecond: -1},
		Options: map[string]string{"timeout": "2000", "maxInterval": "10000", "sweepPeriod": "100"},
	})
	o := conformance.Options{Profile: "cometd", Known: lines}
	if testing.Short() {
		o.Only = []string{"BX-HS-0?", "BX-HT-0?"}
		o.Known = slices.DeleteFunc(lines, func(k suite.Known) bool {
			return k.ID == "BX-HS-29" // it takes seconds to find out how long sessions live
		})
		for _, k := range o.Known {
			o.Only = append(o.Only, k.ID)
		}
	}
	rep := conformtest.Test(t, url, o)
	require.True(t, rep.Passed())
	require.Zero(t, rep.Summary.NonStrict+rep.Summary.Fail-rep.Summary.Known)
}

// knownOf reads a file of known failures.
func knownOf(t *testing.T, name string) []suite.Known {
	t.Helper()
	known, err := os.Open(filepath.Join("..", "..", "..", "conformance", "known", name))
	require.NoError(t, err)
	defer known.Close()
	lines, err := suite.ParseKnown(known)
	require.NoError(t, err)
	return lines
}

// TestCommand runs the command on a few cases.
func TestCommand(t *testing.T) {
	url := halley(t)
	file := filepath.Join(t.TempDir(), "report.json")
	var out strings.Builder
	c := &Command{URL: url, Only: []string{"BX-HS-0[12]", "BX-HS-18"}, Profile: "spec", JSON: file, TimeoutScale: 1}
	err := c.Run(t.Context(), Env{Stdout: &out, Stderr: &out})
	require.Equal(t, &ExitError{Code: ExitFailed}, err)
	require.Contains(t, out.String(), "BX-HS-18 MUST long-polling")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var rep conformance.Report
	require.NoError(t, json.Unmarshal(text, &rep))
	require.Equal(t, 9, rep.Summary.Results)
	require.Equal(t, 6, rep.Summary.Pass)

	out.Reset()
	c = &Command{URL: url, Only: []string{"BX-HS-01"}, Transport: []string{"websocket"}, Profile: "spec"}
	require.NoError(t, c.Run(t.Context(), Env{Stdout: &out, Stderr: &out}))
	require.Contains(t, out.String(), "1 cases, 1 results")
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		c    Command
		code int
		text string
	}{
		{Command{}, ExitUsage, "which server?"},
		{Command{URL: "http://127.0.0.1:1/x", Profile: "spec"}, ExitUnreachable, "no Bayeux server at http://127.0.0.1:1/x"},
		{Command{URL: "http://127.0.0.1:1/x", Profile: "html"}, ExitUsage, `profile "html" is unknown`},
		{Command{URL: "http://127.0.0.1:1/x", Header: []string{"a"}}, ExitUsage, "NAME:VALUE"},
		{Command{URL: "http://127.0.0.1:1/x", Cookie: []string{"a"}}, ExitUsage, "NAME=VALUE"},
		{Command{URL: "http://127.0.0.1:1/x", Known: "nowhere"}, ExitUsage, "nowhere"},
		{Command{URL: "http://127.0.0.1:1/x", Fixture: "nowhere"}, ExitUsage, "nowhere"},
		{Command{List: true, Only: []string{"BX-ZZ-*"}}, ExitUsage, "matches no case"},
	} {
		err := tt.c.Run(t.Context(), Env{Stdout: &strings.Builder{}, Stderr: &strings.Builder{}})
		var exit *ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, tt.code, exit.Code, tt.text)
		require.ErrorContains(t, err, tt.text)
	}
}

func TestList(t *testing.T) {
	var out strings.Builder
	c := &Command{List: true, Section: []string{"advice"}}
	require.NoError(t, c.Run(t.Context(), Env{Stdout: &out}))
	require.Contains(t, out.String(), "BX-AD-01")
	require.NotContains(t, out.String(), "BX-HS-01")
}
