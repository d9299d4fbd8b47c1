//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// All waits end early when all is well.
const (
	patience = time.Minute     // bounds each wait of a scenario.
	arrival  = 3 * time.Minute // bounds the start of a driver and its client.
)

// client is a Bayeux client under the command of a scenario. After handshake it keeps itself connected, and after a
// new handshake of its own it subscribes again to what it was subscribed to.
type client interface {
	// Do carries out a command and returns when the server has answered it.
	Do(ctx context.Context, c command) error
	// About tells what client it is.
	About(ctx context.Context) (about, error)
	// Inbox is where the client's events are kept.
	Inbox() *inbox
	// Close ends the client without a word to the server. It may be called more than once.
	Close()
}

// about names a client, and the scenarios that it has no means for, each with the reason.
type about struct {
	Client  string            `json:"client"`
	Version string            `json:"version"`
	Cannot  map[string]string `json:"cannot"`
}

// command is what a client is asked to do: handshake, subscribe, unsubscribe, publish, call, batch, disconnect, and with
// CometD for JavaScript listen. The channel of a call is its target.
type command struct {
	Cmd     string    `json:"cmd"`
	Channel string    `json:"channel,omitempty"`
	Data    any       `json:"data,omitempty"`
	Props   any       `json:"props,omitempty"` // further fields of a publication, or of a handshake.
	Ops     []command `json:"ops,omitempty"`
}

func subscribe(channel string) command   { return command{Cmd: "subscribe", Channel: channel} }
func unsubscribe(channel string) command { return command{Cmd: "unsubscribe", Channel: channel} }
func publish(channel string, data any) command {
	return command{Cmd: "publish", Channel: channel, Data: data}
}

// event is something that a client has noticed: a message of a subscription (Kind "message"), the outcome of a meta
// message (Kind "meta") or, for a transcript, any message as it leaves (Kind "sent") or has come (Kind "received").
type event struct {
	Kind         string          `json:"kind"`
	Seq          int             `json:"seq,omitempty"`
	Channel      string          `json:"channel,omitempty"`
	Listener     string          `json:"listener,omitempty"`
	Subscription json.RawMessage `json:"subscription,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
	OK           bool            `json:"ok,omitempty"`
	ClientID     string          `json:"clientId,omitempty"`
	Error        string          `json:"error,omitempty"`
	Advice       json.RawMessage `json:"advice,omitempty"`
	Ack          json.RawMessage `json:"ack,omitempty"`
	Status       string          `json:"status,omitempty"`
	Transport    string          `json:"transport,omitempty"`
	Message      json.RawMessage `json:"message,omitempty"`
}

// is tells the outcome of a meta message that went well.
func (e event) is(channel string) bool {
	return e.Kind == "meta" && e.Channel == channel && e.OK && (e.Listener == "" || e.Listener == channel)
}

// got is a message as scenarios compare it: channel, blank, data in compact JSON.
func (e event) got() string { return e.Channel + " " + string(e.Data) }

// inbox keeps the events of a client in their order.
type inbox struct {
	mu      sync.Mutex
	events  []event
	changed chan struct{}
}

func newInbox() *inbox { return &inbox{changed: make(chan struct{})} }

func (b *inbox) add(e event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	close(b.changed)
	b.changed = make(chan struct{})
}

// mark is the number of events so far; since(mark) are the later ones.
func (b *inbox) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events)
}

func (b *inbox) since(mark int) []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events[mark:])
}

// wait returns when the condition holds for the events behind the mark.
func (b *inbox) wait(ctx context.Context, mark int, condition func([]event) bool) error {
	for {
		b.mu.Lock()
		changed := b.changed
		seen := b.events[mark:len(b.events):len(b.events)]
		b.mu.Unlock()
		if condition(seen) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// messages are the messages behind the mark, as event.got tells them.
func (b *inbox) messages(mark int) []string {
	var got []string
	for _, e := range b.since(mark) {
		if e.Kind == "message" {
			got = append(got, e.got())
		}
	}
	return got
}

// tell writes the events behind the mark for a failed test, at most the last 80.
func (b *inbox) tell(mark int) string {
	events := b.since(mark)
	var s strings.Builder
	if n := len(events) - 80; n > 0 {
		fmt.Fprintf(&s, "  … %d events before\n", n)
		events = events[n:]
	}
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			line = []byte(err.Error())
		}
		fmt.Fprintf(&s, "  %s\n", line)
	}
	return s.String()
}

// introduction waits for a client that was started, and returns what it says of itself.
func introduction(t *testing.T, c client) about {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), arrival)
	defer cancel()
	a, err := c.About(ctx)
	require.NoError(t, err)
	return a
}

func do(t *testing.T, c client, cmd command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, c.Do(ctx, cmd), "%+v", cmd)
}

func await(t *testing.T, c client, mark int, what string, condition func([]event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Inbox().wait(ctx, mark, condition); err != nil {
		require.Fail(t, "waited in vain for "+what, "%v; events since:\n%s", err, c.Inbox().tell(mark))
	}
}

// awaitMessage waits for a message with that channel and data.
func awaitMessage(t *testing.T, c client, mark int, want string) {
	t.Helper()
	await(t, c, mark, want, func(events []event) bool {
		return slices.ContainsFunc(events, func(e event) bool { return e.Kind == "message" && e.got() == want })
	})
}

// awaitMeta waits for n good outcomes of a meta channel.
func awaitMeta(t *testing.T, c client, mark, n int, channel string) {
	t.Helper()
	await(t, c, mark, fmt.Sprintf("%d × %s", n, channel), func(events []event) bool { return count(events, channel) >= n })
}

func count(events []event, channel string) int {
	n := 0
	for _, e := range events {
		if e.is(channel) {
			n++
		}
	}
	return n
}

// pause waits for real time, which a dropped network needs.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		require.Fail(t, "the test was ended")
	}
}
