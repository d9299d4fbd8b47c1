package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// wireCase is a body, sent by a session with a connect behind it, and the
// reply.
type wireCase struct{ name, body, want string }

func wireCases(t *testing.T, u *user, cases []wireCase) {
	t.Helper()
	for _, c := range cases {
		reply := u.send(c.body)
		require.Equal(t, 200, reply.Status, "%s: %s", c.name, reply.Body)
		require.Equal(t, canon(t, c.want), canon(t, reply.Messages), c.name)
	}
}

func TestWireEnvelope(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		wireCases(t, r.hello("").connect(), []wireCase{
			{
				"[R-MSG-1, R-MSG-2] a bare object is answered by an array",
				`{"channel":"/a","clientId":"$","id":"1"}`,
				`[{"channel":"/a","id":"1","successful":true}]`,
			},
			{
				"[R-MSG-3] one reply for each message, in their order",
				`[{"channel":"/a","clientId":"$","id":"1"},{"channel":"/a?","clientId":"$","id":"2"},` +
					`{"channel":"/meta/subscribe","clientId":"$","id":"3","subscription":"/b"},{"clientId":"$","id":"4"},` +
					`{"channel":"/a","id":"5"},{"channel":"/service/x","clientId":"$","id":"6"}]`,
				`[{"channel":"/a","id":"1","successful":true},{"channel":"/a?","id":"2","successful":false,"error":"405::channel_invalid"},` +
					`{"channel":"/meta/subscribe","id":"3","subscription":"/b","successful":true},{"id":"4","successful":false,"error":"400::channel_missing"},` +
					`{"channel":"/a","id":"5","successful":false,"error":"402::session_unknown"},{"channel":"/service/x","id":"6","successful":true}]`,
			},
			{
				"[R-MSG-4] nothing comes back but channel, id, subscription",
				`{"channel":"/a","clientId":"$","id":"1","subscription":{"x":[1.50]},"data":{"k":1},"ext":{"e":1},"advice":{},"foo":1,"successful":false,"error":"x"}`,
				`[{"channel":"/a","id":"1","subscription":{"x":[1.5]},"successful":true}]`,
			},
			{
				"[R-MSG-4] a null subscription does not come back",
				`{"channel":"/a","clientId":"$","subscription":null}`,
				`[{"channel":"/a","successful":true}]`,
			},
			{
				"[R-MSG-5] meta replies and others have the request's id",
				`[{"channel":"/meta/unsubscribe","clientId":"$","id":"u1","subscription":"/b"},{"channel":"/a","clientId":"$","id":"p1"}]`,
				`[{"channel":"/meta/unsubscribe","id":"u1","subscription":"/b","successful":true},{"channel":"/a","id":"p1","successful":true}]`,
			},
			{
				"[R-MSG-7] no channel",
				`{"clientId":"$","id":"1"}`,
				`[{"id":"1","successful":false,"error":"400::channel_missing"}]`,
			},
			{
				"[R-MSG-7] null channel, no session",
				`{"channel":null}`,
				`[{"successful":false,"error":"400::channel_missing"}]`,
			},
		})
	})
}

// [R-MSG-6]: ids are letters and digits, numbers count as strings.
func TestWireMessageID(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, c := range []struct {
			id   string
			want any // nil: no id in the reply
			ok   bool
		}{
			{`7`, "7", true},
			{`"7"`, "7", true},
			{`"aZ09"`, "aZ09", true},
			{`null`, nil, true},
			{`0`, "0", true},
			{`"a-b"`, "a-b", false},
			{`"x y"`, "x y", false},
			{`""`, "", false},
			{`"é"`, "é", false},
			{`-1`, "-1", false},
			{`1.5`, "1.5", false},
			{`{}`, "{}", false},
			{`[]`, "[]", false},
		} {
			m := u.send(`{"channel":"/a","clientId":"$","id":` + c.id + `}`).Messages[0]
			require.Equal(t, c.ok, m["successful"], c.id)
			require.Equal(t, c.want, m["id"], c.id)
			if !c.ok {
				require.Equal(t, "405::message_id_invalid", m["error"], c.id)
			}
		}
	})
}

