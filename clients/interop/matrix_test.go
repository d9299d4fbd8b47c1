//go:build interop

package interop

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/bayeuxclient"
)

// cell is one client on one transport.
type cell struct {
	name      string
	transport string
	ack       bool
	build     func(t *testing.T, base string) client
}

// cells is the matrix of clients, transports and acknowledgements.
func cells() []cell {
	var all []cell
	for _, ack := range []bool{true, false} {
		suffix := map[bool]string{true: "ack", false: "plain"}[ack]
		for _, major := range []int{3, 8, 9} {
			for _, transport := range []string{"long-polling", "websocket"} {
				all = append(all, cell{fmt.Sprintf("cometd %d %s %s", major, transport, suffix), transport, ack, func(t *testing.T, base string) client {
					t.Helper()
					return newNodeClient(t, nodeOptions{Major: major, URL: base, Transport: transport, Ack: ack})
				}})
			}
		}
		for _, transport := range []string{bayeuxclient.LongPolling, bayeuxclient.WebSocket} {
			all = append(all, cell{"bayeuxclient " + transport + " " + suffix, transport, ack, func(t *testing.T, base string) client {
				t.Helper()
				return newGoClient(t, base, transport, ack)
			}})
		}
		for _, jsonp := range []bool{false, true} {
			transport := map[bool]string{true: "callback-polling", false: "long-polling"}[jsonp]
			all = append(all, cell{"raw " + transport + " " + suffix, transport, ack, func(t *testing.T, base string) client {
				t.Helper()
				return newRawClient(t, base, jsonp, ack)
			}})
		}
	}
	return all
}

// touchSources looks at every source file of the module. The server is built by a command, which the test cache does
// not see: without this an old result would stand for a changed server.
func touchSources(t *testing.T) {
	t.Helper()
	_ = os.Getenv(peerCommand)
	require.NoError(t, filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || len(name) > 2 && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			_, err = os.Stat(path)
		}
		return err
	}))
}

// TestMatrix runs every published client through all scenarios.
func TestMatrix(t *testing.T) {
	touchSources(t)
	for _, c := range cells() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			newStage(t, c.build).play(t, c.transport, c.ack)
		})
	}
}
