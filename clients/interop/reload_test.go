//go:build interop

package interop

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReload loads a page anew under a client that has CometD's reload extension: it goes on with its session, by a
// connect that asks for an answer at once, on a socket or a poll that the server has not seen before.
func TestReload(t *testing.T) {
	touchSources(t)
	b := newChromium(t)
	for _, page := range []string{"cometd3.html", "cometd9.html"} {
		for _, transport := range []string{"websocket", "long-polling", "callback-polling"} {
			t.Run(page+" "+transport, func(t *testing.T) {
				t.Parallel()
				s := startServer(t, 0)
				other := newRawClient(t, s.url(), false, false)
				connected(t, other)
				p := b.open(t, page, false, driverOptions{URL: s.url(), Transport: transport, Reload: true})
				first := session(t, p)
				do(t, p, subscribe("/reload"))
				do(t, other, publish("/reload", "before"))
				awaitMessage(t, p, 0, `/reload "before"`)

				p.reload(t)
				mark := p.Inbox().mark()
				require.Equal(t, first, session(t, p), "the session")
				do(t, p, subscribe("/reload"))
				do(t, other, publish("/reload", "after"))
				awaitMessage(t, p, mark, `/reload "after"`)
				require.Equal(t, []string{`/reload "after"`}, p.Inbox().messages(mark))
				do(t, p, command{Cmd: "disconnect"})
			})
		}
	}
}

// session connects a page and returns the session's id.
func session(t *testing.T, p *pageClient) string {
	t.Helper()
	introduction(t, p)
	mark := p.Inbox().mark()
	do(t, p, command{Cmd: "handshake"})
	awaitMeta(t, p, mark, 1, "/meta/handshake")
	awaitMeta(t, p, mark, 1, "/meta/connect")
	events := p.Inbox().since(mark)
	return events[slices.IndexFunc(events, func(e event) bool { return e.is("/meta/handshake") })].ClientID
}
