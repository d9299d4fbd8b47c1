package main

import (
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

// options are those of a server that is to be profiled: the one in the folder, built
// with the tag pprof.
func (p *profiler) options(options map[string]string) {
	options["program"], options["admin-listen"] = filepath.Join(p.dir, "halley"), "127.0.0.1:0"
}

// adminWait bounds the wait for the line of the log that has the admin listener's
// address, which comes after the one that ends the wait for the server.
const adminWait = 10 * time.Second

// started reads the address of the admin listener from the server's log.
func (p *profiler) started(ctx context.Context, server *peers.Peer) error {
	ctx, cancel := context.WithTimeout(ctx, adminWait)
	defer cancel()
	for {
		if p.admin = adminAddress(server.Log()); p.admin != "" {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-server.Done():
			return errors.New("the server has ended before it said where its admin listener is")
		case <-ctx.Done():
			return fmt.Errorf("the server does not say where its admin listener is: %w", ctx.Err())
		}
	}
}

func adminAddress(log string) string {
	for line := range strings.Lines(log) {
		var entry struct{ Message, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == "admin listening" {
			return entry.Address
		}
	}
	return ""
}

// take fetches the CPU's profile for that long and then at once, while the load is
// still there, the others; what go tool pprof says of them is written beside.
func (p *profiler) take(ctx context.Context, length time.Duration) error {
	seconds := strconv.Itoa(int(min(length, longestProfile).Seconds()))
	all := []struct{ name, query, index string }{
		{"cpu", "profile?seconds=" + seconds, "cpu"},
		{"allocs", "allocs", "alloc_objects"},
		{"heap", "heap", "inuse_space"},
		{"mutex", "mutex", "delay"},
		{"block", "block", "delay"},
		{"goroutines", "goroutine", "goroutine"},
	}
	for _, one := range all {
		if err := p.fetch(ctx, one.query, p.file(one.name)); err != nil {
			return fmt.Errorf("the profile %s: %w", one.name, err)
		}
	}
	for _, one := range all {
		file := p.file(one.name)
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

func (p *profiler) file(name string) string { return filepath.Join(p.dir, name+".pb.gz") }

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
