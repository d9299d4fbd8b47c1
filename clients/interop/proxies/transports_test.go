//go:build interop

package proxies

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func transports() []string { return []string{"websocket", "long-polling", "callback-polling"} }

// TestTransports has the published client work through each proxy on each transport: what it asks for comes about, in one
// session that all requests find.
func TestTransports(t *testing.T) {
	t.Parallel()
	if !everything() {
		g := newRig(t, kinds()[0], hold)
		converse(t, g, "long-polling")
		return
	}
	seen := &results{}
	t.Cleanup(func() { seen.write(t) })
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, k, hold)
			t.Cleanup(func() { seen.add(t, g) })
			for _, transport := range transports() {
				t.Run(transport, func(t *testing.T) {
					t.Parallel()
					converse(t, g, transport)
				})
			}
		})
	}
}

func converse(t *testing.T, g *rig, transport string) {
	t.Helper()
	c := newClient(t, g.url(), transport, true)
	channel := "/" + transport
	c.join(t, channel)
	c.do(t, command{Cmd: "publish", Channel: channel, Data: "own"})
	c.receives(t, 0, channel, `"own"`)

	home := g.backendOf(t, c.session())
	require.Equal(t, transport, home.beginningOf(t, c.session()).Transport)
	big := strings.Repeat("large", 10_000)
	text, err := json.Marshal(big)
	require.NoError(t, err)
	if transport != "callback-polling" {
		c.do(t, command{Cmd: "publish", Channel: channel, Data: big})
		c.receives(t, 0, channel, string(text))
	}
	mark := c.mark()
	home.publish(t, channel, big)
	c.receives(t, mark, channel, string(text))

	c.connects(t, c.mark(), 2) // of which the second was held for its whole time
	require.Equal(t, 1, c.sessions(), "the session went on")
	require.Zero(t, c.count(0, "/meta/unsuccessful", false), "all requests came to the backend that has the session")
	// A connect may be on its way, and come after this: how either ends is the client's business.
	c.try(t, command{Cmd: "disconnect"})
	eventually(t, func() bool {
		return len(home.log.having(`"session":"`+c.session()+`","transport":"`+transport+`","user":"","reason":"disconnect"`)) == 1
	}, func() string {
		return "the session's end"
	})
}