// [R-MSG-8]: the characters of a channel.
func TestWireChannelCharacters(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, c := range []string{" ", "!", "#", "$", "(", ")", "+", "-", ".", "@", "_", "{", "~", "}", "A", "z", "0", "/b"} {
			m := u.r.Post(u.cookie, `{"channel":"/a`+c+`x","clientId":"`+u.id+`"}`).Messages[0]
			require.Equal(t, true, m["successful"], c)
		}
		for _, c := range []string{
			"", "/", "a", "a/b", "/a?", "/a:", "/a,", "/a%", "/a&", "/a'", "/a=", "/a[", "/a]", `/a\"`, "/a;", "/a<", "/a>",
			`/a\\`, "/a|", "/a^", "/a`", "/é", `/a\u0000`, `/a\n`,
		} {
			m := u.send(`{"channel":"` + c + `","clientId":"$"}`).Messages[0]
			require.Equal(t, "405::channel_invalid", m["error"], c)
		}
	})
}

// [R-MSG-10]: what has only right characters fails alone, not its batch.
func TestWireChannelStructure(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, c := range []string{"//a", "/a//b", "/*/a", "/a/**/b", "/{v}/*", "//"} {
			reply := u.send(`[{"channel":"` + c + `","clientId":"$"},{"channel":"/meta/subscribe","clientId":"$","subscription":"` + c + `"},{"channel":"/ok","clientId":"$"}]`)
			require.Equal(t, 200, reply.Status, c)
			require.Equal(t, "405::channel_invalid", reply.Messages[0]["error"], c)
			require.Equal(t, "403::subscription_invalid", reply.Messages[1]["error"], c)
			require.Equal(t, true, reply.Messages[2]["successful"], c)
		}
	})
}

// [R-MSG-9]: validation, extensions, session, CREATE, PUBLISH, handler.
func TestWireOrderOfChecks(t *testing.T) {
	listened := 0
	policy := wirePolicy{
		create: func(ch channels.Name) error {
			if ch == "/no-create" {
				return bayeux.Deny("c")
			}
			return nil
		},
		publish: func(ch channels.Name) error {
			if ch == "/no-create" || ch == "/no-publish" {
				return bayeux.Deny("p")
			}
			return nil
		},
	}
	eater := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/eaten" || m.Channel == "/eaten?" {
			return bayeux.Drop
		}
		return nil
	}}
	bubble(t, wireWith(policy, eater), func(t *testing.T, r *rig) {
		_, err := r.srv.Listen("/**", func(context.Context, bayeux.Session, *bayeux.Message) error {
			listened++
			return errors.New("reached")
		})
		require.NoError(t, err)
		u := r.hello("")
		for _, c := range []struct{ client, channel, id, want string }{
			{"nobody", "/a?", "1", "405::channel_invalid"},
			{"nobody", "/a", "x y", "405::message_id_invalid"},
			{"nobody", "/a?", "x y", "405::channel_invalid"},
			{"nobody", "/eaten?", "1", "405::channel_invalid"},
			{"nobody", "/eaten", "1", "404::message_deleted"},
			{"nobody", "/no-create", "1", "402::session_unknown"},
			{"$", "/eaten", "1", "404::message_deleted"},
			{"$", "/no-create", "1", "403:c:channel_create_denied"},
			{"$", "/no-publish", "1", "403:p:publish_denied"},
		} {
			m := u.send(`{"channel":"` + c.channel + `","id":"` + c.id + `","clientId":"` + c.client + `"}`).Messages[0]
			require.Equal(t, c.want, m["error"], c.channel)
			require.Zero(t, listened, c.channel)
			require.Regexp(t, `^40[0-5]:[a-z_,]*:[a-z_]+$`, m["error"]) // [R-MSG-14]
		}
		require.Equal(t, true, u.publish("/a", "1").Messages[0]["successful"])
		require.Equal(t, 1, listened)
	})
}

