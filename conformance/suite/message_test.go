package suite

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func scrapT() *T { return &T{Record: NewRecord()} }

func TestExpectations(t *testing.T) {
	parse := func(tt *T) *Message {
		m, ok := tt.Parse(json.RawMessage(`{"channel":"/a","successful":false,"error":"403:x:denied","n":1e1,"s":["a"],` +
			`"advice":{"timeout":5,"b":{"c":null}},"data":{"y":2, "x":1}}`))
		require.True(t, ok)
		return m
	}
	for name, f := range map[string]func(m *Message){
		"want number": func(m *Message) { m.Want("n", 10) },
		"want object": func(m *Message) { m.Want("data", M{"x": 1, "y": 2}) },
		"path":        func(m *Message) { m.Want("advice.timeout", 5).Want("advice.b.c", nil) },
		"has":         func(m *Message) { m.Has("advice", "advice.timeout") },
		"lacks":       func(m *Message) { m.Lacks("advice.x", "x", "n.x") },
		"failed":      func(m *Message) { m.Failed().Failed("402", "403:x:") },
		"bytes":       func(m *Message) { m.Bytes("data", `{"y":2, "x":1}`) },
		"only":        func(m *Message) { m.Only("channel", "successful", "error", "n", "s", "advice", "data", "id") },
	} {
		tt := scrapT()
		f(parse(tt))
		require.Empty(t, tt.notes, name)
	}
	for name, f := range map[string]func(m *Message){
		"want":       func(m *Message) { m.Want("n", 11) },
		"missing":    func(m *Message) { m.Want("id", "1") },
		"has null":   func(m *Message) { m.Has("advice.b.c") },
		"lacks":      func(m *Message) { m.Lacks("advice.b.c") },
		"failed":     func(m *Message) { m.Failed("402", "404") },
		"successful": func(m *Message) { m.Successful() },
		"bytes":      func(m *Message) { m.Bytes("data", `{"x":1,"y":2}`) },
		"only":       func(m *Message) { m.Only("channel", "successful", "error", "n", "s", "advice") },
	} {
		tt := scrapT()
		f(parse(tt))
		require.Len(t, tt.notes, 1, name)
	}
}

// TestReplies sorts messages into replies, deliveries and strays.
func TestReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		asked   []M
		came    []string
		replies []int // which message is the reply; -1 none
		inbox   int
		stray   int
	}{
		"by id, out of order": {
			[]M{{"channel": "/meta/subscribe", "id": "1"}, {"channel": "/meta/subscribe", "id": "2"}},
			[]string{`{"channel":"/meta/subscribe","id":"2","successful":true}`, `{"channel":"/meta/subscribe","id":"1","successful":true}`},
			[]int{1, 0},
			0, 0,
		},
		"without ids, by order": {
			[]M{{"channel": "/a"}, {"channel": "/a"}},
			[]string{`{"channel":"/a","successful":true}`, `{"channel":"/a","successful":false}`},
			[]int{0, 1},
			0, 0,
		},
		"a wrong id is still the reply": {
			[]M{{"channel": "/a", "id": "1"}}, []string{`{"channel":"/a","id":"7","successful":true}`}, []int{0}, 0, 0,
		},
		"an own message is a delivery": {
			[]M{{"channel": "/a", "id": "1"}},
			[]string{`{"channel":"/a","data":1}`, `{"channel":"/a","data":1,"successful":true}`, `{"channel":"/a","id":"1","successful":true}`},
			[]int{2},
			2, 0,
		},
		"a result is a delivery": {
			[]M{{"channel": "/service/a", "id": "1"}},
			[]string{`{"channel":"/service/a","id":"1","data":1,"successful":true}`, `{"channel":"/service/a","id":"1","successful":true}`},
			[]int{1},
			1, 0,
		},
		"a reply without channel": {
			[]M{{"id": "1"}}, []string{`{"id":"1","successful":false,"error":"400::channel_missing"}`}, []int{0}, 0, 0,
		},
		"a number as id": {
			[]M{{"channel": "/a", "id": 7}}, []string{`{"channel":"/a","id":"7","successful":true}`}, []int{0}, 0, 0,
		},
		"twice, and pushed": {
			[]M{{"channel": "/meta/connect", "id": "1"}},
			[]string{`{"channel":"/meta/connect","id":"1","successful":true}`, `{"channel":"/meta/connect","id":"1","successful":true}`, `{"channel":"/meta/disconnect"}`},
			[]int{0},
			0, 2,
		},
	} {
		c := &Client{t: scrapT()}
		p := &Pending{c: c, asked: tt.asked, replies: make([]*Message, len(tt.asked)), ended: make(chan struct{})}
		var came []*Message
		for _, raw := range tt.came {
			m, ok := c.t.Parse(json.RawMessage(raw))
			require.True(t, ok)
			came = append(came, m)
			c.sort(m, p)
		}
		for i, want := range tt.replies {
			require.Same(t, came[want], p.replies[i], "%s, reply %d", name, i)
		}
		require.Len(t, c.Inbox(), tt.inbox, name)
		require.Len(t, c.Strays(), tt.stray, name)
	}
}

func TestMessagesToSend(t *testing.T) {
	base := M{"a": 1, "b": 2}
	require.Equal(t, M{"a": 3, "c": nil}, base.with(M{"a": 3, "b": Absent}, M{"c": nil}))
	require.Equal(t, M{"a": 1, "b": 2}, base)
	require.Equal(t, map[string]any{"ack": true, "auth": "x"}, mergeExt(M{"ack": true}, Raw(`{"auth":"x"}`)))
	require.Equal(t, map[string]any{"auth": "x"}, mergeExt(nil, Raw(`{"auth":"x"}`)))
}
