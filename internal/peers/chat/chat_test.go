package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/peers/chat"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLines keeps the promise that a chat is not more than this.
func TestLines(t *testing.T) {
	text, err := os.ReadFile("chat.go")
	require.NoError(t, err)
	require.Less(t, bytes.Count(text, []byte("\n")), 150)
}

// talk runs f with the chat, where time is free.
func talk(t *testing.T, f func(w *testkit.Wire, srv *server.Server)) {
	t.Helper()
	var srv *server.Server
	testkit.Bubble(t, func() (testkit.Engine, error) {
		policy := bayeux.NewAuthorizers(nil)
		var err error
		if srv, err = server.New(server.Config{Policy: policy, Options: server.Options{"maxInterval": "10000"}}); err != nil {
			return nil, err
		}
		return srv, chat.Install(srv, policy)
	}, func(_ *testing.T, w *testkit.Wire) { f(w, srv) })
}

func enter(w *testkit.Wire) *testkit.User {
	return w.Hello().Connect().Subscribe("/chat/tea").Subscribe("/members/tea")
}

// told are messages as their channels with their data, or the error of a reply.
func told(t *testing.T, messages []testkit.Msg) (all []string) {
	t.Helper()
	for _, m := range messages {
		said := m["data"]
		if m["error"] != nil {
			said = m["error"]
		} else if said == nil && m["channel"] != "/meta/connect" {
			said = "ok"
		}
		if said != nil {
			text, err := json.Marshal(said)
			require.NoError(t, err)
			all = append(all, fmt.Sprint(m["channel"], " ", string(text)))
		}
	}
	return all
}

func say(t *testing.T, u *testkit.User, channel, data string) []string {
	t.Helper()
	return told(t, u.Send(fmt.Sprintf(`[{"channel":%q,"clientId":"$","id":"1","data":%s}]`, channel, data)).Messages)
}

func hear(t *testing.T, u *testkit.User) []string {
	t.Helper()
	return told(t, u.Send(`[{"channel":"/meta/connect","clientId":"$","connectionType":"long-polling"}]`).Messages)
}

const (
	join    = "/service/members"
	whisper = "/service/privatechat"
	deleted = `"404::message_deleted"`
)

// Members speak, and a session that ends leaves: by a word, or by silence.
func TestRooms(t *testing.T) {
	talk(t, func(w *testkit.Wire, _ *server.Server) {
		ann, bob, eve := enter(w), enter(w), enter(w)
		require.Equal(t, []string{`/chat/tea "403:not_a_member:publish_denied"`}, say(t, ann, "/chat/tea", `"hi"`))
		require.Equal(t, []string{`/members/tea ["ann"]`, join + ` "ok"`}, say(t, ann, join, `{"room":"/chat/tea","user":"ann"}`))
		require.Equal(t, []string{`/service/members {"refused":"name_taken","room":"/chat/tea","user":"ann"}`, join + ` "ok"`},
			say(t, bob, join, `{"room":"/chat/tea","user":"ann"}`)[1:], "behind the names of before")
		say(t, bob, join, `{"room":"/chat/tea","user":"bob"}`)
		say(t, bob, join, `{"room":"/chat/tea","user":"bobby"}`)
		say(t, eve, join, `{"room":"/chat/tea","user":"eve"}`)
		require.Equal(t, []string{`/members/tea ["ann","bob"]`, `/members/tea ["ann","bob","bobby"]`, `/members/tea ["ann","bob","bobby","eve"]`}, hear(t, ann))
		bob.Send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
		require.Equal(t, []string{`/members/tea ["ann","eve"]`}, hear(t, ann), "once")
		require.Equal(t, []string{`/members/tea ["ann"]`}, hear(t, ann), "eve has been silent for too long")
	})
}

// Data that does not fit deletes the message, and what another service has is
// not looked at.
func TestData(t *testing.T) {
	talk(t, func(w *testkit.Wire, _ *server.Server) {
		ann := enter(w)
		for _, data := range []string{
			`"ann"`, `null`, `[]`, `{}`, `{"room":"/chat/tea"}`, `{"room":"/chat/tea","user":""}`, `{"room":"/chat/tea","user":5}`,
			`{"room":"tea","user":"ann"}`, `{"room":"/chat/","user":"ann"}`, `{"room":"/chat/a/b","user":"ann"}`, `{"room":"/chat/*","user":"ann"}`,
			`{"room":"/chat/tea\n","user":"ann"}`, `{"room":"/chat/tea","user":"dang"}`,
		} {
			require.Equal(t, []string{join + " " + deleted}, say(t, ann, join, data), data)
		}
		say(t, ann, join, `{"room":"/chat/tea","user":"<ann>","chat":7}`)
		for _, data := range []string{`{"room":"/chat/tea","chat":"x"}`, `{"room":"/chat/tea","peer":"ann"}`, `{"room":"/chat/milk","chat":"x","peer":"ann"}`} {
			require.Equal(t, []string{whisper + " " + deleted}, say(t, ann, whisper, data), data)
		}
		require.Equal(t, []string{`/chat/tea {"chat":"x","scope":"private","user":"\u0026lt;ann\u0026gt;"}`, whisper + ` "ok"`},
			say(t, ann, whisper, `{"room":"/chat/tea","chat":"x","peer":"<ann>"}`), "names pass the filters too")
		require.Equal(t, []string{`/service/echo {"a":[1]}`, `/service/echo "ok"`}, say(t, ann, "/service/echo", `{"a":[1]}`))
		require.Equal(t, []string{`/service/echo {"reason":"nothing_to_echo"}`, `/service/echo "ok"`}, say(t, ann, "/service/echo", `""`))
	})
}

// Clients cannot fill the memory with names.
func TestBounds(t *testing.T) {
	talk(t, func(w *testkit.Wire, srv *server.Server) {
		ann := w.Hello().Connect()
		for i := range 1000 {
			require.Equal(t, []string{join + ` "ok"`}, say(t, ann, join, fmt.Sprintf(`{"room":"/chat/tea","user":"ann%d"}`, i)))
		}
		require.Equal(t, []string{join + " " + deleted}, say(t, ann, join, `{"room":"/chat/tea","user":"ann"}`))
		require.Equal(t, []string{join + ` "ok"`}, say(t, ann, join, `{"room":"/chat/tea","user":"ann7"}`), "who is there stays")
		for i := range 999 {
			require.Equal(t, []string{join + ` "ok"`}, say(t, ann, join, fmt.Sprintf(`{"room":"/chat/%d","user":"ann"}`, i)))
		}
		require.Equal(t, []string{join + " " + deleted}, say(t, ann, join, `{"room":"/chat/milk","user":"ann"}`))
		ann.Send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
		synctest.Wait() // the chat is told
		bob := enter(w)
		require.Equal(t, []string{`/members/tea ["ann"]`, join + ` "ok"`}, say(t, bob, join, `{"room":"/chat/tea","user":"ann"}`))
		require.NoError(t, srv.Publish(context.Background(), "/chat/tea", "from the server"))
	})
}
