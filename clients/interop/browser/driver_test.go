//go:build interop

package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// patience bounds what a test waits for one answer; nothing is expected to
// take so long.
const patience = 2 * time.Minute

var binary string

func TestMain(m *testing.M) {
	testkit.Main(m, "halley-browser", 0, func(dir string) (err error) {
		binary, err = testkit.Build(dir)
		return err
	})
}

// server is `halley serve --demo`, which can be stopped and started again on
// the same port.
type server struct {
	addr string
	log  *testkit.Buffer
	proc *exec.Cmd
	done chan struct{}
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{addr: testkit.FreeAddress(t), log: &testkit.Buffer{}}
	s.start(t)
	t.Cleanup(func() {
		_ = s.proc.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

// start returns when the server listens.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.proc = exec.Command(binary, "serve", "--demo", "--posture", "cometd", "--listen", s.addr)
	out, err := s.proc.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.proc.Start())
	s.done = make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(out)
		for once := true; lines.Scan(); {
			_, _ = s.log.Write(append(lines.Bytes(), '\n'))
			if once && bytes.Contains(lines.Bytes(), []byte(`"message":"listening"`)) {
				once = false
				close(ready)
			}
		}
		_ = s.proc.Wait()
	}()
	select {
	case <-ready:
	case <-s.done:
		require.Fail(t, "the server ended", s.log.String())
	}
}

// stop ends the server in good order.
func (s *server) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.proc.Process.Signal(syscall.SIGTERM))
	<-s.done
}

// args are those of a command of demo.mjs.
type args map[string]any

// browser is Chromium with demo.mjs before it. Not for concurrent use.
type browser struct {
	t     *testing.T
	in    io.Writer
	lines chan []byte
	seq   int
}

// open starts Chromium with a profile of its own.
func open(t *testing.T, srv *server) *browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	require.NoError(t, err, "make deps installs it")
	options, err := json.Marshal(args{"chromium": chromium, "profile": t.TempDir(), "url": "http://" + srv.addr + "/"})
	require.NoError(t, err)
	proc := exec.Command("node", "demo.mjs", string(options))
	log := &testkit.Buffer{}
	proc.Stderr = log
	in, err := proc.StdinPipe()
	require.NoError(t, err)
	out, err := proc.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, proc.Start())
	b := &browser{t: t, in: in, lines: make(chan []byte, 1)}
	go func() {
		defer close(b.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			b.lines <- bytes.Clone(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		for range b.lines { // Until it has ended.
		}
		_ = proc.Wait()
		if t.Failed() {
			t.Logf("the driver's own words:\n%s", log)
		}
	})
	return b
}

// do has a command carried out; the test fails when that fails.
func (b *browser) do(cmd string, a args) json.RawMessage {
	b.t.Helper()
	b.seq++
	line := maps.Clone(a)
	if line == nil {
		line = args{}
	}
	line["seq"], line["cmd"] = b.seq, cmd
	text, err := json.Marshal(line)
	require.NoError(b.t, err)
	_, err = b.in.Write(append(text, '\n'))
	require.NoError(b.t, err)
	var answer struct {
		Seq    int             `json:"seq"`
		OK     bool            `json:"ok"`
		Error  string          `json:"error"`
		Result json.RawMessage `json:"result"`
	}
	select {
	case got, ok := <-b.lines:
		require.True(b.t, ok, "the driver ended during %s", cmd)
		require.NoError(b.t, json.Unmarshal(got, &answer))
	case <-time.After(patience):
		require.Fail(b.t, "no answer", cmd)
	}
	require.Equal(b.t, b.seq, answer.Seq)
	require.True(b.t, answer.OK, "%s %v: %s", cmd, a, answer.Error)
	return answer.Result
}

// result is do for a command with a result.
func result[T any](b *browser, cmd string, a args) T {
	b.t.Helper()
	var v T
	require.NoError(b.t, json.Unmarshal(b.do(cmd, a), &v))
	return v
}

// complaints are the errors and warnings of the consoles since the last call.
func (b *browser) complaints() []string { return result[[]string](b, "complaints", nil) }
