package pubsub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/cli/pubsub"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// commands is the part of the program's command line that is tested.
type commands struct {
	Sub pubsub.Sub `cmd:"" help:"Subscribe."`
	Pub pubsub.Pub `cmd:"" help:"Publish."`
}

// run parses a command line and runs it.
func run(ctx context.Context, env pubsub.Env, args ...string) error {
	var all commands
	parser, err := kong.New(&all, kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(env),
		kong.Writers(env.Stdout, env.Stderr), kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return chosen.Run()
}

// output is a writer that tests can wait on.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait waits until the output holds n times the text.
func (o *output) wait(t *testing.T, n int, text string) {
	t.Helper()
	for strings.Count(o.String(), text) < n {
		select {
		case <-o.changed:
		case <-t.Context().Done():
			require.FailNow(t, "the output never came", "want %d × %q in %q", n, text, o.String())
		}
	}
}

// guarded refuses a token that is not there, and one channel.
type guarded struct{ bayeux.DefaultPolicy }

func (guarded) CanHandshake(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
	if token, ok := m.ExtMember("token"); ok && string(token) != `"right"` {
		return bayeux.Deny("wrong_token")
	}
	if r := bayeux.RequestFrom(ctx); r != nil && r.Header.Get("X-Bad") != "" {
		return bayeux.Deny("bad_header")
	}
	return nil
}

func (guarded) CanSubscribe(_ context.Context, _ bayeux.Session, p channels.Pattern, _ *bayeux.Message) error {
	if p.Name() == "/secret" {
		return bayeux.Deny("not_yours")
	}
	return nil
}

func (guarded) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	if ch == "/secret" || strings.Contains(string(m.Data), "spam") {
		return bayeux.Deny("not_yours")
	}
	return nil
}

// rig is a server, a subscriber on it and what it printed.
type rig struct {
	t       *testing.T
	url     string
	srv     *server.Server
	signals chan os.Signal
	out     *output
	log     *output
	ended   chan error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	srv, err := server.New(server.Config{Policy: guarded{}, Extensions: []bayeux.Extension{ack.New()}})
	require.NoError(t, err)
	h := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		h.CloseClientConnections()
		h.Close()
	})
	return &rig{
		t: t, url: h.URL + "/cometd", srv: srv, signals: make(chan os.Signal, 2),
		out: newOutput(), log: newOutput(), ended: make(chan error, 1),
	}
}

// sub starts `sub`, whose end comes by r.ended.
func (r *rig) sub(args ...string) {
	r.t.Helper()
	env := pubsub.Env{Stdout: r.out, Stderr: r.log, Signals: r.signals}
	ctx := r.t.Context()
	go func() { r.ended <- run(ctx, env, append([]string{"sub", r.url}, args...)...) }()
}

// pub runs `pub` and returns its standard error.
func (r *rig) pub(stdin string, args ...string) (string, error) {
	r.t.Helper()
	var log bytes.Buffer
	env := pubsub.Env{Stdin: strings.NewReader(stdin), Stdout: io.Discard, Stderr: &log}
	err := run(r.t.Context(), env, append([]string{"pub", r.url}, args...)...)
	return log.String(), err
}

// meet waits until the server knows a subscription to the channel.
func (r *rig) meet(channel string) {
	r.t.Helper()
	for r.srv.Subscribers(channel) == 0 {
		require.NoError(r.t, r.t.Context().Err())
		runtime.Gosched()
	}
}

// transports are the ways to run a command line.
func transports(t *testing.T, f func(t *testing.T, flag string)) {
	t.Helper()
	for _, name := range []string{"auto", "websocket", "long-polling"} {
		t.Run(name, func(t *testing.T) { f(t, "--transport="+name) })
	}
}

func TestSubPrints(t *testing.T) {
	transports(t, func(t *testing.T, flag string) {
		r := newRig(t)
		r.sub("/a/**", "/a/b", "/c", flag)
		r.meet("/c")
		_, err := r.pub("", "/a/b", "{\"n\": 1.50,\n \"s\":\"é\\u0041\"}")
		require.NoError(t, err)
		_, err = r.pub("", "/c", `[1]`)
		require.NoError(t, err)
		r.out.wait(t, 1, `"/c"`)
		r.signals <- os.Interrupt
		require.NoError(t, <-r.ended)
		lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
		require.Len(t, lines, 2, "a message that matches twice is printed once: %q", lines)
		require.Contains(t, lines[0], `"data":{"n": 1.50,  "s":"é\u0041"}`)
		for _, l := range lines {
			require.True(t, json.Valid([]byte(l)), l)
		}
		require.Equal(t, "connecting\nconnected\ndisconnected\n", r.log.String())
	})
}

func TestSubCountAndData(t *testing.T) {
	transports(t, func(t *testing.T, flag string) {
		r := newRig(t)
		r.sub("/n", "--messages=data", "--count", "3", "--ack", flag)
		var published sync.WaitGroup
		stop := make(chan struct{})
		published.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = r.pub("", "/n", `{"n":`+strconv.Itoa(n)+`}`)
			}
		})
		require.NoError(t, <-r.ended)
		close(stop)
		published.Wait()
		require.Regexp(t, `^(\{"n":\d+\}\n){3}$`, r.out.String())
	})
}

