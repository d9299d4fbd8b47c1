//go:build networks

package doctor

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/doctor"
)

// TestNetworksCleanWay examines our own server over the loopback, with its endpoint and
// without, and finds nothing.
func TestNetworksCleanWay(t *testing.T) {
	for name, tt := range map[string]struct {
		serve, doctor []string
		mode          doctor.Mode
	}{
		"with the endpoint": {[]string{"--doctor-token", token}, []string{"--token", token}, doctor.ModeProbe},
		"by net/http":       {[]string{"--doctor-token", token, "--park", "false"}, []string{"--token", token}, doctor.ModeProbe},
		"without":           {nil, []string{"--token", token}, doctor.ModeBayeux},
		"strict, no token":  {[]string{"--posture", "strict", "--doctor-token", token}, nil, doctor.ModeBayeux},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := "http://" + halley(t, tt.serve...) + "/cometd"
			out, err := run(t, Env{}, append(tt.doctor, url, "--json", "-")...)
			require.NoError(t, err, out)
			var r doctor.Report
			require.NoError(t, json.Unmarshal([]byte(out), &r))
			require.Equal(t, tt.mode, r.Mode)
			require.Empty(t, r.Findings)
			for _, h := range r.Observations.Holds {
				require.Equal(t, doctor.OK, h.Outcome, "%+v", h)
			}
			if tt.mode == doctor.ModeProbe {
				require.Equal(t, doctor.OK, r.Observations.Flow.Outcome)
				require.Equal(t, doctor.OK, r.Observations.Bodies[0].Outcome)
				require.Equal(t, doctor.OK, r.Observations.Socket.Lively.Outcome)
				require.True(t, r.Observations.KeptAlive)
			}
		})
	}
}

// TestNetworksReport looks at the exit, and at what is said.
func TestNetworksReport(t *testing.T) {
	target := "http://" + halley(t, "--doctor-token", token)
	way := httptest.NewServer(strip(target))
	defer way.Close()
	path := filepath.Join(t.TempDir(), "report.json")
	out, err := run(t, Env{Lookup: func(name string) (string, bool) { return token, name == tokenVariable }}, way.URL+"/cometd", "--json", path)
	require.ErrorIs(t, err, ErrFound)
	for _, want := range []string{
		way.URL + "/cometd, examined for", "with the server's help", "HTTP/1.1 here, HTTP/1.1 at the server",
		"problem: cookie-stripped\n  Cookies that we send do not arrive at the server.\n    nginx",
		"warning: upgrade-stripped", `proxy_set_header Upgrade $http_upgrade;`, "Not tested:\n  - cuts after more than 50 s",
	} {
		require.Contains(t, out, want)
	}
	require.Less(t, strings.Index(out, "cookie-stripped"), strings.Index(out, "upgrade-stripped"), "the worst first")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var r doctor.Report
	require.NoError(t, json.Unmarshal(raw, &r))
	require.Equal(t, doctor.CookieStripped, r.Findings[0].ID)
	require.NotContains(t, string(raw)+out, token)
}

// strip passes on requests without cookies and upgrades.
func strip(target string) http.Handler {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		u, err := r.URL.Parse(target + r.URL.RequestURI())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		out.URL, out.RequestURI, out.Host = u, "", ""
		for _, name := range []string{"Cookie", "Upgrade", "Connection"} {
			out.Header.Del(name)
		}
		res, err := transport.RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		p := make([]byte, 4096)
		for {
			n, err := res.Body.Read(p)
			if _, bad := w.Write(p[:n]); bad != nil || err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
}
