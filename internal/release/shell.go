package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// surroundings are what a build must not depend on.
type surroundings struct {
	// dir is where the source is cloned to.
	dir string
	// cache is the folder of Go's build cache, empty for the usual one.
	cache string
	// zone is the time zone, empty for the usual one.
	zone string
	// umask is applied before anything is run, 0 for the usual one.
	umask int
}

// shell runs commands in one folder with one environment.
type shell struct {
	dir string
	env []string
}

// newShell makes the environment of a build: that of the caller, without what
// would change the result.
func newShell(s surroundings) shell {
	var env []string
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); !changesBuild(name) {
			env = append(env, pair)
		}
	}
	env = append(env, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "LC_ALL=C")
	if s.cache != "" {
		env = append(env, "GOCACHE="+s.cache)
	}
	if s.zone != "" {
		env = append(env, "TZ="+s.zone)
	}
	return shell{s.dir, env}
}

// changesBuild tells whether a variable may change what Go, make or git do.
func changesBuild(name string) bool {
	switch name {
	case "GOFLAGS", "GOOS", "GOARCH", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOWORK", "GOAMD64", "GOARM64", "CGO_ENABLED",
		"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "LC_ALL", "SOURCE_DATE_EPOCH":
		return true
	default:
		return false
	}
}

// with adds variables.
func (s shell) with(pairs ...string) shell {
	return shell{s.dir, append(append([]string{}, s.env...), pairs...)}
}

// output runs a command and returns what it prints. Its error has what the
// command complained of.
func (s shell) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the commands are constants of this program
	cmd.Dir, cmd.Env = s.dir, s.env
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, complaints.Bytes())
	}
	return string(out), nil
}

// run runs a command for what it does.
func (s shell) run(ctx context.Context, name string, args ...string) error {
	_, err := s.output(ctx, name, args...)
	return err
}