func TestSubRefused(t *testing.T) {
	transports(t, func(t *testing.T, flag string) {
		for want, args := range map[string][]string{
			"403:wrong_token:handshake_denied":                     {"/a", "--handshake-ext", `{"token":"x"}`},
			"403:bad_header:handshake_denied":                      {"/a", "--header", "X-Bad: yes"},
			"subscribe to /secret: 403:not_yours:subscribe_denied": {"/a", "/secret", "--handshake-ext", `{"token":"right"}`},
		} {
			r := newRig(t)
			r.sub(append(args, flag)...)
			err := <-r.ended
			require.EqualError(t, err, want)
			require.False(t, isUsage(err))
			require.Empty(t, r.out.String())
			require.Contains(t, r.log.String(), "disconnected")
		}
	})
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*pubsub.UsageError](err)
	return ok
}

func TestUsage(t *testing.T) {
	const url = "http://127.0.0.1:9/cometd"
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"url":           {[]string{"sub", "gopher://x", "/a"}, "gopher"},
		"channel":       {[]string{"sub", url, "a"}, `channel "a"`},
		"meta":          {[]string{"sub", url, "/meta/connect"}, "meta"},
		"second":        {[]string{"sub", url, "/a", "/b//c"}, "/b//c"},
		"header":        {[]string{"sub", url, "/a", "--header", "nope"}, "NAME:VALUE"},
		"empty header":  {[]string{"sub", url, "/a", "--header", ":x"}, "NAME:VALUE"},
		"handshake ext": {[]string{"sub", url, "/a", "--handshake-ext", "[]"}, "JSON object"},
		"null ext":      {[]string{"sub", url, "/a", "--handshake-ext", "null"}, "JSON object"},
		"count":         {[]string{"sub", url, "/a", "--count=-1"}, "--count"},
		"timeout":       {[]string{"sub", url, "/a", "--timeout=0s"}, "--timeout"},
		"pub channel":   {[]string{"pub", url, "a", "1"}, `channel "a"`},
		"pub meta":      {[]string{"pub", url, "/meta/x", "1"}, "meta"},
		"pub JSON":      {[]string{"pub", url, "/a", "{x}"}, `"{x}" is no JSON`},
		"pub url":       {[]string{"pub", "http://", "/a", "1"}, "no host"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), pubsub.Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, c.args...)
			require.True(t, isUsage(err), "%v", err)
			require.ErrorContains(t, err, c.want)
		})
	}
	for _, args := range [][]string{
		{"sub", url},
		{"sub"},
		{"pub", url},
		{"sub", url, "/a", "--transport=pigeon"},
		{"sub", url, "/a", "--messages=none"},
		{"pub", url, "/a", "1", "2"},
	} {
		require.Error(t, run(t.Context(), pubsub.Env{Stdout: io.Discard, Stderr: io.Discard}, args...), args)
	}
}

func TestUnreachable(t *testing.T) {
	url := "http://" + testkit.FreeAddress(t)
	for _, args := range [][]string{{"sub", url, "/a"}, {"pub", url, "/a", "1"}} {
		err := run(t.Context(), pubsub.Env{Stdout: io.Discard, Stderr: io.Discard}, args...)
		require.Error(t, err)
		require.False(t, isUsage(err))
		require.ErrorContains(t, err, "long-polling")
	}
}

func TestInsecure(t *testing.T) {
	srv, err := server.New(server.Config{})
	require.NoError(t, err)
	h := httptest.NewUnstartedServer(srv)
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(func() {
		_ = srv.Shutdown(context.Background())
		h.CloseClientConnections()
		h.Close()
	})
	env := pubsub.Env{Stdout: io.Discard, Stderr: io.Discard}
	transports(t, func(t *testing.T, flag string) {
		require.ErrorContains(t, run(t.Context(), env, "pub", h.URL, "/a", "1", flag), "certificate")
		require.NoError(t, run(t.Context(), env, "pub", h.URL, "/a", "1", flag, "--insecure"))
	})
}

func TestPubLines(t *testing.T) {
	transports(t, func(t *testing.T, flag string) {
		r := newRig(t)
		r.sub("/n", "--messages=data", flag)
		r.meet("/n")
		var in, want strings.Builder
		for n := range 500 {
			in.WriteString(strconv.Itoa(n) + "\n")
			want.WriteString(strconv.Itoa(n) + "\n")
			if n%100 == 0 {
				in.WriteString("  \n\n")
			}
		}
		in.WriteString("\"last\"")
		want.WriteString("\"last\"\n")
		log, err := r.pub(in.String(), "/n", flag)
		require.NoError(t, err)
		require.Empty(t, log)
		r.out.wait(t, 1, "last")
		require.Equal(t, want.String(), r.out.String())
		r.signals <- os.Interrupt
		require.NoError(t, <-r.ended)
	})
}

