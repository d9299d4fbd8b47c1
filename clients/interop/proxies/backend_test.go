//go:build interop

package proxies

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// backend is a server process behind the proxy, which can be stopped and started again at the same addresses.
type backend struct {
	name              string
	plain, tcp, admin string // addresses: HTTP, TLS behind the PROXY protocol, health
	secure            string // and TLS
	posture           []string
	hold              time.Duration
	log               *journal
	proc              *process
}

// hold is how long polls are held where a test does not say otherwise.
const hold = 2 * time.Second

func startBackend(t *testing.T, name string, strict bool, hold time.Duration) *backend {
	t.Helper()
	b := &backend{
		name: name, hold: hold, log: newJournal(),
		plain: testkit.FreeAddress(t), tcp: testkit.FreeAddress(t), admin: testkit.FreeAddress(t), secure: testkit.FreeAddress(t),
	}
	b.posture = []string{"--posture", "cometd"}
	if strict {
		rules := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(rules, []byte("- allow: [subscribe, publish]\n  who: everyone\n  channels: /*\n"), 0o600))
		b.posture = []string{"--posture", "strict", "--permissions", rules}
	}
	b.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", name, b.log)
		}
	})
	return b
}

// start returns when the server is ready.
func (b *backend) start(t *testing.T) {
	t.Helper()
	b.proc = launch(t, nil, b.log, shared.binary, append([]string{
		"serve", "--log-level", "debug",
		"--listen", "tcp://" + b.plain + "?tls=off", "--listen", "tcp://" + b.tcp + "?proxy=any", "--listen", b.secure,
		"--tls-cert", filepath.Join(shared.certs, "cert.pem"), "--tls-key", filepath.Join(shared.certs, "key.pem"),
		"--trusted-proxies", "127.0.0.1", "--admin-listen", b.admin,
		"--set", fmt.Sprintf("timeout=%d", b.hold.Milliseconds()), "--set", "maxInterval=60000", "--set", "sweepPeriod=500",
		"--set", "browserCookieSecure=true",
	}, b.posture...)...)
	b.proc.accepts(t, b.admin)
	eventually(t, func() bool { return b.status("/readyz") == http.StatusOK }, func() string { return b.name + " to be ready" })
}

// stop asks the server to end, as the service manager does, and waits.
func (b *backend) stop(t *testing.T) {
	t.Helper()
	b.proc.signal(t, syscall.SIGTERM)
	b.proc.ended(t)
}

// direct asks a backend without a proxy; connections are not kept.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func (b *backend) status(path string) int {
	res, err := direct.Get("http://" + b.admin + path)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// count returns the sum of a metric over its labels.
func (b *backend) count(t *testing.T, metric string) int {
	t.Helper()
	res, err := direct.Get("http://" + b.admin + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	sum := 0.0
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ = strings.Cut(name, "{"); found && name == metric {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			sum += n
		}
	}
	return int(sum)
}

// beginning is a session's beginning as the server's log has it.
type beginning struct {
	Session   string `json:"session"`
	Transport string `json:"transport"`
	Address   string `json:"address"`
}

// begun returns the sessions that have begun.
func (b *backend) begun(t *testing.T) []beginning {
	t.Helper()
	var all []beginning
	for _, line := range b.log.having(`"session begins"`) {
		var one beginning
		require.NoError(t, json.Unmarshal([]byte(line), &one))
		all = append(all, one)
	}
	return all
}

// has tells whether the session began here.
func (b *backend) has(t *testing.T, session string) bool {
	t.Helper()
	return session != "" && b.beginningOf(t, session).Session == session
}

func (b *backend) beginningOf(t *testing.T, session string) beginning {
	t.Helper()
	for _, one := range b.begun(t) {
		if one.Session == session {
			return one
		}
	}
	return beginning{}
}

// publish publishes to this backend, without a proxy: two backends are two servers, and what is published to one does not
// come to those who are at the other.
func (b *backend) publish(t *testing.T, channel string, data any) {
	t.Helper()
	send := func(cookie string, message map[string]any) (map[string]any, string) {
		text, err := json.Marshal([]any{message})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.plain+"/cometd", bytes.NewReader(text))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		res, err := direct.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		var replies []map[string]any
		require.NoError(t, json.NewDecoder(res.Body).Decode(&replies))
		require.NotEmpty(t, replies)
		require.Equal(t, true, replies[0]["successful"], "%v", replies)
		given, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
		return replies[0], given
	}
	reply, cookie := send("", map[string]any{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"long-polling"}})
	send(cookie, map[string]any{"channel": channel, "data": data, "clientId": reply["clientId"]})
	send(cookie, map[string]any{"channel": "/meta/disconnect", "clientId": reply["clientId"]})
}
