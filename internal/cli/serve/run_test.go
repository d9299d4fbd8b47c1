package serve

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// fake is an engine that answers with the address of its client; /cometd/hold
// is held until the engine stops.
type fake struct {
	config   server.Config
	stopping chan struct{}
	holding  chan struct{}
	stops    atomic.Int32
	// stubborn keeps Shutdown busy until its deadline.
	stubborn bool
	// order gets what happens during a stop.
	order chan string
}

func newFake() *fake {
	return &fake{stopping: make(chan struct{}), holding: make(chan struct{}), order: make(chan string, 8)}
}

func (f *fake) build(c server.Config) (Engine, error) {
	f.config = c
	return f, nil
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/hold") {
		close(f.holding)
		<-f.stopping
	}
	_, _ = io.WriteString(w, r.Proto+" "+r.RemoteAddr)
}

func (f *fake) Shutdown(ctx context.Context) error {
	f.stops.Add(1)
	f.order <- "engine"
	if f.stubborn {
		<-ctx.Done()
		return ctx.Err()
	}
	close(f.stopping)
	return nil
}

func (f *fake) Samples() []Sample {
	return []Sample{
		{Name: "sessions", Help: "Sessions.", Value: 3},
		{Name: "sessions_ended_total", Help: "Ends.", Counter: true, Labels: []label{{"reason", "timeout"}}, Value: 2},
		{Name: "sessions_ended_total", Help: "Ends.", Counter: true, Labels: []label{{"reason", "disconnect"}}, Value: 1},
	}
}

// running is a server under test.
type running struct {
	t       *testing.T
	signals chan os.Signal
	done    chan error
	lines   chan map[string]any
	out     *io.PipeWriter
}

// start runs the command until the test ends or stops it.
func start(t *testing.T, f *fake, args ...string) *running {
	t.Helper()
	return startWith(t, f.build, args...)
}

// startWith does so with an engine of its own; nil means the real one.
func startWith(t *testing.T, build Builder, args ...string) *running {
	t.Helper()
	return run(t, Env{Build: build}, args...)
}

// startIn does so in surroundings of their own.
func startIn(t *testing.T, env Env, f *fake, args ...string) *running {
	t.Helper()
	env.Build = f.build
	return run(t, env, args...)
}

func run(t *testing.T, env Env, args ...string) *running {
	t.Helper()
	in, out := io.Pipe()
	r := &running{t: t, signals: make(chan os.Signal, 2), done: make(chan error, 1), lines: make(chan map[string]any, 64), out: out}
	go func() {
		defer close(r.lines)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			var line map[string]any
			if json.Unmarshal(scan.Bytes(), &line) == nil {
				r.lines <- line
			}
		}
	}()
	c := parse(t, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	env.Lookup, env.Stdout, env.Stderr, env.Signals = lookup("GOMEMLIMIT", "1GiB"), io.Discard, out, r.signals
	go func() {
		r.done <- c.Run(context.WithoutCancel(t.Context()), env)
		_ = out.Close()
	}()
	return r
}

// wait returns the next log line with that message.
func (r *running) wait(message string) map[string]any {
	r.t.Helper()
	for line := range r.lines {
		if line["message"] == message {
			return line
		}
	}
	require.Fail(r.t, "the log ended without "+message)
	return nil
}

// address is that of the next listener.
func (r *running) address(message string) string {
	r.t.Helper()
	text, _ := r.wait(message)["address"].(string)
	require.NotEmpty(r.t, text)
	return text
}

func (r *running) stop() error {
	r.signals <- syscall.SIGTERM
	return <-r.done
}

func client(t *testing.T, transport *http.Transport) *http.Client {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// hold makes a request that the engine holds; its status comes later, 0 if it
// failed.
func hold(t *testing.T, c *http.Client, base string) <-chan int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/cometd/hold", nil)
	require.NoError(t, err)
	status := make(chan int, 1)
	go func() {
		res, err := c.Do(req)
		if err != nil {
			status <- 0
			return
		}
		status <- res.StatusCode
		_ = res.Body.Close()
	}()
	return status
}

