package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/testkit"
)

// node speaks as much of centrifuge's protocol as the generator needs.
type node struct {
	refuse string // the name of a command

	mu   sync.Mutex
	subs map[string][]*websocket.Conn
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	pinged := false
	for {
		_, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var answers [][]byte
		if !pinged { // before the first answer, in the same frame
			pinged = true
			answers = append(answers, []byte("{}"))
		}
		answers = append(answers, n.commands(r.Context(), conn, text)...)
		if len(answers) > 0 && conn.Write(r.Context(), websocket.MessageText, bytes.Join(answers, []byte("\n"))) != nil {
			return
		}
	}
}

// commands returns the answers to the lines of a frame.
func (n *node) commands(ctx context.Context, conn *websocket.Conn, text []byte) (answers [][]byte) {
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if a := n.command(ctx, conn, line); a != nil {
			answers = append(answers, a)
		}
	}
	return answers
}

type command struct {
	ID        int       `json:"id"`
	Connect   *struct{} `json:"connect"`
	Subscribe *struct {
		Channel string `json:"channel"`
	} `json:"subscribe"`
	Publish *struct {
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
	} `json:"publish"`
}

// command returns the answer to a command.
func (n *node) command(ctx context.Context, conn *websocket.Conn, line []byte) []byte {
	var c command
	if err := json.Unmarshal(line, &c); err != nil {
		return fmt.Appendf(nil, `{"id":0,"error":{"code":107,"message":%q}}`, err)
	}
	name := "connect"
	switch {
	case c.Subscribe != nil:
		name = "subscribe"
	case c.Publish != nil:
		name = "publish"
	case c.Connect == nil:
		return nil // a pong
	}
	if name == n.refuse {
		return fmt.Appendf(nil, `{"id":%d,"error":{"code":103,"message":"permission denied"}}`, c.ID)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c.Subscribe != nil:
		n.subs[c.Subscribe.Channel] = append(n.subs[c.Subscribe.Channel], conn)
	case c.Publish != nil:
		push := fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s}}}`, c.Publish.Channel, c.Publish.Data)
		for _, to := range n.subs[c.Publish.Channel] {
			_ = to.Write(ctx, websocket.MessageText, push)
		}
	}
	return fmt.Appendf(nil, `{"id":%d,%q:{}}`, c.ID, name)
}

// inNode runs f beside a node in memory, in fake time.
func inNode(t *testing.T, refuse string, f func(t *testing.T, cfg bench.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory := testkit.Listen()
		s := &http.Server{Handler: &node{refuse: refuse, subs: map[string][]*websocket.Conn{}}}
		go func() { _ = s.Serve(memory) }() // ends with Close
		defer s.Close()
		cfg := short("http://server/connection/websocket")
		cfg.Wire, cfg.Rate = bench.Centrifuge, 200
		cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return memory.DialDistant(ctx, time.Millisecond)
		}
		f(t, cfg)
	})
}

func TestCentrifuge(t *testing.T) {
	inNode(t, "", func(t *testing.T, cfg bench.Config) {
		r, err := bench.Run(t.Context(), cfg)
		require.NoError(t, err)
		checkFanout(t, r)
		require.True(t, r.OK, r.Problems)
	})
	for _, mode := range []string{bench.Idle, bench.Churn, bench.Acks} {
		inNode(t, "", func(t *testing.T, cfg bench.Config) {
			cfg.Mode, cfg.Window, cfg.Duration = mode, 8, 100*time.Millisecond
			r, err := bench.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.True(t, r.OK, r.Problems)
			require.Equal(t, mode != bench.Idle, r.Delivered > 0)
		})
	}
}

func TestCentrifugeRefuses(t *testing.T) {
	for _, name := range []string{"connect", "subscribe"} {
		inNode(t, name, func(t *testing.T, cfg bench.Config) {
			_, err := bench.Run(t.Context(), cfg)
			require.ErrorContains(t, err, "103 permission denied")
		})
	}
	inNode(t, "publish", func(t *testing.T, cfg bench.Config) {
		cfg.Drain = time.Second
		r, err := bench.Run(t.Context(), cfg)
		require.NoError(t, err)
		require.False(t, r.OK)
		require.Contains(t, r.Problems[0], "103 permission denied")
	})
	cfg := short("http://h/")
	cfg.Wire = "smoke"
	require.ErrorContains(t, cfg.Check(), "wire")
	cfg.Wire, cfg.Transport = bench.Centrifuge, bench.LongPolling
	require.ErrorContains(t, cfg.Check(), "wire")
}
