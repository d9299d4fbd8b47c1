package bayeux

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func decodeOne(tb testing.TB, body string) *Message {
	tb.Helper()
	msgs, err := Decode([]byte(body), Limits{})
	require.NoError(tb, err)
	require.Len(tb, msgs, 1)
	return msgs[0]
}

// requireEncoded compares bytes, for that is what raw values promise.
func requireEncoded(t *testing.T, want string, m *Message) {
	t.Helper()
	require.Equal(t, want, string(AppendMessage(nil, m)))
}

// Covers [R-MSG-4] and [R-MSG-5].
func TestReply(t *testing.T) {
	for body, want := range map[string]string{
		`{"channel":"/meta/subscribe","id":3,"subscription":[ "/a"],"clientId":"c","data":1,"ext":{}}`: `{"channel":"/meta/subscribe","id":"3","subscription":[ "/a"]}`,
		`{"channel":"/a","id":"","subscription":null}`:                                                 `{"channel":"/a","id":""}`,
		`{"channel":"/a","data":{},"subscription":5}`:                                                  `{"channel":"/a","subscription":5}`,
		`{"channel":""}`: `{"channel":""}`,
		`{"clientId":5}`: `{}`,
	} {
		m := decodeOne(t, body)
		requireEncoded(t, want, m.Reply())
		reply := m.Reply()
		require.Same(t, reply, m.Reply(), "made once")
	}
}

// Covers [R-MSG-14].
func TestFailAndSucceed(t *testing.T) {
	m := &Message{Channel: "/a"}
	require.False(t, m.OK())
	require.True(t, m.Succeed(true).OK())
	m.Fail(ErrSessionUnknown)
	requireEncoded(t, `{"channel":"/a","successful":false,"error":"402::session_unknown"}`, m)
	m.Fail(&Error{Args: "x", Text: "publish_denied", Advice: &Advice{Reconnect: ReconnectNone}, Ext: Raw(`{"a":1}`)})
	requireEncoded(t, `{"channel":"/a","successful":false,"error":"403:x:publish_denied","advice":{"reconnect":"none"},"ext":{"a":1}}`, m)
	require.False(t, m.OK())
}

// Covers [R-PB-6].
func TestBroadcast(t *testing.T) {
	const body = `{"id":"1","clientId":"c","channel":"/a/","data":{"f":2.50},"ext":{ "e":1},"advice":{"timeout":1},` +
		`"successful":true,"error":"e","timestamp":"t","lazy":true,"subscription":"/s"}`
	m := decodeOne(t, body)
	m.Reply()
	strict, relay := m.Broadcast(false), m.Broadcast(true)
	requireEncoded(t, `{"channel":"/a/","subscription":"/s","ext":{ "e":1},"timestamp":"t","lazy":true,"data":{"f":2.50}}`, strict)
	requireEncoded(t, `{"channel":"/a/","subscription":"/s","successful":true,"error":"e","advice":{"timeout":1},"ext":{ "e":1},"timestamp":"t","lazy":true,"data":{"f":2.50}}`, relay)
	require.False(t, strict.Lazy, "a client's field lazy is just a field [R-DL-5]")

	strict.SetField("timestamp", Raw(`1`))
	require.Equal(t, `"t"`, string(m.Field("timestamp")), "the list of fields is shared")

	odd := decodeOne(t, `{"channel":"/a","x":1,"successful":"yes","error":["e"],"y":2}`)
	requireEncoded(t, `{"channel":"/a","x":1,"y":2}`, odd.Broadcast(false))
	requireEncoded(t, `{"channel":"/a","x":1,"y":2,"successful":"yes","error":["e"]}`, odd.Broadcast(true))
	require.Len(t, odd.Fields, 4)

	m.Lazy = true
	require.True(t, m.Broadcast(false).Lazy, "server code sets it")
	// [R-PB-5]
	requireEncoded(t, `{"channel":"/a","data":null}`, decodeOne(t, `{"channel":"/a","data":null,"id":"1"}`).Broadcast(false))
	requireEncoded(t, `{"channel":"/a"}`, decodeOne(t, `{"channel":"/a","id":"1"}`).Broadcast(false))
}

func TestSetField(t *testing.T) {
	m := &Message{}
	m.SetField("a", nil)
	require.Empty(t, m.Fields)
	m.SetField("a", Raw(`1`))
	m.SetField("b", Raw(`2`))
	m.SetField("c", Raw(`3`))
	m.SetField("b", Raw(`4`))
	requireEncoded(t, `{"a":1,"b":4,"c":3}`, m)
	before := m.Fields
	m.SetField("b", nil)
	requireEncoded(t, `{"a":1,"c":3}`, m)
	require.Equal(t, "b", before[1].Name, "a list that others may hold has been changed")
	require.Nil(t, m.Field("b"))
	require.Equal(t, `3`, string(m.Field("c")))
}