func TestServesItsPathOnly(t *testing.T) {
	f := newFake()
	r := start(t, f, "--path", "/bayeux/", "--set", "timeout=1")
	line := r.wait("listening")
	require.Equal(t, "info", line["level"])
	require.Equal(t, "/bayeux", line["path"])
	base := "http://" + line["address"].(string)
	c := client(t, &http.Transport{})
	for path, want := range map[string]int{
		"/bayeux": 200, "/bayeux/": 200, "/bayeux/handshake": 200, "/bayeux//x": 200,
		"/": 404, "/bayeuxx": 404, "/cometd": 404, "/readyz": 404, "/metrics": 404,
	} {
		status, _ := get(t, c, base+path)
		require.Equal(t, want, status, path)
	}
	require.Equal(t, server.Options{"timeout": "1"}, f.config.Options)
	require.NoError(t, r.stop())
	require.Equal(t, int32(1), f.stops.Load())
}

func TestRootPath(t *testing.T) {
	r := start(t, newFake(), "--path", "/")
	base := "http://" + r.address("listening")
	for _, path := range []string{"/", "/handshake"} {
		status, _ := get(t, client(t, &http.Transport{}), base+path)
		require.Equal(t, 200, status)
	}
	require.NoError(t, r.stop())
}

func TestSeveralListeners(t *testing.T) {
	r := start(t, newFake(), "--listen", "127.0.0.1:0")
	for range 2 {
		status, _ := get(t, client(t, &http.Transport{}), "http://"+r.address("listening")+"/cometd")
		require.Equal(t, 200, status)
	}
	require.NoError(t, r.stop())
}

func TestListenFails(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, flag := range []string{"--listen", "--admin-listen"} {
		r := start(t, newFake(), flag, taken.Addr().String())
		err := <-r.done
		require.ErrorContains(t, err, strings.TrimPrefix(flag, "--")+" "+taken.Addr().String())
		require.NotErrorAs(t, err, new(*UsageError), "not the operator's writing, but the machine")
	}
}

func TestEngineRefuses(t *testing.T) {
	c := parse(t, "--listen", "127.0.0.1:0")
	build := func(server.Config) (Engine, error) { return nil, errors.New("no") }
	for _, check := range []bool{true, false} {
		c.CheckConfig = check
		err := c.Run(t.Context(), Env{Lookup: lookup("GOMEMLIMIT", "1GiB"), Stdout: io.Discard, Stderr: io.Discard, Build: build})
		require.ErrorAs(t, err, new(*UsageError))
	}
}

func TestCheckConfig(t *testing.T) {
	var out strings.Builder
	f := newFake()
	require.NoError(t, parse(t, "--check-config", "--listen", "127.0.0.1:0").Run(t.Context(), Env{Lookup: lookup(), Stdout: &out, Build: f.build}))
	require.Equal(t, "ok\n", out.String())
	require.Equal(t, int32(1), f.stops.Load(), "nothing is left running")
	err := parse(t, "--check-config", "--tls-cert", "none.pem", "--tls-key", "none.pem").Run(t.Context(), Env{Lookup: lookup(), Build: f.build})
	require.ErrorContains(t, err, "tls-cert and tls-key: open none.pem")
}

func TestAdmin(t *testing.T) {
	f := newFake()
	r := start(t, f, "--admin-listen", "127.0.0.1:0")
	front := "http://" + r.address("listening")
	admin := "http://" + r.address("admin listening")
	c := client(t, &http.Transport{DisableKeepAlives: true})
	for _, path := range []string{"/healthz", "/readyz"} {
		status, _ := get(t, c, admin+path)
		require.Equal(t, 200, status, path)
	}
	status, text := get(t, c, admin+"/metrics")
	require.Equal(t, 200, status)
	for _, want := range []string{
		"halley_sessions 3\n", `halley_sessions_ended_total{reason="timeout"} 2`, `halley_sessions_ended_total{reason="disconnect"} 1`,
		"# TYPE halley_sessions_ended_total counter\n", "# TYPE halley_sessions gauge\n", "halley_ready 1\n", "go_goroutines ", "process_open_fds ",
	} {
		require.Contains(t, text, want)
	}
	status, _ = get(t, c, admin+"/cometd")
	require.Equal(t, 404, status)

	// While a poll is held and the engine does not let go, the stop goes on.
	f.stubborn = true
	held := hold(t, c, front)
	<-f.holding
	r.signals <- syscall.SIGTERM
	require.Equal(t, "engine", <-f.order)
	status, _ = get(t, c, admin+"/readyz")
	require.Equal(t, 503, status, "not ready while it stops")
	status, _ = get(t, c, admin+"/healthz")
	require.Equal(t, 200, status)
	_, text = get(t, c, admin+"/metrics")
	require.Contains(t, text, "halley_ready 0\n")
	close(f.stopping)
	require.Equal(t, 200, <-held)
	r.signals <- os.Interrupt
	require.ErrorContains(t, <-r.done, "ended at once by a second signal: interrupt")
}

