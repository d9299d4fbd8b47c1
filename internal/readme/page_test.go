//go:build interop

package readme

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
)

// patience bounds what the browser may take.
const patience = 3 * time.Minute

// TestPage opens the page of the README in two windows of Chromium, with the
// published client beside it as npm puts it, from a server of its own, as a page
// is that had another Bayeux server before.
func TestPage(t *testing.T) {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{ack.New()}})
	require.NoError(t, err)
	push := http.NewServeMux()
	push.Handle("/cometd", srv)
	push.Handle("/cometd/", srv)
	bayeuxServer := httptest.NewServer(push)
	defer bayeuxServer.Close()
	defer func() { require.NoError(t, srv.Shutdown(context.Background())) }()

	page := strings.ReplaceAll(read(t, "testdata", "page.html"), "http://localhost:8080", bayeuxServer.URL)
	require.Contains(t, page, bayeuxServer.URL)
	web := http.NewServeMux()
	web.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	web.Handle("GET /cometd/", http.StripPrefix("/cometd", http.FileServer(http.Dir(filepath.Join("..", "demo", "node_modules", "cometd")))))
	pages := httptest.NewServer(web)
	defer pages.Close()

	chromium, err := exec.LookPath("chromium")
	require.NoError(t, err, "make deps installs it")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "page.mjs", chromium, t.TempDir(), pages.URL+"/")
	var complaints bytes.Buffer
	node.Stderr = &complaints
	out, err := node.Output()
	require.NoError(t, err, complaints.String())
	var seen struct {
		Lists      [][]string
		Complaints []string
	}
	require.NoError(t, json.Unmarshal(out, &seen), string(out))
	said := []string{"hello from window 0", "hello from window 1"}
	require.Equal(t, [][]string{said, said}, seen.Lists)
	require.Empty(t, seen.Complaints)
}
