package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server in memory with the options of the example: hold 4 s,
// expiry 3 s, sweeps every 500 ms.
type rig struct {
	*testkit.Wire
	t   *testing.T
	srv *server.Server
}

// stats are those of a server that has done what it can do now: who wrote what a
// client has read notes it afterwards.
func (r *rig) stats() server.Stats {
	synctest.Wait()
	return r.srv.Stats()
}

// bubble runs f with a rig inside a synctest bubble, where time is free.
func bubble(t *testing.T, change func(*server.Config), f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := server.Config{
			Extensions: []bayeux.Extension{ack.New()},
			Options:    server.Options{"timeout": "4000", "maxInterval": "3000", "sweepPeriod": "500"},
		}
		if change != nil {
			change(&c)
		}
		srv, err := server.New(c)
		require.NoError(t, err)
		r := &rig{Wire: testkit.ServeBy(t, served(&http.Server{Handler: srv}), "/cometd"), t: t, srv: srv}
		defer func() { // also when f fails: the bubble must be empty
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err := srv.Shutdown(ctx)
			assert.NoError(t, err) //nolint:testifylint // the rest of the cleaning up must run
			r.Close()
			synctest.Wait()
		}()
		f(t, r)
	})
}

// frontEnv, when set, has a Front serve the rig.
const frontEnv = "HALLEY_TEST_FRONT"

// noRig are long tests that have no rig: with a Front they are the same.
const noRig = "^Test(Interleavings|IDsAreNotGuessable|Hammer|SessionBudget|Million|TurnOrder)$"

// TestFront runs the other tests once more, with a Front.
func TestFront(t *testing.T) { testkit.RunAgain(t, frontEnv, noRig) }

func served(hs *http.Server) testkit.Served {
	if os.Getenv(frontEnv) == "" {
		return hs
	}
	return server.NewFrontInMemory(hs, "/")
}

// option returns a change that sets options, name and value in turn.
func option(pairs ...string) func(*server.Config) {
	return func(c *server.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.Options[pairs[i]] = pairs[i+1]
		}
	}
}

// user is a session over long-polling, by hand.
type user struct {
	r      *rig
	id     string
	cookie string
	first  testkit.Msg // the handshake reply
}

// hello makes a session over long-polling; more goes into the handshake.
func (r *rig) hello(more string) *user {
	r.t.Helper()
	return r.helloWith("", more)
}

func (r *rig) helloWith(cookie, more string) *user {
	r.t.Helper()
	reply := r.Post(cookie, `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]`+join(more)+`}]`)
	require.Equal(r.t, 200, reply.Status, reply.Body)
	m := reply.Messages[0]
	require.Equal(r.t, true, m["successful"], reply.Body)
	u := &user{r: r, id: text(m["clientId"]), cookie: cookie, first: m}
	if cookie == "" {
		u.cookie, _, _ = strings.Cut(reply.Header.Get("Set-Cookie"), ";")
	}
	return u
}

func join(more string) string {
	if more == "" {
		return ""
	}
	return "," + more
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// fill puts the session's id into a body: $ stands for it.
func (u *user) fill(body string) string { return strings.ReplaceAll(body, "$", u.id) }

// send posts messages and returns the whole reply.
func (u *user) send(body string) *testkit.Reply {
	u.r.t.Helper()
	return u.r.Post(u.cookie, u.fill(body))
}

// later posts messages on a goroutine of its own.
func (u *user) later(body string) <-chan *testkit.Reply {
	return u.r.Go(testkit.Request{Body: u.fill(body), Cookie: u.cookie})
}

// connect makes the first connect, which is answered at once, so that later
// ones are held.
func (u *user) connect() *user {
	u.r.t.Helper()
	reply := u.send(connectNow)
	require.Equal(u.r.t, true, reply.Messages[len(reply.Messages)-1]["successful"], reply.Body)
	return u
}

func (u *user) subscribe(ch string) *user {
	u.r.t.Helper()
	reply := u.send(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","subscription":%q}]`, ch))
	require.Equal(u.r.t, true, reply.Messages[len(reply.Messages)-1]["successful"], reply.Body)
	return u
}

func (u *user) publish(ch, data string) *testkit.Reply {
	u.r.t.Helper()
	return u.send(fmt.Sprintf(`[{"channel":%q,"clientId":"$","id":"p","data":%s}]`, ch, data))
}

const (
	connectNow  = `[{"channel":"/meta/connect","clientId":"$","id":"c0","connectionType":"long-polling","advice":{"timeout":0}}]`
	connectHold = `[{"channel":"/meta/connect","clientId":"$","id":"c1","connectionType":"long-polling"}]`
)

// canon is a JSON text with sorted keys, for comparisons.
func canon(t *testing.T, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		require.NoError(t, json.Unmarshal([]byte(s), &v), s)
	}
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// same compares messages with JSON.
func same(t *testing.T, want string, got any) {
	t.Helper()
	require.Equal(t, canon(t, want), canon(t, got))
}

// soon asserts that a virtual duration is near to what was expected.
func soon(t *testing.T, want, got time.Duration) {
	t.Helper()
	require.InDelta(t, want.Seconds(), got.Seconds(), 0.02)
}