// [R-MSG-11]: a field of the wrong type costs its message, not the session;
// what cannot be read costs the request.
func TestWireWrongTypes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		wireCases(t, u, []wireCase{
			{"channel", `[{"channel":5,"clientId":"$","id":"1"}]`, `[{"id":"1","successful":false,"error":"400::channel"}]`},
			{"clientId", `[{"channel":"/a","clientId":5,"id":"1"}]`, `[{"channel":"/a","id":"1","successful":false,"error":"400::clientId"}]`},
			{"ext", `[{"channel":"/a","clientId":"$","ext":"s"}]`, `[{"channel":"/a","successful":false,"error":"400::ext"}]`},
			{
				"advice.timeout", // case 33
				`[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":"0"}}]`,
				`[{"channel":"/meta/connect","successful":false,"error":"400::advice"}]`,
			},
			{
				"the rest of the batch goes on",
				`[{"channel":"/a","clientId":"$"},{"channel":"/a","clientId":"$","ext":[]},{"channel":"/b","clientId":"$"}]`,
				`[{"channel":"/a","successful":true},{"channel":"/a","successful":false,"error":"400::ext"},{"channel":"/b","successful":true}]`,
			},
		})
		for _, body := range []string{
			`[5]`, `[null]`, `[[]]`, `["x"]`, `null`, `5`, ``, // case 96
			`[{"channel":`, `hello`, `{'channel':'/a'}`, `[{"channel":"/a"}] x`, "\ufeff[]", // case 95, [R-MSG-16]
			`[{"channel":"/a",}]`, `[{"channel":"/a"},]`, "[{\"channel\":\"/\xff\"}]",
		} {
			require.Equal(t, 400, u.send(body).Status, body)
		}
		reply := u.send(`[]`)
		require.Equal(t, 200, reply.Status)
		require.Equal(t, "[]", reply.Body)
		require.Equal(t, true, u.publish("/a", "1").Messages[0]["successful"])
	})
}

func TestWireSpelling(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		wireCases(t, u, []wireCase{
			{ // case 74
				"[R-MSG-12] replies keep the spelling of a subscription",
				`{"channel":"/meta/subscribe","clientId":"$","subscription":"/f/ "}`,
				`[{"channel":"/meta/subscribe","subscription":"/f/ ","successful":true}]`,
			},
			{
				"[R-MSG-12] and so do messages, whatever the subscription was",
				`[{"channel":"/f","clientId":"$"},{"channel":"/f/","clientId":"$"},{"channel":"/f ","clientId":"$"},{"channel":"/F","clientId":"$"}]`,
				`[{"channel":"/f"},{"channel":"/f/"},{"channel":"/f "},{"channel":"/f","successful":true},{"channel":"/f/","successful":true},` +
					`{"channel":"/f ","successful":true},{"channel":"/F","successful":true}]`,
			},
			{
				"[R-MSG-12] unsubscribe normalises too",
				`[{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/f/"},{"channel":"/f","clientId":"$"}]`,
				`[{"channel":"/meta/unsubscribe","subscription":"/f/","successful":true},{"channel":"/f","successful":true}]`,
			},
			{
				"[R-MSG-13] /meta, /service and /META are for everybody",
				`[{"channel":"/meta/subscribe","clientId":"$","subscription":["/meta","/service","/META/connect"]},{"channel":"/meta","clientId":"$"},` +
					`{"channel":"/service","clientId":"$"},{"channel":"/META/connect","clientId":"$"}]`,
				`[{"channel":"/meta"},{"channel":"/service"},{"channel":"/META/connect"},` +
					`{"channel":"/meta/subscribe","subscription":["/meta","/service","/META/connect"],"successful":true},` +
					`{"channel":"/meta","successful":true},{"channel":"/service","successful":true},{"channel":"/META/connect","successful":true}]`,
			},
			{
				"[R-MSG-13] /service/x is for services",
				`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/service/x"},{"channel":"/service/x","clientId":"$"}]`,
				`[{"channel":"/meta/subscribe","subscription":"/service/x","successful":true},{"channel":"/service/x","successful":true}]`,
			},
		})
	})
}

// [R-MSG-15]: data, ext and unknown fields arrive byte for byte.
func TestWireBytes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		for _, data := range []string{
			`{"z":1,"a":2,"z":3}`, `[2.50,1e3,1e400,-0,123456789012345678901234567890]`, `"é\u00e9\/<\/script>"`,
			"\"\u2028\"", `{ "a" : [ 1 , 2 ] }`, `"\ud83d\ude00\t"`, `null`, `""`,
		} {
			reply := u.send(`[{"channel":"/a","clientId":"$","ext":` + `{"e":1.0}` + `,"more":` + data + `,"data":` + data + `}]`)
			require.Contains(t, reply.Body, `"data":`+data)
			require.Contains(t, reply.Body, `"more":`+data)
			require.Contains(t, reply.Body, `"ext":{"e":1.0}`)
		}
	})
}
