//go:build interop

package proxies

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	log  *journal
	done chan struct{}
}

// launch starts a program. It ends with the test at the latest, and those of its group with it.
func launch(t *testing.T, env []string, log *journal, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), log: log}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout = log
	p.start(t)
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd.Stderr = p.log
	p.cmd.WaitDelay = time.Second // workers may hold our pipes for a moment
	p.done = make(chan struct{})
	ownGroup(p.cmd)
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
}

// kill ends the process and its group. It may be called for one that has ended.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// ended waits until the process has ended.
func (p *process) ended(t *testing.T) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
		require.Fail(t, "the process does not end", "%s\n%s", p.cmd, p.log)
	}
}

// run runs a program that ends by itself.
func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", cmd, out)
}

// eventually polls a condition; what says what is waited for, when it is too late.
func eventually(t *testing.T, condition func() bool, what func() string) {
	t.Helper()
	within(t, patience, condition, what)
}

func within(t *testing.T, d time.Duration, condition func() bool, what func() string) {
	t.Helper()
	late := time.NewTimer(d)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-late.C:
			require.Fail(t, "waited in vain", what())
		}
	}
}

// accepts waits until an address takes connections.
func (p *process) accepts(t *testing.T, address string) {
	t.Helper()
	eventually(t, func() bool {
		select {
		case <-p.done:
			require.Fail(t, "the process ended", "%s\n%s", p.cmd, p.log)
		default:
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, func() string { return fmt.Sprintf("for %s to listen on %s\n%s", p.cmd, address, p.log) })
}

// journal keeps the lines that a process writes, at most the last half of limit when there are more than limit.
type journal struct {
	limit int

	mu    sync.Mutex
	rest  string
	lines []string
}

func newJournal() *journal { return &journal{limit: 40000} }

// Write implements io.Writer.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := strings.Split(j.rest+string(b), "\n")
	j.rest = all[len(all)-1]
	j.lines = append(j.lines, all[:len(all)-1]...)
	if len(j.lines) > j.limit {
		j.lines = append(j.lines[:0:0], j.lines[len(j.lines)-j.limit/2:]...)
	}
	return len(b), nil
}

// having returns the lines with that text.
func (j *journal) having(text string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []string
	for _, line := range j.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// String returns the last lines, cut where they are long.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var s strings.Builder
	for _, line := range append(j.lines[max(0, len(j.lines)-40):len(j.lines):len(j.lines)], j.rest) {
		s.WriteString(line[:min(len(line), 240)] + "\n")
	}
	return s.String()
}
