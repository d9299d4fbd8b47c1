package health

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready\n") })
	mux.HandleFunc("/stopping", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "stopping\n")
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/readyz", http.StatusFound) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	web := httptest.NewServer(mux)
	defer web.Close()
	for _, tt := range []struct {
		path, stdout, err string
		timeout           time.Duration
	}{
		{"/readyz", "ready\n", "", time.Minute},
		{"/endless", strings.Repeat("x", maxAnswer) + "\n", "", time.Minute},
		{"/stopping", "", "/stopping: 503 Service Unavailable stopping", time.Minute},
		{"/moved", "", "/moved: 302 Found", time.Minute},
		{"/silent", "", "/silent: no answer within 1ms", time.Millisecond},
	} {
		var out strings.Builder
		c := Command{URL: web.URL + tt.path, Timeout: tt.timeout}
		err := c.Run(t.Context(), &out)
		if tt.err == "" {
			require.NoError(t, err, tt.path)
		} else {
			require.ErrorContains(t, err, tt.err, tt.path)
		}
		require.Equal(t, tt.stdout, out.String(), tt.path)
	}
	for _, url := range []string{"://", "ftp://127.0.0.1/", "http://127.0.0.1:1/readyz"} {
		require.Error(t, (&Command{URL: url, Timeout: time.Minute}).Run(t.Context(), io.Discard), url)
	}
}
