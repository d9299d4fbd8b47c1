package faults

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBatches(t *testing.T) {
	for text, want := range map[string]struct {
		n     int
		array bool
	}{
		`{}`: {1, false}, ` {"a":1} `: {1, false}, `[]`: {0, true}, `[{},{"b":{"c":[1]}}]`: {2, true},
		``: {-1, false}, `5`: {-1, false}, `[5]`: {-1, false}, `[null]`: {-1, false}, `{`: {-1, false}, `[{}]x`: {-1, false}, `{"a":1}x`: {-1, false},
	} {
		msgs, array, err := parseBatch([]byte(text))
		if want.n < 0 {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Len(t, msgs, want.n, text)
		require.Equal(t, want.array, array, text)
	}
}

// Values leave as they came; only what was changed is written anew.
func TestMessageKeepsBytes(t *testing.T) {
	const text = `{ "data": {"b":1e400, "a":"\/\u00e9"} ,"channel":"/x","n":1.50,"n":2 }`
	m, err := parseMessage([]byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(m.bytes()))
	require.Equal(t, "/x", m.channel())
	require.Equal(t, `{"b":1e400, "a":"\/\u00e9"}`, m.get("data"))
	m.set("x<", `"y"`)
	m.setStr("channel", "/<&>\u2028")
	require.Equal(t, `{"data":{"b":1e400, "a":"\/\u00e9"},"channel":"/<&>\u2028","n":1.50,"n":2,"x<":"y"}`, string(m.bytes()))
	m.del("n", "data", "missing")
	require.Equal(t, `{"channel":"/<&>\u2028","x<":"y"}`, string(m.bytes()))
}

func TestMembers(t *testing.T) {
	m := made(`{"advice":{"timeout":0,"interval":5}}`)
	n, ok := m.millis("interval")
	require.True(t, ok)
	require.Equal(t, 5, n)
	m.delMember("advice", "missing")
	m.delMember("nothing", "missing")
	require.False(t, m.changed)
	m.setMember("advice", "timeout", "7")
	m.delMember("advice", "interval")
	m.setMember("ext", "ack", "1")
	require.Equal(t, `{"advice":{"timeout":7},"ext":{"ack":1}}`, string(m.bytes()))
}

func TestCopiesAreApart(t *testing.T) {
	m := made(`{"channel":"/x","id":"1"}`)
	c := m.clone()
	c.del("id")
	c.setStr("channel", "/y")
	require.Equal(t, `{"channel":"/x","id":"1"}`, string(m.bytes()))
	require.Equal(t, `{"channel":"/y"}`, string(c.bytes()))
}

func TestReplies(t *testing.T) {
	for text, reply := range map[string]bool{
		`{"channel":"/x","id":"1","successful":true}`:               true,
		`{"channel":"/meta/disconnect","id":"1","successful":true}`: true,
		`{"channel":"/meta/disconnect","successful":true}`:          false, // pushed
		`{"channel":"/x","data":1}`:                                 false,
		`{"channel":"/service/x","data":1,"successful":true}`:       false,
		`{"successful":false,"error":"400::channel_missing"}`:       true,
	} {
		require.Equal(t, reply, made(text).reply(), text)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, channel string
		want             bool
	}{
		{"/a", "/a", true},
		{"/a/", "/a", true},
		{"/a", "/a/b", false},
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", false},
		{"/a/*", "/a", false},
		{"/a/**", "/a/b/c", true},
		{"/a/**", "/a", false},
		{"/**", "/a", true},
		{"/**", "/service/a", false},
		{"/*", "/a/b", false},
	} {
		require.Equal(t, c.want, matches(c.pattern, c.channel), "%s %s", c.pattern, c.channel)
	}
}
