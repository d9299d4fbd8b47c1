package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startTime bounds the start of a peer, on a busy machine too; stopTime is how
// long Stop waits before it kills.
const (
	startTime = 2 * time.Minute
	stopTime  = 15 * time.Second
)

// ErrNotInstalled says that `make peers-deps` has not installed the peer.
var ErrNotInstalled = errors.New("not installed: run `make peers-deps`")

// Peer is a server process. Its methods may be called by several goroutines.
type Peer struct {
	name string
	url  string
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
}

// A Setting changes how Start runs a peer.
type Setting func(*setting)

type setting struct{ log io.Writer }

// LogTo copies the output of the peer, both streams, to w as it comes.
func LogTo(w io.Writer) Setting { return func(s *setting) { s.log = w } }

// Start runs a peer and waits until it listens, at most two minutes; our own
// server is built first, for which it has five. ctx bounds the start only; the process lives until Stop or Kill, until it ends
// by itself or, on Linux, until this process ends. The error names what is
// missing, or holds the end of the peer's output. See the package for options.
func Start(ctx context.Context, name string, options map[string]string, settings ...Setting) (*Peer, error) {
	prog, err := find(name)
	if err != nil {
		return nil, err
	}
	p, err := prog.start(ctx, options, settings)
	if err != nil {
		return nil, fmt.Errorf("start the peer %s: %w", name, err)
	}
	return p, nil
}

func (prog program) start(ctx context.Context, options map[string]string, settings []Setting) (*Peer, error) {
	var set setting
	for _, s := range settings {
		s(&set)
	}
	l, err := newLaunch(options)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.root, "internal", "peers", filepath.FromSlash(prog.dir))
	if prog.needs != "" {
		if _, err := os.Stat(filepath.Join(dir, prog.needs)); err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNotInstalled, err)
		}
	}
	cpus, err := parseCPUs(l.take("cpus"))
	if err != nil {
		return nil, err
	}
	args, err := prog.command(ctx, l)
	if err != nil {
		l.cleanup()
		return nil, err
	}
	p := &Peer{name: prog.name, out: newOutput(prog.announce, set.log), done: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // the command line is ours; the process outlives ctx
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = stopTime
	endWithParent(p.cmd)
	if err := StartOn(p.cmd, cpus); err != nil {
		l.cleanup()
		return nil, err
	}
	go p.wait(l.cleanup)
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := p.listening(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Peer) wait(cleanup func()) {
	_ = p.cmd.Wait() // ProcessState has what it says.
	cleanup()
	close(p.done)
}

// listening waits until the peer has said where it listens. On an error the
// process has ended.
func (p *Peer) listening(ctx context.Context) error {
	select {
	case p.url = <-p.out.url:
		return nil
	case <-p.done:
		return fmt.Errorf("it ended (%s) before it listened; its last words:\n%s", p.cmd.ProcessState, p.out)
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("it does not listen: %w; its last words:\n%s", context.Cause(ctx), p.out)
	}
}

// Name returns the name that Start was given.
func (p *Peer) Name() string { return p.name }

// URL returns the Bayeux endpoint: http, an address of the loopback interface
// and the path. A WebSocket is served at the same place with the scheme ws.
func (p *Peer) URL() string { return p.url }

// PID returns the id of the process.
func (p *Peer) PID() int { return p.cmd.Process.Pid }

// Log returns the end of what the peer has written, 64 KiB at most.
func (p *Peer) Log() string { return p.out.String() }

// Done is closed when the process has ended.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Stop asks the peer to end in good order and waits. After 15 seconds, or when
// ctx ends, it kills the process and says so. A peer that has ended already is
// no error.
func (p *Peer) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Kill()
		return nil // it has ended, or the system has no such signal
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("the peer %s was killed: it did not stop in time: %w", p.name, ctx.Err())
	}
}

// Kill ends the peer as a crash would and waits until it has ended.
func (p *Peer) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}
