//go:build interop

package proxies

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// kind is a recipe and how its proxy is run.
type kind struct {
	name    string
	recipe  string
	tcp     bool // TLS ends in the backends, and clients stay where they are by their address
	strict  bool // the posture of the backends
	program string
	changes func(g *rig, dir string) []change
	start   func(t *testing.T, g *rig, dir string) *process
	reload  func(t *testing.T, g *rig, dir string)
}

func kinds() []kind {
	return []kind{
		{name: "nginx", recipe: "nginx.conf", program: "nginx", changes: nginxChanges, start: startNginx, reload: reloadNginx},
		{name: "haproxy", recipe: "haproxy.cfg", program: "haproxy", changes: haproxyChanges, start: startHAProxy, reload: reloadHAProxy},
		{name: "apache", recipe: "apache.conf", program: "apache2", changes: apacheChanges, start: startApache, reload: reloadApache},
		{name: "nginx stream", recipe: "nginx-stream.conf", tcp: true, program: "nginx", changes: nginxStreamChanges, start: startNginx, reload: reloadNginx},
		{name: "haproxy tcp", recipe: "haproxy.cfg", tcp: true, program: "haproxy", changes: haproxyChanges, start: startHAProxy, reload: reloadHAProxy},
	}
}

// httpKinds are those that read requests.
func httpKinds() []kind { return kinds()[:3] }

// chosen are all kinds, or without HALLEY_INTEROP=full none but the first.
func chosen(all []kind) []kind {
	if everything() {
		return all
	}
	return all[:1]
}

// through runs a test for each of the chosen kinds, side by side.
func through(t *testing.T, all []kind, f func(t *testing.T, k kind)) {
	t.Helper()
	for _, k := range chosen(all) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f(t, k)
		})
	}
}

// rig is a proxy in front of two backends.
type rig struct {
	kind
	a, b            *backend
	address, second string // of the proxy, and of what else it listens on
	dir             string
	proxy           *process
}

// newRig starts all. The changes are made to the recipe after those that fill it in.
func newRig(t *testing.T, k kind, hold time.Duration, changes ...change) *rig {
	t.Helper()
	g := &rig{
		kind: k, address: testkit.FreeAddress(t), second: testkit.FreeAddress(t),
		a: startBackend(t, "a", k.strict, hold), b: startBackend(t, "b", k.strict, hold),
	}
	dir, err := os.MkdirTemp("", "proxy") //nolint:usetesting // t.TempDir makes longer paths than sockets may have
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	g.dir = dir
	// Whoever is not root may not have the folder in their path.
	if _, err := exec.LookPath(k.program); err != nil {
		g.program = filepath.Join("/usr/sbin", k.program)
	}
	_, err = exec.LookPath(g.program)
	require.NoError(t, err, "run `make deps`")
	fill(t, k.recipe, g.config(), append(k.changes(g, dir), changes...))
	g.proxy = k.start(t, g, dir)
	t.Cleanup(func() { g.confess(t) })
	g.proxy.accepts(t, g.address)
	return g
}

func (g *rig) config() string { return filepath.Join(g.dir, "site.conf") }

// confess writes what the proxy said, for a failed test.
func (g *rig) confess(t *testing.T) {
	if !t.Failed() {
		return
	}
	t.Logf("the proxy's own words:\n%s", g.proxy.log)
	for _, name := range []string{"error.log", "halley-error.log"} {
		if text, err := os.ReadFile(filepath.Join(g.dir, name)); err == nil {
			t.Logf("the end of its %s:\n%s", name, text[max(0, len(text)-8000):])
		}
	}
}

func startNginx(t *testing.T, g *rig, _ string) *process {
	t.Helper()
	return launch(t, nil, newJournal(), g.program, "-c", g.config(), "-g", "daemon off;")
}

func reloadNginx(t *testing.T, g *rig, _ string) {
	t.Helper()
	run(t, nil, g.program, "-c", g.config(), "-s", "reload")
}

func startHAProxy(t *testing.T, g *rig, _ string) *process {
	t.Helper()
	return launch(t, nil, newJournal(), g.program, "-W", "-f", g.config())
}

func reloadHAProxy(t *testing.T, g *rig, _ string) {
	t.Helper()
	g.proxy.signal(t, syscall.SIGUSR2)
}

func apacheEnv(dir string) []string { return []string{"APACHE_LOG_DIR=" + dir} }

func startApache(t *testing.T, g *rig, dir string) *process {
	t.Helper()
	main := filepath.Join(dir, "apache2.conf")
	require.NoError(t, os.WriteFile(main, []byte(apacheMain(t, dir)), 0o644))
	return launch(t, apacheEnv(dir), newJournal(), g.program, "-f", main, "-DFOREGROUND")
}

func reloadApache(t *testing.T, g *rig, dir string) {
	t.Helper()
	run(t, apacheEnv(dir), g.program, "-f", filepath.Join(dir, "apache2.conf"), "-k", "graceful")
}

func (g *rig) url() string { return "https://" + g.address + "/cometd" }

// backendOf returns the backend where the session began.
func (g *rig) backendOf(t *testing.T, session string) *backend {
	t.Helper()
	eventually(t, func() bool { return g.a.has(t, session) || g.b.has(t, session) }, func() string {
		return "a backend that knows the session " + session
	})
	if g.a.has(t, session) {
		return g.a
	}
	return g.b
}

func (g *rig) other(b *backend) *backend {
	if b == g.a {
		return g.b
	}
	return g.a
}

// unknown is how often the backends did not know a session.
func (g *rig) unknown(t *testing.T) int {
	t.Helper()
	return g.a.count(t, "halley_unknown_sessions_total") + g.b.count(t, "halley_unknown_sessions_total")
}

// from returns a client of HTTP/1.1, or of HTTP/2, at an address of the loopback.
func from(t *testing.T, address string, h2 bool) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: shared.roots},
		ForceAttemptHTTP2: h2,
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, to)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}
