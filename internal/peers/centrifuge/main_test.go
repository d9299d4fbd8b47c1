package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

type msg = map[string]any

// client speaks what the package says a client has to.
type client struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
	box  []msg // read and not yet asked for
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/connection/websocket", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	c := &client{t: t, ctx: ctx, conn: conn}
	reply := c.ask(1, "connect", msg{})
	require.NotEmpty(t, reply["client"])
	require.InDelta(t, 25, reply["ping"], 0)
	return c
}

// ask sends a command and returns what its reply has under its name.
func (c *client) ask(id int, command string, body msg) msg {
	c.t.Helper()
	text, err := json.Marshal(msg{"id": id, command: body})
	require.NoError(c.t, err)
	c.write(string(text))
	for {
		for i, got := range c.box {
			if got["id"] == float64(id) {
				c.box = append(c.box[:i:i], c.box[i+1:]...)
				reply, ok := got[command].(msg)
				require.True(c.t, ok, "%v", got)
				return reply
			}
		}
		c.read()
	}
}

func (c *client) write(text string) {
	c.t.Helper()
	require.NoError(c.t, c.conn.Write(c.ctx, websocket.MessageText, []byte(text)))
}

func (c *client) read() {
	c.t.Helper()
	_, text, err := c.conn.Read(c.ctx)
	require.NoError(c.t, err)
	for line := range bytes.SplitSeq(bytes.TrimSpace(text), []byte("\n")) {
		var got msg
		require.NoError(c.t, json.Unmarshal(line, &got), string(line))
		if len(got) == 0 {
			c.write("{}") // a ping
			continue
		}
		c.box = append(c.box, got)
	}
}

// pushed returns the data of the next delivery.
func (c *client) pushed(channel string) any {
	c.t.Helper()
	for len(c.box) == 0 {
		c.read()
	}
	push, ok := c.box[0]["push"].(msg)
	require.True(c.t, ok, "%v", c.box[0])
	require.Equal(c.t, channel, push["channel"])
	c.box = c.box[1:]
	pub, _ := push["pub"].(msg)
	return pub["data"]
}

// Two clients receive what one publishes, in order, and the publisher nothing.
func TestExchange(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, listener, defaultQueue) }()
	address := listener.Addr().String()
	a, b, publisher := dial(t, address), dial(t, address), dial(t, address)
	for _, c := range []*client{a, b} {
		c.ask(2, "subscribe", msg{"channel": "/a"})
	}
	for n := range 3 {
		publisher.ask(n+2, "publish", msg{"channel": "/a", "data": msg{"n": n}})
	}
	for _, c := range []*client{a, b} {
		for n := range 3 {
			require.Equal(t, msg{"n": float64(n)}, c.pushed("/a"))
		}
	}
	a.ask(3, "unsubscribe", msg{"channel": "/a"})
	publisher.ask(5, "publish", msg{"channel": "/a", "data": "last"})
	require.Equal(t, "last", b.pushed("/a"))
	a.ask(4, "publish", msg{"channel": "/b", "data": 1})
	require.Empty(t, a.box)
	require.Empty(t, publisher.box)

	// Several commands in a frame; what is refused has an error.
	b.write(`{"id":3,"subscribe":{"channel":"/a"}}` + "\n" + `{"id":4,"publish":{"channel":"/b","data":1}}`)
	for len(b.box) < 2 {
		b.read()
	}
	require.InDelta(t, 105, b.box[0]["error"].(msg)["code"], 0)
	require.Contains(t, b.box[1], "publish")
	for _, c := range []*client{a, b, publisher} {
		require.NoError(t, c.conn.CloseNow())
	}
	stop()
	require.NoError(t, <-served)
}

func TestParse(t *testing.T) {
	for want, args := range map[string][]string{
		"usage": nil, `port "x"`: {"x"}, `"colour"`: {"0", "colour=blue"}, `queue="0"`: {"0", "queue=0"},
	} {
		require.ErrorContains(t, run(t.Context(), args), want)
	}
}
