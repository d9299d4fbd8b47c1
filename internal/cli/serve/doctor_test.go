package serve

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/probe"
)

const doctorToken = "0123456789abcdef-doctor"

// askProbe asks an endpoint with a token and returns status and answer.
func askProbe(t *testing.T, c *http.Client, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set(probe.HeaderToken, token)
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestDoctorEndpoint(t *testing.T) {
	for name, args := range map[string][]string{
		"with the engine": {"--doctor-token", doctorToken}, "without": {"--doctor-token", doctorToken, "--park", "false"},
		"elsewhere": {"--doctor-token", doctorToken, "--path", "/push/", "--cors-origins", "https://app.example"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			r := start(t, f, args...)
			line := r.wait("listening")
			base := "http://" + line["address"].(string) + line["path"].(string)
			c := client(t, &http.Transport{})
			status, text := askProbe(t, c, base+probe.Below+probe.PathEcho, doctorToken)
			require.Equal(t, http.StatusOK, status)
			require.Contains(t, text, `"proto":"HTTP/1.1"`)
			status, text = askProbe(t, c, base+probe.Below+probe.PathEcho, "another")
			require.Equal(t, http.StatusForbidden, status)
			require.Contains(t, text, "doctor:")
			status, text = askProbe(t, c, base+"/handshake", doctorToken)
			require.Equal(t, http.StatusOK, status)
			require.Contains(t, text, "HTTP/1.1 127.0.0.1", "all else is the engine's")

			held := make(chan int, 1)
			hold := must(t, base+probe.Below+probe.PathHold+"?for=5m")
			go func() {
				res, err := c.Do(hold)
				if err != nil {
					held <- 0
					return
				}
				_ = res.Body.Close()
				held <- res.StatusCode
			}()
			drip, err := c.Do(must(t, base+probe.Below+probe.PathDrip+"?every=20s&count=10&bytes=64"))
			require.NoError(t, err)
			_, err = io.ReadFull(drip.Body, make([]byte, 64))
			require.NoError(t, err, "the first piece comes before the others")
			require.NoError(t, r.stop(), "and a stop waits for none of them")
			_, err = io.Copy(io.Discard, drip.Body)
			require.NoError(t, drip.Body.Close())
			require.Contains(t, []int{0, http.StatusServiceUnavailable}, <-held, "%v", err)
		})
	}
}

func must(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set(probe.HeaderToken, doctorToken)
	return req
}

func TestNoDoctorWithoutToken(t *testing.T) {
	r := start(t, newFake())
	base := "http://" + r.address("listening")
	status, text := askProbe(t, client(t, &http.Transport{}), base+"/cometd"+probe.Below+probe.PathEcho, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "HTTP/1.1 127.0.0.1", "the engine's, as any path below its own")
	require.NoError(t, r.stop())
}

func TestDoctorTokenSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(doctorToken+"\n"), 0o600))
	for name, tt := range map[string]struct {
		args, env []string
		err       string
	}{
		"none":            {},
		"flag":            {args: []string{"--doctor-token", doctorToken}},
		"environment":     {env: []string{"HALLEY_DOCTOR_TOKEN", doctorToken}},
		"file":            {args: []string{"--doctor-token-file", path}},
		"file by the env": {env: []string{"HALLEY_DOCTOR_TOKEN_FILE", path}},
		"in the settings": {args: []string{"--config", file(t, "doctor-token: "+doctorToken)}},
		"both":            {args: []string{"--doctor-token", doctorToken, "--doctor-token-file", path}, err: "exclude each other"},
		"no file":         {args: []string{"--doctor-token-file", path + "x"}, err: "doctor-token-file: open"},
		"short":           {args: []string{"--doctor-token", "short-secret"}, err: "want 16 to 4096 bytes"},
		"blanks":          {env: []string{"HALLEY_DOCTOR_TOKEN", "short-secret with blanks"}, err: "without blanks"},
	} {
		t.Run(name, func(t *testing.T) {
			c := parse(t, append([]string{"--print-config"}, tt.args...)...)
			var out bytes.Buffer
			err := c.Run(t.Context(), Env{Stdout: &out, Lookup: lookup(tt.env...)})
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				require.NotContains(t, err.Error(), "short-secret")
				return
			}
			require.NoError(t, err)
			require.NotContains(t, out.String(), doctorToken)
			s, err := c.Load(lookup(tt.env...))
			require.NoError(t, err)
			if name == "none" {
				require.Empty(t, s.DoctorToken)
				return
			}
			require.Equal(t, doctorToken, s.DoctorToken)
			require.NotContains(t, s.command, doctorToken, "what is printed to be typed again")
		})
	}
}