func TestEdit(t *testing.T) {
	m := decodeOne(t, `{"channel":"/a","data":1,"x":1}`)
	require.Same(t, m, m.Edit(), "not shared")
	view := m.Share()
	require.Nil(t, view.Edited())
	c := view.Edit()
	require.NotSame(t, view, c)
	require.Same(t, c, view.Edit())
	require.Same(t, c, view.Edited())
	require.Same(t, c, c.Edit(), "a copy is not shared")
	c.SetField("x", Raw(`2`))
	c.Data = Raw(`2`)
	requireEncoded(t, `{"channel":"/a","x":1,"data":1}`, m)
	requireEncoded(t, `{"channel":"/a","x":2,"data":2}`, c)
	require.Nil(t, m.Share().Edited(), "each view has its own copy")

	require.Zero(t, m.Batch())
	m.SetBatch(3)
	require.EqualValues(t, 3, m.Batch())
}

// Covers [R-PB-13].
func TestFrozen(t *testing.T) {
	m := &Message{Channel: "/a", Data: Raw(`1`)}
	f := Freeze(m)
	require.Equal(t, string(AppendMessage(nil, m)), string(f.JSON))
	results := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			results[i] = f.Form(FormFrame, func(json []byte) []byte { return append([]byte{'F'}, json...) })
		})
	}
	wg.Wait()
	for _, r := range results {
		require.Equal(t, "F"+string(f.JSON), string(r))
		require.Same(t, &results[0][0], &r[0], "one form for all")
	}
	deflated := f.Form(FormDeflated, func([]byte) []byte { return []byte("D") })
	require.Equal(t, "D", string(deflated))
	require.Equal(t, "D", string(f.Form(FormDeflated, func([]byte) []byte { return []byte("E") })))

	require.True(t, f.Retain())
	require.False(t, f.Retain())
	require.False(t, f.Release())
	require.True(t, f.Release())
}

func TestFuncs(t *testing.T) {
	var e Extension = Funcs{}
	require.NoError(t, e.Incoming(t.Context(), nil, nil))
	require.NoError(t, e.Outgoing(t.Context(), nil, nil))
	e = Funcs{
		In:  func(context.Context, Session, *Message) error { return Drop },
		Out: func(context.Context, Session, *Message) error { return Handled },
	}
	require.ErrorIs(t, e.Incoming(t.Context(), nil, nil), Drop)
	require.ErrorIs(t, e.Outgoing(t.Context(), nil, nil), Handled)
}

// Covers [R-SP-1].
func TestDefaultPolicy(t *testing.T) {
	p := DefaultPolicy{}
	ctx := t.Context()
	require.NoError(t, p.CanHandshake(ctx, nil, nil))
	for name, ok := range map[channels.Name]bool{
		"/a": true, "/**": true, "/service/x": true, "/meta": true, "/meta/connect": false, "/meta/*": false, "/meta/**": false,
	} {
		for _, err := range []error{
			p.CanCreate(ctx, nil, name, nil),
			p.CanSubscribe(ctx, nil, channels.Compile(name), nil),
			p.CanPublish(ctx, nil, name, nil),
		} {
			var denied *Error
			require.Equal(t, !ok, errors.As(err, &denied), name)
			if !ok {
				require.EqualError(t, err, "403:denied_by_security_policy:")
			}
		}
	}
}

func TestAttributes(t *testing.T) {
	var a Attributes
	require.Nil(t, a.Get("x"))
	a.Set("x", nil)
	require.Empty(t, a.All())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a.Set(strconv.Itoa(i), i)
			_ = a.Get("0")
			_ = a.All()
		})
	}
	wg.Wait()
	all := a.All()
	require.Len(t, all, 8)
	all["9"] = 9
	require.Nil(t, a.Get("9"), "All returns a copy")
	require.Equal(t, 3, a.Get("3"))
	a.Set("3", nil)
	require.Nil(t, a.Get("3"))
	require.Len(t, a.All(), 7)
}

func TestRequestContext(t *testing.T) {
	require.Nil(t, RequestFrom(t.Context()))
	_, ok := RequestFrom(t.Context()).Cookie("a")
	require.False(t, ok, "no request has no cookie")
	r := &Request{Header: http.Header{"Cookie": {"a=1; b=2", "a=3"}}}
	got := RequestFrom(WithRequest(t.Context(), r))
	require.Same(t, r, got)
	value, ok := got.Cookie("a")
	require.True(t, ok)
	require.Equal(t, "1", value)
	_, ok = got.Cookie("c")
	require.False(t, ok)
}
