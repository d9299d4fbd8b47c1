package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// buildTime bounds a build of our own server with nothing in the cache.
const buildTime = 5 * time.Minute

// limitPrefix begins the options that are limits of our server.
const limitPrefix = "limits."

// halley makes the command line of our own server in the posture cometd, or in
// the one of that option: the
// program itself or, with fixtures=true or demo=true, the one that adds these to
// it.
func halley(ctx context.Context, l *launch) ([]string, error) {
	fixtures, err := strconv.ParseBool(l.takeOr("fixtures", "false"))
	if err != nil {
		return nil, fmt.Errorf("option fixtures: %w", err)
	}
	demo, err := strconv.ParseBool(l.takeOr("demo", "false"))
	if err != nil {
		return nil, fmt.Errorf("option demo: %w", err)
	}
	source, args := "./cmd/halley", []string{"serve", "--posture", l.takeOr("posture", "cometd"), "--listen", "127.0.0.1:" + l.port}
	switch {
	case fixtures && demo:
		return nil, errors.New("fixtures and demo do not go together: the demo denies what it does not know")
	case fixtures:
		source = "./internal/peers/halley"
	case demo:
		source, args = "./internal/peers/halley", append([]string{"--chat"}, args...)
	}
	binary := l.take("program")
	if binary == "" {
		if binary, err = l.build(ctx, source); err != nil {
			return nil, err
		}
	}
	args = append([]string{binary}, args...)
	flags, err := halleyFlags(l)
	if err != nil {
		return nil, err
	}
	args = append(args, flags...)
	for _, pair := range halleyExtensions(l) {
		args = append(args, "--extension", pair)
	}
	for _, pair := range l.pairs() {
		if limit, ok := strings.CutPrefix(pair, limitPrefix); ok {
			args = append(args, "--limit", limit)
		} else {
			args = append(args, "--set", pair)
		}
	}
	return args, nil
}

// halleyFlags makes flags of the options that are none of the server's own.
func halleyFlags(l *launch) ([]string, error) {
	var flags []string
	for _, name := range []string{"park", "permissions", "admin-listen"} {
		if value := l.take(name); value != "" {
			flags = append(flags, "--"+name+"="+value)
		}
	}
	if l.take("tls") == "true" {
		cert, key, err := l.certificate(time.Now())
		if err != nil {
			return nil, fmt.Errorf("make a certificate: %w", err)
		}
		flags = append(flags, "--tls-cert", cert, "--tls-key", key)
	}
	return flags, nil
}

// halleyExtensions makes the settings of extensions of what the options say
// about single ones. Binary data needs none: our server passes it on.
func halleyExtensions(l *launch) []string {
	var set []string
	for _, name := range []string{"ack", "timesync"} {
		if value := l.take(name); value != "" {
			set = append(set, name+"="+value)
		}
	}
	l.take("binary")
	if l.take("timestamp") == "true" {
		set = append(set, "timestamp.format=cometd")
	}
	if period := l.take("activity"); period != "" {
		mode := "client"
		if millis, ok := strings.CutPrefix(period, "server:"); ok {
			mode, period = "client-server", millis
		}
		set = append(set, "activity.mode="+mode, "activity.period="+period+"ms")
	}
	return set
}

// build builds a program of this source tree in a folder that goes with the
// process.
func (l *launch) build(ctx context.Context, source string) (string, error) {
	dir, err := l.folder("halley-peer")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	binary := filepath.Join(dir, "halley")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, source) //nolint:gosec // of two constants
	build.Dir = l.root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return binary, nil
}

// halleyAnnounced reads the log line of our program when it listens.
func halleyAnnounced(line string) (string, bool) {
	var entry struct {
		Message, Address, Path string
		TLS                    bool
	}
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Message != "listening" {
		return "", false
	}
	scheme := "http"
	if entry.TLS {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: entry.Address, Path: entry.Path}).String(), true
}
