package bayeux

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestExtMember(t *testing.T) {
	ext := Raw(` { "ack" : 1 , "x":{"ack":2}, "n":null, "\u0061ck": [ 3 ] } `)
	for _, tc := range []struct {
		name, want string
		ok         bool
	}{{"ack", "[ 3 ]", true}, {"x", `{"ack":2}`, true}, {"n", "null", true}, {"y", "", false}, {"", "", false}} {
		got, ok := ExtMember(ext, tc.name)
		require.Equal(t, tc.want, string(got), tc.name)
		require.Equal(t, tc.ok, ok, tc.name)
	}
	for _, none := range []string{``, `null`, `[]`, `"ack"`, `{"ack":1`, `{"ack":1} x`, `{ack:1}`} {
		got, ok := ExtMember(Raw(none), "ack")
		require.Nil(t, got, none)
		require.False(t, ok, none)
	}
	_, ok := ExtMember(nil, "ack")
	require.False(t, ok)
	got, _ := (&Message{Ext: ext}).ExtMember("x")
	require.Equal(t, `{"ack":2}`, string(got))
}

func TestSetExtMember(t *testing.T) {
	for _, tc := range []struct{ name, ext, value, want string }{
		{"into nothing", ``, `1`, `{"a":1}`},
		{"into null", `null`, `1`, `{"a":1}`},
		{"into an empty one", `{ }`, `1`, `{"a":1}`},
		{"into another type", `"x"`, `1`, `{"a":1}`},
		{"into broken text", `{"a":2,"b"`, `1`, `{"a":1}`},
		{"more", `{"b":2}`, `1`, `{"b":2,"a":1}`},
		{"others are kept", `{"b" : [ 2.50 ] , "\u0063":"\u00e9","a":5}`, `{"x":1}`, `{"b" : [ 2.50 ],"\u0063":"\u00e9","a":{"x":1}}`},
		{"in its place", `{"a":5,"b":2}`, `1`, `{"a":1,"b":2}`},
		{"all of the name", `{"b":2,"a":5,"c":3,"\u0061":6}`, `1`, `{"b":2,"a":1,"c":3}`},
		{"remove", `{"b":2,"a":5}`, ``, `{"b":2}`},
		{"remove all of the name", `{"a":2,"b":1,"a":5}`, ``, `{"b":1}`},
		{"remove the last", `{"a":5}`, ``, ``},
		{"remove what is not there", `{ "b":1}`, ``, `{ "b":1}`},
		{"remove from nothing", ``, ``, ``},
		{"remove from another type", `[1]`, ``, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			given := Raw(tc.ext)
			require.Equal(t, tc.want, string(SetExtMember(given, "a", Raw(tc.value))))
			require.Equal(t, tc.ext, string(given), "changed in place")
		})
	}
	require.Equal(t, `{"q\"\u0001":null}`, string(SetExtMember(nil, "q\"\x01", Raw(`null`))))
	require.Nil(t, SetExtMember(Raw(`{"a":1}`), "a", nil))

	m := &Message{}
	m.SetExt("ack", Raw(`true`))
	requireEncoded(t, `{"ext":{"ack":true}}`, m)
	m.SetExt("ack", nil)
	require.Equal(t, `{}`, string(AppendMessage(nil, m)))
}

// Covers [R-CN-6] and [R-CN-14].
func TestParseAdvice(t *testing.T) {
	const sec = time.Second
	for _, tc := range []struct {
		raw               string
		present           bool
		timeout, interval time.Duration
	}{
		{``, false, -1, -1},
		{`null`, false, -1, -1},
		{`{}`, true, -1, -1},
		{`{"reconnect":"retry","timeout":[1],"timeout":1}`, false, -1, -1}, // refused, though the last one is fine
		{`{"timeout":0}`, true, 0, -1},
		{`{"timeout":0,"interval":60000}`, true, 0, 60 * sec},
		{`{"timeout":-1,"interval":-5}`, true, -1, -1},
		{`{"timeout":null}`, true, -1, -1},
		{`{"timeout":1000.9}`, true, sec, -1},
		{`{"timeout":1e3,"interval":12E-1}`, true, sec, time.Millisecond},
		{`{"timeout":-0.9}`, true, 0, -1},
		{`{"timeout":-0}`, true, 0, -1},
		{`{"timeout":1e-999}`, true, 0, -1},
		{`{"timeout":9223372036854775808,"interval":1e400}`, true, longest, longest},
		{`{"timeout":-1e400}`, true, -1, -1},
		{`{"timeout":1,"timeout":2000}`, true, 2 * sec, -1},
		{`{"timeout":1,"t\u0069meout":2000}`, true, 2 * sec, -1},
		{`{"long-polling":{"timeout":5}}`, true, -1, -1}, // [R-AD-8]
		{`{"timeout":"0"}`, false, -1, -1},
		{`{"interval":true}`, false, -1, -1},
		{`[]`, false, -1, -1},
		{`5`, false, -1, -1},
	} {
		want := ClientAdvice{Present: tc.present, Timeout: tc.timeout, Interval: tc.interval}
		got, err := ParseAdvice(Raw(tc.raw))
		require.Equal(t, want, got, tc.raw)
		require.Equal(t, !tc.present && tc.raw != "" && tc.raw != "null", err != nil, tc.raw)
		require.Equal(t, want, (&Message{Advice: Raw(tc.raw)}).ClientAdvice(), tc.raw)
	}
	require.Positive(t, 3*longest)
	require.Greater(t, longest, 70*365*24*time.Hour)
}

func TestSetAdviceTimeout(t *testing.T) {
	for _, tc := range []struct {
		advice string
		d      time.Duration
		want   string
	}{
		{``, 0, `{"timeout":0}`},
		{`{"interval":5,"timeout":9,"x":[ ]}`, 1500 * time.Millisecond, `{"interval":5,"timeout":1500,"x":[ ]}`},
		{`{"x":1}`, -time.Hour, `{"x":1,"timeout":-1}`},
		{`{}`, 999 * time.Microsecond, `{"timeout":0}`},
	} {
		m := &Message{Advice: Raw(tc.advice)}
		m.SetAdviceTimeout(tc.d)
		require.Equal(t, tc.want, string(m.Advice))
	}
}
