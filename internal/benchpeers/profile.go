package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/peers"
)

// profiler fetches profiles of our server while it is under load, into a folder.
type profiler struct {
	dir   string
	admin string // address of the admin listener
}

// longestProfile bounds the time of a profile; the server ends those that are much
// longer.
const longestProfile = 60 * time.Second

// options are those of a server that is to be profiled.
func (p *profiler) options(options map[string]string) {
	options["admin-listen"], options["admin-pprof"] = "127.0.0.1:0", "true"
}

// started reads the address of the admin listener from the server's log.
func (p *profiler) started(server *peers.Peer) error {
	lines := bufio.NewScanner(strings.NewReader(server.Log()))
	for lines.Scan() {
		var entry struct{ Message, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Message == "admin listening" {
			p.admin = entry.Address
			return nil
		}
	}
	return errors.New("the server does not say where its admin listener is: only ours can be profiled")
}

// take fetches the CPU's profile for that long, then the others, and writes what
// go tool pprof says of them beside.
func (p *profiler) take(ctx context.Context, length time.Duration) error {
	seconds := strconv.Itoa(int(min(length, longestProfile).Seconds()))
	for _, one := range []struct{ name, query, index string }{
		{"cpu", "profile?seconds=" + seconds, "cpu"},
		{"allocs", "allocs", "alloc_objects"},
		{"heap", "heap", "inuse_space"},
		{"mutex", "mutex", "delay"},
		{"goroutines", "goroutine", "goroutine"},
	} {
		file := filepath.Join(p.dir, one.name+".pb.gz")
		if err := p.fetch(ctx, one.query, file); err != nil {
			return fmt.Errorf("the profile %s: %w", one.name, err)
		}
		var text bytes.Buffer
		c := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=60", "-sample_index="+one.index, file) //nolint:gosec // our own file
		c.Stdout, c.Stderr = &text, io.Discard
		if err := c.Run(); err != nil {
			return fmt.Errorf("go tool pprof %s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(p.dir, one.name+".txt"), text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (p *profiler) fetch(ctx context.Context, query, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/debug/pprof/"+query, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s: %.200s", resp.Status, body)
	}
	return os.WriteFile(file, body, 0o600)
}
