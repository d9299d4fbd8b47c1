package faults

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nothing is a fault that looks at all there is and changes nothing.
func nothing() Fault {
	return Fault{ID: "nothing", Transports: everywhere(), make: always(hooks{
		request: func(*exchange) {}, response: func(*exchange) {}, aborted: func(*exchange) {},
		before: func(*unit) {}, in: func(*unit) {}, out: func(*unit) {},
		upgrade: func(*exchange) {}, switched: func(*link, http.Header) {},
		data: func(*packet) {}, control: func(*packet) {}, opened: func(*link) {}, closed: func(*link) {},
	})}
}

// odd are dialogues that no fault has a check for.
func odd() map[string]script {
	big := long(2000)
	compressed := "!header Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
	return map[string]script{
		"nothing":               talk("a"),
		"an empty array":        talk("a", "[]"),
		"null":                  talk("a", "null"),
		"keep-alive":            begun("[]", "[]"),
		"a body in pieces":      talk("a", "!raw POST /cometd HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n"),
		"expect":                talk("a", "!raw POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n[]"),
		"two in one connection": talk("a", "!raw "+request("POST /cometd HTTP/1.1", hello)+request("POST /cometd HTTP/1.1", hello)),
		"no HTTP":               talk("a", "!raw nonsense\r\n\r\n"),
		"a very large body":     talk("a", "=POST "+long(5<<20)),
		"a WebSocket of version 8": talk("a", "!raw GET /cometd HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n"),
		"tour": begun(sub("/x"), connect, "b", "!begin", pub("/x", "1"), "~10", pub("/x", "2"), "a", newer, pub("/x", "3"),
			"~2500", connect, "~100", unsub("/x"), leave, "~100", "b", "~4000", poll),
		"lazy":          talk("a", "!begin", sub("/lazy"), connect, "b", "!begin", pub("/lazy", "1"), "~3000"),
		"a cut":         talk("a", "!begin", sub("/x"), connect, "!abort", "!cut", "~500", "b", "!begin", pub("/x", "1"), "a", connect, "~3000"),
		"many messages": queued(messages(slices.Repeat([]string{pub("/x", "1")}, 50)...)),
		"compressed":    talk("a", compressed, "!begin", sub("/x"), pub("/x", quote(big)), "#deflated "+pub("/x", quote(big)), poll),
		"broken":        talk("a", compressed, "#deflated "+hello, "#hex c1 82 01 02 03 04 ff ff", "~100"),
		"RFC 6455": func(w *world) {
			for i, frame := range []string{
				"81 02 5b 5d", "91 82 00 00 00 00 5b 5d", "8f 80 00 00 00 00", "80 80 00 00 00 00",
				"81 82 00 00 00 00 ff fe", "81 ff 00 00 00 00 00 02 00 00 00 00 00 00", "81 ff 00 00 00 00 40 00 00 00 00 00 00 00", "81 ff ff ff ff ff ff ff ff ff 00 00 00 00",
				"88 82 00 00 00 00 03 e8", "88 80 00 00 00 00", "89 fe 00 80 00 00 00 00", "01 81 00 00 00 00 5b 89 80 00 00 00 00 80 81 00 00 00 00 5d",
			} {
				talk(string(rune('a'+i)), "#hex "+frame, "~100")(w)
			}
		},
	}
}

// TestProxyIsTransparent plays all dialogues of the checks, and odd ones,
// against the server itself, through the proxy without a fault, and through
// one that decodes everything: what clients see is the same to the byte and to
// the millisecond. A short run takes a tenth of the checks.
func TestProxyIsTransparent(t *testing.T) {
	type dialogue struct {
		name, on string
		run      script
	}
	var all []dialogue
	for i, c := range checks() {
		if testing.Short() && i%10 != 0 {
			continue
		}
		f, ok := Find(c.fault)
		require.True(t, ok)
		all = append(all, dialogue{c.fault, f.Transports[len(f.Transports)-1], c.run})
		if f.ActsOn(LongPolling) && len(f.Transports) > 1 {
			all = append(all, dialogue{c.fault, LongPolling, c.run})
		}
	}
	for name, run := range odd() {
		ws := strings.HasPrefix(name, "compressed") || name == "broken" || name == "RFC 6455"
		for _, on := range everywhere() {
			if on == WebSocket || !ws {
				all = append(all, dialogue{name, on, run})
			}
		}
	}
	for _, d := range all {
		t.Run(d.name+"/"+d.on, func(t *testing.T) {
			t.Parallel()
			want := lines(play(t, Fault{}, d.on, true, d.run))
			require.Equal(t, want, lines(play(t, nothing(), d.on, false, d.run)), "a fault that changes nothing")
			if d.on == WebSocket {
				require.Equal(t, want, lines(play(t, Fault{}, d.on, false, d.run)), "no fault")
			}
		})
	}
}

// lines are those of a log without an order among what one client sees at the
// same time by several requests.
func lines(log string) []string {
	all := strings.Split(log, "\n")
	slices.Sort(all)
	return all
}

// TestFaultsActOnCompressedMessages checks that messages which came compressed
// are looked into, in both directions.
func TestFaultsActOnCompressedMessages(t *testing.T) {
	run := odd()["compressed"]
	for id, gained := range map[string]string{"F-PB-16": `zzz","successful":true`, "F-MSG-18": `{"channel":"/meta/subscribe","subscription":"/x"`} {
		f, ok := Find(id)
		require.True(t, ok)
		clean := play(t, Fault{}, WebSocket, false, run)
		require.NotContains(t, clean, gained)
		require.Contains(t, clean, `upgrade 101 {Sec-Websocket-Extensions: permessage-deflate;`)
		require.Equal(t, 2, strings.Count(clean, `"data":"zzz`), clean)
		require.Contains(t, play(t, f, WebSocket, false, run), gained)
	}
}
