package peers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// launch is what a command line is made of.
type launch struct {
	root    string // of the source tree
	port    string
	options map[string]string // those that are not taken yet
	cleanup func()            // called when the process has ended
}

func newLaunch(options map[string]string) (*launch, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	l := &launch{root: root, options: maps.Clone(options), cleanup: func() {}}
	l.port = l.takeOr("port", "0")
	if n, err := strconv.ParseUint(l.port, 10, 16); err != nil {
		return nil, fmt.Errorf("option port=%q: want 0 to 65535", l.port)
	} else if n == 0 {
		l.port = "0"
	}
	return l, nil
}

// take removes an option and returns its value.
func (l *launch) take(name string) string {
	value := l.options[name]
	delete(l.options, name)
	return value
}

// takeOr is take with a default.
func (l *launch) takeOr(name, standard string) string { return cmp.Or(l.take(name), standard) }

// pairs returns the options that are left as name=value, sorted.
func (l *launch) pairs() []string {
	names := slices.Sorted(maps.Keys(l.options))
	for i, name := range names {
		names[i] = name + "=" + l.options[name]
	}
	return names
}

const module = "module github.com/halleypush/halley\n"

// findRoot returns the folder of the source tree that the working directory
// is in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // a file of the source tree
		switch {
		case err == nil && bytes.HasPrefix(text, []byte(module)):
			return dir, nil
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return "", err
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("the peers are part of the source tree, and %s is not in it", start)
		}
	}
}

// announced reads the line that our main programs print when they listen.
func announced(line string) (url string, ok bool) {
	url, ok = strings.CutPrefix(line, "listening ")
	return url, ok && strings.HasPrefix(url, "http://")
}
