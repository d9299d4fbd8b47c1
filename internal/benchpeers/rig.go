package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/peers"
	"github.com/halleypush/halley/internal/procfs"
)

// calm is how long a server is left alone before its memory is read.
const calm = 2 * time.Second

// machine is the rig on this machine.
type machine struct {
	// program has the command bench.
	program string
	// serverCPUs and loadCPUs are lists of processors for servers and the generator.
	serverCPUs string
	loadCPUs   []int
	// profiles are taken of the server under load; nil: none are.
	profiles *profiler
}

func (m machine) start(ctx context.Context, s *subject, c *benchCase) (server, error) {
	options := s.options(c)
	if m.profiles != nil {
		m.profiles.options(options)
	}
	for _, name := range []string{"program", "permissions"} {
		if options[name] == "" {
			continue
		}
		full, err := filepath.Abs(options[name])
		if err != nil {
			return nil, err
		}
		options[name] = full
	}
	if !s.Free {
		options["cpus"] = m.serverCPUs
	}
	p, err := peers.Start(ctx, s.Peer, options)
	if err != nil {
		return nil, err
	}
	if m.profiles != nil {
		if err := m.profiles.started(ctx, p); err != nil {
			return nil, errors.Join(err, p.Stop(ctx))
		}
	}
	return p, nil
}

func (m machine) load(ctx context.Context, s *subject, args []string) ([]byte, error) {
	var cpus []int
	if !s.Free {
		cpus = m.loadCPUs
	}
	profiled := make(chan error, 1)
	go func() { profiled <- m.profile(ctx) }() // ends with ctx, or before
	out, err := bench.Process(ctx, m.program, args, func(c *exec.Cmd) error { return peers.StartOn(c, cpus) })
	if err := errors.Join(err, <-profiled); err != nil {
		return nil, err
	}
	return out, nil
}

// profile takes profiles while a load is under way.
func (m machine) profile(ctx context.Context) error {
	if m.profiles == nil {
		return nil
	}
	return m.profiles.take(ctx, warmup+duration)
}

func (machine) memory(ctx context.Context, pid int) (int64, error) {
	select {
	case <-time.After(calm):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	p, ok := procfs.Read(pid)
	if !ok {
		return 0, fmt.Errorf("the memory of process %d cannot be told", pid)
	}
	return p.RSS, nil
}

func (machine) now() time.Time { return time.Now() }

// here tells where this program runs.
func here(ctx context.Context) origin {
	say := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // constants
		if err != nil {
			return name + ": not there"
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	commit := say("git", "rev-parse", "--short=12", "HEAD")
	if say("git", "status", "--porcelain", "--untracked-files=no") != "" {
		commit += "+"
	}
	return origin{
		Commit:  commit,
		Machine: say("uname", "-sr") + ", " + say("nproc", "--all") + " processors",
		Tools:   []string{say("go", "version"), say("java", "-version"), "Node " + say("node", "--version")},
		Date:    time.Now().UTC().Format(time.DateOnly),
	}
}
