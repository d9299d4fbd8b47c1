// Program conform puts our Go client under the command of `halley conform
// --client`: it reads jobs as lines of JSON from standard input and writes
// what the application is told to standard output. See package clientmode of
// the suite for the language.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
)

// line is a line of standard input.
type line struct {
	Cmd string `json:"cmd"`
	job
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// version is that of the module, or of the commit, which the build knows.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return ""
}

// serve starts and stops applications until the input ends.
func serve(in io.Reader, out io.Writer) error {
	about := map[string]any{"kind": "about", "client": "Halley (Go)", "version": version(), "cannot": map[string]string{}}
	if err := json.NewEncoder(out).Encode(about); err != nil {
		return err
	}
	var mu sync.Mutex
	tell := func(client string, e event) {
		mu.Lock()
		defer mu.Unlock()
		text, err := json.Marshal(struct {
			Client string `json:"client"`
			event
		}{client, e})
		if err == nil {
			_, _ = fmt.Fprintf(out, "%s\n", text)
		}
	}
	running := map[string]func(){}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return err
		}
		switch l.Cmd {
		case "start":
			stop, err := start(l.job, func(e event) { tell(l.Client, e) })
			if err != nil {
				return err
			}
			running[l.Client] = stop
		case "stop":
			if stop := running[l.Client]; stop != nil {
				stop()
				delete(running, l.Client)
			}
		}
	}
	return lines.Err()
}
