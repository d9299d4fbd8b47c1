package bayeux

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Covers [R-OUT-1] and [R-MSG-4].
func TestAppendMessage(t *testing.T) {
	for _, tc := range []struct {
		name string
		m    *Message
		want string
	}{
		{"nothing", &Message{}, `{}`},
		{"reply", (&Message{Channel: "/meta/connect", ID: "7"}).Succeed(true), `{"channel":"/meta/connect","id":"7","successful":true}`},
		{"empty id R-MSG-6", &Message{HasID: true}, `{"id":""}`},
		{"empty channel", &Message{HasChannel: true}, `{"channel":""}`},
		{"order", &Message{
			Channel: "/a", ID: "1", HasID: true, ClientID: "c", Data: Raw(`{ }`), Ext: Raw(`{"e":1}`), Advice: Raw(`{"a":1}`),
			Subscription: Raw(`"/b"`), Error: "e", Fields: []Field{{"x", Raw(`1`)}, {"y", Raw(`null`)}},
		}, `{"channel":"/a","id":"1","clientId":"c","subscription":"/b","error":"e","advice":{"a":1},"ext":{"e":1},"x":1,"y":null,"data":{ }}`},
		{"empty values are left out", &Message{Channel: "/a", Data: Raw{}, Fields: []Field{{"x", nil}}}, `{"channel":"/a"}`},
		{"what is not of the wire", &Message{Lazy: true, Fault: ErrChannelInvalid}, `{}`},
		{"names are quoted", &Message{Fields: []Field{{"a\"b", Raw(`1`)}}}, `{"a\"b":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, "x"+tc.want, string(AppendMessage([]byte("x"), tc.m)))
			require.Equal(t, tc.want, string(Freeze(tc.m).JSON))
			require.GreaterOrEqual(t, tc.m.size(), len(tc.want)-len(`"error":"successful":true,`))
		})
	}
}

// Covers [R-OUT-1].
func TestAppendBatch(t *testing.T) {
	a, b := &Message{Channel: "/a"}, &Message{Channel: "/b"}
	for want, batch := range map[string][]*Message{
		`x[]`:                                  nil,
		`x[{"channel":"/a"}]`:                  {a},
		`x[{"channel":"/a"},{"channel":"/b"}]`: {a, b},
	} {
		require.Equal(t, want, string(AppendBatch([]byte("x"), batch)))
	}
}

// Covers [R-MSG-15].
func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":                  `""`,
		"plain":             `"plain"`,
		"é😀\u2028\u2029</>": "\"é😀\u2028\u2029</>\"",
		`q"b\`:              `"q\"b\\"`,
		"\x00\n\x1f\x7f":    "\"\\u0000\\u000a\\u001f\x7f\"",
		"a\xffb\xc3":        "\"a\uFFFDb\uFFFD\"",
	} {
		require.Equal(t, want, string(AppendString(nil, in)), "%q", in)
	}
}

func TestUnquote(t *testing.T) {
	for in, want := range map[string]string{
		`""`:                         "",
		`"\"\\\/\b\f\n\r\t"`:         "\"\\/\b\f\n\r\t",
		`"\u0041\u00e9\u20AC\u0000"`: "Aé€\x00",
		`"\uD83d\ude00!"`:            "😀!",
		`"\ud83d"`:                   "\uFFFD",
		`"\ud83dx"`:                  "\uFFFDx",
		`"\ud83d\n"`:                 "\uFFFD\n",
		`"\ud83d\u0041"`:             "\uFFFDA",
		`"\ud83d\ud83d\ude00"`:       "\uFFFD😀",
		`"\ude00\ud83d"`:             "\uFFFD\uFFFD",
	} {
		require.Equal(t, want, string(unquote([]byte(in))), in)
	}
}

// Covers [R-AD-6] and [R-AD-8].
func TestAdviceRaw(t *testing.T) {
	d := func(v time.Duration) *time.Duration { return &v }
	for _, tc := range []struct {
		advice Advice
		want   string
	}{
		{Advice{}, `{}`},
		{Advice{Reconnect: ReconnectNone}, `{"reconnect":"none"}`},
		{Advice{Reconnect: ReconnectRetry, Interval: d(0), Timeout: d(20 * time.Second)}, `{"reconnect":"retry","interval":0,"timeout":20000}`},
		{Advice{MaxInterval: d(1500 * time.Microsecond)}, `{"maxInterval":1}`},
		{Advice{MultipleClients: true, Reconnect: ReconnectHandshake}, `{"multiple-clients":true,"reconnect":"handshake"}`},
		{Advice{Reconnect: `a"b`}, `{"reconnect":"a\"b"}`},
	} {
		require.Equal(t, tc.want, string(tc.advice.Raw()))
		require.NoError(t, Validate(tc.advice.Raw(), 0))
	}
}

// [R-MSG-14] [R-ERR-6]: the strings of CometD 5 to 8.
func TestErrorStrings(t *testing.T) {
	for want, e := range map[string]*Error{
		"400::channel_missing":      ErrChannelMissing,
		"402::session_unknown":      ErrSessionUnknown,
		"403::handshake_denied":     ErrHandshakeDenied,
		"403::handshake_failed":     ErrHandshakeFailed,
		"403::subscription_missing": ErrSubscriptionMissing,
		"403::subscription_invalid": ErrSubscriptionInvalid,
		"403::subscribe_failed":     ErrSubscribeFailed,
		"403::unsubscribe_failed":   ErrUnsubscribeFailed,
		"404::message_deleted":      ErrMessageDeleted,
		"405::channel_invalid":      ErrChannelInvalid,
		"405::message_id_invalid":   ErrMessageIDInvalid,
		"403:full:subscribe_denied": {Args: "full", Text: DeniedSubscribe},
		"403:no:":                   Deny("no"),
	} {
		require.EqualError(t, e, want)
	}
}