// Lines that cannot be sent are named; the others go out.
func TestPubBadLines(t *testing.T) {
	transports(t, func(t *testing.T, flag string) {
		r := newRig(t)
		r.sub("/n", "--messages=data", flag)
		r.meet("/n")
		log, err := r.pub("1\n\n{\"a\"\n\"spam\"\n2 3\n\"good\"\n", "/n", flag)
		require.EqualError(t, err, "3 of 5 lines were not accepted")
		require.Regexp(t, `(?m)^line 3: no JSON: .*\nline 4: 403:not_yours:publish_denied\nline 5: no JSON: .*\n$`, log)
		r.out.wait(t, 1, "good")
		r.signals <- os.Interrupt
		require.NoError(t, <-r.ended)

		_, err = r.pub("", "/secret", "1", flag)
		require.EqualError(t, err, "403:not_yours:publish_denied")
	})
}

func TestPubLargeLines(t *testing.T) {
	r := newRig(t)
	r.sub("/n", "--messages=data", "--count=4")
	big := strings.Repeat("x", 20<<10)
	var in strings.Builder
	for range 4 {
		in.WriteString(`"` + big + "\"\n")
	}
	r.meet("/n")
	_, err := r.pub(in.String(), "/n")
	require.NoError(t, err, "two together would be too long for a WebSocket message")
	require.NoError(t, <-r.ended)
	log, err := r.pub("1\n\""+strings.Repeat("y", 5<<20)+"\"\n3\n", "/n")
	require.EqualError(t, err, "1 of 2 lines were not accepted")
	require.Contains(t, log, "line 2: longer than 4194304 bytes")
}

// brokenReader fails after its text.
type brokenReader struct{ text io.Reader }

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("disk on fire")
	}
	return n, err
}

func TestPubInputFails(t *testing.T) {
	r := newRig(t)
	var log bytes.Buffer
	env := pubsub.Env{Stdin: brokenReader{strings.NewReader("1\n2\n")}, Stdout: io.Discard, Stderr: &log}
	require.EqualError(t, run(t.Context(), env, "pub", r.url, "/n"), "1 of 3 lines were not accepted")
	require.Equal(t, "line 3: disk on fire\n", log.String())
}

func TestPubInterrupted(t *testing.T) {
	r := newRig(t)
	in, feed := io.Pipe()
	var log bytes.Buffer
	env := pubsub.Env{Stdin: in, Stdout: io.Discard, Stderr: &log, Signals: r.signals}
	ended := make(chan error, 1)
	ctx := t.Context()
	go func() { ended <- run(ctx, env, "pub", r.url, "/n") }()
	_, err := feed.Write([]byte("1\n"))
	require.NoError(t, err)
	r.signals <- os.Interrupt
	require.ErrorContains(t, <-ended, "interrupted after")
	require.NoError(t, feed.Close())
}

// brokenWriter is a pipe whose reader has left.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestSubOutputFails(t *testing.T) {
	r := newRig(t)
	env := pubsub.Env{Stdout: brokenWriter{}, Stderr: r.log}
	ctx := t.Context()
	go func() { r.ended <- run(ctx, env, "sub", r.url, "/n") }()
	r.meet("/n")
	_, err := r.pub("", "/n", "1")
	require.NoError(t, err)
	require.EqualError(t, <-r.ended, "broken pipe")
}

// blockedWriter takes nothing until it is released.
type blockedWriter struct{ blocked, release chan struct{} }

func (b blockedWriter) Write(p []byte) (int, error) {
	close(b.blocked)
	<-b.release
	return len(p), nil
}

// The second signal ends what the first cannot.
func TestSubSecondSignal(t *testing.T) {
	r := newRig(t)
	w := blockedWriter{make(chan struct{}), make(chan struct{})}
	env := pubsub.Env{Stdout: w, Stderr: r.log, Signals: r.signals}
	ctx := t.Context()
	go func() { r.ended <- run(ctx, env, "sub", r.url, "/n") }()
	r.meet("/n")
	_, err := r.pub("", "/n", "1")
	require.NoError(t, err)
	<-w.blocked
	r.signals <- os.Interrupt
	r.signals <- os.Interrupt
	require.NoError(t, <-r.ended)
	close(w.release)
}

func TestSubServerEnds(t *testing.T) {
	transports(t, func(t *testing.T, flag string) {
		r := newRig(t)
		r.sub("/n", flag)
		r.meet("/n")
		// Only a held connect takes the news to the client ([R-CN-16]).
		for r.srv.Stats().Holds == 0 {
			require.NoError(t, t.Context().Err())
			runtime.Gosched()
		}
		for _, s := range r.srv.Sessions() {
			require.NoError(t, s.Disconnect(t.Context()))
		}
		require.ErrorContains(t, <-r.ended, "ended by the server")
	})
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"sub", "pub"} {
		var out bytes.Buffer
		_ = run(t.Context(), pubsub.Env{Stdout: &out, Stderr: &out}, command, "--help")
		for _, want := range []string{"--transport", "--header", "--handshake-ext", "--timeout", "--insecure", "halley " + command} {
			require.Contains(t, out.String(), want)
		}
	}
}
