//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	halley "github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/testkit"
)

// node is a server of this process that can be moved to: its connections are
// cut when it goes, its address stays.
type node struct {
	srv  *halley.Server
	http *http.Server
}

// startNode listens at addr, with the session where there is one.
func startNode(t *testing.T, addr string, session *halley.Snapshot) (n *node, at string) {
	t.Helper()
	srv, err := halley.New(halley.Config{
		Extensions: []bayeux.Extension{ack.New()},
		Options:    halley.Options{"timeout": "3000", "maxInterval": "60000"},
	})
	require.NoError(t, err)
	if session != nil {
		require.NoError(t, srv.Restore(session))
	}
	var listener net.Listener
	require.Eventually(t, func() bool {
		listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		return err == nil
	}, patience, 20*time.Millisecond, "listen on %s", addr)
	n = &node{srv: srv, http: &http.Server{Handler: srv, ReadHeaderTimeout: patience}}
	go func() { _ = n.http.Serve(listener) }()
	t.Cleanup(n.cut)
	return n, listener.Addr().String()
}

// cut ends the node without a word to its clients.
func (n *node) cut() {
	_ = n.http.Close()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.srv.Shutdown(gone)
}

// TestTakeOver moves a live session to another server, which answers at the
// same address: the client goes on by its next connect, with its subscription
// and what was queued for it, and without a handshake.
func TestTakeOver(t *testing.T) {
	for _, version := range []int{3, 9} {
		for _, transport := range []string{"long-polling", "websocket"} {
			t.Run(fmt.Sprintf("cometd %d %s", version, transport), func(t *testing.T) {
				old, addr := startNode(t, testkit.FreeAddress(t), nil)
				c := newNodeClient(t, driverOptions{URL: "http://" + addr + "/cometd", Major: version, Transport: transport, Ack: true})
				do(t, c, command{Cmd: "handshake"})
				awaitMeta(t, c, 0, 2, "/meta/connect")
				do(t, c, subscribe("/move"))
				require.NoError(t, old.srv.Publish(t.Context(), "/move", 1))
				awaitMessage(t, c, 0, "/move 1")

				sessions := old.srv.Sessions()
				require.Len(t, sessions, 1)
				snapshot, err := old.srv.Snapshot(sessions[0].ID())
				require.NoError(t, err)
				text, err := json.Marshal(snapshot)
				require.NoError(t, err)
				mark := c.Inbox().mark()
				old.cut()

				var moved halley.Snapshot
				require.NoError(t, json.Unmarshal(text, &moved))
				next, _ := startNode(t, addr, &moved)
				require.NoError(t, next.srv.Publish(t.Context(), "/move", 2))
				awaitMessage(t, c, mark, "/move 2")
				require.Equal(t, []string{"/move 2"}, c.Inbox().messages(mark))
				require.Zero(t, count(c.Inbox().since(mark), "/meta/handshake"), "the session went on")
				do(t, c, command{Cmd: "disconnect"})
			})
		}
	}
}
