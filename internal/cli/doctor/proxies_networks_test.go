//go:build networks

package doctor

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/doctor"
	"github.com/halleypush/halley/internal/testkit"
)

// realProxy is one that many run, with a configuration in which LISTEN,
// LISTENPORT, TARGET, HOST, PORT and DIR are to be replaced.
type realProxy struct {
	name, config string
	start        func(file string) []string
	want         map[string]float64
}

const nginxHead = `worker_processes 1; pid DIR/pid; error_log DIR/error.log; daemon off;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
`

const nginxUpgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`

const haproxyHead = `
global
  maxconn 2000
defaults
  mode http
  timeout connect 2s
  timeout client 90s
`

const haproxyTail = `
frontend f
  bind LISTEN
  default_backend b
backend b
  server a TARGET
`

const apacheHead = `ServerName localhost
PidFile DIR/pid
ErrorLog DIR/error.log
Listen LISTEN
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
DefaultRuntimeDir DIR
ServerLimit 8
ThreadsPerChild 64
MaxRequestWorkers 512
`

const varnishBackend = `vcl 4.1;
backend default { .host = "HOST"; .port = "PORT"; `

const varnishTail = `}
sub vcl_recv {
  if (req.http.Upgrade) { return (pipe); }
  return (pass);
}
sub vcl_pipe {
  set bereq.http.Upgrade = req.http.Upgrade;
  set bereq.http.Connection = req.http.Connection;
}
`

const squidHead = `http_port LISTEN accel defaultsite=localhost
cache_peer HOST parent PORT 0 no-query no-digest originserver
http_access allow all
cache deny all
pid_filename none
access_log none
cache_log /dev/null
netdb_filename none
pinger_enable off
coredump_dir /
shutdown_lifetime 0 seconds
`

func realProxies() []realProxy {
	nginx := func(file string) []string { return []string{"nginx", "-c", file} }
	haproxy := func(file string) []string { return []string{"haproxy", "-f", file} }
	apache := func(file string) []string { return []string{"apache2", "-f", file, "-D", "FOREGROUND"} }
	varnish := func(times string) func(file string) []string {
		return func(file string) []string {
			return strings.Fields("varnishd -j none -F -a LISTEN -s malloc,32m -n DIR/work -f " + file + times)
		}
	}
	// Started by root it becomes another user, who may not read DIR; its name is
	// that of its shared memory.
	squid := func(file string) []string { return []string{"squid", "-N", "-n", "LISTENPORT", "-f", file} }
	return []realProxy{
		{
			"nginx as it comes, 10 s", nginxHead + `server { listen LISTEN; location / { proxy_pass http://TARGET; proxy_read_timeout 10s; } } }`, nginx,
			map[string]float64{doctor.IdleCut: 10, doctor.HTTP10: 0, doctor.UpgradeStripped: 0, doctor.PiecesHeld: 4096},
		},
		{
			"nginx as it should be", nginxHead + `server { listen LISTEN; location / { proxy_pass http://TARGET; proxy_read_timeout 90s; proxy_buffering off; ` + nginxUpgrade + ` } } }`, nginx,
			map[string]float64{},
		},
		{
			"nginx without cookies, with gzip", nginxHead + `gzip on; gzip_types application/json; gzip_proxied any;
  server { listen LISTEN; location / { proxy_pass http://TARGET; proxy_read_timeout 90s; proxy_buffering off; proxy_hide_header Set-Cookie; ` + nginxUpgrade + ` } } }`, nginx,
			map[string]float64{doctor.CookieStripped: 0, doctor.Compression: 0},
		},
		{
			"HAProxy, 12 s", haproxyHead + "  timeout server 12s\n" + haproxyTail, haproxy,
			map[string]float64{doctor.IdleCut: 12, doctor.WebSocketIdleCut: 12},
		},
		{
			"HAProxy, tunnels 8 s", haproxyHead + "  timeout server 90s\n  timeout tunnel 8s\n" + haproxyTail, haproxy,
			map[string]float64{doctor.WebSocketIdleCut: 8},
		},
		{"HAProxy as it should be", haproxyHead + "  timeout server 90s\n  timeout tunnel 90s\n" + haproxyTail, haproxy, map[string]float64{}},
		{
			"Apache without upgrades, 10 s", apacheHead + "ProxyPass / http://TARGET/ timeout=10\n", apache,
			map[string]float64{doctor.IdleCut: 10, doctor.UpgradeStripped: 0},
		},
		{
			"Varnish, 10 s", varnishBackend + ".first_byte_timeout = 10s; .between_bytes_timeout = 10s; " + varnishTail, varnish(" -p pipe_timeout=9"),
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 9},
		},
		{
			"Varnish as it should be", varnishBackend + ".first_byte_timeout = 90s; .between_bytes_timeout = 90s; " + varnishTail, varnish(" -p pipe_timeout=90"),
			map[string]float64{},
		},
		{
			"Squid, 12 s", squidHead + "read_timeout 12 seconds\n", squid,
			map[string]float64{doctor.IdleCut: 12, doctor.UpgradeStripped: 0},
		},
		{"Squid as it should be", squidHead + "read_timeout 90 seconds\nhttp_upgrade_request_protocols websocket allow all\n", squid, map[string]float64{}},
		{"Apache as it should be", apacheHead + "ProxyPass / http://TARGET/ timeout=90 upgrade=websocket flushpackets=on\n", apache, map[string]float64{}},
	}
}

// TestNetworksRealProxies finds what real proxies do.
func TestNetworksRealProxies(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	proxies := realProxies()
	found := make([]examined, len(proxies))
	var group sync.WaitGroup
	for i, p := range proxies {
		url := "http://" + p.run(t, halley(t, "--doctor-token", token)) + "/cometd"
		group.Go(func() { found[i] = examine(t, url, "--token", token) })
	}
	group.Wait()
	for i, p := range proxies {
		t.Run(p.name, func(t *testing.T) { compare(t, p.want, found[i]) })
	}
}

// run starts the program until the end of the test.
func (p realProxy) run(t *testing.T, target string) (address string) {
	t.Helper()
	address = testkit.FreeAddress(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	host, port, err := net.SplitHostPort(target)
	require.NoError(t, err)
	_, listen, err := net.SplitHostPort(address)
	require.NoError(t, err)
	here := strings.NewReplacer("LISTENPORT", listen, "LISTEN", address, "TARGET", target, "HOST", host, "PORT", port, "DIR", dir)
	require.NoError(t, os.WriteFile(file, []byte(here.Replace(p.config)), 0o600))
	args := p.start(file)
	for i := range args {
		args[i] = here.Replace(args[i])
	}
	c := exec.Command(args[0], args[1:]...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(os.Interrupt))
		_ = c.Wait() // how it ends at a signal is its own way
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s", p.name)
	return address
}
