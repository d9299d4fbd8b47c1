package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfileFetch(t *testing.T) {
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		if r.URL.Path == "/debug/pprof/no" {
			http.Error(w, "there is no such profile", http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte("profile"))
	}))
	defer srv.Close()
	p := &profiler{dir: t.TempDir(), admin: strings.TrimPrefix(srv.URL, "http://")}
	file := filepath.Join(p.dir, "cpu.pb.gz")
	require.NoError(t, p.fetch(t.Context(), "profile?seconds=3", file))
	require.Equal(t, "/debug/pprof/profile?seconds=3", asked)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "profile", string(text))
	require.ErrorContains(t, p.fetch(t.Context(), "no", file), "there is no such profile")
}

func TestProfileFlags(t *testing.T) {
	for _, args := range [][]string{{"-profile", "x"}, {"-profile", "x", "-case", "acks-1"}, {"-profile", "x", "-case", "acks-1", "-subject", "faye"}} {
		_, err := parse(args, os.Stderr)
		require.ErrorContains(t, err, "-profile: want -case and -subject halley", "%v", args)
	}
	c, err := parse([]string{"-profile", "x", "-case", "acks-1", "-subject", "halley"}, os.Stderr)
	require.NoError(t, err)
	require.Equal(t, "x", c.runner(subjects(), cases(), os.Stderr).rig.(machine).profiles.dir)
}

// The line is not the first one that the server writes, nor there at once.
func TestAdminAddress(t *testing.T) {
	listening := `{"message":"listening","address":"127.0.0.1:1"}` + "\n"
	require.Empty(t, adminAddress(""))
	require.Empty(t, adminAddress(listening+"no JSON\n"))
	require.Equal(t, "127.0.0.1:2", adminAddress(listening+`{"message":"admin listening","address":"127.0.0.1:2"}`+"\n"))
}
