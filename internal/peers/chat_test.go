//go:build peers

package peers

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// chatLine is a line of the conversation: who sends a message, and the data
// that comes with the reply; or, without a message, what comes with a connect.
type chatLine struct {
	who, channel, data string
	// answer is what comes before the reply: channel and data in turn.
	answer []string
	err    string
}

// chatLines is a conversation with the chat of docs/FIXTURES.md. Both are
// subscribed to the room and its members.
func chatLines() []chatLine {
	const (
		room, members    = "/chat/tea", "/members/tea"
		join, whisper    = "/service/members", "/service/privatechat"
		deleted, unknown = "404::message_deleted", "403:denied_by_not_granting:channel_create_denied"
	)
	return []chatLine{
		{"ann", room, `{"user":"ann","chat":"too soon"}`, nil, "403:not_a_member:publish_denied"},
		{"ann", join, `{"room":"/chat/tea","user":"ann"}`, []string{members, `["ann"]`}, ""},
		{"ann", room, `{"user":"ann","chat":"<b>hi</b>"}`, []string{room, `{"user":"ann","chat":"&lt;b&gt;hi&lt;/b&gt;"}`}, ""},
		{"bob", "", "", []string{members, `["ann"]`, room, `{"user":"ann","chat":"&lt;b&gt;hi&lt;/b&gt;"}`}, ""},
		{"bob", join, `{"room":"/chat/tea","user":"ann"}`, []string{join, `{"room":"/chat/tea","user":"ann","refused":"name_taken"}`}, ""},
		{"bob", join, `{"room":"/chat/tea","user":"bob"}`, []string{members, `["ann","bob"]`}, ""},
		{"bob", room, `{"user":"bob","chat":"dang"}`, nil, deleted},
		{"ann", "", "", []string{members, `["ann","bob"]`}, ""},
		{"bob", whisper, `{"room":"/chat/tea","chat":"psst","peer":"ann,zoe"}`, []string{room, `{"user":"bob","chat":"psst","scope":"private"}`}, ""},
		{"ann", "", "", []string{room, `{"user":"bob","chat":"psst","scope":"private"}`}, ""},
		{"bob", whisper, `{"room":"/chat/tea","chat":"psst","peer":"bob"}`, []string{room, `{"user":"bob","chat":"psst","scope":"private"}`}, ""},
		{"bob", whisper, `{"room":"/chat/tea","chat":"psst","peer":"zoe"}`, nil, ""},
		{"bob", whisper, `{"room":"/chat/milk","chat":"psst","peer":"ann"}`, nil, deleted},
		{"bob", whisper, `{"room":"/chat/tea","peer":"ann"}`, nil, deleted},
		{"bob", join, `{"room":"/chat/a/b","user":"bob"}`, nil, deleted},
		{"bob", join, `"bob"`, nil, deleted},
		{"bob", members, `["bob"]`, nil, "403:denied_by_not_granting:publish_denied"},
		{"bob", "/elsewhere", `1`, nil, unknown},
		{"bob", "/service/elsewhere", `1`, nil, unknown},
		{"bob", "/meta/disconnect", "", nil, ""},
		{"ann", "", "", []string{members, `["ann"]`}, ""},
	}
}

func TestChat(t *testing.T) {
	for _, name := range []string{"halley", "cometd8", "cometd7"} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t, name, map[string]string{"demo": "true", "timeout": "5000"})
			sessions := map[string]*session{"ann": newGuest(t, p), "bob": newGuest(t, p)}
			for _, line := range chatLines() {
				sessions[line.who].play(line)
			}
			ann := sessions["ann"]
			require.Equal(t, []msg{
				{"channel": "/service/echo", "id": "e", "successful": true, "data": "<i>"},
				{"channel": "/service/echo", "id": "e", "successful": true},
			}, ann.exchange(msg{"channel": "/service/echo", "clientId": ann.id, "id": "e", "data": "<i>"}))
			require.Equal(t, []msg{
				{"channel": "/service/echo", "id": "e", "successful": false, "data": msg{"reason": "nothing_to_echo"}},
				{"channel": "/service/echo", "id": "e", "successful": true},
			}, ann.exchange(msg{"channel": "/service/echo", "clientId": ann.id, "id": "e", "data": ""}))
			for subscription, err := range map[string]string{
				"/**": "403:denied_by_not_granting:subscribe_denied", "/elsewhere": "403:denied_by_not_granting:create_denied",
			} {
				reply, _ := ann.send(msg{"channel": "/meta/subscribe", "subscription": subscription})
				require.Equal(t, err, reply["error"])
			}
		})
	}
	for _, name := range []string{"halley", "cometd8"} {
		_, err := Start(t.Context(), name, map[string]string{"demo": "true", "fixtures": "true"})
		require.ErrorContains(t, err, "do not go together")
	}
}

// newGuest is a connected session in front of the room.
func newGuest(t *testing.T, p *Peer) *session {
	t.Helper()
	s := &session{t: t, carrier: open(t, p, "long-polling")}
	reply, _ := s.send(msg{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"long-polling"}})
	s.id = reply["clientId"]
	s.done(msg{"channel": "/meta/connect", "connectionType": "long-polling"})
	s.done(msg{"channel": "/meta/subscribe", "subscription": []string{"/chat/tea", "/members/tea"}})
	return s
}

// play sends a line, or connects, and compares what comes.
func (s *session) play(line chatLine) {
	s.t.Helper()
	var beside []msg
	if line.channel == "" {
		for tries := 0; len(beside) < len(line.answer)/2 && tries < 5; tries++ {
			beside = append(beside, s.done(msg{"channel": "/meta/connect", "connectionType": "long-polling"})...)
		}
	} else {
		m := msg{"channel": line.channel}
		if line.data != "" {
			m["data"] = json.RawMessage(line.data)
		}
		var reply msg
		reply, beside = s.send(m)
		require.Equal(s.t, line.err == "", reply["successful"], "%+v", line)
		if line.err != "" {
			require.Equal(s.t, line.err, reply["error"], "%+v", line)
		}
	}
	require.Len(s.t, beside, len(line.answer)/2, "%+v", line)
	for i, m := range beside {
		require.Equal(s.t, line.answer[2*i], m["channel"], "%+v", line)
		data, err := json.Marshal(m["data"])
		require.NoError(s.t, err)
		require.JSONEq(s.t, line.answer[2*i+1], string(data), "%+v", line)
	}
}
