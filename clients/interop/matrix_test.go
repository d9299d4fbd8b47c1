//go:build interop

package interop

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/bayeuxclient"
)

// depthVariable set to "full" sends all cells through all scenarios; without it only the core cells get that.
const depthVariable = "HALLEY_INTEROP"

// cell is one client on one transport.
type cell struct {
	name      string
	transport string
	ack       bool
	depth     depth
	build     func(t *testing.T, base string) client
}

// depth is how much of the scenarios a cell gets without depthVariable.
type depth int

const (
	full  depth = iota
	smoke       // the short list, once for each client and transport.
	never       // a variant of a cell that has the short list.
)

// published is a client in a program of its own.
type published struct {
	name       string
	driver     driver
	major      int
	transports []string
	depth      depth
	plainOnly  bool // the short list runs without acknowledgements, which the client does not have.
}

func publishedClients() []published {
	both := []string{"long-polling", "websocket"}
	var all []published
	for _, major := range []int{3, 4, 5, 7, 8, 9} {
		p := published{name: fmt.Sprintf("cometd %d", major), driver: nodeDriver(), major: major, transports: both}
		if major == 4 || major == 5 || major == 7 {
			p.depth = smoke
		}
		all = append(all, p)
	}
	return append(all,
		published{name: "java 8", driver: javaDriver("cometd8", "interop.CometD8"), transports: both, depth: smoke},
		published{name: "java 2", driver: javaDriver("cometd2", "interop.CometD2"), transports: both[:1], depth: smoke},
		published{name: "faye", driver: fayeDriver(), transports: both, depth: smoke, plainOnly: true},
		published{name: "aiocometd-ng", driver: pythonDriver(), transports: both, depth: smoke, plainOnly: true},
	)
}

// cells is the matrix of clients, transports and acknowledgements.
func cells() []cell {
	var all []cell
	add := func(name string, transports []string, of func(transport string, ack bool) depth, build func(t *testing.T, base, transport string, ack bool) client) {
		for _, transport := range transports {
			for _, ack := range []bool{true, false} {
				suffix := map[bool]string{true: "ack", false: "plain"}[ack]
				all = append(all, cell{name + " " + transport + " " + suffix, transport, ack, of(transport, ack), func(t *testing.T, base string) client {
					t.Helper()
					return build(t, base, transport, ack)
				}})
			}
		}
	}
	for _, p := range publishedClients() {
		add(p.name, p.transports, func(_ string, ack bool) depth {
			if p.depth == smoke && ack == p.plainOnly {
				return never
			}
			return p.depth
		}, func(t *testing.T, base, transport string, ack bool) client {
			t.Helper()
			return newDriverClient(t, p.driver, driverOptions{Major: p.major, URL: base, Transport: transport, Ack: ack})
		})
	}
	core := func(string, bool) depth { return full }
	add("bayeuxclient", []string{bayeuxclient.LongPolling, bayeuxclient.WebSocket}, core, func(t *testing.T, base, transport string, ack bool) client {
		t.Helper()
		return newGoClient(t, base, transport, ack)
	})
	add("raw", []string{"long-polling", "callback-polling"}, core, func(t *testing.T, base, transport string, ack bool) client {
		t.Helper()
		return newRawClient(t, base, transport == "callback-polling", ack)
	})
	return all
}

// touchSources looks at every source file of the module. The server is built by a command, and the drivers are
// programs, which the test cache does not see: without this an old result would stand for a changed server.
func touchSources(t *testing.T) {
	t.Helper()
	_ = os.Getenv(peerCommand)
	require.NoError(t, filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || name == "target" || len(name) > 2 && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".mjs", ".py", ".java", ".txt", ".xml", ".json":
			_, err = os.Stat(path)
		}
		return err
	}))
}

// TestMatrix runs every client through its scenarios: the core clients through all of them, the others through the
// short list, or all of them through all where the environment asks for it.
func TestMatrix(t *testing.T) {
	touchSources(t)
	everything := os.Getenv(depthVariable) == "full"
	var chosen []cell
	for _, c := range cells() {
		if everything {
			c.depth = full
		}
		if c.depth != never {
			chosen = append(chosen, c)
		}
	}
	seen := &results{rows: make([]row, len(chosen))}
	t.Cleanup(func() { seen.write(t) })
	for i, c := range chosen {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.build)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			a, err := s.client.About(ctx)
			require.NoError(t, err)
			r := row{Client: a.Client, Version: a.Version, Transport: c.transport, Ack: c.ack}
			r.Results = s.play(t, c, a)
			seen.set(i, r)
		})
	}
}
