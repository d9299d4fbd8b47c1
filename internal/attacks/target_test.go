package attacks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/internal/cli/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; nothing waits for it unless something is wrong.
const patience = time.Minute

// longPatience is for connections that the server cuts in its own time.
const longPatience = 2 * time.Minute

// target is the program, running in a posture, and one who attacks it.
type target struct {
	posture string
	address string
	admin   string // empty: none
	client  *http.Client
	logs    *logs
}

// logs collects the program's log.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(line)
	l.text.WriteByte('\n')
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// open starts the program and stops it when the test ends. config is the text
// of a configuration file, with $DIR for where the keys of the issuer are.
func open(t *testing.T, posture, config string, args ...string) *target {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "halley.yaml")
	for name, text := range map[string][]byte{
		"halley.yaml": []byte(strings.ReplaceAll(config, "$DIR", dir)), "secret": []byte(secret), "public.pem": publicPEM(),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	var c serve.Command
	parser, err := kong.New(&c, kong.Name("halley"))
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"--listen", "127.0.0.1:0", "--posture", posture, "--config", path, "--log-level", "debug"}, args...))
	require.NoError(t, err)

	in, out := io.Pipe()
	signals := make(chan os.Signal, 1)
	done := make(chan error, 1)
	addresses := make(chan [2]string, 4)
	g := &target{posture: posture, logs: &logs{}}
	read := make(chan struct{})
	go g.read(in, addresses, read)
	go func() {
		env := serve.Env{Stdout: io.Discard, Stderr: out, Signals: signals}
		env.Lookup = func(name string) (string, bool) { return "1GiB", name == "GOMEMLIMIT" }
		done <- c.Run(context.WithoutCancel(t.Context()), env)
		_ = out.Close()
	}()
	transport := &http.Transport{DisableCompression: true}
	g.client = &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		signals <- syscall.SIGTERM
		require.NoError(t, <-done)
		<-read
	})
	for g.address == "" || g.admin == "" && len(c.AdminListen) > 0 {
		select {
		case a := <-addresses:
			if strings.Contains(a[0], "admin") {
				g.admin = a[1]
			} else {
				g.address = a[1]
			}
		case <-read:
			require.FailNow(t, "the program has ended", g.logs.String())
		}
	}
	return g
}

// read reads the log, and the addresses it tells.
func (g *target) read(in io.Reader, addresses chan<- [2]string, done chan<- struct{}) {
	defer close(done)
	for scan := bufio.NewScanner(in); scan.Scan(); {
		g.logs.add(scan.Bytes())
		var line struct{ Message, Address string }
		if json.Unmarshal(scan.Bytes(), &line) == nil && line.Address != "" {
			select {
			case addresses <- [2]string{line.Message, line.Address}:
			default:
			}
		}
	}
}

// answer is what the attacker got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// request sends a request; headers in pairs. The body goes as it is.
func (g *target) request(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.address+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := g.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	return answer{res.StatusCode, res.Header, string(text), err}
}

const (
	handshake = `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket","long-polling","callback-polling"]}]`
	jsonType  = "application/json;charset=UTF-8"
)

// postOf is the text of the request by which a stock client sends messages; headers are whole lines.
func postOf(body string, headers ...string) string {
	return "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Type: " + jsonType + "\r\n" + strings.Join(headers, "") +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// pipeline sends requests one behind the other, without waiting for the answers, and returns what waits for the next of
// those. The server may answer and close before it has read the whole.
func (g *target) pipeline(t *testing.T, requests string) (next func() answer) {
	t.Helper()
	conn := g.raw(t)
	require.NoError(t, conn.SetDeadline(time.Now().Add(longPatience)))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, requests)
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-sent
	})
	r := bufio.NewReader(conn)
	return func() answer {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return answer{err: err}
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
		return answer{res.StatusCode, res.Header, string(text), err}
	}
}

// post sends messages as a stock client does.
func (g *target) post(t *testing.T, body string, headers ...string) answer {
	t.Helper()
	return g.request(t, http.MethodPost, "/cometd", body, append([]string{"Content-Type", jsonType}, headers...)...)
}

// messages are the replies of an answer.
func (a answer) messages() []map[string]any {
	var all []map[string]any
	_ = json.Unmarshal([]byte(a.body), &all)
	return all
}

// field is a field of the reply to a handshake.
func (a answer) field(name string) any {
	for _, m := range a.messages() {
		if m["channel"] == "/meta/handshake" {
			return m[name]
		}
	}
	return nil
}

// gave tells whether the answer has a session.
func (a answer) gave() bool {
	return a.field("successful") == true
}

// victim is somebody's session over long-polling, with its cookie.
type victim struct {
	g          *target
	id, cookie string
}

// victim makes a session as a stock client without a browser does.
func (g *target) victim(t *testing.T, ext string) *victim {
	t.Helper()
	body := handshake
	if ext != "" {
		body = strings.Replace(body, `}]`, `,"ext":`+ext+`}]`, 1)
	}
	a := g.post(t, body)
	require.True(t, a.gave(), "%+v", a)
	v := &victim{g: g, id: a.field("clientId").(string)}
	v.cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	return v
}

// send posts messages of the session; $ stands for its id.
func (v *victim) send(t *testing.T, body string) answer {
	t.Helper()
	return v.g.post(t, strings.ReplaceAll(body, "$", v.id), "Cookie", v.cookie)
}

// connect makes a connect that is answered at once.
func (v *victim) connect(t *testing.T) answer {
	t.Helper()
	return v.send(t, `[{"channel":"/meta/connect","clientId":"$","connectionType":"long-polling","advice":{"timeout":0}}]`)
}

// subscribe and publish return the error of the reply, "" for success.
func (v *victim) subscribe(t *testing.T, channel string) string {
	t.Helper()
	name, _ := json.Marshal(channel)
	return v.send(t, `[{"channel":"/meta/subscribe","clientId":"$","subscription":`+string(name)+`}]`).reason("/meta/subscribe")
}

func (v *victim) publish(t *testing.T, channel, data string) string {
	t.Helper()
	name, _ := json.Marshal(channel)
	return v.send(t, `[{"channel":`+string(name)+`,"clientId":"$","data":`+data+`}]`).reason(channel)
}

// reason is the error of the reply on a channel, "" for success.
func (a answer) reason(channel string) string {
	for _, m := range a.messages() {
		if m["channel"] == channel && m["successful"] != nil {
			if m["successful"] == true {
				return ""
			}
			text, _ := m["error"].(string)
			return text
		}
	}
	return "no reply: " + a.body
}

// dial opens a WebSocket; its error is the HTTP status of a refusal.
func (g *target) dial(t *testing.T, headers ...string) (net.Conn, error) {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	d := ws.Dialer{Header: ws.HandshakeHeaderHTTP(h), Timeout: patience}
	conn, _, _, err := d.Dial(t.Context(), "ws://"+g.address+"/cometd")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn, nil
}

// raw opens a TCP connection.
func (g *target) raw(t *testing.T) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", g.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}
