//go:build interop

package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// guests are those who hold the conversation, by their places in line.comes.
func guests() []string { return []string{"ann", "bob", "eve"} }

// line is a step of the conversation: who does what, and how many messages come of it to ann, bob and eve. Connects are
// not counted.
type line struct {
	who   string
	does  command
	comes [3]int
}

func (l line) String() string {
	what := l.does.Cmd
	for _, o := range append(l.does.Ops, l.does) {
		if o.Channel != "" {
			what += " " + o.Channel
		}
	}
	return l.who + ": " + what
}

// conversation is what is said in the chat of docs/FIXTURES.md.
func conversation() []line {
	const room, members = "/chat/tea", "/members/tea"
	shake, leave := command{Cmd: "handshake"}, command{Cmd: "disconnect"}
	join := func(room, name string) command {
		return publish("/service/members", map[string]any{"room": room, "user": name})
	}
	whisper := func(room, text, peers string) command {
		return publish("/service/privatechat", map[string]any{"room": room, "chat": text, "peer": peers})
	}
	say := func(name, text string) command { return publish(room, map[string]any{"user": name, "chat": text}) }
	call := func(target string, data any) command { return command{Cmd: "call", Channel: target, Data: data} }
	marked := publish(room, map[string]any{"user": "bob", "chat": "marked"})
	marked.Props = map[string]any{"tag": []any{1, "x"}, "error": "none", "advice": map[string]any{"interval": 0}}

	return []line{
		{"ann", shake, [3]int{1}},
		{"bob", shake, [3]int{0, 1}},
		{"eve", shake, [3]int{0, 0, 1}},
		{"ann", subscribe(members), [3]int{1}},
		{"ann", subscribe(room), [3]int{1}},
		{"ann", say("ann", "not yet in the room"), [3]int{1}},
		{"ann", join(room, "ann"), [3]int{2}},
		{"bob", command{Cmd: "batch", Ops: []command{subscribe(members), subscribe(room)}}, [3]int{0, 2}},
		{"bob", join(room, "ann"), [3]int{0, 2}},
		{"bob", join(room, "bob"), [3]int{1, 2}},
		{"eve", subscribe(members), [3]int{0, 0, 1}},
		{"eve", join(room, "eve"), [3]int{1, 1, 2}},
		{"eve", subscribe(room), [3]int{0, 0, 1}},

		{"ann", say("ann", "<b>häi</b> & \"hi\" \u2028"), [3]int{2, 1, 1}},
		{"bob", say("bob", "dang"), [3]int{0, 1}},
		{"bob", publish(room, map[string]any{"n": 12, "deep": []any{nil, true, 1.5, map[string]any{"<": "<>"}}}), [3]int{1, 2, 1}},
		{"bob", publish(room, "just text"), [3]int{1, 2, 1}},
		{"ann", command{Cmd: "batch", Ops: []command{say("ann", "one"), say("ann", "two"), join(room, "ann")}}, [3]int{6, 3, 3}},
		{"bob", marked, [3]int{1, 2, 1}},

		{"bob", whisper(room, "to <one>", "ann"), [3]int{1, 2}},
		{"bob", whisper(room, "to two and nobody", "zoe,ann,eve"), [3]int{1, 2, 1}},
		{"bob", whisper(room, "to oneself", "bob"), [3]int{0, 2}},
		{"bob", whisper(room, "to nobody", "zoe"), [3]int{0, 1}},
		{"bob", whisper("/chat/milk", "from outside", "ann"), [3]int{0, 1}},
		{"bob", whisper(room, "", "ann"), [3]int{0, 1}},
		{"bob", whisper(room, "dang", "ann"), [3]int{0, 1}},
		{"bob", join("/chat/a/b", "bob"), [3]int{0, 1}},
		{"bob", publish("/service/members", "no object"), [3]int{0, 1}},

		{"eve", call("echo", map[string]any{"text": "<i>é</i>", "list": []any{1, 2.5, nil}}), [3]int{0, 0, 2}},
		{"eve", call("echo", ""), [3]int{0, 0, 2}},
		{"eve", call("nowhere", 1), [3]int{0, 0, 1}},
		{"eve", call("privatechat", map[string]any{"room": room, "chat": "a call", "peer": "zoe"}), [3]int{0, 0, 1}},

		{"eve", subscribe("/elsewhere"), [3]int{0, 0, 1}},
		{"eve", subscribe("/**"), [3]int{0, 0, 1}},
		{"eve", subscribe("/chat/*"), [3]int{0, 0, 1}},
		{"ann", say("ann", "once to each"), [3]int{2, 1, 1}},
		{"eve", unsubscribe(room), [3]int{0, 0, 1}},
		{"ann", say("ann", "by a wildcard"), [3]int{2, 1, 1}},
		{"eve", unsubscribe("/chat/*"), [3]int{0, 0, 1}},
		{"ann", say("ann", "without eve"), [3]int{2, 1}},
		{"ann", whisper(room, "unsubscribed and yet", "eve"), [3]int{2, 0, 1}},
		{"eve", publish(members, []string{"eve"}), [3]int{0, 0, 1}},
		{"eve", publish("/elsewhere", 1), [3]int{0, 0, 1}},
		{"eve", publish("/service/elsewhere", 1), [3]int{0, 0, 1}},
		{"eve", subscribe("/service/echo"), [3]int{0, 0, 1}},
		{"eve", publish("/chat/milk", 1), [3]int{0, 0, 1}},

		{"eve", leave, [3]int{1, 1, 1}},
		{"bob", leave, [3]int{1, 1}},
		{"ann", join("/chat/milk", "ann"), [3]int{1}},
		{"ann", leave, [3]int{1}},
	}
}

