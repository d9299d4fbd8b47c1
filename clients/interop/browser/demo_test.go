//go:build interop

package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sane is the most that the median of a message from window to window may
// take, in milliseconds: a generous bound on a busy machine. The real figure
// is logged.
const sane = 1000

// state is the line at the top of the page.
type state struct {
	State      string `json:"state"`
	Transport  string `json:"transport"`
	Latency    string `json:"latency"`
	Received   string `json:"received"`
	Reconnects int    `json:"reconnects"`
	Name       string `json:"name"`
}

// TestDemo goes through all rooms in two windows of one profile, on each
// transport, over a restart of the server.
func TestDemo(t *testing.T) {
	for _, transport := range []string{"websocket", "long-polling", "callback-polling"} {
		t.Run(transport, func(t *testing.T) {
			srv := startServer(t)
			b := open(t, srv)
			b.do("open", args{"transport": transport})
			names := meet(t, b, transport)
			chat(b, "before")
			for w := range 2 {
				b.do("moves", args{"window": w})
			}
			sketch(t, b, names)
			shots(t, b, transport)
			measure(t, b, transport)
			require.Empty(t, b.complaints(), "nothing in the consoles")
			restart(t, b, srv)
			chat(b, "after")
			leave(t, b, names)
		})
	}
}

// meet checks that the windows see each other, under names that one can change.
func meet(t *testing.T, b *browser, transport string) []string {
	t.Helper()
	names := []string{"Ada Lovelace", "Edmond Halley"}
	for w, name := range names {
		b.do("members", args{"window": w, "count": 2})
		b.do("rename", args{"window": w, "text": name})
		b.do("heard", args{"window": 1 - w, "text": "is now " + name})
	}
	for w, name := range names {
		members := result[[]string](b, "members", args{"window": w, "count": 2})
		require.ElementsMatch(t, names, members)
		b.do("measured", args{"window": w})
		s := result[state](b, "state", args{"window": w})
		require.Equal(t, state{"connected", transport, s.Latency, s.Received, 0, name}, s)
		require.NotEqual(t, "0 B", s.Received)
	}
	return names
}

// chat says something in each window and waits for it in both.
func chat(b *browser, when string) {
	for w := range 2 {
		text := fmt.Sprintf("Hello from window %d, %s <b>é😀", w, when)
		b.do("say", args{"window": w, "text": text})
		for to := range 2 {
			b.do("heard", args{"window": to, "text": text})
		}
	}
}

// sketch draws in each window, by pointer and by keyboard, and waits for the
// ink and the cursor in the other.
func sketch(t *testing.T, b *browser, names []string) {
	t.Helper()
	b.do("draw", args{"window": 0, "height": 0.3})
	one := result[int](b, "inked", args{"window": 1, "least": 500})
	b.do("cursor", args{"window": 1, "text": names[0]})
	b.do("draw", args{"window": 1, "height": 0.7})
	two := result[int](b, "inked", args{"window": 0, "least": one * 3 / 2})
	require.Equal(t, "Pen up", result[string](b, "keys", args{"window": 0}))
	b.do("inked", args{"window": 1, "least": two + 200})
	b.do("clear", args{"window": 1})
	for w := range 2 {
		b.do("inked", args{"window": w, "most": 0})
	}
	b.do("draw", args{"window": 0, "height": 0.3, "ink": 5})
	b.do("draw", args{"window": 1, "height": 0.7, "ink": 1})
	for w := range 2 {
		b.do("inked", args{"window": w, "least": one * 3 / 2})
	}
}

// measure sends 100 messages one after the other from window to window.
func measure(t *testing.T, b *browser, transport string) {
	t.Helper()
	times := result[[]float64](b, "latency", args{"window": 0, "count": 100})
	require.Len(t, times, 100)
	slices.Sort(times)
	t.Logf("%s: window to window, 100 messages: median %.1f ms, 90%% %.1f ms, longest %.1f ms", transport, times[50], times[90], times[99])
	require.Less(t, times[50], float64(sane))
	require.Greater(t, times[0], 0.0)
}

// shots checks the page as a review would, in both themes on a desk and on a
// phone, and keeps pictures in build/demo.
func shots(t *testing.T, b *browser, transport string) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", "..", "..", "build", "demo"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(folder, 0o750))
	for i, text := range []string{"Is anybody drawing?", "Look at the pad: that was me.", "And the feed moves on.", "All of it on one connection."} {
		b.do("say", args{"window": i % 2, "text": text})
		b.do("heard", args{"window": 1 - i%2, "text": text})
	}
	for _, size := range []struct {
		name          string
		width, height int
	}{{"desk", 1280, 980}, {"tablet", 820, 1100}, {"phone", 360, 780}} {
		for _, scheme := range []string{"light", "dark"} {
			view := args{"window": 0, "scheme": scheme, "width": size.width, "height": size.height}
			require.Empty(t, result[[]string](b, "audit", view), "%s, %s", size.name, scheme)
			view["path"] = filepath.Join(folder, fmt.Sprintf("%s-%s-%s.png", transport, size.name, scheme))
			b.do("shot", view)
		}
	}
}

// restart stops the server under the windows' eyes and starts it again: they
// come back by themselves, with their names, their drawings and a mark.
func restart(t *testing.T, b *browser, srv *server) {
	t.Helper()
	ink := result[int](b, "inked", args{"window": 0, "least": 500})
	srv.stop(t)
	for w := range 2 {
		b.do("wait", args{"window": w, "state": "reconnecting"})
	}
	b.do("draw", args{"window": 0, "height": 0.5})
	srv.start(t)
	for w := range 2 {
		b.do("wait", args{"window": w, "state": "connected"})
		b.do("heard", args{"window": w, "text": "The server came back"})
	}
	for w := range 2 {
		b.do("members", args{"window": w, "count": 2})
		b.do("moves", args{"window": w})
		b.do("inked", args{"window": w, "least": ink * 5 / 4})
		require.Equal(t, 1, result[state](b, "state", args{"window": w}).Reconnects)
	}
	// A page that sends while the closing handshake is still on its way is
	// told so by the browser; it is the client library's to meet.
	away := `ERR_CONNECTION_REFUSED|WebSocket connection to .* failed|WebSocket is already in CLOSING or CLOSED state|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET`
	for _, line := range b.complaints() {
		require.Regexp(t, away, line, "only that the server was away")
	}
}

// leave closes a window: the other one is told.
func leave(t *testing.T, b *browser, names []string) {
	t.Helper()
	b.do("close", args{"window": 1})
	b.do("heard", args{"window": 0, "text": names[1] + " left"})
	require.Equal(t, names[:1], result[[]string](b, "members", args{"window": 0, "count": 1}))
	require.Empty(t, b.complaints())
}

// TestDemoSwitch changes the transport in one window while the other stays.
func TestDemoSwitch(t *testing.T) {
	b := open(t, startServer(t))
	b.do("open", args{"transport": "websocket"})
	for _, transport := range []string{"long-polling", "callback-polling", "websocket"} {
		b.do("use", args{"window": 0, "transport": transport})
		b.do("members", args{"window": 1, "count": 2})
		b.do("moves", args{"window": 0})
		chat(b, "on "+transport)
		s := result[state](b, "state", args{"window": 0})
		require.Equal(t, transport, s.Transport)
		require.Zero(t, s.Reconnects, "a switch is no loss")
	}
	require.Empty(t, b.complaints())
	require.NotContains(t, strings.Join(result[[]string](b, "members", args{"window": 0, "count": 2}), ","), " 2", "nobody meets himself")
}