// TestGracefulStop holds a poll over the stop: it is answered, then the
// listener is closed.
func TestGracefulStop(t *testing.T) {
	f := newFake()
	r := start(t, f)
	address := r.address("listening")
	held := hold(t, client(t, &http.Transport{}), "http://"+address)
	<-f.holding
	require.NoError(t, r.stop())
	require.Equal(t, 200, <-held)
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.Error(t, err, "the listener is closed")
}

func TestStopHasADeadline(t *testing.T) {
	f := newFake()
	f.stubborn = true
	r := start(t, f, "--shutdown-timeout", "1ms")
	r.address("listening")
	require.ErrorIs(t, r.stop(), context.DeadlineExceeded)
}

func TestContextEndsTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := parse(t, "--listen", "127.0.0.1:0").Run(ctx, Env{
		Lookup: lookup("GOMEMLIMIT", "1GiB"), Stdout: io.Discard, Stderr: io.Discard, Build: newFake().build,
	})
	if err != nil { // the listener may see the end first
		require.ErrorIs(t, err, context.Canceled)
	}
}

// TestProtocols checks HTTP/1.1, h2c, and h2 over TLS, also with a listener
// that stays plain.
func TestProtocols(t *testing.T) {
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	r := start(t, newFake())
	base := r.address("listening")
	_, text := get(t, client(t, &http.Transport{}), "http://"+base+"/cometd")
	require.Contains(t, text, "HTTP/1.1 127.0.0.1:")
	_, text = get(t, client(t, &http.Transport{Protocols: h2c}), "http://"+base+"/cometd")
	require.Contains(t, text, "HTTP/2.0 127.0.0.1:")
	require.NoError(t, r.stop())

	cert, key, pool := certificate(t)
	r = start(t, newFake(), "--listen", "tcp://127.0.0.1:0?tls=off", "--tls-cert", cert, "--tls-key", key)
	secure, plain := r.address("listening"), r.address("listening")
	_, text = get(t, client(t, &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}), "https://"+secure+"/cometd")
	require.Contains(t, text, "HTTP/2.0 127.0.0.1:")
	_, text = get(t, client(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}}), "https://"+secure+"/cometd")
	require.Contains(t, text, "HTTP/1.1 127.0.0.1:")
	_, text = get(t, client(t, &http.Transport{}), "http://"+plain+"/cometd")
	require.Contains(t, text, "HTTP/1.1 127.0.0.1:")
	require.NoError(t, r.stop())
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, pool
}

func TestConsoleLog(t *testing.T) {
	var out strings.Builder
	log := newLog(&out, "console", 0)
	log.Info().Str("path", "/cometd").Msg("listening")
	require.Contains(t, out.String(), "listening")
	require.NotContains(t, out.String(), `"path"`)
}

func TestHTTPLog(t *testing.T) {
	var out strings.Builder
	log := httpLog(newLog(&out, "json", 0))
	log.Print("http: TLS handshake error from 127.0.0.1:1: EOF")
	log.Print("http: panic serving 127.0.0.1:1: oh")
	require.Contains(t, out.String(), `{"level":"debug","component":"http"`)
	require.Contains(t, out.String(), `{"level":"error","component":"http"`)
}

func TestRaiseDescriptors(t *testing.T) {
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	require.Equal(t, limit.Max, raiseDescriptors())
}