// hold has clients hold the conversation and returns the transcript.
func (c cast) hold(t *testing.T, url string) string {
	t.Helper()
	clients := map[string]*driverClient{}
	for i, name := range guests() {
		p := c.players[i]
		clients[name] = newDriverClient(t, p.driver, driverOptions{Major: p.major, URL: url, Transport: p.transport, Transcript: true})
	}
	for _, client := range clients {
		introduction(t, client)
	}
	r, marks := newTranscript(), map[string]int{}
	for i, l := range conversation() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_ = clients[l.who].Do(ctx, l.does) // an error is a refusal, which is in the transcript
		cancel()
		told := map[string][]event{}
		for j, name := range guests() {
			box := clients[name].Inbox()
			await(t, clients[name], marks[name], fmt.Sprintf("%d messages to %s in %q", l.comes[j], name, l), func(events []event) bool {
				return received(events) >= l.comes[j]
			})
			told[name] = box.since(marks[name])
			marks[name] += len(told[name])
		}
		r.step(t, fmt.Sprintf("%d %s", i+1, l), told)
	}
	return r.String()
}

// received counts the messages that have come, without connects.
func received(events []event) int {
	n := 0
	for _, e := range events {
		if e.Kind == "received" && e.Channel != "/meta/connect" {
			n++
		}
	}
	return n
}

// cast says which client each of the guests uses.
type cast struct {
	name    string
	players [3]player
}

type player struct {
	driver    driver
	major     int
	transport string
}

func casts() []cast {
	script := func(transport string) player { return player{nodeDriver(), 8, transport} }
	java := func(transport string) player { return player{javaDriver("cometd8", "interop.CometD8"), 0, transport} }
	var all []cast
	for _, transport := range []string{"long-polling", "websocket"} {
		s, j := script(transport), java(transport)
		all = append(all, cast{"javascript " + transport, [3]player{s, s, s}}, cast{"java " + transport, [3]player{j, j, j}})
	}
	return append(all, cast{"mixed", [3]player{script("websocket"), java("long-polling"), script("long-polling")}})
}

func (c cast) golden() string {
	return "testdata/chat/" + strings.ReplaceAll(c.name, " ", "-") + ".txt"
}

// Steps have names of their own, by which transcripts are compared.
func TestConversation(t *testing.T) {
	names := map[string]bool{}
	for i, l := range conversation() {
		names[fmt.Sprintf("%d %s", i+1, l)] = true
		require.Contains(t, guests(), l.who)
	}
	require.Len(t, names, len(conversation()))
}
