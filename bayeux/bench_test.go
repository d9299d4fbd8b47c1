package bayeux

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	benchPublish = `[{"id":"12","channel":"/chat/demo","data":{"user":"halley","chat":"a line of some sixty characters, as people write them","n":[1,2,3],"t":1700000000000},"clientId":"2k7ab8c9d0e1f2g3h4i5j6k7l8m9n0"}]`
	benchConnect = `[{"id":"4","channel":"/meta/connect","connectionType":"long-polling","advice":{"timeout":0},"clientId":"2k7ab8c9d0e1f2g3h4i5j6k7l8m9n0"}]`
)

// Measured: the bytes, the message with its list, and the strings. A connect
// has a field more.
func TestAllocations(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		most       float64
	}{{"publish", benchPublish, 3}, {"connect", benchConnect, 4}} {
		body := []byte(tc.body)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = Decode(body, Limits{}) }), tc.most, tc.name)
	}
	deep := Raw(strings.Repeat(`[{"a":"b c","d":[1.5,true,null]},`, 20) + `0` + strings.Repeat(`]`, 20))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = Validate(deep, 0) }))

	m := decodeOne(t, benchPublish).Broadcast(false)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { Freeze(m) }), 2.0)
	connect := decodeOne(t, benchConnect)
	require.Zero(t, testing.AllocsPerRun(100, func() { connect.ClientAdvice() }))
	buf := make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() { AppendMessage(buf, m) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { connect.ExtMember("ack") }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = m.Validate(Limits{}) }))
}

func BenchmarkDecode(b *testing.B) {
	ten := "[" + strings.TrimSuffix(strings.Repeat(strings.Trim(benchPublish, "[]")+",", 10), ",") + "]"
	big := `[{"channel":"/chat/demo","data":{"text":"` + strings.Repeat(`some words, a \"quote\" and é `, 260) + `"}}]`
	for _, bc := range []struct{ name, body string }{
		{"publish", benchPublish}, {"connect", benchConnect}, {"batch10", ten}, {"big8k", big},
	} {
		b.Run(bc.name, func(b *testing.B) {
			body := []byte(bc.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(body, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFreeze(b *testing.B) {
	m := decodeOne(b, benchPublish).Broadcast(false)
	b.ReportAllocs()
	for b.Loop() {
		Freeze(m)
	}
}
