package service_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server in memory.
type rig struct {
	*testkit.Wire
	t   *testing.T
	srv *server.Server
	log testkit.Buffer
}

// bubble runs f with a rig inside a synctest bubble.
func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t}
		srv, err := server.New(server.Config{
			Logger:           zerolog.New(&r.log).Level(zerolog.ErrorLevel),
			ExtensionTimeout: 2 * time.Second,
			Options:          server.Options{"timeout": "4000", "maxInterval": "30000"},
		})
		require.NoError(t, err)
		r.srv, r.Wire = srv, testkit.Serve(t, srv, "/cometd")
		defer func() {
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

// user is a session over long-polling, by hand.
type user struct {
	r          *rig
	id, cookie string
}

func (r *rig) hello() *user {
	r.t.Helper()
	reply := r.Post("", `[{"channel":"/meta/handshake"}]`)
	u := &user{r: r}
	u.id, _ = reply.Messages[0]["clientId"].(string)
	u.cookie, _, _ = strings.Cut(reply.Header.Get("Set-Cookie"), ";")
	require.NotEmpty(r.t, u.id, reply.Body)
	return u
}

func (u *user) body(channel, data string) string {
	return `[{"channel":"` + channel + `","clientId":"` + u.id + `","id":"7","data":` + data + `}]`
}

// send publishes a message of id 7 and returns what comes back.
func (u *user) send(channel, data string) []testkit.Msg {
	u.r.t.Helper()
	return u.r.Post(u.cookie, u.body(channel, data)).Messages
}

func (u *user) later(channel, data string) <-chan *testkit.Reply {
	return u.r.Go(testkit.Request{Body: u.body(channel, data), Cookie: u.cookie})
}

// connect fetches what waits.
func (u *user) connect() []testkit.Msg {
	u.r.t.Helper()
	all := u.r.Post(u.cookie, `[{"channel":"/meta/connect","clientId":"`+u.id+`","advice":{"timeout":0}}]`).Messages
	return all[:len(all)-1]
}

// same compares messages with JSON.
func same(t *testing.T, want string, got any) {
	t.Helper()
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, want, string(text))
}

const fine = `{"channel":"/service/it","id":"7","successful":true}`
