package testkit

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Engine is what Bubble needs of a server.
type Engine interface {
	http.Handler
	Shutdown(ctx context.Context) error
}

// Bubble runs f in a synctest bubble, where time is free, with the engine that
// build makes there.
func Bubble(t *testing.T, build func() (Engine, error), f func(t *testing.T, w *Wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, err := build()
		require.NoError(t, err)
		w := Serve(t, srv, "/cometd")
		defer func() { // also when f fails: the bubble must be empty
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			assert.NoError(t, srv.Shutdown(ctx)) //nolint:testifylint // the rest of the cleaning up must run
			w.Close()
			synctest.Wait()
		}()
		f(t, w)
	})
}

// Bodies of connects. In bodies "$" stands for the id of the session.
const (
	ConnectNow  = `[{"channel":"/meta/connect","clientId":"$","id":"c0","advice":{"timeout":0}}]`
	ConnectHold = `[{"channel":"/meta/connect","clientId":"$","id":"c1"}]`
)

// User is a session over long-polling, by hand.
type User struct {
	w *Wire
	// ID is its clientId, Cookie its Cookie header.
	ID, Cookie string
	// First is the reply to its handshake.
	First Msg
}

// Hello makes a session; more are further fields of the handshake.
func (w *Wire) Hello(more ...string) *User {
	w.t.Helper()
	reply := w.Post("", handshake(more))
	require.Len(w.t, reply.Messages, 1, reply.Body)
	u := &User{w: w, First: reply.Messages[0]}
	u.ID = clientID(w.t, u.First)
	u.Cookie, _, _ = strings.Cut(reply.Header.Get("Set-Cookie"), ";")
	return u
}

func handshake(more []string) string {
	return "[{" + strings.Join(append([]string{`"channel":"/meta/handshake","id":"h"`}, more...), ",") + "}]"
}

func clientID(t testing.TB, m Msg) string {
	t.Helper()
	require.Equal(t, true, m["successful"], "%v", m)
	id, _ := m["clientId"].(string)
	require.NotEmpty(t, id)
	return id
}

func fill(body, id string) string { return strings.ReplaceAll(body, `"$"`, `"`+id+`"`) }

// Send posts messages.
func (u *User) Send(body string) *Reply {
	u.w.t.Helper()
	return u.w.Post(u.Cookie, fill(body, u.ID))
}

// Later posts messages on a goroutine of its own.
func (u *User) Later(body string) <-chan *Reply {
	return u.w.Go(Request{Body: fill(body, u.ID), Cookie: u.Cookie})
}

// Connect makes a connect that is answered at once, so that later ones are
// held.
func (u *User) Connect() *User {
	u.w.t.Helper()
	mustSucceed(u.w.t, u.Send(ConnectNow).Messages)
	return u
}

// Subscribe subscribes to a channel.
func (u *User) Subscribe(channel string) *User {
	u.w.t.Helper()
	mustSucceed(u.w.t, u.Send(subscription(channel)).Messages)
	return u
}

func subscription(channel string) string {
	return fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","id":"s","subscription":%q}]`, channel)
}

// mustSucceed looks at the last message, behind what was pushed.
func mustSucceed(t testing.TB, messages []Msg) {
	t.Helper()
	require.NotEmpty(t, messages)
	require.Equal(t, true, messages[len(messages)-1]["successful"], "%v", messages)
}

// Move sends what follows to another server.
func (u *User) Move(to *Wire) { u.w = to }

// Surfer is a session over a WebSocket, by hand.
type Surfer struct {
	*Socket
	w *Wire
	// ID is its clientId.
	ID string
	// First is the reply to its handshake.
	First Msg
}

// Surf makes a session over a socket of its own; more are further fields of the
// handshake.
func (w *Wire) Surf(more ...string) *Surfer {
	w.t.Helper()
	u := &Surfer{Socket: w.Dial(nil), w: w}
	u.Send(handshake(more))
	u.First = u.Get()[0]
	u.ID = clientID(w.t, u.First)
	return u
}

// Say sends a WebSocket message.
func (u *Surfer) Say(body string) {
	u.w.t.Helper()
	u.Send(fill(body, u.ID))
}

// Get returns the messages of the next frame, which must come at once.
func (u *Surfer) Get() []Msg {
	u.w.t.Helper()
	f := u.Next(50 * time.Millisecond)
	require.Zero(u.w.t, f.Close, f.Reason)
	return f.Messages
}

// Connect makes a connect that is answered at once.
func (u *Surfer) Connect() *Surfer {
	u.w.t.Helper()
	u.Say(ConnectNow)
	mustSucceed(u.w.t, u.Get())
	return u
}

// Subscribe subscribes to a channel.
func (u *Surfer) Subscribe(channel string) *Surfer {
	u.w.t.Helper()
	u.Say(subscription(channel))
	mustSucceed(u.w.t, u.Get())
	return u
}
