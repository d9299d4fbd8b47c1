//go:build interop

package interop

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/interop/drive"
	"github.com/halleypush/halley/internal/testkit"
)

// serverOptions are short enough for tests and long enough for a client that is cut off several times while it comes
// back, and needs eight seconds each time to notice, as those that poll by scripts may.
var serverOptions = []string{"timeout=4000", "maxInterval=60000", "sweepPeriod=500"}

// server is a server process that can be stopped and started again on the same port.
type server struct {
	addr string
	args []string
	log  *drive.Tail
	proc *exec.Cmd
	done chan struct{}
}

// startServer starts the server under test on a free port of the loopback interface and waits until it listens. A timeout
// of zero is that of serverOptions; the flags are for our server only.
func startServer(t *testing.T, timeout time.Duration, flags ...string) *server {
	t.Helper()
	addr := testkit.FreeAddress(t)
	s := &server{addr: addr, args: serverCommand(addr, timeout, flags), log: &drive.Tail{Limit: 16 << 10}}
	s.start(t)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("end of the server's log:\n%s", s.log.String())
		}
	})
	return s
}

// serverCommand is the command line of our server, or of the peer that stands in for it.
func serverCommand(addr string, timeout time.Duration, flags []string) []string {
	options := slices.Clone(serverOptions)
	if timeout > 0 {
		options[0] = fmt.Sprintf("timeout=%d", timeout.Milliseconds())
	}
	if shared.peer == "" {
		args := []string{shared.binary, "serve", "--posture", "cometd", "--listen", addr}
		for _, o := range options {
			args = append(args, "--set", o)
		}
		return append(args, flags...)
	}
	_, port, _ := net.SplitHostPort(addr)
	line := strings.NewReplacer("{port}", port, "{options}", strings.Join(options, " ")).Replace(shared.peer)
	return []string{"sh", "-c", "exec " + line}
}

func (s *server) url() string { return s.scheme() + "://" + s.addr + "/cometd" }

func (s *server) scheme() string {
	if slices.Contains(s.args, certFlag) {
		return "https"
	}
	return "http"
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.proc = exec.Command(s.args[0], s.args[1:]...)
	s.proc.Stdout, s.proc.Stderr = s.log, s.log
	endWithParent(s.proc)
	require.NoError(t, s.proc.Start())
	s.done = make(chan struct{})
	go func() {
		_ = s.proc.Wait()
		close(s.done)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.listening(ctx), "%s\n%s", strings.Join(s.args, " "), s.log.String())
}

// listening waits until the server accepts connections.
func (s *server) listening(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("the server ended with %s", s.proc.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("the server does not listen: %w", err)
		}
	}
}

// stop asks the server to end and waits; a server that takes too long is killed, which fails the test.
func (s *server) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.proc.Process.Signal(syscall.SIGTERM))
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-s.done:
	case <-late.C:
		s.kill()
		require.Fail(t, "the server does not stop")
	}
}

// kill ends the server as a crash would. It may be called for a server that has ended.
func (s *server) kill() {
	_ = s.proc.Process.Kill()
	<-s.done
}

// seedOf gives each cell of the matrix its own random numbers, which depend on its name and the run's seed only.
func seedOf(name string) uint64 {
	h := shared.seed
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

func seedText() string { return "HALLEY_INTEROP_SEED=" + strconv.FormatUint(shared.seed, 10) }
